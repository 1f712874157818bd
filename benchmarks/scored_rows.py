"""Processor seconds of each score as rows grow; sizes that would take too long are extrapolated, and marked so."""

import time

import numpy as np
from page import table

from objectives import SCORES
from objectives.scores import Reference, Score

SIZES = (1_000, 10_000, 100_000, 1_000_000)
COLUMNS = 4
MARK = "≈ "


def rows_table(limit: float) -> str:
    """Seconds by score and rows, and the exponent; a size is measured if it should take `limit` seconds or less."""
    samples = {}
    for size in SIZES:
        generator = np.random.default_rng(0)
        train, held, made = abs(generator.standard_normal((3, size, COLUMNS)))
        samples[size] = Reference.of(train, held), made
    serving = {name: score for name, score in SCORES.items() if score.serves(samples[SIZES[0]][0].held)}
    rows = []
    for name, score in serving.items():
        sizes, seconds = measured(score, samples, limit)
        slope = float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0]) if len(sizes) > 1 else float("nan")
        # Beyond what was measured, the last slope goes on: overhead has left it.
        last = last_slope(sizes, seconds)
        beyond = [f"{MARK}{_told(seconds[-1] * (size / sizes[-1]) ** last)}" for size in SIZES[len(sizes) :]]
        rows.append([name, *map(_told, seconds), *beyond, f"{slope:.2f}", f"{last:.2f}"])
    return table(["score", *(f"{size:,} rows, s" for size in SIZES), "exponent", "of the last two"], rows)


def measured(
    score: type[Score], samples: "dict[int, tuple[Reference, np.ndarray]]", limit: float
) -> tuple[list[int], list[float]]:
    """Sizes and seconds, as far as the next size should take no more than `limit`."""
    sizes: list[int] = []
    seconds: list[float] = []
    for size, (reference, made) in samples.items():
        growth = max(1.0, last_slope(sizes, seconds)) if len(sizes) > 1 else 1.0
        if sizes and seconds[-1] * (size / sizes[-1]) ** growth > limit:
            break
        began = time.process_time()
        score(reference)(made[np.newaxis])
        sizes.append(size)
        seconds.append(time.process_time() - began)
    return sizes, seconds


def last_slope(sizes: list[int], seconds: list[float]) -> float:
    """Exponent between the last two sizes; nan if there is one only."""
    if len(sizes) < 2:
        return float("nan")
    return float(np.log(seconds[-1] / seconds[-2]) / np.log(sizes[-1] / sizes[-2]))


def _told(seconds: float) -> str:
    return f"{seconds:.2g}" if seconds < 100 else f"{seconds:,.0f}"
