"""What every generative model of this package is: a stack of networks that draws rows."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from torch import Tensor, nn

from models.noise import Noise


@dataclass(frozen=True)
class Shape:
    """What a problem asks of a model: columns to produce, and the source distribution that it may feed on.

    Args:
        features: columns of the data.
        source: "normal" for N(0, I), "uniform" for U[0, 1]^k.
        source_features: columns k of the source.
    """

    features: int
    source: Literal["normal", "uniform"]
    source_features: int


class Model(nn.Module, ABC):
    """A pack of networks of one family.

    A constructor takes `(shape, seed)` and typed, defaulted keyword arguments, which are the keys that a study may
    search, and builds a pack of one; `models.pack.join` stacks several. An argument out of its range raises a
    `ValueError` that names it.

    `conditions` says of a key which values other keys must have for it to act, such as
    `{"ramp_steps": {"ramp": ("warm_up", "adaptive")}}`; a key that isn't in it always acts. `needs` names a library
    that fitting the model takes, and nothing else does.
    """

    needs: ClassVar[str] = ""
    conditions: ClassVar[Mapping[str, Mapping[str, tuple[Any, ...]]]] = {}

    @abstractmethod
    def sample(self, noise: Noise) -> Tensor:
        """Rows drawn from every trial's model, `[pack, noise.rows, features]`, in feature units."""

    @abstractmethod
    def architecture(self) -> list[dict[str, float]]:
        """What is worth recording of each trial's architecture (such as `parameters`), `pack` of them."""
