"""Spline flow: an autoregressive network bends each column by a monotone spline, from the data to N(0, I) and back.

Source: Durkan et al. 2019, Neural Spline Flows, equations 4 to 8 and 29 (rational-quadratic splines); Papamakarios et
al. 2017, Masked Autoregressive Flow, equations 3 to 5; Germain et al. 2015, MADE (masks).
Notation: x, y [pack, batch, features]; knots, heights and slopes [..., bins + 1], of one spline.
"""

import math
from typing import NamedTuple, cast, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.layers import MLP, Activation
from models.model import Model, Shape
from models.noise import Noise

ROUNDS = 3  # each takes the columns in the opposite order of the one before it
BOUND = 5.0  # splines bend [-BOUND, BOUND]; beyond it nothing changes
LEAST = 1e-3  # width and height of a bin over those of all, and slope at a knot
START = 0.1  # of the last layers' first weights over the usual
LEVEL = math.log(math.expm1(1 - LEAST))  # softplus takes it to the slope 1


class Spline(NamedTuple):
    """Places and slopes of the knots, each `[..., bins + 1]`; bins that a network of the pack lacks are 0 wide."""

    knots: Tensor
    heights: Tensor
    slopes: Tensor


@final
class SplineFlow(Model):
    """Columns one by one, each through a spline that the columns before it determine, in rounds of changing order.

    Args:
        shape: columns of the data (its source isn't used: the flow starts from noise in the data's dimension).
        seed: of the initial weights.
        width, depth: units of a hidden layer, and the number of hidden layers, of each transform's network.
        activation: of the hidden layers.
        dropout: share of hidden units dropped in training.
        bins: pieces of a spline.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        shape: Shape,
        seed: int,
        *,
        width: int = 64,
        depth: int = 2,
        activation: Activation = "relu",
        dropout: float = 0.0,
        bins: int = 8,
    ) -> None:
        super().__init__()
        if not 2 <= bins <= 100:
            raise ValueError(f"bins must be from 2 to 100, got {bins}")
        self.shape = shape
        generator = torch.Generator().manual_seed(seed)
        self.networks = nn.ModuleList(
            MLP(
                shape.features,
                3 * bins * shape.features,
                width=width,
                depth=depth,
                activation=activation,
                dropout=dropout,
                output="linear",
                generator=generator,
                name=f"transform {level}",
                order=self._order(level),
            )
            for level in range(ROUNDS)
        )
        with torch.no_grad():
            for network in cast(list[MLP], self.networks):  # their splines change little yet
                network.output.weight.mul_(START)
                network.output.bias.mul_(START)
        self.bins = (bins,)

    def log_prob(self, rows: Tensor, noise: Noise | None = None) -> Tensor:
        """Log-density `[pack, batch]` of each row; `noise` is given in training only, for dropout."""
        x, volume = rows, torch.zeros_like(rows)
        for network in self.networks:
            x, log_slopes = forwards(x, self._splines(network(x, noise)))
            volume = volume + log_slopes
        return (volume - x.square() / 2 - math.log(2 * math.pi) / 2).sum(2)

    def sample(self, noise: Noise) -> Tensor:
        """Rows `[pack, noise.rows, features]`: the transforms backwards, a column at a time."""
        x = noise.normal("start", [self.shape.features] * len(self.bins))
        for level in reversed(range(ROUNDS)):
            y, x = x, torch.zeros_like(x)
            for column in sorted(range(self.shape.features), key=self._order(level).__getitem__):
                spline = self._splines(self.networks[level](x), column)
                unbent = backwards(y[..., column : column + 1], spline)
                x = torch.cat([x[..., :column], unbent, x[..., column + 1 :]], dim=2)
        return x

    def architecture(self) -> list[dict[str, float]]:
        """`parameters` of each trial."""
        counts = zip(*(cast(MLP, network).parameter_counts() for network in self.networks), strict=True)
        return [{"parameters": sum(own)} for own in counts]

    def _order(self, level: int) -> list[int]:
        """Place of each column in the order of a transform."""
        places = list(range(self.shape.features))
        return places if level % 2 == 0 else places[::-1]

    def _splines(self, outputs: Tensor, column: int | None = None) -> Spline:
        """Splines `[pack, batch, features, bins + 1]`, or of one column, from a network's outputs."""
        pack, batch, _ = outputs.shape
        parts = outputs.view(pack, batch, -1, 3, self.shape.features)
        if column is not None:
            parts = parts[..., column : column + 1]
        widths, heights, slopes = parts.movedim(2, -1).unbind(2)  # [pack, batch, columns, bins] each
        own = torch.tensor(self.bins, device=outputs.device).view(-1, 1, 1, 1)
        there = torch.arange(max(self.bins), device=outputs.device) < own
        ends = functional.softplus(slopes[..., :-1] + LEVEL) + LEAST
        ends = torch.where(there[..., 1:], ends, 1.0)
        return Spline(_knots(widths, there, own), _knots(heights, there, own), functional.pad(ends, (1, 1), value=1.0))


