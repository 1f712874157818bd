"""Features of non-negative, heavy-tailed columns, whose inverse may exceed every training row.

Source: Hickling, Prangle 2025, Flexible Tails for Normalizing Flows (the tail layer); Pickands 1975,
Statistical Inference Using Extreme Order Statistics (generalised Pareto distribution of what exceeds a threshold).
Notation: rows [n, columns] in the user's units, features [n, columns]; both float64.
"""

import math
from typing import final

import torch
from torch import Tensor

from models import pareto
from models.invertible import Features, refuse_negative
from models.quantiles import normal_scores, quantiles

THRESHOLD = 0.9  # quantile above which the fitted tail takes over from the training rows
LEAST_LOG = -700.0  # logarithm of the least probability that float64 holds in full


@final
class TailLayer(Features):
    """Absolute normal scores of a generalised Pareto distribution fitted to each column.

    Raises:
        ValueError: a training row is negative.
    """

    def fit(self, rows: Tensor) -> None:
        refuse_negative(rows, "tail_layer")
        self.scale: Tensor
        self.shape: Tensor
        scale, shape = zip(*(pareto.fitted(column) for column in rows.T), strict=True)
        self.register_buffer("scale", torch.stack(scale))
        self.register_buffer("shape", torch.stack(shape))

    def forward(self, rows: Tensor) -> Tensor:
        """The z >= 0 that |N(0, 1)| exceeds as often as the fitted distribution exceeds the row."""
        logs = pareto.log_survival(rows.clamp_min(0), self.scale, self.shape)
        return -_normal_quantile(logs - math.log(2))

    def invert(self, features: Tensor) -> Tensor:
        """Scale / shape * (erfc(|z| / sqrt 2)^(-shape) - 1): what lies below 0 is reflected."""
        logs = torch.special.log_ndtr(-features.abs()) + math.log(2)
        return pareto.quantile(logs.clamp_max(0), self.scale, self.shape)


@final
class ParetoTail(Features):
    """Normal scores, as `quantile_normal`, with a generalised Pareto distribution above the 90 % quantile.

    Raises:
        ValueError: a training row is negative.
    """

    def fit(self, rows: Tensor) -> None:
        refuse_negative(rows, "pareto_tail")
        self.sorted: Tensor
        self.threshold: Tensor
        self.log_share: Tensor
        self.scale: Tensor
        self.shape: Tensor
        n = len(rows)
        self.register_buffer("sorted", rows.sort(0).values)
        self.register_buffer("threshold", self.sorted[math.ceil(THRESHOLD * n) - 1].clone())
        above = rows > self.threshold
        # Half a rank more than lie above: there the training quantiles reach the threshold.
        self.register_buffer("log_share", ((above.sum(0).double() + 0.5) / n).log())
        excesses = [column[chosen] for column, chosen in zip((rows - self.threshold).T, above.T, strict=True)]
        scale, shape = zip(*map(pareto.fitted, excesses), strict=True)
        self.register_buffer("scale", torch.stack(scale))
        self.register_buffer("shape", torch.stack(shape))

    def forward(self, rows: Tensor) -> Tensor:
        """Normal quantile of the mid-rank up to the threshold, of the fitted tail's probability above it."""
        excess = (rows - self.threshold).clamp_min(0)
        tail = -_normal_quantile(self.log_share + pareto.log_survival(excess, self.scale, self.shape))
        return torch.where(excess > 0, tail, normal_scores(self.sorted, rows))

    def invert(self, features: Tensor) -> Tensor:
        """Training quantile up to the threshold, quantile of the fitted tail above it."""
        logs = torch.special.log_ndtr(-features) - self.log_share
        tail = self.threshold + pareto.quantile(logs, self.scale, self.shape)
        return torch.where(logs < 0, tail, quantiles(self.sorted, features))


def _normal_quantile(log_probability: Tensor) -> Tensor:
    scores: Tensor = torch.special.ndtri(log_probability.clamp_min(LEAST_LOG).exp())
    return scores
