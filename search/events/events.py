"""What happens in a search, as told to those who listen: the recorder, the display, the leaderboard."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from search.checkpoints import CheckpointStorage
from search.study.configuration import Configuration
from search.study.goals import WORST

Outcome = Literal["finished", "stopped", "diverged", "failed", "interrupted"]


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a trial has reached at an evaluation.

    `misfit` and `scores` are those of the best checkpoint so far, `epoch_misfit` and `epoch_scores` those of this
    epoch, each a mean over the trial's replicas, and `spread` the standard deviation over these of
    the best checkpoint's misfit and scores; losses are in the objective's own units. `zeros` is the share of weights
    that are exactly zero, `deviation` the standard deviation of all weights.
    """

    epoch: int = 0
    loss: float = math.nan
    validation_loss: float = math.nan
    misfit: float = WORST
    scores: dict[str, float] = field(default_factory=dict)
    epoch_misfit: float = WORST
    epoch_scores: dict[str, float] = field(default_factory=dict)
    best_epoch: int = 0
    diverged: bool = False
    zeros: float = 0.0
    deviation: float = 0.0
    spread: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Started:
    """A trial began; `time` in seconds since the epoch of the clock."""

    trial: int
    configuration: Configuration
    seed: int
    time: float


@dataclass(frozen=True, kw_only=True)
class Reported:
    """A trial was judged at an evaluation; `architecture` holds figures of it, `node` is the one that trained it."""

    trial: int
    report: Report
    architecture: dict[str, float]
    time: float
    node: str = ""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A trial ended; `checkpoint` is where its best checkpoint is, if it was trained at full budget.

    Outcomes: finished (full budget), stopped (by ASHA), diverged (NaN or inf), failed (an error), interrupted.
    """

    trial: int
    outcome: Outcome
    time: float
    checkpoint: CheckpointStorage | None = None
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class TrainerHeartbeat:
    """A trainer spoke: networks that it trains now, and the share of its time that it was at work lately."""

    trainer: str
    networks: int
    busy: float
    time: float


@dataclass(frozen=True)
class RecordingStalled:
    """The store doesn't take what is recorded, for this reason; an empty one: it does again."""

    error: str
    time: float


@dataclass(frozen=True)
class Troubled:
    """Something goes wrong that a user should know of, and the search goes on without it; told once."""

    trouble: str
    time: float


Event = Started | Reported | Ended | TrainerHeartbeat | RecordingStalled | Troubled
Listener = Callable[[Event], None]
