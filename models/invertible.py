"""An invertible map of columns, between a user's own units and what a network sees.

Notation: rows [n, columns] in the user's units, features [n, columns]; both float64. A map is fitted on training rows.
"""

from abc import ABC, abstractmethod

from torch import Tensor, nn


class Features(nn.Module, ABC):
    """An invertible map of columns; its constructor takes the training rows `[n, columns]`, float64."""

    @abstractmethod
    def forward(self, rows: Tensor) -> Tensor:
        """Features `[n, columns]` of `rows` in the user's units."""

    @abstractmethod
    def inverse(self, features: Tensor) -> Tensor:
        """Rows `[..., columns]` in the user's units."""


def refuse_negative(rows: Tensor, name: str) -> None:
    """Check the training rows of features that only serve non-negative columns.

    Raises:
        ValueError: a row is negative.
    """
    negative = (rows < 0).any(0).nonzero().flatten().tolist()
    if negative:
        raise ValueError(f"{name} features need rows of at least 0; column {negative[0] + 1} has negative ones")
