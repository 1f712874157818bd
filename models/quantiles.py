"""Normal scores: columns through their empirical distribution function, and back through their quantiles.

Notation: rows [n, columns] in the user's units, features [n, columns]; both float64.
"""

from typing import final

import torch
from torch import Tensor

from models.invertible import Features


@final
class QuantileNormal(Features):
    """Normal scores: each column through its empirical distribution function, then the normal quantile function.

    The inverse interpolates the sorted training rows linearly and never leaves their range.
    """

    def fit(self, rows: Tensor) -> None:
        self.sorted: Tensor
        self.register_buffer("sorted", rows.sort(0).values)

    def forward(self, rows: Tensor) -> Tensor:
        """Normal quantile of the mid-rank of each row among the training rows."""
        return normal_scores(self.sorted, rows)

    def invert(self, features: Tensor) -> Tensor:
        """Training quantile at the normal distribution function of `features`."""
        return quantiles(self.sorted, features)


def normal_scores(table: Tensor, rows: Tensor) -> Tensor:
    """Normal quantiles of the mid-ranks of `rows` `[m, columns]` among the sorted `table` `[n, columns]`."""
    n = table.shape[0]
    known, queries = table.T.contiguous(), rows.T.contiguous()
    below = torch.searchsorted(known, queries) + torch.searchsorted(known, queries, right=True)
    scores: Tensor = torch.special.ndtri((below.T.double() / (2 * n)).clamp(0.5 / n, 1 - 0.5 / n))
    return scores


def quantiles(table: Tensor, scores: Tensor) -> Tensor:
    """Values of the sorted `table` `[n, columns]` whose normal scores are `scores` `[..., columns]`."""
    n = table.shape[0]
    shares: Tensor = torch.special.ndtr(scores)
    position = (shares * n - 0.5).clamp(0, n - 1).reshape(-1, table.shape[1])
    low = position.nan_to_num().long().clamp_max(n - 2)
    lower, upper = table.gather(0, low), table.gather(0, low + 1)
    # Rounding must not lead beyond the upper of the two, which may be the largest of all.
    return torch.minimum(lower + (position - low) * (upper - lower), upper).reshape(scores.shape)
