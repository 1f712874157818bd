"""What training minimises: every objective of this package is one of these."""

from abc import ABC, abstractmethod
from typing import ClassVar, Generic, TypeVar

from torch import Tensor, nn

from objectives.losses.protocols import Noise

Served = TypeVar("Served")


class Objective(nn.Module, ABC, Generic[Served]):
    """A loss for each trial of a pack.

    A constructor takes `(rows, seed)`, the training features `[n, features]` and a seed, and typed, defaulted keyword
    arguments, which are the keys that a study may search; it builds a pack of one. What differs by trial is a buffer
    with the pack's axis first. An objective that needs networks of its own owns them and their optimisers' steps. An
    argument out of its range raises a `ValueError` that names it.
    """

    protocol: ClassVar[type]  # what a model must be to be trained by this objective

    @abstractmethod
    def loss(self, model: Served, rows: Tensor, noise: Noise, train: bool = True) -> Tensor:
        """Loss `[pack]` of one step on `rows` `[pack, batch, features]`.

        The loss of a model with a closed form has no gradient. `noise` draws `batch` rows at a time; with `train`
        false nothing is dropped and nothing changes.
        """

    def setup(self, model: Served, rows: Tensor) -> None:
        """Called once, before training and while the pack is of one, with all training rows `[1, n, features]`.

        Here a closed form is fitted, and networks are built whose shape depends on the model's.
        """

    def finalize(self, model: Served, rows: Tensor, noise: Noise) -> None:
        """Called before the model is judged, with all training rows `[pack, n, features]`; `noise` draws n at a time.

        Here buffers of the model are filled that sampling needs and no gradient reaches.
        """
