"""Events of a search, which the listeners receive: the recorder, the display, the leaderboard."""

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
    """Results of a trial at an evaluation.

    `misfit` and `scores` are those of the best checkpoint so far, `epoch_misfit` and `epoch_scores` those of this
    epoch. Each is a mean over the trial's replicas; `spread` is the standard deviation over replicas of the best
    checkpoint's misfit and scores. Losses are in the objective's units. `zeros` is the share of weights that are
    exactly zero, `deviation` the standard deviation of all weights.
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
    """A trial began; `time` is in seconds since the epoch of the clock."""

    trial: int
    configuration: Configuration
    seed: int
    time: float


@dataclass(frozen=True, kw_only=True)
class Reported:
    """A trial was judged at an evaluation; `architecture` holds figures of it, `node` is where it was trained."""

    trial: int
    report: Report
    architecture: dict[str, float]
    time: float
    node: str = ""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A trial ended; `checkpoint` is where its best checkpoint is, if it finished.

    Outcomes: finished (full budget, or as far as time allowed), stopped (by ASHA, or as time was up), diverged (NaN or
    inf), failed (an error), interrupted.
    """

    trial: int
    outcome: Outcome
    time: float
    checkpoint: CheckpointStorage | None = None
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class TrainerHeartbeat:
    """A trainer reports: the networks that it trains now, and the share of recent time that it spent at work."""

    trainer: str
    networks: int
    busy: float
    time: float


@dataclass(frozen=True)
class RecordingStalled:
    """The store doesn't accept what is recorded, for this reason; an empty reason means that it does again."""

    error: str
    time: float


@dataclass(frozen=True)
class Troubled:
    """A problem that the user should know of and that doesn't stop the search; it is reported once."""

    trouble: str
    time: float


Event = Started | Reported | Ended | TrainerHeartbeat | RecordingStalled | Troubled
Listener = Callable[[Event], None]
