"""Features: the invertible maps, column by column, that a study may choose from; the simplest of them are here.

Notation: rows [n, columns] in the user's units, features [n, columns]; both float64. A map is fitted on training rows.
"""

from typing import Literal, final, get_args

import torch
from torch import Tensor

from models.invertible import Features
from models.quantiles import QuantileNormal
from models.tails import ParetoTail, TailLayer

FeatureName = Literal["standard", "unit", "log1p", "quantile_normal", "tail_layer", "pareto_tail"]


@final
class Standard(Features):
    """Zero mean and unit standard deviation of the training rows."""

    def fit(self, rows: Tensor) -> None:
        self.mean: Tensor
        self.scale: Tensor
        self.register_buffer("mean", rows.mean(0))
        self.register_buffer("scale", _deviation(rows))

    def forward(self, rows: Tensor) -> Tensor:
        """(rows - mean) / standard deviation."""
        return (rows - self.mean) / self.scale

    def invert(self, features: Tensor) -> Tensor:
        """Mean + features * standard deviation."""
        return self.mean + features * self.scale


@final
class Unit(Features):
    """The range of the training rows mapped to [0, 1]."""

    def fit(self, rows: Tensor) -> None:
        self.low: Tensor
        self.range: Tensor
        self.register_buffer("low", rows.amin(0))
        self.register_buffer("range", _positive(rows.amax(0) - rows.amin(0)))

    def forward(self, rows: Tensor) -> Tensor:
        """(rows - minimum) / (maximum - minimum)."""
        return (rows - self.low) / self.range

    def invert(self, features: Tensor) -> Tensor:
        """Minimum + features * (maximum - minimum)."""
        return self.low + features * self.range


@final
class Log1p(Features):
    """Standardised log(1 + row / median), for non-negative columns of any unit.

    Raises:
        ValueError: a training row is negative.
    """

    def fit(self, rows: Tensor) -> None:
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

    def invert(self, features: Tensor) -> Tensor:
        """Median * (exp(mean + features * standard deviation) - 1), at least 0."""
        return self.unit * torch.expm1(self.mean + features * self.scale).clamp_min(0)


FEATURES: dict[str, type[Features]] = {
    "standard": Standard,
    "unit": Unit,
    "log1p": Log1p,
    "quantile_normal": QuantileNormal,
    "tail_layer": TailLayer,
    "pareto_tail": ParetoTail,
}
assert tuple(FEATURES) == get_args(FeatureName)

__all__ = [
    "FEATURES",
    "FeatureName",
    "Features",
    "Log1p",
    "ParetoTail",
    "QuantileNormal",
    "Standard",
    "TailLayer",
    "Unit",
]


def _positive(scale: Tensor) -> Tensor:
    return torch.where(scale > 0, scale, torch.ones_like(scale))


def _deviation(rows: Tensor) -> Tensor:
    # The standard deviation of a constant column may come out as a rounding error instead of zero.
    return _positive(rows.std(0, correction=0) * (rows.amax(0) > rows.amin(0)))
