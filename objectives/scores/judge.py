"""Judges generated rows by all scores at once, each relative to the score between two real samples."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from math import inf, isfinite, prod
from typing import TypeAlias, final

import numpy as np
from numpy.typing import ArrayLike

from objectives.problems import Problem
from objectives.scores import SCORES, STANDARD
from objectives.scores.score import Array, Reference, Score, real_rows

Pair: TypeAlias = Callable[[int, int, np.random.Generator], tuple[Array, Array]]

CUSTOMARY = {name: SCORES[name] for name in STANDARD}
LARGEST = 4000
LEAST = 50
ROWS_IN_ALL = 400_000
REPEATS = 200  # the standard error of a median is then a tenth of the deviation
RANKS = 0.99  # least share of real samples that must score above 0 for a score to rank
LEAST_RATIO = 0.01  # least ratio of a score to its floor, so that a score of 0 by luck can't decide alone


@dataclass(frozen=True, kw_only=True)
class Floor:
    """A score between real samples of `n` held and `m` generated rows: median and 95 % quantile, both of the value.

    `positive` is the median of the never-negative form, which enters misfit. It is 0, and the score doesn't rank, if
    even real samples sometimes score 0 (such as `kendall` of many columns, where hardly any row exceeds another in
    all).
    """

    median: float
    upper: float
    positive: float
    n: int
    m: int


@dataclass(frozen=True)
class Evaluation:
    """Scores by name (`values`, medians over draws), `floors`, and `misfit`; 1 is as good as another real sample."""

    values: dict[str, float]
    misfit: float
    floors: dict[str, Floor]

    @property
    def inside(self) -> dict[str, bool]:
        """Return whether each score lies at or below the 95 % quantile of its floor; nan lies outside."""
        return {name: value <= self.floors[name].upper for name, value in self.values.items()}


@final
class Judge:
    """Judge of draws `[draws, m, d]` of generators; it can be pickled for workers on other machines.

    Those of `scores` that don't serve the held rows are left out. Scores with floor 0 are left out of misfit, because
    no ratio to their floor exists; a score that says so in its `ranks_for` takes such a place. `ranking` names the
    scores of misfit if others than these are meant.

    Raises:
        ValueError: a score has no floor, a floor is for another number of held rows, or no score is left to rank by.
    """

    def __init__(
        self,
        reference: Reference,
        floors: Mapping[str, Floor],
        scores: Mapping[str, type[Score]] = CUSTOMARY,
        ranking: Collection[str] | None = None,
    ) -> None:
        serving = {name: score for name, score in scores.items() if score.serves(reference.held)}
        for name in serving:
            if name not in floors or floors[name].n != len(reference.held):
                raise ValueError(f"score {name}: expected a floor for {len(reference.held)} held rows")
        self.floors = {name: floors[name] for name in serving}
        chosen = _ranking(serving, floors) if ranking is None else ranking
        self.ranking = tuple(name for name in serving if name in chosen)
        if not self.ranking:
            raise ValueError(f"no score to rank by among {', '.join(scores) or 'none'}")
        self._reference = reference
        self._scores = {name: score(reference) for name, score in serving.items()}

    def on(self, held: ArrayLike) -> "Judge":
        """Return the judge of as many other held rows, by the same scores, floors, scale and bandwidth.

        Raises:
            ValueError: another number of rows, or rows that the scores don't serve.
        """
        reference = replace(self._reference, held=real_rows(held))
        return Judge(reference, self.floors, {name: type(score) for name, score in self._scores.items()}, self.ranking)

    def ranked(self) -> "Judge":
        """Return the judge of the same rows with only the scores that enter misfit."""
        scores = {name: type(self._scores[name]) for name in self.ranking}
        return Judge(self._reference, self.floors, scores, self.ranking)

    def __call__(self, generated: ArrayLike) -> Evaluation:
        """Judge draws `[draws, m, d]`; rows that are not finite give nan values and infinite misfit, not an error.

        Raises:
            ValueError: a shape doesn't fit, or m isn't that of the floors.
        """
        return self.each(np.asarray(generated)[np.newaxis])[0]

    def each(self, generated: ArrayLike) -> list[Evaluation]:
        """Return the evaluation of each member of a pack `[pack, draws, m, d]`, bit for bit the same as alone.

        Raises:
            ValueError: as for one.
        """
        pack = np.asarray(generated, dtype=np.float64)
        sizes = {floor.m for floor in self.floors.values()}
        if pack.ndim != 4 or pack.shape[1] < 1 or sizes != {pack.shape[2]}:
            raise ValueError(
                f"generated rows of shape {pack.shape[1:]}: expected [draws >= 1, {min(sizes)}, columns] of each member"
            )
        samples = pack.reshape(-1, *pack.shape[2:])
        values: dict[str, Array] = {}
        ratios: dict[str, Array] = {}
        for name, score in self._scores.items():
            measure = score(samples)
            values[name] = np.median(measure.value.reshape(pack.shape[:2]), axis=1)
            if name in self.ranking:
                middle = np.median(measure.positive.reshape(pack.shape[:2]), axis=1)
                ratios[name] = np.maximum(middle / self.floors[name].positive, LEAST_RATIO)  # nan stays nan
        return [
            self._evaluation(*({name: float(one[member]) for name, one in of.items()} for of in (values, ratios)))
            for member in range(len(pack))
        ]

    def _evaluation(self, values: dict[str, float], ratios: dict[str, float]) -> Evaluation:
        misfit = prod(ratios.values()) ** (1.0 / len(ratios))
        return Evaluation(values, misfit if isfinite(misfit) else inf, self.floors)


def _ranking(scores: Mapping[str, type[Score]], floors: Mapping[str, Floor]) -> set[str]:
    """Return which of these scores enter misfit."""
    able = {name for name in scores if 0.0 < floors[name].positive < inf}
    vacant = {name for name in scores if scores[name].ranking and name not in able}
    return {name for name in able if scores[name].ranking or scores[name].ranks_for in vacant}


def floors(
    pair: Pair,
    n_held: int,
    m: int,
    scores: Mapping[str, type[Score]],
    *,
    reference: Reference,
    seed: int,
    repeats: int = REPEATS,
) -> dict[str, Floor]:
    """Return the floor of each serving score between `n_held` held and `m` generated rows, all of them real.

    Each repeat takes 2 `n_held` + `m` rows from `pair` (`Problem.pair`), as training, held and generated rows. So the
    floor of `overfit` includes the noise of its training rows. Scale and bandwidth are those of `reference`. Above
    4,000 rows the floors come from samples of 4,000, in the same ratio, by each score's law of decay. Repeats are
    limited to 400,000 rows in all (50 at 4,000), and to each score's `repeats`, which bounds the time to some seconds.
    A score has no floor if it serves none of the draws.

    Raises:
        ValueError: fewer than two rows, or no repeats.
    """
    if min(n_held, m) < 2 or repeats < 1:
        raise ValueError(f"n_held = {n_held}, m = {m}, repeats = {repeats}: expected 2 rows and 1 repeat at least")
    shrink = min(1.0, LARGEST / max(n_held, m))
    held, count = (max(round(size * shrink), min(size, LEAST)) for size in (n_held, m))
    generator = np.random.default_rng([seed, 4])
    seen: dict[str, list[tuple[float, float]]] = {}
    for repeat in range(min(repeats, max(1, ROWS_IN_ALL // (held + count)))):
        real, generated = pair(2 * held, count, generator)
        drawn = replace(reference, train=real[:held], held=real[held:])
        for name, score in scores.items():
            if repeat < score.repeats and score.serves(drawn.held):
                measure = score(drawn)(generated[np.newaxis])
                seen.setdefault(name, []).append((float(measure.value[0]), float(measure.positive[0])))
    found: dict[str, Floor] = {}
    for name, pairs in seen.items():
        value, positive = np.array(pairs).T
        if np.mean(positive > 0.0) < RANKS:
            positive = np.zeros(1)
        limit, carried = scores[name].limit, (held / n_held) ** scores[name].decay
        median, upper, middle = (
            float(limit + (figure - limit) * carried)
            for figure in (np.median(value), np.quantile(value, 0.95), np.median(positive))
        )
        found[name] = Floor(median=median, upper=upper, positive=middle, n=n_held, m=m)
    return found


def judge_for(
    problem: Problem,
    train: ArrayLike,
    held: ArrayLike,
    m: int,
    *,
    seed: int = 0,
    scores: Mapping[str, type[Score]] = CUSTOMARY,
    repeats: int = REPEATS,
) -> Judge:
    """Return the judge of samples of `m` rows against a problem's held rows, in units of its training rows.

    Those of `scores` count that serve the held rows and the draws for the floors.

    Raises:
        ValueError: as `Reference.of`, `floors` and `Judge`.
    """
    reference = Reference.of(train, held, seed)
    found = floors(
        problem.pair,
        len(reference.held),
        m,
        scores,
        reference=reference,
        seed=seed,
        repeats=repeats,
    )
    return Judge(reference, found, {name: scores[name] for name in found})
