"""An invertible map of columns, between a user's own units and what a network sees.

Notation: rows [n, columns] in the user's units, features [n, columns]; both float64. A map is fitted on training rows.
"""

from abc import ABC, abstractmethod
from typing import final

import torch
from torch import Tensor, nn

FEW = 32  # different values that a column of grades, months or flags has at most
MOST_DECIMALS = 12
EXACT = 2.0**53  # whole numbers below it have a float64 each
ROUNDING = 4 * torch.finfo(torch.float32).eps  # of features, which networks compute in float32


class Features(nn.Module, ABC):
    """An invertible map of columns, and what the training rows say of the values that each column can have.

    Args:
        rows: the training rows `[n, columns]`, float64.
    """

    def __init__(self, rows: Tensor) -> None:
        super().__init__()
        self.fit(rows)
        self.ends: Tensor
        self.slack: Tensor
        self.limits: Tensor
        self.power: Tensor
        ends = torch.stack([rows.amin(0), rows.amax(0)])
        seen = self.forward(ends)
        near = torch.stack([self.invert(seen * (1 + step)) for step in (-ROUNDING, ROUNDING)])
        self.register_buffer("ends", ends)  # [2, columns]
        self.register_buffer("slack", (near - ends).abs().amax(0))  # [2, columns]: how exactly a network tells an end
        self.register_buffer("limits", torch.stack([_limits(column) for column in rows.T], 1))  # [2, columns]
        self.register_buffer("power", torch.stack([_power(column) for column in rows.T]))  # 10^decimals; 0: any number

    @abstractmethod
    def fit(self, rows: Tensor) -> None:
        """Register the map's buffers, of the training rows `[n, columns]`.

        Raises:
            ValueError: these features don't serve such rows.
        """

    @abstractmethod
    def forward(self, rows: Tensor) -> Tensor:
        """Features `[n, columns]` of `rows` in the user's units."""

    @abstractmethod
    def invert(self, features: Tensor) -> Tensor:
        """Rows `[..., columns]` that the map has for `features`, to rounding."""

    @final
    def inverse(self, features: Tensor) -> Tensor:
        """Rows `[..., columns]` in the user's units, with the decimals of each column and within its hard bounds.

        Whole numbers stay whole, a column without negative values has none, a flag is 0 or 1, and what differs from
        the least or largest training value by a rounding error is that value.
        """
        rows = self.invert(features)
        scaled = rows * self.power
        rounded = (scaled.round() + 0.0) / self.power.clamp_min(1)  # the sum makes a zero of -0
        rows = torch.where((self.power > 0) & (scaled.abs() < EXACT), rounded, rows)
        for end, slack in zip(self.ends, self.slack, strict=True):
            rows = torch.where((rows - end).abs() <= slack, end, rows)
        return rows.clamp(*self.limits)


def _limits(column: Tensor) -> Tensor:
    """Hard bounds `[2]` of a column `[n]`, infinite where it has none.

    Its least or largest value is one where it occurs more than once, or the column has few different values; and where
    no value is on the other side of 0, 0 is.
    """
    values, counts = torch.unique(column, return_counts=True)
    few = len(values) <= min(FEW, len(column) // 2)
    low = values[0] if few or counts[0] > 1 else 0.0 if values[0] >= 0 else -torch.inf
    high = values[-1] if few or counts[-1] > 1 else 0.0 if values[-1] <= 0 else torch.inf
    return column.new_tensor([low, high])


def _power(column: Tensor) -> Tensor:
    """10 to the number of decimals that all values of a column `[n]` have; 0 where they have no such number."""
    for decimals in range(MOST_DECIMALS + 1):
        power = 10.0**decimals
        scaled = column * power
        if scaled.abs().max() >= EXACT:
            break
        if torch.equal(scaled.round() / power, column):
            return column.new_tensor(power)
    return column.new_tensor(0.0)
