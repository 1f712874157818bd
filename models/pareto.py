"""The generalised Pareto distribution of values at least 0: its fit, its quantiles, and its survival probability.

Source: Hosking, Wallis 1987, Parameter and Quantile Estimation for the Generalized Pareto Distribution.
Notation: S(x) = (1 + shape x / scale)^(-1 / shape), exp(-x / scale) at shape 0; tensors are float64.
"""

import torch
from torch import Tensor


def fitted(values: Tensor) -> tuple[Tensor, Tensor]:
    """Scale and shape of `values` `[n]`, by probability-weighted moments; the shape is in [0, 1).

    A shape below 0 would end the distribution at some largest value, which the next row may exceed. Scale and shape of
    no values, or of zeros, are 0.
    """
    n = len(values)
    if n == 0:
        return values.new_zeros(()), values.new_zeros(())
    above = 1 - (torch.arange(1, n + 1, dtype=values.dtype, device=values.device) - 0.35) / n
    mean, weighted = values.mean(), (values.sort().values * above).mean()
    shape = (2 - mean / (mean - 2 * weighted)).nan_to_num(0.0).clamp_min(0)
    return mean * (1 - shape), shape


def quantile(log_survival: Tensor, scale: Tensor, shape: Tensor) -> Tensor:
    """The value that is exceeded with probability exp(`log_survival`)."""
    return scale * torch.where(shape > 0, torch.expm1(-shape * log_survival) / _divisor(shape), -log_survival)


def log_survival(values: Tensor, scale: Tensor, shape: Tensor) -> Tensor:
    """Logarithm of the probability that `values`, at least 0, are exceeded."""
    ratio = values / _divisor(scale)
    return -torch.where(shape > 0, torch.log1p(shape * ratio) / _divisor(shape), ratio)


def _divisor(parameter: Tensor) -> Tensor:
    return torch.where(parameter > 0, parameter, torch.ones_like(parameter))
