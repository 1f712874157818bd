"""What a search varies, as MLflow's tables and charts can show it.

MLflow's axes are linear, and it sorts and filters parameters as text: numbers that a study searches are recorded as
metrics too, and those on a logarithmic scale as logarithms beside.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from models import MODELS
from objectives import OBJECTIVES
from search.study.configuration import Configuration, Training
from search.study.space import Fixed, Range, arguments_of
from search.study.study import Study

ALWAYS = ("latent", "sigma", "lambda")  # numbers that are worth sorting by, searched or not
EQUAL = 0.1  # log2 of encoder over decoder parameters: 7 % more or fewer count as the same


@dataclass(frozen=True, kw_only=True)
class Axes:
    """Keys of a study that have several values.

    Args:
        searched: all of them.
        shared: those that every trial has, whatever its model and objective.
        logarithmic: those on a logarithmic scale.
        rungs: of ASHA, in epochs.
    """

    searched: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    logarithmic: tuple[str, ...] = ()
    rungs: tuple[int, ...] = ()

    @classmethod
    def of(cls, study: Study) -> "Axes":
        """Axes of a study."""
        groups = [*study.models.values(), *study.objectives.values(), study.training]
        several = [(key, domain) for group in groups for key, domain in group.items() if not isinstance(domain, Fixed)]
        names = [name for name, of in (("model", study.models), ("objective", study.objectives)) if len(of) > 1]
        searched = tuple(dict.fromkeys([*names, *(key for key, _ in several)]))
        logarithmic = dict.fromkeys(key for key, domain in several if isinstance(domain, Range) and domain.log)
        common = {
            *names,
            *arguments_of(Training),
            *_common([MODELS[name] for name in study.models]),
            *_common([OBJECTIVES[name] for name in study.objectives]),
        }
        shared = tuple(key for key in searched if key in common)
        return cls(searched=searched, shared=shared, logarithmic=tuple(logarithmic), rungs=tuple(study.budget.rungs()))

    def named(self, key: str) -> str:
        """The parameter that shows a key: its logarithm, where it is searched on that scale."""
        return f"log10_{key}" if key in self.logarithmic else key

    def parameters(self, configuration: Configuration) -> dict[str, Any]:
        """All keys of a trial, named as in the study, the weight of its penalty as `lambda`, and logarithms."""
        flat = configuration.flat()
        weight = flat.get("lam", flat.get("beta"))
        positive = [key for key in (*self.logarithmic, "learning_rate") if flat.get(key, 0.0) > 0]
        logarithms = {f"log10_{key}": f"{math.log10(flat[key]):.4f}" for key in positive}
        return flat | logarithms | ({} if weight is None else {"lambda": weight})

    def numbers(self, configuration: Configuration) -> dict[str, float]:
        """The numbers among them that a study searches, and those that are always worth sorting by."""
        wanted = {*ALWAYS, *self.searched}
        return {
            key: float(value)
            for key, value in self.parameters(configuration).items()
            if key in wanted and isinstance(value, int | float) and not isinstance(value, bool)
        }

    def rung(self, epoch: int) -> int:
        """The last of ASHA's rungs that a trial of this epoch has come to, in epochs; 0 before the first."""
        return max((rung for rung in self.rungs if rung <= epoch), default=0)


def asymmetry(architecture: dict[str, float]) -> str | None:
    """Which half of an autoencoder is the larger one, by parameters; None for other models."""
    ratio = architecture.get("log2_encoder_over_decoder")
    if ratio is None:
        return None
    return "equal" if abs(ratio) < EQUAL else "encoder larger" if ratio > 0 else "decoder larger"


def _common(constructors: Iterable[Any]) -> set[str]:
    return set.intersection(*(set(arguments_of(constructor)) for constructor in constructors))
