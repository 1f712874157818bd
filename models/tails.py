"""Features of heavy-tailed columns, whose inverse may exceed every training row, on one side or on both.

Source: Hickling, Prangle 2025, Flexible Tails for Normalizing Flows (the tail layer); Pickands 1975,
Statistical Inference Using Extreme Order Statistics (generalised Pareto distribution of what exceeds a threshold).
A column without negative values has one tail, any other has two; `sides` [columns] says how many.
Notation: rows [n, columns] in the user's units, features [n, columns]; both float64.
"""

import math
from collections.abc import Iterable
from typing import final

import torch
from torch import Tensor

from models import pareto
from models.invertible import Features
from models.quantiles import normal_scores, quantiles

THRESHOLD = 0.9  # quantile above which the fitted tail takes over from the training rows, as below its mirror
LEAST_LOG = -700.0  # logarithm of the least probability that float64 holds in full


@final
class TailLayer(Features):
    """Normal scores of a generalised Pareto distribution fitted to each column, or of two, which meet at its median.

    Those of a column of one tail are absolute.
    """

    def fit(self, rows: Tensor) -> None:
        self.sides: Tensor
        self.centre: Tensor
        self.scale: Tensor
        self.shape: Tensor
        self.lower_scale: Tensor
        self.lower_shape: Tensor
        self.register_buffer("sides", _sides(rows))
        self.register_buffer("centre", torch.where(self.sides > 1, rows.median(0).values, 0.0))
        above, below = rows - self.centre, self.centre - rows
        _fit_tails(self, [column[column >= 0] for column in above.T], [column[column > 0] for column in below.T])

    def forward(self, rows: Tensor) -> Tensor:
        """The |z| that |N(0, 1)| exceeds as often as the fitted distribution exceeds the row, with its tail's sign."""
        above, below = (rows - self.centre).clamp_min(0), (self.centre - rows).clamp_min(0) * (self.sides > 1)
        upper = -_normal_quantile(pareto.log_survival(above, self.scale, self.shape) - math.log(2))
        lower = -_normal_quantile(pareto.log_survival(below, self.lower_scale, self.lower_shape) - math.log(2))
        return torch.where(below > 0, -lower, upper)

    def invert(self, features: Tensor) -> Tensor:
        """Scale / shape * (erfc(|z| / sqrt 2)^(-shape) - 1) from the median on; of one tail, z below 0 is reflected."""
        logs = (torch.special.log_ndtr(-features.abs()) + math.log(2)).clamp_max(0)
        upper = self.centre + pareto.quantile(logs, self.scale, self.shape)
        lower = self.centre - pareto.quantile(logs, self.lower_scale, self.lower_shape)
        return torch.where((features < 0) & (self.sides > 1), lower, upper)


@final
class ParetoTail(Features):
    """Normal scores, as `quantile_normal`, with a generalised Pareto distribution beyond the 90 % quantile.

    A column of two tails has another one beyond the 10 % quantile.
    """

    def fit(self, rows: Tensor) -> None:
        self.sides: Tensor
        self.sorted: Tensor
        self.threshold: Tensor
        self.log_share: Tensor
        self.scale: Tensor
        self.shape: Tensor
        self.lower_threshold: Tensor
        self.lower_log_share: Tensor
        self.lower_scale: Tensor
        self.lower_shape: Tensor
        self.register_buffer("sides", _sides(rows))
        self.register_buffer("sorted", rows.sort(0).values)
        place = math.ceil(THRESHOLD * len(rows)) - 1
        for name, ordered, beyond in (("", self.sorted, torch.gt), ("lower_", self.sorted.flip(0), torch.lt)):
            threshold = ordered[place].clone()
            # Half a rank more than lie beyond: there the training quantiles reach the threshold.
            share = (beyond(rows, threshold).sum(0).double() + 0.5) / len(rows)
            self.register_buffer(f"{name}threshold", threshold)
            self.register_buffer(f"{name}log_share", share.log())
        above, below = rows - self.threshold, self.lower_threshold - rows
        _fit_tails(self, [column[column > 0] for column in above.T], [column[column > 0] for column in below.T])

    def forward(self, rows: Tensor) -> Tensor:
        """Normal quantile of the mid-rank between the thresholds, of a fitted tail's probability beyond them."""
        above = (rows - self.threshold).clamp_min(0)
        below = (self.lower_threshold - rows).clamp_min(0) * (self.sides > 1)
        upper = -_normal_quantile(self.log_share + pareto.log_survival(above, self.scale, self.shape))
        lower = _normal_quantile(self.lower_log_share + pareto.log_survival(below, self.lower_scale, self.lower_shape))
        between = torch.where(below > 0, lower, normal_scores(self.sorted, rows))
        return torch.where(above > 0, upper, between)

    def invert(self, features: Tensor) -> Tensor:
        """Training quantile between the thresholds, quantile of a fitted tail beyond them."""
        up = torch.special.log_ndtr(-features) - self.log_share
        down = torch.special.log_ndtr(features) - self.lower_log_share
        upper = self.threshold + pareto.quantile(up, self.scale, self.shape)
        lower = self.lower_threshold - pareto.quantile(down, self.lower_scale, self.lower_shape)
        between = torch.where((down < 0) & (self.sides > 1), lower, quantiles(self.sorted, features))
        return torch.where(up < 0, upper, between)


def _sides(rows: Tensor) -> Tensor:
    """Tails of each column of `rows`: two if any value is below 0, else one."""
    return 1 + (rows < 0).any(0).long()


def _fit_tails(features: Features, above: Iterable[Tensor], below: Iterable[Tensor]) -> None:
    """Register scale and shape of what exceeds a column's threshold, and of what falls below its other one."""
    for name, excesses in (("", above), ("lower_", below)):
        scale, shape = zip(*map(pareto.fitted, excesses), strict=True)
        features.register_buffer(f"{name}scale", torch.stack(scale))
        features.register_buffer(f"{name}shape", torch.stack(shape))


def _normal_quantile(log_probability: Tensor) -> Tensor:
    scores: Tensor = torch.special.ndtri(log_probability.clamp_min(LEAST_LOG).exp())
    return scores
