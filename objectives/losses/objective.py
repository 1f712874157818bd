"""The base class of all objectives: what training minimises."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Generic, TypeVar

from torch import Tensor, nn

from objectives.losses.protocols import Noise

Served = TypeVar("Served")


class Objective(nn.Module, ABC, Generic[Served]):
    """A loss for each trial of a pack.

    A constructor takes `(rows, seed)`, the training features `[n, features]` and a seed, and typed, defaulted keyword
    arguments, which are the keys that a study may search. It builds a pack of one, and raises a `ValueError` that names
    an argument out of its range. What differs by trial is a buffer with the pack's axis first. An objective owns the
    networks that it trains beside the model, and their optimisers.

    `protocol` is what a model must meet to be trained by this objective. `descends` says whether its loss has a
    gradient; without one, `features` is the only key of the training that acts. `conditions` says when its own keys
    act, as in a `Model`.
    """

    protocol: ClassVar[type]
    descends: ClassVar[bool] = True
    conditions: ClassVar[Mapping[str, Mapping[str, tuple[Any, ...]]]] = {}

    @abstractmethod
    def loss(self, model: Served, rows: Tensor, noise: Noise, train: bool = True) -> Tensor:
        """Return the loss `[pack]` of one step on `rows` `[pack, batch, features]`.

        The loss of a model with a closed form has no gradient. `noise` draws `batch` rows at a time. With `train` false
        there is no dropout and no state changes.
        """

    def setup(self, model: Served, rows: Tensor) -> None:
        """Prepare for training: called once, while the pack is of one, with all training rows `[1, n, features]`.

        A closed form is fitted here, and networks are built whose shape depends on the model's.
        """

    def finalize(self, model: Served, rows: Tensor, noise: Noise) -> None:
        """Prepare the model for judging, with all training rows `[pack, n, features]`; `noise` draws n rows at a time.

        This fills buffers that sampling needs and that have no gradient.
        """
