"""The configuration of one trial: a model, an objective, and how they are trained."""

import json
import math
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from models.features import FeatureName


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a trial is trained; the keys that any study may search, whatever the model and objective.

    Args:
        features: the map from the user's units to what the network sees.
        optimizer: Adam (betas 0.9 and 0.999) or plain stochastic gradient descent.
        learning_rate: step size at the start.
        schedule: "constant", or "cosine" down to zero at the full budget.
        average: decay of a running mean of the weights, which is what is judged and exported; 0 for the weights as they
            are. A mean over many steps doesn't jump from evaluation to evaluation, so luck picks fewer checkpoints.
        batch: rows of a step.
        clip: largest length of a step's gradient; 0 for any.
        l1: strength of the absolute penalty on weights; a proximal step, so that it reaches exact zeros.
        l2: strength of the squared penalty on weights; decoupled weight decay (for SGD, the usual l2 / 2 |w|^2).

    Raises:
        ValueError: an argument is out of its range.
    """

    features: FeatureName = "standard"
    optimizer: Literal["adam", "sgd"] = "adam"
    learning_rate: float = 1e-3
    schedule: Literal["constant", "cosine"] = "constant"
    average: float = 0.0
    batch: int = 256
    clip: float = 0.0
    l1: float = 0.0
    l2: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning_rate must be above 0, got {self.learning_rate}")
        if not 0 <= self.average < 1:
            raise ValueError(f"average must be at least 0 and below 1, got {self.average}")
        if self.batch < 2:
            raise ValueError(f"batch must be at least 2, got {self.batch}")
        if not 0 <= self.clip < math.inf:
            raise ValueError(f"clip must be at least 0, got {self.clip}")
        if not (0 <= self.l1 < math.inf and 0 <= self.l2 < math.inf):
            raise ValueError(f"l1 and l2 must be at least 0, got {self.l1} and {self.l2}")


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """One point of a search space.

    Args:
        model, objective: names in their registries.
        model_arguments, objective_arguments: keyword arguments of their constructors.
        training: how they are trained.
        idle: keys that don't act beside the others, and so have their defaults; they follow from these.
    """

    model: str
    objective: str
    model_arguments: dict[str, Any] = field(default_factory=dict)
    objective_arguments: dict[str, Any] = field(default_factory=dict)
    training: Training = field(default_factory=Training)
    idle: tuple[str, ...] = field(default=(), compare=False)

    @property
    def identity(self) -> str:
        """Text that is the same for equal configurations alone."""
        return json.dumps(self.nested() | {"idle": ()}, sort_keys=True)

    def flat(self) -> dict[str, Any]:
        """All keys that act in one dict, named as in a study; what MLflow and the leaderboard show."""
        chosen = {"model": self.model, "objective": self.objective}
        every = {**chosen, **self.model_arguments, **self.objective_arguments, **asdict(self.training)}
        return {key: value for key, value in every.items() if key not in self.idle}

    def nested(self) -> dict[str, Any]:
        """JSON form, from which `from_nested` makes an equal configuration."""
        return asdict(self)

    @classmethod
    def from_nested(cls, nested: dict[str, Any]) -> "Configuration":
        """Configuration of its JSON form."""
        return cls(**{**nested, "training": Training(**nested["training"]), "idle": tuple(nested["idle"])})


StackKey = tuple[str, str, int]


def stack_key(configuration: Configuration) -> StackKey:
    """What trials must share to train stacked."""
    return configuration.model, configuration.objective, configuration.training.batch
