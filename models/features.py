"""Features: the invertible maps, column by column, between a user's own units and what a network sees.

Notation: rows [n, columns] in the user's units, features [n, columns]; both float64. A map is fitted on training rows.
"""

from abc import ABC, abstractmethod
from typing import Literal, final, get_args

import torch
from torch import Tensor, nn

FeatureName = Literal["standard", "unit", "log1p", "quantile_normal"]


class Features(nn.Module, ABC):
    """An invertible map of columns; its constructor takes the training rows `[n, columns]`, float64."""

    @abstractmethod
    def forward(self, rows: Tensor) -> Tensor:
        """Features `[n, columns]` of `rows` in the user's units."""

    @abstractmethod
    def inverse(self, features: Tensor) -> Tensor:
        """Rows `[..., columns]` in the user's units."""


@final
class Standard(Features):
    """Zero mean and unit standard deviation of the training rows."""

    def __init__(self, rows: Tensor) -> None:
        super().__init__()
        self.mean: Tensor
        self.scale: Tensor
        self.register_buffer("mean", rows.mean(0))
        self.register_buffer("scale", _deviation(rows))

    def forward(self, rows: Tensor) -> Tensor:
        """(rows - mean) / standard deviation."""
        return (rows - self.mean) / self.scale

    def inverse(self, features: Tensor) -> Tensor:
        """Mean + features * standard deviation."""
        return self.mean + features * self.scale


@final
class Unit(Features):
    """The range of the training rows mapped to [0, 1]."""

    def __init__(self, rows: Tensor) -> None:
        super().__init__()
        self.low: Tensor
        self.range: Tensor
        self.register_buffer("low", rows.amin(0))
        self.register_buffer("range", _positive(rows.amax(0) - rows.amin(0)))

    def forward(self, rows: Tensor) -> Tensor:
        """(rows - minimum) / (maximum - minimum)."""
        return (rows - self.low) / self.range

    def inverse(self, features: Tensor) -> Tensor:
        """Minimum + features * (maximum - minimum)."""
        return self.low + features * self.range


@final
class Log1p(Features):
    """Standardised log(1 + row / median), for non-negative columns of any unit.

    Raises:
        ValueError: a training row is negative.
    """

    def __init__(self, rows: Tensor) -> None:
        super().__init__()
        negative = (rows < 0).any(0).nonzero().flatten().tolist()
        if negative:
            raise ValueError(f"log1p features need rows of at least 0; column {negative[0] + 1} has negative ones")
        self.unit: Tensor
        self.mean: Tensor
        self.scale: Tensor
        self.register_buffer("unit", _positive(rows.median(0).values))
        logs = torch.log1p(rows / self.unit)
        self.register_buffer("mean", logs.mean(0))
        self.register_buffer("scale", _deviation(logs))

    def forward(self, rows: Tensor) -> Tensor:
        """(log(1 + rows / median) - mean) / standard deviation; negative rows count as 0."""
        return (torch.log1p(rows.clamp_min(0) / self.unit) - self.mean) / self.scale

    def inverse(self, features: Tensor) -> Tensor:
        """Median * (exp(mean + features * standard deviation) - 1), at least 0."""
        return self.unit * torch.expm1(self.mean + features * self.scale).clamp_min(0)


@final
class QuantileNormal(Features):
    """Normal scores: each column through its empirical distribution function, then the normal quantile function.

    The inverse interpolates the sorted training rows linearly and never leaves their range.
    """

    def __init__(self, rows: Tensor) -> None:
        super().__init__()
        self.sorted: Tensor
        self.register_buffer("sorted", rows.sort(0).values)

    def forward(self, rows: Tensor) -> Tensor:
        """Normal quantile of the mid-rank of each row among the training rows."""
        n = self.sorted.shape[0]
        table, queries = self.sorted.T.contiguous(), rows.T.contiguous()
        below = torch.searchsorted(table, queries) + torch.searchsorted(table, queries, right=True)
        scores: Tensor = torch.special.ndtri((below.T.double() / (2 * n)).clamp(0.5 / n, 1 - 0.5 / n))
        return scores

    def inverse(self, features: Tensor) -> Tensor:
        """Training quantile at the normal distribution function of `features`."""
        n = self.sorted.shape[0]
        shares: Tensor = torch.special.ndtr(features)
        position = (shares * n - 0.5).clamp(0, n - 1).reshape(-1, self.sorted.shape[1])
        low = position.nan_to_num().long().clamp_max(n - 2)
        lower, upper = self.sorted.gather(0, low), self.sorted.gather(0, low + 1)
        return (lower + (position - low) * (upper - lower)).reshape(features.shape)


FEATURES: dict[str, type[Features]] = {
    "standard": Standard,
    "unit": Unit,
    "log1p": Log1p,
    "quantile_normal": QuantileNormal,
}
assert tuple(FEATURES) == get_args(FeatureName)


def _positive(scale: Tensor) -> Tensor:
    return torch.where(scale > 0, scale, torch.ones_like(scale))


def _deviation(rows: Tensor) -> Tensor:
    # The standard deviation of a constant column may come out as a rounding error instead of zero.
    return _positive(rows.std(0, correction=0) * (rows.amax(0) > rows.amin(0)))
