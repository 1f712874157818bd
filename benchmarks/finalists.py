"""How often the rule that chooses among finalists picks one that is truly worse, by the number of test rows.

    python benchmarks/finalists.py [--repeats 50] [--quick]

Nothing is trained: a finalist draws from a known distribution, with an error of a kind and a size of its own, and each
of its networks with an error a little larger or smaller. Its true misfit is that of many networks on large samples; its
number of parameters says nothing about it. The table goes into docs/performance.md.
"""

import argparse
import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
from page import table, write

from objectives import Judge, judge_for
from objectives.problems.known import Gaussian2D
from search.rank.finalist import interval, resampled, ties

ROWS = (100, 500, 2000, 5000)  # of test
LARGE, MANY = 10_000, 20  # rows and networks of which a true misfit is the geometric mean
TOGETHER, SEEDS, DRAWS = 3, 5, 5  # finalists, networks of each, samples of a network
BOOTSTRAP = 60
WORSE = 1.1  # times the true misfit of the best
NEAR = 2.0  # most that one finalist is truly worse than another: a search has seen to that
ERRORS = np.geomspace(0.08, 0.2, 8)
JITTER = 0.15  # standard deviation of the logarithm of a network's error
PROBLEM = Gaussian2D()
QUICK = 2  # repeats of a quick run
Array = np.ndarray[Any, np.dtype[np.float64]]
KINDS: dict[str, Callable[[Array, float], Array]] = {
    "moved": lambda rows, error: rows + error * rows.std(0),
    "spread out": lambda rows, error: rows.mean(0) + (1 + error) * (rows - rows.mean(0)),
    "less dependent": lambda rows, error: np.where(_share(rows, 3 * error), np.roll(rows, 1, axis=0), rows),
}


def _share(rows: Array, share: float) -> Array:
    """Of the second column a share of the rows, which are independent anyway."""
    return np.stack([np.zeros(len(rows), bool), np.arange(len(rows)) < share * len(rows)], axis=1)


def overlapping(misfits: Array, again: Array, sizes: Sequence[float]) -> int:
    """Place of the smallest of those whose interval reaches that of the best."""
    spans = [interval(own, each) for own, each in zip(misfits, again, strict=True)]
    best = lowest(misfits, again, sizes)
    return min((place for place, span in enumerate(spans) if span[0] <= spans[best][1]), key=lambda place: sizes[place])


def smallest(misfits: Array, again: Array, sizes: Sequence[float]) -> int:
    """Place of the smallest of those whose ratio to the best may be 1."""
    return min(ties(misfits, again, range(len(sizes))), key=lambda place: sizes[place])


def lowest(misfits: Array, again: Array, sizes: Sequence[float]) -> int:
    """Place of the lowest misfit, which is the best of all ties as well."""
    return int(np.log(misfits).mean(1).argmin())


RULES = {
    "smallest, of overlapping intervals": overlapping,
    "smallest, of ratios whose interval contains 1": smallest,
    "lowest misfit": lowest,
}


@cache
def judge(rows: int) -> Judge:
    """Judge of so many held rows, with its floors."""
    dice = np.random.default_rng([rows, 1])
    train, held = PROBLEM.pair(2000, rows, dice)
    return judge_for(PROBLEM, train, held, rows).ranked()


@cache
def true(kind: str, error: float) -> float:
    """Geometric mean of the misfit of many networks, each on large samples of its own."""
    dice, logs = np.random.default_rng(2), []
    for _ in range(MANY):
        held = PROBLEM.pair(2, LARGE, dice)[1]
        logs.append(np.log(judge(LARGE).on(held)(drawn(kind, error, LARGE, dice)[:1]).misfit))
    return float(np.exp(np.mean(logs)))


def drawn(kind: str, error: float, rows: int, dice: np.random.Generator) -> Array:
    """Samples `[draws, rows, 2]` of a network, whose error is about that of its configuration."""
    own = error * np.exp(dice.normal(0, JITTER))
    return np.stack([KINDS[kind](PROBLEM.pair(2, rows, dice)[1], own) for _ in range(DRAWS)])


def picked(rows: int, seed: int) -> list[float]:
    """True misfit of what each rule picks over that of the truly best, of the same finalists for any number of rows."""
    dice = np.random.default_rng([seed, 3])
    configurations = [(kind, error) for kind in KINDS for error in ERRORS.tolist()]
    truth = np.array([math.nan])
    while not truth.max() <= NEAR * truth.min():
        chosen = [configurations[place] for place in dice.choice(len(configurations), TOGETHER, replace=False)]
        truth = np.array([true(*each) for each in chosen])
    sizes = dice.permutation(TOGETHER).tolist()
    held = PROBLEM.pair(2, rows, dice)[1]
    samples = np.array([[drawn(kind, error, rows, dice) for _ in range(SEEDS)] for kind, error in chosen])
    own = judge(rows).on(held)
    judged = own.each(samples.reshape(-1, *samples.shape[2:]))
    misfits = np.array([evaluation.misfit for evaluation in judged]).reshape(TOGETHER, SEEDS)
    again = resampled(own, held, samples[:, :, 0], seed, repeats=BOOTSTRAP)
    return [float(truth[rule(misfits, again, sizes)] / truth.min()) for rule in RULES.values()]


def main() -> None:
    """Simulate all, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=50)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} repeats, printed and not written")
    given = parser.parse_args()
    repeats = QUICK if given.quick else given.repeats
    found = np.array([[picked(rows, seed) for seed in range(repeats)] for rows in ROWS])
    cells = [
        [f"{np.mean(own > WORSE):.0%} ({own.mean():.2f})" for own in found[:, :, place]] for place in range(len(RULES))
    ]
    heads = ["which finalist wins", *(f"{rows:,} test rows" for rows in ROWS)]
    content = table(heads, [[rule, *own] for rule, own in zip(RULES, cells, strict=True)])
    if given.quick:
        print(content)
        return
    write("finalists", content, f"{repeats} repeats, {TOGETHER} finalists of {SEEDS} networks")


if __name__ == "__main__":
    main()
