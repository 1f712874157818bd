"""Scores samples of any generator against real rows, both from tables, without a search."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from objectives import SCORES, STANDARD, Judge
from objectives.problems.names import option
from objectives.problems.reading import read_table
from objectives.scores.judge import floors
from objectives.scores.score import Array, Reference
from search.errors import DataError, StudyError, unknown_name
from search.rank.leaderboard import with_floors
from search.study.plugins import merge_installed

REPEATS = 60


def score_tables(
    real: str,
    samples: str,
    train: str | None = None,
    seed: int = 0,
    *,
    columns: str = "",
    drop_missing: bool = False,
    scores: str = "",
    tell: Callable[[str], object] = lambda line: None,
) -> dict[str, Any]:
    """Return `{"ad": {"value", "floor", "upper", "inside"}, ..., "misfit"}` for the scores that serve the real rows.

    They are the standard ones and those that `scores` names, separated by commas, or all of them for `scores="all"`.
    Only `overfit` needs `train`. The floors come from 60 bootstrap draws of the real rows, of the same sizes: a median
    is then known to about a sixth of the score's deviation between real samples. A search, which ranks by its floors,
    takes 200. The unit of
    distances is that of the training rows, or of the real rows if there are none. `columns` (a line of CSV) are the
    columns to score, all if empty. `drop_missing` leaves out real rows with a missing value. `tell` receives one line
    for each decision on how a file is written.

    Raises:
        StudyError: a score is unknown.
        DataError: a table can't be read, or the tables' columns differ.

    Examples:
        >>> import numpy as np
        >>> for seed, name in enumerate(("real.csv", "samples.csv")):
        ...     rows = np.random.default_rng(seed).normal(size=(200, 2))
        ...     np.savetxt(name, rows, delimiter=",", header="x,y", comments="")
        >>> sorted(score_tables("real.csv", "samples.csv")["ad"])
        ['floor', 'inside', 'upper', 'value']
    """
    merge_installed()
    found_in = partial(_read, columns=columns, drop_missing=drop_missing, tell=tell)
    names, held = found_in(real)
    generated = _like(names, real, samples, found_in)
    training = held if train is None else _like(names, real, train, found_in)
    named = {name: SCORES[name] for name in _chosen(scores) if train is not None or name != "overfit"}
    everything = held if train is None else np.concatenate([training, held])

    def pair(first: int, second: int, generator: np.random.Generator) -> tuple[Array, Array]:
        drawn = everything[generator.integers(len(everything), size=first + second)]
        return drawn[:first], drawn[first:]

    try:
        reference = Reference.of(training, held, seed)
        found = floors(pair, len(held), len(generated), named, reference=reference, seed=seed, repeats=REPEATS)
        evaluation = Judge(reference, found, {name: named[name] for name in found})(generated[None])
    except ValueError as error:
        raise DataError(f"{real} and {samples}: {error}") from error
    return with_floors(evaluation.values | {"misfit": evaluation.misfit}, found)


def _chosen(scores: str) -> list[str]:
    """Return the names of the scores to judge by, in the order of their registry."""
    more = list(SCORES) if scores == "all" else [name.strip() for name in scores.split(",") if name.strip()]
    for name in more:
        if name not in SCORES:
            raise StudyError(f"scores: {unknown_name('score', name, SCORES)}")
    return [name for name in SCORES if name in STANDARD or name in more]


def _read(path: str, columns: str, drop_missing: bool, tell: Callable[[str], object]) -> tuple[tuple[str, ...], Array]:
    try:
        content = read_table(path, columns, drop_missing, least=2)
    except ValueError as error:
        raise DataError(str(error)) from error
    for line in content.notes:
        tell(f"{path}: {line}")
    return content.columns, content.rows


def _like(
    columns: tuple[str, ...], real: str, path: str, read: Callable[[str], tuple[tuple[str, ...], Array]]
) -> Array:
    names, rows = read(path)
    if set(names) != set(columns):
        odd = sorted(set(names) ^ set(columns))
        common = [name for name in columns if name in names]
        cure = f"; score those of both with {option(common)}" if common else ""
        raise DataError(f"{path}: expected the columns of {real}; only one of them has: {', '.join(odd)}{cure}")
    return rows[:, [names.index(name) for name in columns]]
