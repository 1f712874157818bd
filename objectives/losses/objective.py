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
    with the pack's axis first. An objective that needs networks of its own owns them and their optimisers. An argument
    out of its range raises a `ValueError` that names it.
    """

    protocol: ClassVar[type]  # what a model must be to be trained by this objective

    @abstractmethod
    def loss(self, model: Served, rows: Tensor, noise: Noise, train: bool = True) -> Tensor:
        """Loss `[pack]` of one step on `rows` `[pack, batch, features]`.

        A model with a closed form is fitted here, and its loss has no gradient. `noise` draws `batch` rows at a time;
        with `train` false nothing is dropped.
        """
