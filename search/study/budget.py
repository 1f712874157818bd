"""How much a search may spend, and when its trials are judged."""

import math
import os
import re
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Device = Literal["auto", "cpu", "gpu"]
SEEDS = 5  # fresh networks of each finalist
UNBOUNDED = 10_000  # trials of a search that time alone bounds
LEAST_TIME = 60.0  # seconds; starting and judging take part of it
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
QUOTA = Path("/sys/fs/cgroup/cpu.max")  # microseconds of processor time that a container may take in so many


def cores() -> int:
    """Cores of this machine that this process may use: a container or a batch system may give it but some."""
    count = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    with suppress(OSError, ValueError):  # no container, or no limit
        quota, period = map(int, QUOTA.read_text().split())
        count = min(count, max(1, math.floor(quota / period)))
    return count


def seconds_of(time: object) -> float:
    """Return the seconds of a time such as "90s", "10m", "1.5h", "1d", or a number of seconds.

    Raises:
        ValueError: it is none of these.
    """
    if isinstance(time, int | float) and not isinstance(time, bool):
        return float(time)
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd])", str(time).strip())
    if found is None:
        raise ValueError(f"time = {time!r}: expected such as 90s, 10m or 1.5h")
    return float(found[1]) * UNITS[found[2]]


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How much a search may spend.

    Args:
        trials: configurations to try, besides closed-form fits.
        time: seconds for the whole of it, the finalists and the report included; 0 for as long as the trials take.
        epochs: full training budget of a trial.
        epoch_rows: most training rows of an epoch, the next ones each time; so a budget doesn't grow with the table.
        judged_rows: most validation rows that trials are judged on, chosen by seed.
        grace: epochs before ASHA may stop a trial.
        reduction: ASHA keeps the best 1 / reduction of the trials at each rung.
        evaluations: evaluations of a fully trained trial on validation rows, besides those at ASHA's rungs.
        eval_samples: samples of a generator whose median score counts at each evaluation.
        replicas: networks of each trial, of different seeds; the mean of their scores counts.
        device: where trials train: "cpu", "gpu", or "auto" for GPUs where there are any and the remaining cores.
        cpus, gpus: what a trainer takes of the cluster; one on cores takes no GPU. gpus may be a fraction.
        trainers: how many there shall be, though some must wait for room; 0 for as many as there is room for.
        checkpoint_seconds: between checkpoints of trials in training, from which others go on if their trainer dies.
        finalists: best trials that are trained again with fresh seeds when the search has ended; 0 for none.
        seed: of the splits, the suggestions and every trial.

    Raises:
        ValueError: an argument is out of its range.
    """

    trials: int = 40
    time: float = 0.0
    epochs: int = 270
    epoch_rows: int = 20_000
    judged_rows: int = 2_000
    grace: int = 10
    reduction: int = 3
    evaluations: int = 20
    eval_samples: int = 5
    replicas: int = 1
    device: Device = "auto"
    cpus: float = 1.0
    gpus: float = 1.0
    trainers: int = 0
    checkpoint_seconds: float = 20.0
    finalists: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("trials", "epochs", "epoch_rows", "grace", "evaluations", "eval_samples", "replicas"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("trainers", "finalists"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be at least 0, got {getattr(self, name)}")
        if self.time and not LEAST_TIME <= self.time < math.inf:
            raise ValueError(f"time must be at least {LEAST_TIME:g} seconds, got {self.time:g}")
        if self.judged_rows < 2:
            raise ValueError(f"judged_rows must be at least 2, got {self.judged_rows}")
        if self.reduction < 2:
            raise ValueError(f"reduction must be at least 2, got {self.reduction}")
        if self.cpus <= 0 or self.gpus <= 0:
            raise ValueError(f"cpus and gpus must be above 0, got {self.cpus} and {self.gpus}")
        if self.checkpoint_seconds <= 0:
            raise ValueError(f"checkpoint_seconds must be above 0, got {self.checkpoint_seconds}")
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"seed must be from 0 to {2**32 - 1}, got {self.seed}")

    def evaluation_epochs(self) -> list[int]:
        """Epochs at which a trial is judged: ASHA's rungs, `evaluations` evenly spaced ones, and the last."""
        step = max(1, self.epochs // self.evaluations)
        return sorted({*self.rungs(), *range(step, self.epochs, step), self.epochs})

    def rungs(self) -> list[int]:
        """Epochs before the last at which ASHA may stop a trial."""
        rungs, rung = [], self.grace
        while rung < self.epochs:
            rungs.append(rung)
            rung *= self.reduction
        return rungs
