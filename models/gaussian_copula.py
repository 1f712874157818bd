"""Gaussian copula: the dependence of a normal distribution between empirical margins.

Source: Klaassen, Wellner 1997, Efficient Estimation in the Bivariate Normal Copula Model (normal scores' correlation).
Notation: rows and scores [pack, batch, features], table [pack, quantiles, features], last = quantiles - 1 [pack, 1, 1].
"""

import math
from typing import final

import torch
from torch import Tensor

from models.mixture import Mixture, ridged
from models.model import Model, Shape
from models.noise import Noise
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


@final
class GaussianCopula(Model):
    """x_j = F_j^-1(Phi(z_j)), z ~ N(0, R), with the normal scores' correlation R and empirical margins F_j.

    Args:
        shape: columns of the data.
        seed: not used.
        quantiles: of each margin that are kept.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(self, shape: Shape, seed: int, *, quantiles: int = 2000) -> None:
        super().__init__()
        if quantiles < 2:
            raise ValueError(f"quantiles must be at least 2, got {quantiles}")
        self.margins = Margins(shape.features, quantiles)
        self.dependence = Mixture(shape.features, 1)

    def fit(self, rows: Tensor, seed: int) -> None:
        """Take margins and correlation of `rows` `[1, n, features]`."""
        self.margins.fit(rows)
        n, columns = rows.shape[1], rows.mT.contiguous()
        ordered = columns.sort(2).values
        ranks = (torch.searchsorted(ordered, columns) + torch.searchsorted(ordered, columns, right=True) + 1) / 2
        scores = torch.special.ndtri(ranks[0].double() / (n + 1))
        correlation = torch.corrcoef(scores).view(len(scores), -1).nan_to_num(0.0).fill_diagonal_(1.0)
        self.dependence.set(scores.new_ones(1), scores.new_zeros(1, len(scores)), ridged(correlation).unsqueeze(0))

    def log_density(self, rows: Tensor) -> Tensor:
        """Log-density `[pack, batch]` of the copula alone, at the mid-ranks of `rows`: the margins have none."""
        scores = self.margins.scores(rows)
        independent = -(scores.square() + math.log(2 * math.pi)).sum(2) / 2
        return self.dependence.log_density(scores) - independent

    def sample(self, noise: Noise) -> Tensor:
        """Rows `[pack, noise.rows, features]`, within the range of the training rows."""
        return self.margins.values(self.dependence.draw(noise))

    def architecture(self) -> list[dict[str, float]]:
        """`parameters`: correlations and quantiles, of each trial."""
        features = self.dependence.means.shape[2]
        pairs = features * (features - 1) // 2
        return [{"parameters": pairs + count * features} for count in self.margins.quantiles]


def _interpolated(table: Tensor, shares: Tensor, last: Tensor) -> Tensor:
    """Values of the sorted `table` `[pack, n, features]` at `shares` `[pack, m, features]` of its `last` index."""
    position = shares * last
    low = position.long().minimum(last - 1)
    lower, upper = table.gather(1, low), table.gather(1, low + 1)
    return torch.minimum(lower + (position - low) * (upper - lower), upper)
