"""Denoising diffusion: a network predicts the noise in a row, and sampling takes it away step by step.

Source: Ho, Jain, Abbeel 2020, Denoising Diffusion Probabilistic Models, algorithms 1 and 2; Nichol, Dhariwal 2021,
Improved Denoising Diffusion Probabilistic Models, equation 17 (cosine schedule).
Notation: x [pack, batch, features]; step t = 1 ... T, alpha_bar_t [pack, T] the share of the signal's variance left.
"""

import math
from collections.abc import Iterator
from typing import Literal, cast, final, get_args

import torch
from torch import Tensor

from models.layers import Activation
from models.model import Model, Shape
from models.noise import Noise
from models.pack import Ragged, resize
from models.time_embedding import TimeMLP

Curve = Literal["cosine", "linear"]

OFFSET = 0.008  # s of the cosine schedule
LARGEST = 0.999  # beta_t; at 1 the network would be asked for the row in pure noise


@final
class NoiseSchedule(Ragged):
    """alpha_bar_t = prod (1 - beta_s), s <= t: near 1 at the first step, negligible at the last.

    Args:
        steps: T, at least 2.
        curve: "cosine", or "linear" for beta_t from 0.0001 to 0.02, times 1000 / T.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(self, steps: int, curve: Curve) -> None:
        super().__init__()
        if steps < 2:
            raise ValueError(f"steps must be at least 2, got {steps}")
        if curve not in get_args(Curve):
            raise ValueError(f"noise_schedule must be one of {', '.join(get_args(Curve))}, got {curve!r}")
        self.steps = (steps,)
        if curve == "linear":
            beta = torch.linspace(1e-4, 0.02, steps, dtype=torch.float64) * (1000 / steps)
        else:
            angle = (torch.linspace(0, 1, steps + 1, dtype=torch.float64) + OFFSET) / (1 + OFFSET) * (math.pi / 2)
            beta = 1 - (angle[1:].cos() / angle[:-1].cos()).square()
        self.alpha_bar: Tensor
        # As float64: near 1 the noise is what is left of it.
        self.register_buffer("alpha_bar", (1 - beta.clamp_max(LARGEST)).cumprod(0).unsqueeze(0), persistent=False)

    def step(self, time: Tensor) -> Tensor:
        """Step t of each trial, as a whole number less 1, at `time` in [0, 1] `[pack, batch, 1]`."""
        last = self._last(time.device)
        return (time * (last + 1)).long().minimum(last)

    def level(self, step: Tensor) -> Tensor:
        """alpha_bar at `step` `[pack, batch, 1]`."""
        return self.alpha_bar.gather(1, step.squeeze(2)).unsqueeze(2).float()

    def share(self, step: Tensor) -> Tensor:
        """t / T, what the network sees of `step`."""
        return (step + 1) / (self._last(step.device) + 1)

    def reverse(self) -> Iterator[tuple[Tensor, ...]]:
        """Down from T: the step, and the factors of x, of the noise predicted in it, and of fresh noise.

        A trial of fewer steps than the longest of the pack starts with it, and then stays where it is.
        """
        last = self._last(self.alpha_bar.device).squeeze(2)
        step = last - torch.arange(self.alpha_bar.shape[1], device=last.device)
        through, step = step < 0, step.clamp_min(0)
        now = self.alpha_bar.gather(1, step)
        before = torch.where(step > 0, self.alpha_bar.gather(1, (step - 1).clamp_min(0)), 1)
        beta = 1 - now / before
        factors = (
            (1 - beta).rsqrt().masked_fill(through, 1),
            (beta * (1 - now).rsqrt() * (1 - beta).rsqrt()).masked_fill(through, 0),
            # The geometric mean of the two variances of section 3.2: one narrows clusters, the other widens them.
            (beta * ((1 - before) / (1 - now)).sqrt()).sqrt().masked_fill(through, 0),
        )
        columns = [step, *(factor.float() for factor in factors)]
        yield from zip(*(column.T.view(-1, len(last), 1, 1) for column in columns), strict=True)

    def repad(self) -> None:
        """Crop or pad every trial's levels to the longest in the pack."""
        resize(self, "alpha_bar", (len(self.steps), max(self.steps)))

    def _last(self, device: torch.device) -> Tensor:
        return torch.tensor(self.steps, device=device).view(-1, 1, 1) - 1


@final
class Diffusion(Model):
    """x_t = sqrt(alpha_bar_t) x + sqrt(1 - alpha_bar_t) eps, and back from x_T ~ N(0, I) by the eps predicted.

    Args:
        shape: columns of the data (its source isn't used: a diffusion starts from noise in the data's dimension).
        seed: of the initial weights.
        width, depth: units of a hidden layer, and the number of hidden layers.
        activation: of the hidden layers.
        dropout: share of hidden units dropped in training.
        steps: T, evaluations of the network that a sample takes.
        noise_schedule: how alpha_bar falls, "cosine" or "linear".

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        shape: Shape,
        seed: int,
        *,
        width: int = 64,
        depth: int = 3,
        activation: Activation = "silu",
        dropout: float = 0.0,
        steps: int = 100,
        noise_schedule: Curve = "cosine",
    ) -> None:
        super().__init__()
        self.shape = shape
        self.network = TimeMLP(
            shape.features, width=width, depth=depth, activation=activation, dropout=dropout, seed=seed
        )
        self.schedule = NoiseSchedule(steps, noise_schedule)

    def noise_levels(self, time: Tensor) -> Tensor:
        """alpha_bar `[pack, batch, 1]` at `time` in [0, 1], which stands for the nearest step up."""
        return self.schedule.level(self.schedule.step(time))

    def denoise(self, noisy: Tensor, time: Tensor, noise: Noise | None = None) -> Tensor:
        """Noise predicted in `noisy` `[pack, batch, features]`; `noise` is given in training only, for dropout."""
        return self._predicted(noisy, self.schedule.step(time), noise)

    def sample(self, noise: Noise) -> Tensor:
        """Rows `[pack, noise.rows, features]`: ancestral sampling, all trials abreast."""
        widths = [self.shape.features] * len(self.schedule.steps)
        x = noise.normal("start", widths)
        for step, shrunk, predicted, fresh in self.schedule.reverse():
            x = shrunk * x - predicted * self._predicted(x, step) + fresh * noise.normal("path", widths)
        return x

    def architecture(self) -> list[dict[str, float]]:
        """`parameters` of each trial."""
        return [{"parameters": count} for count in self.network.parameter_counts()]

    def _predicted(self, noisy: Tensor, step: Tensor, noise: Noise | None = None) -> Tensor:
        return cast(Tensor, self.network(noisy, self.schedule.share(step), noise))
