"""The Kullback-Leibler divergence between Gaussians with the moments of samples and of the training rows.

Source: Kullback, Leibler 1951, On Information and Sufficiency; Rasmussen, Williams 2006, Gaussian Processes for Machine
Learning, equation A.23, for Gaussians.
Notation: generated y [pack, batch, features]; mean [pack, 1, features], covariance and precision [pack, features,
features].
"""

from typing import ClassVar, final

import torch
from torch import Tensor

from objectives.losses.objective import Objective
from objectives.losses.protocols import Noise, Pushforward

RIDGE = 1e-4  # share of the training rows' mean variance, added to the diagonal of both covariances


@final
class MomentKL(Objective[Pushforward]):
    """KL(N(mean y, cov y) || N(mean x, cov x)), which is 0 if and only if means and covariances agree.

    Only these two moments are compared: a ring may pass for a Gaussian.

    Args:
        rows: training features `[n, features]`, more of them than columns.
        seed: not used.

    Raises:
        ValueError: there are too few rows.
    """

    protocol: ClassVar[type] = Pushforward

    def __init__(self, rows: Tensor, seed: int) -> None:
        super().__init__()
        _check_number("training rows", rows)
        mean, covariance = _moments(rows.double().unsqueeze(0))
        features = rows.shape[1]
        ridge = RIDGE * covariance.diagonal(dim1=1, dim2=2).mean(1).clamp_min(1e-12).view(1, 1, 1) * torch.eye(features)
        self.mean: Tensor
        self.precision: Tensor
        self.ridge: Tensor
        self.register_buffer("mean", mean)
        self.register_buffer("ridge", ridge)
        self.register_buffer("precision", torch.linalg.inv(covariance + ridge))

    def loss(self, model: Pushforward, rows: Tensor, noise: Noise, train: bool = True) -> Tensor:
        """Return the divergence `[pack]`, in nats, of as many samples as `rows` from the training rows."""
        _check_number("batch", rows[0])
        y = model.push(model.draw(noise), noise if train else None)
        # float64, because for rows on a plane only the ridge exceeds rounding errors.
        mean, covariance = _moments(y.double())
        shift = mean - self.mean
        ratio = self.precision @ (covariance + self.ridge)
        trace = ratio.diagonal(dim1=1, dim2=2).sum(1)
        distance = (shift @ self.precision @ shift.transpose(1, 2)).flatten()
        # slogdet, because a Cholesky factor would raise for the whole pack if one trial has diverged.
        divergence: Tensor = (trace + distance - rows.shape[2] - torch.linalg.slogdet(ratio).logabsdet) / 2
        return divergence.to(rows.dtype)


def _moments(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean `[pack, 1, features]` and the unbiased covariance `[pack, features, features]`."""
    mean = rows.mean(1, keepdim=True)
    centred = rows - mean
    return mean, centred.transpose(1, 2) @ centred / (rows.shape[1] - 1)


def _check_number(name: str, rows: Tensor) -> None:
    if len(rows) <= rows.shape[1]:
        raise ValueError(f"{name} must be above {rows.shape[1]}, the number of columns, got {len(rows)}")
