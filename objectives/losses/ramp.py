"""The strength of a penalty in training: constant, warmed up, or adapted to a forecast of the penalty.

Source: Sonderby et al. 2016, Ladder Variational Autoencoders, section 2.3 (warm-up); Box, Jenkins 1970, Time Series
Analysis (first-order autoregressive forecast).
Notation: penalty [pack]; all state [pack, 1]; p_k mean penalty of the k-th period of ramp_steps steps, m_k mean of
p_1 ... p_k, d_k = p_k - m_k.
"""

import math
from collections.abc import Mapping
from typing import Any, Literal, final, get_args

import torch
from torch import Tensor, nn

Mode = Literal["constant", "warm_up", "adaptive"]

CONDITIONS: Mapping[str, Mapping[str, tuple[Any, ...]]] = {"ramp_steps": {"ramp": ("warm_up", "adaptive")}}

FACTOR = 1.25  # by which an adaptive strength rises or falls
BOUND = 10.0  # limit of an adaptive strength, as a factor of its start


@final
class Ramp(nn.Module):
    """Strength that starts at `start` and is constant, rises from zero, or follows a forecast.

    "warm_up" is start * min(step / ramp_steps, 1), the first step being 1. "adaptive" forecasts the penalty of the next
    period as m_k + phi d_k, phi = sum d_i d_(i-1) / sum d_(i-1)^2; the strength rises where that exceeds m_k and falls
    where it is below. Two periods aren't enough for a forecast, so the first decision is after the third.

    Args:
        name: name of the argument `start` in its error.
        start: strength to start from, or to rise to.
        ramp: one of the three modes.
        ramp_steps: steps of the warm-up, or between two decisions.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(self, name: str, start: float, ramp: Mode, ramp_steps: int) -> None:
        super().__init__()
        if not (start >= 0 and math.isfinite(start)):
            raise ValueError(f"{name} must be at least 0, got {start}")
        if ramp not in get_args(Mode):
            raise ValueError(f"ramp must be one of {', '.join(get_args(Mode))}, got {ramp!r}")
        if ramp_steps < 1:
            raise ValueError(f"ramp_steps must be at least 1, got {ramp_steps}")
        self.modes = (ramp,)
        self.start: Tensor
        self.period: Tensor
        self.warming: Tensor
        self.adapting: Tensor
        self.steps: Tensor
        self.factor: Tensor
        self.total: Tensor
        self.mean: Tensor
        self.deviation: Tensor
        self.covariance: Tensor
        self.register_buffer("start", torch.full((1, 1), start))
        self.register_buffer("period", torch.full((1, 1), float(ramp_steps)))
        self.register_buffer("warming", torch.full((1, 1), ramp == "warm_up"))
        self.register_buffer("adapting", torch.full((1, 1), ramp == "adaptive"))
        self.register_buffer("factor", torch.ones(1, 1))
        for state in ("steps", "total", "mean", "deviation", "covariance"):
            self.register_buffer(state, torch.zeros(1, 1))

    def weigh(self, penalty: Tensor, train: bool) -> Tensor:
        """Return `penalty` `[pack]` times its present strength; with `train`, go one step further."""
        if train:
            self.steps += 1
        weighted = penalty * self.strength().squeeze(1)
        if train and "adaptive" in self.modes:
            self._adapt(penalty.detach().unsqueeze(1))
        return weighted

    def strength(self) -> Tensor:
        """Return the strength `[pack, 1]` at the last step."""
        warmth = (self.steps / self.period).clamp_max(1)
        return self.start * torch.where(self.warming, warmth, self.factor)

    def _adapt(self, penalty: Tensor) -> None:
        self.total = torch.where(self.adapting, self.total + penalty, self.total)
        ended = self.steps % self.period == 0
        latest = self.total / self.period
        mean = self.mean + (latest - self.mean) * self.period / self.steps
        deviation = latest - mean
        covariance = self.covariance + deviation * self.deviation
        # phi has the sign of the covariance, so the forecast exceeds the mean if these signs agree.
        factor = (self.factor * FACTOR ** (covariance.sign() * deviation.sign())).clamp(1 / BOUND, BOUND)
        self.factor = torch.where(ended, factor, self.factor)
        self.mean = torch.where(ended, mean, self.mean)
        self.deviation = torch.where(ended, deviation, self.deviation)
        self.covariance = torch.where(ended, covariance, self.covariance)
        self.total = torch.where(ended, 0, self.total)
