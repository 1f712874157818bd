"""Mixture of Gaussians as buffers: what the densities that are fitted, not trained, are evaluated with and drawn from.

Source: Bishop 2006, Pattern Recognition and Machine Learning, equation 9.7.
Notation: rows [pack, batch, features], weights [pack, components], means [pack, components, features]; factor
[pack, components, features, features], or [pack, 1, features, features] where all components share it.
"""

import math
from typing import final

import torch
from torch import Tensor

from models.noise import Noise
from models.pack import Ragged, resize

RIDGE = 1e-6  # added to each variance, as scikit-learn's mixtures do: a constant or a repeated column has no density
CHUNK = 1024  # rows whose densities are computed at a time


@final
class Mixture(Ragged):
    """sum_k weights_k N(means_k, factor_k factor_k^T); N(0, I) until it is fitted.

    Args:
        features: columns.
        components: most components that it can hold.
        shared: whether all have one factor.
    """

    def __init__(self, features: int, components: int, shared: bool = False) -> None:
        super().__init__()
        self.components = (components,)
        self.weights: Tensor
        self.means: Tensor
        self.factor: Tensor
        self.register_buffer("weights", torch.full((1, components), 1 / components))
        self.register_buffer("means", torch.zeros(1, components, features))
        self.register_buffer("factor", torch.eye(features).repeat(1, 1 if shared else components, 1, 1))

    def set(self, weights: Tensor, means: Tensor, covariances: Tensor) -> None:
        """Take weights `[own]`, means `[own, features]` and covariances `[own or 1, features, features]`.

        The pack must be of one; what it could hold beyond its `own` components gets weight 0.
        """
        factor = torch.linalg.cholesky(covariances)
        for name, values in (("weights", weights), ("means", means), ("factor", factor)):
            buffer = getattr(self, name)
            buffer.zero_()
            buffer[0, : len(values)] = values

    def log_density(self, rows: Tensor) -> Tensor:
        """Log-density `[pack, batch]` of `rows` `[pack, batch, features]`."""
        return torch.cat([self._log_density(part) for part in torch.split(rows, CHUNK, 1)], 1)

    def draw(self, noise: Noise) -> Tensor:
        """Rows `[pack, noise.rows, features]`: a component by its weight, then a row of it."""
        pack, components, features = self.means.shape
        cumulative = self.weights.double().cumsum(1)
        # Divided by its end, which is then 1 exactly: a share below 1 never falls behind the last component.
        shares = noise.uniform("component", [1] * pack).squeeze(2).double()
        chosen = torch.searchsorted(cumulative / cumulative[:, -1:], shares, right=True)
        trial = torch.arange(pack, device=chosen.device).unsqueeze(1)
        factor = self.factor.expand(-1, components, -1, -1)[trial, chosen]
        eps = noise.normal("within component", [features] * pack)
        rows: Tensor = self.means[trial, chosen] + (factor @ eps.unsqueeze(3)).squeeze(3)
        return rows

    def counts(self) -> list[int]:
        """Components of weight above 0, of each trial."""
        return [int(count) for count in (self.weights > 0).sum(1)]

    def repad(self) -> None:
        """Crop or pad to the trial of most components."""
        pack, widest, features = len(self.components), max(self.components), self.means.shape[2]
        resize(self, "weights", (pack, widest))
        resize(self, "means", (pack, widest, features))
        resize(self, "factor", (pack, min(self.factor.shape[1], widest), features, features))

    def _log_density(self, rows: Tensor) -> Tensor:
        deviations = (rows.unsqueeze(1) - self.means.unsqueeze(2)).mT
        standard = torch.linalg.solve_triangular(self.factor, deviations, upper=False)
        log_volume = self.factor.diagonal(dim1=2, dim2=3).log().sum(2) + rows.shape[2] * math.log(2 * math.pi) / 2
        logs = self.weights.log().unsqueeze(2) - standard.square().sum(2) / 2 - log_volume.unsqueeze(2)
        # A component of weight 0 may have no factor either.
        logs = torch.where(self.weights.unsqueeze(2) > 0, logs, -torch.inf)
        return torch.logsumexp(logs, 1)


def ridged(covariance: Tensor) -> Tensor:
    """`covariance` `[..., features, features]` with `RIDGE` added to its diagonal."""
    return covariance + RIDGE * torch.eye(covariance.shape[-1], dtype=covariance.dtype)
