"""Scores of any generator's rows against real ones, from two tables: useful without any search."""

from typing import Any

import numpy as np

from objectives import SCORES, Judge
from objectives.problems.reading import read_table
from objectives.scores.judge import floors
from objectives.scores.score import Array, Reference
from search.errors import InputError
from search.leaderboard import with_floors
from search.plugins import merge_installed


def score_tables(real: str, samples: str, train: str | None = None, seed: int = 0) -> dict[str, Any]:
    """`{"ad": {"value", "floor", "upper", "inside"}, "kendall": .., "fit": ..}`: every score that serves the real rows.

    Only `overfit` needs `train`. The floors are of bootstrap draws of the real rows, of the sizes at hand. The MMD's
    ruler is that of the training rows, or of the real rows where there are none.

    Raises:
        InputError: a table can't be read, or the tables' columns differ.
    """
    merge_installed()
    columns, held = _read(real)
    generated = _like(columns, real, samples)
    training = held if train is None else _like(columns, real, train)
    scores = {name: score for name, score in SCORES.items() if train is not None or name != "overfit"}
    everything = held if train is None else np.concatenate([training, held])

    def pair(first: int, second: int, generator: np.random.Generator) -> tuple[Array, Array]:
        drawn = everything[generator.integers(len(everything), size=first + second)]
        return drawn[:first], drawn[first:]

    try:
        reference = Reference.of(training, held, seed)
        found = floors(pair, len(held), len(generated), scores, reference.ruler, seed)
        verdict = Judge(reference, found, {name: scores[name] for name in found})(generated[None])
    except ValueError as error:
        raise InputError(f"{real} and {samples}: {error}") from error
    return with_floors(verdict.values | {"fit": verdict.fit}, found)


def _read(path: str, columns: str = "") -> tuple[tuple[str, ...], Array]:
    try:
        names, rows, _ = read_table(path, columns, False)
    except ValueError as error:
        raise InputError(str(error)) from error
    if len(rows) < 2:
        raise InputError(f"{path}: {len(rows)} rows of numbers, expected at least 2")
    return names, rows


def _like(columns: tuple[str, ...], real: str, path: str) -> Array:
    names, rows = _read(path)
    if set(names) != set(columns):
        odd = sorted(set(names) ^ set(columns))
        raise InputError(f"{path}: expected the columns of {real}; only one of them has: {', '.join(odd)}")
    return rows[:, [names.index(name) for name in columns]]