def forwards(x: Tensor, spline: Spline) -> tuple[Tensor, Tensor]:
    """`x` bent by its splines, and the logarithm of their slopes there, both as `x` is."""
    inside = (x > -BOUND) & (x < BOUND)
    left, width, low, height, first, second = _bin(x, spline, spline.knots)
    ratio = height / width
    share = ((x - left) / width).clamp(0, 1)
    both = share * (1 - share)
    across = ratio + (first + second - 2 * ratio) * both
    bent = low + height * (ratio * share.square() + first * both) / across
    slope = ratio.square() * (second * share.square() + 2 * ratio * both + first * (1 - share).square())
    return torch.where(inside, bent, x), torch.where(inside, slope.log() - 2 * across.log(), 0.0)


def backwards(y: Tensor, spline: Spline) -> Tensor:
    """What `forwards` takes to `y`."""
    inside = (y > -BOUND) & (y < BOUND)
    left, width, low, height, first, second = _bin(y, spline, spline.heights)
    ratio, rise = height / width, (y - low).clamp_min(0)
    excess = rise * (first + second - 2 * ratio)
    a, b, c = height * (ratio - first) + excess, height * first - excess, -ratio * rise
    share = (2 * c / (-b - (b.square() - 4 * a * c).clamp_min(0).sqrt())).clamp(0, 1)
    return torch.where(inside, left + share * width, y)


def _knots(logits: Tensor, there: Tensor, own: Tensor) -> Tensor:
    """Ends of the bins, from -BOUND to BOUND, `[pack, batch, columns, bins + 1]`."""
    shares = functional.softmax(torch.where(there, logits, -torch.inf), dim=-1)
    sizes = torch.where(there, LEAST + (1 - LEAST * own) * shares, 0.0)
    inner = 2 * BOUND * sizes.cumsum(-1)[..., :-1] - BOUND
    inner = torch.where(there[..., 1:], inner, BOUND)
    return functional.pad(functional.pad(inner, (1, 0), value=-BOUND), (0, 1), value=BOUND)


def _bin(x: Tensor, spline: Spline, ends: Tensor) -> tuple[Tensor, ...]:
    """The bin of `ends` that `x` falls into: its left knot and width, its lower end and height, and both slopes."""
    place = (x.unsqueeze(-1) >= ends[..., 1:-1]).sum(-1, keepdim=True)
    last = (ends[..., 1:] < BOUND).sum(-1, keepdim=True)  # bins of no width follow it
    place = place.minimum(last)
    left, right = (spline.knots.gather(-1, place + step).squeeze(-1) for step in (0, 1))
    low, high = (spline.heights.gather(-1, place + step).squeeze(-1) for step in (0, 1))
    first, second = (spline.slopes.gather(-1, place + step).squeeze(-1) for step in (0, 1))
    return left, right - left, low, high - low, first, second
