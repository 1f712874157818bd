"""Squared maximum mean discrepancy between a batch of the data and what a pushforward makes of its source.

Source: Gretton et al. 2012, A Kernel Two-Sample Test, lemma 6 (unbiased form); Li, Swersky, Zemel 2015 for training.
Notation: rows x [pack, batch, features], generated y [pack, batch, features], r the median squared distance.
"""

import math
from typing import ClassVar, Literal, final

import torch
from torch import Tensor

from objectives.losses.objective import Objective
from objectives.losses.protocols import Noise, Pushforward

MOST_ROWS = 2000  # training rows used for r and for the real-real term, chosen by seed


@final
class MMD(Objective[Pushforward]):
    """Unbiased MMD^2 with Gaussian kernels exp(-|a - b|^2 / (bandwidth * r)).

    The real-real term has no gradient, so it is computed once, on the training rows, and not from each batch.

    Args:
        rows: training features `[n, features]`.
        seed: of the rows used for r, the median of their pairwise squared distances.
        kernel: "fixed" for one bandwidth, "mixture" for the mean over bandwidth * {1/4, 1/2, 1, 2, 4}.
        bandwidth: multiple of r.

    Raises:
        ValueError: an argument is out of its range.
    """

    protocol: ClassVar[type] = Pushforward

    def __init__(
        self, rows: Tensor, seed: int, *, kernel: Literal["fixed", "mixture"] = "mixture", bandwidth: float = 1.0
    ) -> None:
        super().__init__()
        if not (bandwidth > 0 and math.isfinite(bandwidth)):
            raise ValueError(f"bandwidth must be above 0, got {bandwidth}")
        if kernel not in ("fixed", "mixture"):
            raise ValueError(f"kernel must be fixed or mixture, got {kernel!r}")
        chosen = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))[:MOST_ROWS]
        some = rows[chosen].float().unsqueeze(0)
        distances = _squared_distances(some, some)
        upper = torch.triu_indices(len(chosen), len(chosen), offset=1)
        ruler = bandwidth * distances[0][upper[0], upper[1]].median().clamp_min(1e-12)
        self.ruler: Tensor
        self.mixed: Tensor
        self.real: Tensor
        self.register_buffer("ruler", ruler.view(1, 1, 1))
        self.register_buffer("mixed", torch.tensor(kernel == "mixture").view(1, 1, 1))
        self.kernels = (kernel,)
        self.register_buffer("real", _off_diagonal_mean(self._kernel(distances)))

    def loss(self, model: Pushforward, rows: Tensor, noise: Noise, train: bool = True) -> Tensor:
        """Unbiased MMD^2 `[pack]` between `rows` and as many generated ones; it may be negative."""
        y = model.push(model.draw(noise), noise if train else None)
        cross = self._kernel(_squared_distances(rows, y)).mean((1, 2))
        return self.real + _off_diagonal_mean(self._kernel(_squared_distances(y, y))) - 2 * cross

    def _kernel(self, distances: Tensor) -> Tensor:
        if "mixture" not in self.kernels:
            return torch.exp(-distances / self.ruler)
        # exp(-d / 4r) and its squares are the kernels of 4r, 2r, r, r/2, r/4: one exponential instead of five.
        power = torch.exp(-distances / (4 * self.ruler))
        powers = [power]
        for _ in range(4):
            powers.append(powers[-1].square())
        mixture = sum(powers[1:], start=powers[0]) / 5
        return mixture if "fixed" not in self.kernels else torch.where(self.mixed, mixture, powers[2])


def _squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """Pairwise squared distances `[pack, n, m]`."""
    squares = a.square().sum(2, keepdim=True) + b.square().sum(2).unsqueeze(1)
    return torch.baddbmm(squares, a, b.transpose(1, 2), alpha=-2).clamp_min(0)


def _off_diagonal_mean(kernel: Tensor) -> Tensor:
    """Mean `[pack]` over the pairs i != j of `kernel` `[pack, n, n]`, whose diagonal is 1."""
    n = kernel.shape[1]
    return (kernel.sum((1, 2)) - n) / (n * max(n - 1, 1))
