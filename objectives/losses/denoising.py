"""Denoising: a diffusion model learns to tell the row from the row plus noise of any size.

Source: Karras et al. 2022, Elucidating the Design Space of Diffusion-Based Generative Models, equation 2 and table 1.
Notation: rows x, noise eps [pack, batch, features]; sigma [pack, batch, 1].
"""

import math
from typing import ClassVar, final

import torch
from torch import Tensor

from objectives.losses.objective import Objective
from objectives.losses.protocols import Denoiser, Noise


@final
class Denoising(Objective[Denoiser]):
    """Mean over rows of (1 + 1 / sigma^2) |denoise(x + sigma eps, sigma) - x|^2, ln sigma normal.

    Args:
        rows: training features `[n, features]`; not used.
        seed: not used.
        noise_mean, noise_deviation: of ln sigma.

    Raises:
        ValueError: an argument is out of its range.
    """

    protocol: ClassVar[type] = Denoiser

    def __init__(self, rows: Tensor, seed: int, *, noise_mean: float = -1.2, noise_deviation: float = 1.2) -> None:
        super().__init__()
        if not math.isfinite(noise_mean):
            raise ValueError(f"noise_mean must be finite, got {noise_mean}")
        if not 0 < noise_deviation < math.inf:
            raise ValueError(f"noise_deviation must be above 0, got {noise_deviation}")
        self.mean: Tensor
        self.deviation: Tensor
        self.register_buffer("mean", torch.full((1, 1, 1), noise_mean))
        self.register_buffer("deviation", torch.full((1, 1, 1), noise_deviation))

    def loss(self, model: Denoiser, rows: Tensor, noise: Noise, train: bool = True) -> Tensor:
        """Return the loss `[pack]`, with one sigma and one draw of eps a row."""
        pack, _, features = rows.shape
        sigma = (self.mean + self.deviation * noise.normal("sigma", [1] * pack)).exp()
        noisy = rows + sigma * noise.normal("eps", [features] * pack)
        wrong = (model.denoise(noisy, sigma, noise if train else None) - rows).square().sum(2, keepdim=True)
        return ((1 + sigma.pow(-2)) * wrong).mean((1, 2))
