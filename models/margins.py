"""Empirical margins: what turns the normal scores that a copula draws into the values of columns, and back.

Notation: rows and scores [pack, batch, features], table [pack, quantiles, features], last = quantiles - 1 [pack, 1, 1].
"""

from typing import final

import torch
from torch import Tensor

from models.pack import Ragged, resize


@final
class Margins(Ragged):
    """Each column's quantiles at evenly spaced shares from 0 to 1; those of N(0, 1) until they are fitted."""

    def __init__(self, features: int, quantiles: int) -> None:
        super().__init__()
        self.quantiles = (quantiles,)
        middles = (torch.arange(quantiles).double() + 0.5) / quantiles
        self.table: Tensor
        self.register_buffer("table", torch.special.ndtri(middles).float().view(1, -1, 1).repeat(1, 1, features))

    def fit(self, rows: Tensor) -> None:
        """Take the quantiles of `rows` `[1, n, features]`, between the order statistics by linear interpolation."""
        shares = torch.linspace(0, 1, self.quantiles[0], dtype=torch.float64).view(1, -1, 1)
        ordered = rows.double().sort(1).values
        last = torch.full((1, 1, 1), rows.shape[1] - 1)
        self.table.copy_(_interpolated(ordered, shares.expand(-1, -1, rows.shape[2]), last))

    def values(self, scores: Tensor) -> Tensor:
        """Quantiles at the shares that N(0, 1) has below `scores`."""
        return _interpolated(self.table, torch.special.ndtr(scores), self._last())

    def scores(self, rows: Tensor) -> Tensor:
        """Normal quantiles of the mid-ranks of `rows` in the table."""
        last = self._last()
        own = torch.arange(self.table.shape[1], device=rows.device).view(1, -1, 1) <= last
        known = torch.where(own, self.table, torch.inf).mT.contiguous()
        queries = rows.mT.contiguous()
        below = torch.searchsorted(known, queries) + torch.searchsorted(known, queries, right=True)
        half = 0.5 / (last + 1).double()
        scores: Tensor = torch.special.ndtri((below.mT * half).clamp(half, 1 - half))
        return scores.to(rows.dtype)

    def repad(self) -> None:
        """Crop or pad to the trial of most quantiles."""
        resize(self, "table", (len(self.quantiles), max(self.quantiles), self.table.shape[2]))

    def _last(self) -> Tensor:
        return torch.tensor(self.quantiles, device=self.table.device).view(-1, 1, 1) - 1


def _interpolated(table: Tensor, shares: Tensor, last: Tensor) -> Tensor:
    """Values of the sorted `table` `[pack, n, features]` at `shares` `[pack, m, features]` of its `last` index."""
    position = shares * last
    low = position.long().minimum(last - 1)
    lower, upper = table.gather(1, low), table.gather(1, low + 1)
    return torch.minimum(lower + (position - low) * (upper - lower), upper)


def rank_shares(rows: Tensor) -> Tensor:
    """Mean ranks of each column of `rows` `[n, features]`, over n + 1, float64: those of equal values are equal."""
    columns = rows.double().mT.contiguous()
    ordered = columns.sort(1).values
    ranks = torch.searchsorted(ordered, columns) + torch.searchsorted(ordered, columns, right=True) + 1
    return ranks.mT / (2.0 * (len(rows) + 1))
