"""The squared maximum mean discrepancy between a batch of the data and a pushforward's samples.

Source: Gretton et al. 2012, A Kernel Two-Sample Test, lemma 6 (unbiased form); Li, Swersky, Zemel 2015 for training.
Notation: rows x [pack, batch, features], generated y [pack, batch, features], r the median squared distance.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Literal, final

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from objectives.losses.objective import Objective
from objectives.losses.protocols import Noise, Pushforward

Kernel = Literal["fixed", "mixture"]

MOST_ROWS = 1000  # training rows for r and for the real-real term, chosen by seed
ORDERS = (1, 2, 4, 8, 16)  # exp(-d / 4r) to these powers has the bandwidths 4r, 2r, r, r/2, r/4
BLOCK = 2**16  # pairs computed at a time on a CPU, so that they stay in its cache between passes


@final
class MMD(Objective[Pushforward]):
    """Unbiased MMD^2 with Gaussian kernels exp(-|a - b|^2 / (bandwidth * r)).

    The real-real term has no gradient, so it is computed only once, on the training rows.

    Args:
        rows: training features `[n, features]`.
        seed: chooses the rows for r, the median of their pairwise squared distances.
        kernel: "fixed" for one bandwidth, "mixture" for the mean over bandwidth * {1/4, 1/2, 1, 2, 4}.
        bandwidth: multiple of r.

    Raises:
        ValueError: an argument is out of its range.
    """

    protocol: ClassVar[type] = Pushforward

    def __init__(self, rows: Tensor, seed: int, *, kernel: Kernel = "mixture", bandwidth: float = 1.0) -> None:
        super().__init__()
        if not (bandwidth > 0 and math.isfinite(bandwidth)):
            raise ValueError(f"bandwidth must be above 0, got {bandwidth}")
        if kernel not in ("fixed", "mixture"):
            raise ValueError(f"kernel must be fixed or mixture, got {kernel!r}")
        chosen = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))[:MOST_ROWS]
        pairs = torch.pdist(rows[chosen].float()).square()
        squared_bandwidth = bandwidth * pairs.median().clamp_min(1e-12)
        widest, count = (4 * squared_bandwidth, len(ORDERS)) if kernel == "mixture" else (squared_bandwidth, 1)
        real = torch.stack([(-order / widest * pairs).exp().mean() for order in ORDERS[:count]]).mean()
        self.squared_bandwidth: Tensor
        self.widest: Tensor
        self.count: Tensor
        self.real: Tensor
        self.kernels = (kernel,)
        self.register_buffer("squared_bandwidth", squared_bandwidth.view(1, 1, 1))
        self.register_buffer("widest", widest.view(1, 1, 1))
        self.register_buffer("count", torch.full((1, 1, 1), float(count)))
        self.register_buffer("real", real.view(1))

    def loss(self, model: Pushforward, rows: Tensor, noise: Noise, train: bool = True) -> Tensor:
        """Return the unbiased MMD^2 `[pack]` between `rows` and as many samples; it may be negative."""
        y = model.push(model.draw(noise), noise if train else None)
        varying: Tensor = _Varying.apply(y, rows, self.widest, self.count, self.kernels)  # type: ignore[no-untyped-call]
        return self.real + varying


class _Varying(torch.autograd.Function):
    """The terms of MMD^2 `[pack]` that vary with y; the forward pass also computes their gradient."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, x: Tensor, widest: Tensor, count: Tensor, kernels: Sequence[Kernel]) -> Tensor:
        n, scale = y.shape[1], widest.rsqrt()
        # Shifting the origin leaves distances as they are and reduces their rounding error.
        z = (torch.cat([x, y], dim=1) - x.mean(1, keepdim=True)) * scale
        squares = z.square().sum(2, keepdim=True)
        ones = torch.ones_like(squares)
        right = torch.cat([z, squares, ones], dim=2)
        left = torch.cat([2 * z, -ones, -squares], dim=2)[:, n:]  # left @ right is -|y - z|^2
        weight = torch.cat([ones[:, n:] / -n, ones[:, n:] / max(n - 1, 1)], dim=1) * (2 / n) / count
        sums, moments = _sweep(left, right, right * weight, kernels)
        ctx.save_for_backward(2 * scale * (moments[..., :-2] - moments[..., -1:] * z[:, n:]))
        terms = sums * weight.squeeze(2)
        return terms[:, :n].sum(1) + terms[:, n:].sum(1) / 2 - 1 / max(n - 1, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors
        return slope.view(-1, 1, 1) * gradient, None, None, None, None


def _sweep(left: Tensor, right: Tensor, weighted: Tensor, kernels: Sequence[Kernel]) -> tuple[Tensor, Tensor]:
    """Return kernel sums over y `[pack, 2 batch]`, and the kernels' slopes @ weighted `[pack, batch, features + 2]`."""
    sums, moments = right.new_zeros(right.shape[:2]), torch.empty_like(left)
    most = max(1, BLOCK // (2 * left.shape[1] ** 2)) if left.device.type == "cpu" else len(left)
    for kernel, block in _blocks(kernels, most):
        slope = torch.bmm(left[block], right[block].transpose(1, 2)).clamp_max_(0).exp_()
        total = slope.sum(1)
        power, spare = slope, torch.empty_like(slope)
        for order in ORDERS[1:] if kernel == "mixture" else ():
            power = torch.square(power, out=spare)
            total += power.sum(1)
            slope.add_(power, alpha=order)
        sums[block] = total
        torch.bmm(slope, weighted[block], out=moments[block])
    return sums, moments


def _blocks(kernels: Sequence[Kernel], most: int) -> Iterator[tuple[Kernel, slice]]:
    """Yield slices of the pack, of at most `most` trials each, whose trials have one kernel."""
    start = 0
    for kernel, run in itertools.groupby(kernels):
        stop = start + len(list(run))
        for first in range(start, stop, most):
            yield kernel, slice(first, min(first + most, stop))
        start = stop
