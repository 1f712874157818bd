"""Which trials train stacked: as many as gain by it on this machine, which is measured and not guessed.

A step of a small network costs what starting its kernels costs; stacked networks share that. It ends where a step's
arithmetic outweighs its overhead, or its memory outgrows the cache: from there on a larger pack is slower a network.
Both show in the time of a step. So a pack may grow until its step takes `WORTH` times as long as the smallest one.
"""

import time
from dataclasses import dataclass
from typing import Any, final

import torch

from models import Pushforward, Shape
from objectives.losses import MMD
from search.study.configuration import Training
from search.train.group import Group
from search.train.pack import Pack

WORTH = 8.0
UNMEASURED = 4  # trials that train stacked from the start: on no size measured were four slower than one by one
MOST = 64  # trials of one pack, however small: beyond that nothing is gained, and all of them judge at once


@final
@dataclass(frozen=True)
class Machine:
    """What this machine needs: seconds for the smallest step, and for each multiplication of a stacked product."""

    step: float
    product: float

    @classmethod
    def measured(cls, device: str) -> "Machine":
        """Measured now, in a tenth of a second."""
        return cls(_smallest_step(device), _product(device))


@final
@dataclass(frozen=True)
class Stacking:
    """Decides whether trials join a group.

    Args:
        machine: it was measured on.
        most: trials of a group: a fixed number, or None to let their measured steps decide.
    """

    machine: Machine
    most: int | None = None

    @property
    def first(self) -> int:
        """Trials to begin with."""
        return UNMEASURED if self.most is None else min(UNMEASURED, self.most)

    def room(self, group: Group) -> int:
        """How many more trials a group takes; a few, whatever their size, before its steps have been measured."""
        count = len(group.trials)
        if self.most is not None:
            return max(0, self.most - count)
        # As if each trial cost as much as the first: a step's overhead is shared, so more would fit next time.
        fitting = int(count * WORTH * self.machine.step / group.seconds) if group.seconds else UNMEASURED
        return max(0, min(fitting, MOST) - count)

    def worth(self, group: Group, other: Group) -> bool:
        """Whether training both as one costs less than training them in turns: padding may cost more than it spares."""
        if self.most is not None:
            return True
        sizes = [(len(each.pack.rows), _parameters(each)) for each in (group, other)]
        together = sum(count for count, _ in sizes) * _parameters_joined(group, other)
        wasted = together - sum(count * own for count, own in sizes)
        # A parameter multiplies each row of a batch once forwards and twice backwards.
        return 3 * group.pack.training[0].batch * wasted * self.machine.product < self.machine.step


def _parameters(group: Group) -> int:
    """Parameters of one network of a group, with its padding."""
    return sum(parameter[0].numel() for parameter in group.pack.model.parameters())


def _parameters_joined(group: Group, other: Group) -> int:
    """Parameters of one network of both groups, padded to the widest and deepest of them."""
    shapes: dict[str, torch.Size] = {}
    for name, parameter in [*group.pack.model.named_parameters(), *other.pack.model.named_parameters()]:
        widest = zip(parameter.shape[1:], shapes.get(name, parameter.shape[1:]), strict=True)
        shapes[name] = torch.Size(max(pair) for pair in widest)
    return sum(shape.numel() for shape in shapes.values())


def _smallest_step(device: str) -> float:
    rows = torch.randn(512, 2, generator=torch.Generator().manual_seed(0))
    model: Any = Pushforward(Shape(2, "normal", 2), 0, width=8)
    pack = Pack(model, MMD(rows, 0), [rows.to(device)], [Training(batch=16)], seeds=[0], budget=1)
    return min(_timed(lambda: pack.advance().tolist()) for _ in range(4)) / pack.steps


def _product(device: str) -> float:
    a, b = torch.ones(16, 64, 128, device=device), torch.ones(16, 128, 128, device=device)
    return min(_timed(lambda: torch.bmm(a, b).sum().item()) for _ in range(20)) / (a.numel() * 128)


def _timed(call: Any) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began
