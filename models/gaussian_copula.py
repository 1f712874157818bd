"""Gaussian copula: the dependence of a normal distribution between empirical margins.

Source: Klaassen, Wellner 1997, Efficient Estimation in the Bivariate Normal Copula Model (normal scores' correlation).
Notation: rows and scores [pack, batch, features].
"""

import math
from typing import final

import torch
from torch import Tensor

from models.margins import Margins, rank_shares
from models.mixture import Mixture, ridged
from models.model import Model, Shape
from models.noise import Noise


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
        scores = torch.special.ndtri(rank_shares(rows[0])).mT
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
