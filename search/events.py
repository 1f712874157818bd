"""What happens in a search, as told to those who listen: the recorder, the display, the leaderboard."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from search.storage import Storage
from search.study.configuration import Configuration
from search.trial import Report

Outcome = Literal["finished", "stopped", "diverged", "failed", "interrupted"]


@dataclass(frozen=True)
class Started:
    """A trial began; `time` in seconds since the epoch of the clock."""

    trial: int
    configuration: Configuration
    seed: int
    time: float


@dataclass(frozen=True)
class Reported:
    """A trial was judged at an evaluation; `facts` are those of its architecture, `node` the one that trained it."""

    trial: int
    report: Report
    facts: dict[str, float]
    time: float
    node: str = ""


@dataclass(frozen=True)
class Ended:
    """A trial ended; `checkpoint` is where its best checkpoint is, if it was trained at full budget.

    Outcomes: finished (full budget), stopped (by ASHA), diverged (NaN or inf), failed (an error), interrupted.
    """

    trial: int
    outcome: Outcome
    time: float
    checkpoint: Storage | None = None
    error: str = ""


@dataclass(frozen=True)
class Trained:
    """A trainer spoke: networks that it trains now, and the share of its time that it was at work lately."""

    trainer: str
    networks: int
    busy: float
    time: float


@dataclass(frozen=True)
class Delayed:
    """The store doesn't take what is recorded, for this reason; an empty one: it does again."""

    error: str
    time: float


@dataclass(frozen=True)
class Troubled:
    """Something goes wrong that a user should know of, and the search goes on without it; told once."""

    trouble: str
    time: float


Event = Started | Reported | Ended | Trained | Delayed | Troubled
Listener = Callable[[Event], None]
