"""Ways of doing the same take turns, each in a process of its own, so that the machine's moods are shared by all."""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

THREADS = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
# Ray's own loggers, warnings and reports are off on all sides.
QUIET = {"TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1", "RAY_USAGE_STATS_ENABLED": "0", "RAY_AIR_NEW_OUTPUT": "0"}

Measured = dict[str, Any]


def take_turns(script: str, ways: Sequence[str], rounds: int, options: Sequence[str]) -> dict[str, list[Measured]]:
    """What each way measured in each round: the JSON that `script --way WAY` prints last.

    Raises:
        RuntimeError: a way failed; with the end of what it said.
    """
    found: dict[str, list[Measured]] = {way: [] for way in ways}
    for number in range(rounds):
        for way in ways:
            found[way].append(alone(script, ["--way", way, "--round", str(number), *options]))
            print(f"round {number + 1} of {rounds}, {way}: {_told(found[way][-1])}", file=sys.stderr, flush=True)
    return found


def alone(script: str, options: Sequence[str]) -> Measured:
    """What `script` prints last, run in a process of its own with one thread for each product.

    Raises:
        RuntimeError: it failed; with the end of what it said.
    """
    command = [sys.executable, script, *options]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | THREADS | QUIET)
    if done.returncode:
        raise RuntimeError(f"{' '.join(options)} failed:\n{done.stderr[-3000:]}")
    measured: Measured = json.loads(done.stdout.splitlines()[-1])
    return measured


def median(found: Sequence[Measured], key: str) -> float:
    """Median over rounds of what was measured as `key`."""
    values: list[float] = [each[key] for each in found]
    return statistics.median(values)


def ratios(found: Sequence[Measured], base: Sequence[Measured], key: str) -> list[float]:
    """Of each round: how many times as much the base took."""
    return [theirs[key] / own[key] for own, theirs in zip(found, base, strict=True)]


def spread(values: Sequence[float]) -> str:
    """Median, and of several values the range."""
    middle = f"{statistics.median(values):.2f}"
    return f"{middle} ({min(values):.2f} to {max(values):.2f})" if len(values) > 1 else middle


def _told(measured: Measured) -> str:
    plain = {key: value for key, value in measured.items() if isinstance(value, int | float)}
    return ", ".join(f"{key} {value:.4g}" for key, value in plain.items())
