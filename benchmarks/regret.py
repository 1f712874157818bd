"""Anytime regret of genseek's searcher beside random search, plain Ray Tune with Optuna and ASHA, and Optuna alone.

    python benchmarks/regret.py [--seeds 30] [--quick]

Nothing is trained: curves have one of three shapes, or are real ones from curves.parquet, and the clock counts epochs.
The regret of what a searcher names as its best is its true value at full budget over the least there is. The tables go
into docs/performance.md.
"""

import argparse
import multiprocessing
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from learning import SHAPES, Learning, shaped, tabled
from page import table, write
from searchers import Alone, Genseek, PlainRay, furthest, lowest, simulate, with_goals

from search.schedule.asha import Halving
from search.schedule.director import Stopper
from search.study.budget import Budget
from search.study.goals import ObjectiveValues, front

FULL = 20  # budgets of a fully trained trial that a searcher may spend
MOMENTS = (0.25, 0.5, 1.0)  # shares of the clock at which regret is read off
TABLE = "our own table"
SYSTEMS: dict[str, tuple[Callable[[Learning, int], Any], Any]] = {
    "random search": (lambda learning, seed: Alone(learning, seed, chance=True), furthest),
    "plain Ray Tune": (PlainRay, lowest),
    "Optuna alone": (Alone, furthest),
    "genseek": (Genseek, furthest),
}
QUICK = 3  # seeds of a quick run
WHOLE = {"random": "random", "nsga2": "NSGA-II", "tpe": "TPE"}
HALVINGS: dict[str, Callable[[Budget], Stopper]] = {
    "genseek, ASHA on misfit": Halving,
    "genseek, ASHA on rank": partial(Halving, goals=2),
}
PAIRS = (("misfit", "parameters"), ("ad", "kendall"))
Array = np.ndarray[Any, np.dtype[np.float64]]


def regrets(job: tuple[str, str, int]) -> list[float]:
    """Regret of a system on a problem with a seed at each moment, and its mean over the clock."""
    problem, system, seed = job
    learning = tabled() if problem == TABLE else shaped(problem)
    make, best = SYSTEMS[system]
    budget = float(FULL * learning.epochs[-1])
    named = simulate(make(learning, seed), learning, budget, seed, best).named
    moments = np.linspace(0.05, 1.0, 96)
    at = np.searchsorted([moment for moment, _ in named], moments * budget, side="right") - 1
    lacks = np.array([learning.true(configuration) - learning.best for _, configuration in named])[np.maximum(at, 0)]
    read = [float(lacks[np.searchsorted(moments, moment - 1e-9)]) for moment in MOMENTS]
    return [*read, float(lacks.mean())]


def volumes(job: tuple[tuple[str, str], str, int]) -> float:
    """Hypervolume of a system's front over that of the true one, of two goals on logarithmic axes.

    The system names the trials at full budget that no other beats by what they reported; what counts is their true
    value, the mean over seeds. The reference point is the worst configuration's.
    """
    goals, system, seed = job
    learning = with_goals(tabled(), *goals)
    assert learning.architecture is not None
    searcher = (
        Genseek(learning, seed, halving=HALVINGS[system])
        if system in HALVINGS
        else Genseek(learning, seed, sampler=system, halving=Never)
    )
    budget = float(FULL * learning.epochs[-1])
    trials = simulate(searcher, learning, budget, seed, furthest).trials
    finished = [told for told in trials.values() if told.evaluations == len(learning.epochs)]
    reported = [learning.architecture(told.configuration, told.seed)[-1] for told in finished]
    chosen = front([[known[goal] for goal in goals] for known in reported])
    true = [_true(learning, finished[place].configuration, goals) for place in chosen]
    every = [_true(learning, learning.configuration(point), goals) for point in learning.study.points]
    worst = np.log(every).max(0)
    return volume(np.log(true), worst) / volume(np.log(every), worst)


class Never:
    """Stops no trial."""

    def __init__(self, budget: Any) -> None: ...

    def stops(self, number: int, epoch: int, standing: ObjectiveValues) -> bool:
        """No."""
        return False


def volume(points: Array, worst: Array) -> float:
    """Area between a reference point and the points that it is worse than in both coordinates."""
    area, height = 0.0, float(worst[1])
    for first, second in sorted(map(tuple, points.tolist())):
        if second < height:
            area += max(0.0, worst[0] - first) * (height - second)
            height = second
    return area


def _true(learning: Learning, configuration: Any, goals: Sequence[str]) -> list[float]:
    assert learning.architecture is not None
    ends = [learning.architecture(configuration, seed)[-1] for seed in range(3)]
    return [float(np.mean([end[goal] for end in ends])) for goal in goals]


def ratio(ours: Array, theirs: Array) -> str:
    """Ratio of means with a 95 % bootstrap interval over seeds, which are drawn apart for both sides."""
    dice = np.random.default_rng(0)
    draws = [dice.integers(0, len(ours), (2000, len(ours))) for _ in range(2)]
    again = ours[draws[0]].mean(1) / theirs[draws[1]].mean(1)
    low, high = np.quantile(again, [0.025, 0.975])
    return f"{ours.mean() / theirs.mean():.2f} ({low:.2f}-{high:.2f})"


def mean_error(values: Array) -> str:
    """Mean and its standard error."""
    return f"{values.mean():.3f} ± {values.std(ddof=1) / np.sqrt(len(values)):.3f}"


def main() -> None:
    """Simulate all, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} seeds, printed and not written")
    given = parser.parse_args()
    seeds = QUICK if given.quick else given.seeds
    problems = [*SHAPES, TABLE]
    with multiprocessing.get_context("spawn").Pool() as pool:
        jobs = [(problem, system, seed) for problem in problems for system in SYSTEMS for seed in range(seeds)]
        found = np.array(pool.map(regrets, jobs, chunksize=1)).reshape(len(problems), len(SYSTEMS), seeds, -1)
        multi = [*WHOLE, *HALVINGS]
        tasks = [(goals, system, seed) for goals in PAIRS for system in multi for seed in range(seeds)]
        covered = np.array(pool.map(volumes, tasks, chunksize=1)).reshape(len(PAIRS), len(multi), seeds)
    heads = [
        "regret",
        "searcher",
        *(f"{moment:.0%} of the clock" for moment in MOMENTS),
        "mean",
        "end over plain Ray Tune's",
    ]
    rows = [
        [
            problem if not place else "",
            system,
            *(mean_error(values) for values in found[number, place].T),
            ratio(found[number, place, :, -2], found[number, 1, :, -2]),
        ]
        for number, problem in enumerate(problems)
        for place, system in enumerate(SYSTEMS)
    ]
    titles = {sampler: f"{name}, all trained whole" for sampler, name in WHOLE.items()}
    fronts = table(
        ["share of the true front's hypervolume", *(" and ".join(goals) for goals in PAIRS)],
        [
            [titles.get(system, system), *(mean_error(covered[pair, place]) for pair in range(len(PAIRS)))]
            for place, system in enumerate(multi)
        ],
    )
    said = f"{seeds} seeds, a clock of {FULL} fully trained trials, 4 at a time"
    if given.quick:
        print(table(heads, rows), fronts, sep="\n")
        return
    write("regret", table(heads, rows), said)
    write("fronts", fronts, said)


if __name__ == "__main__":
    main()
