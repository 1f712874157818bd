"""Denoising: a diffusion model learns to predict the noise in a noisy row.

Source: Ho, Jain, Abbeel 2020, Denoising Diffusion Probabilistic Models, equation 14 and algorithm 1.
Notation: rows x, noise eps [pack, batch, features]; time, alpha_bar [pack, batch, 1].
"""

from typing import ClassVar, final

from torch import Tensor

from objectives.losses.objective import Objective
from objectives.losses.protocols import Denoiser, Noise


@final
class Denoising(Objective[Denoiser]):
    """Mean over rows of |eps - denoise(sqrt(alpha_bar) x + sqrt(1 - alpha_bar) eps)|^2, the time uniform on [0, 1).

    Args:
        rows: training features `[n, features]`; not used.
        seed: not used.
    """

    protocol: ClassVar[type] = Denoiser

    def __init__(self, rows: Tensor, seed: int) -> None:
        super().__init__()

    def loss(self, model: Denoiser, rows: Tensor, noise: Noise, train: bool = True) -> Tensor:
        """Return the loss `[pack]`, with one time and one draw of eps a row."""
        pack, _, features = rows.shape
        time, eps = noise.uniform("time", [1] * pack), noise.normal("eps", [features] * pack)
        alpha_bar = model.noise_levels(time)
        noisy = alpha_bar.sqrt() * rows + (1 - alpha_bar).sqrt() * eps
        return (eps - model.denoise(noisy, time, noise if train else None)).square().sum(2).mean(1)
