"""Anytime regret of genseek's searcher beside random search, plain Ray Tune with Optuna and ASHA, and Optuna alone.

    python benchmarks/regret.py [--seeds 30] [--quick]

Nothing is trained: curves have one of three shapes, or are the real ones of benchmarks/curves.py, and the clock counts
epochs. The regret of what a searcher names as its best is its true value at full budget over the least there is. On
real curves a second clock counts time. By then genseek, which trains stacked, has `FASTER` times as many epochs. It is
simulated as a search with a time, with as many trials open, and with finalists. The tables go into docs/performance.md.
"""

import argparse
import multiprocessing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from curves import RETURNS, TABLES
from learning import SHAPES, Learning, shaped, tabled
from page import table, write
from searchers import (
    CLOCK,
    WORKERS,
    Alone,
    Best,
    Genseek,
    PlainRay,
    Searcher,
    confirmed,
    expected_trials,
    furthest,
    lowest,
    rising,
    simulate,
    with_goals,
)

from search.run.search import MOST_AHEAD, TRAINED
from search.schedule.asha import Halving
from search.schedule.director import Stopper
from search.schedule.families import even
from search.study.budget import SEEDS, Budget
from search.study.goals import ObjectiveValues, front

MOMENTS = (0.25, 0.5, 1.0)  # shares of the clock at which regret is read off
REAL = (RETURNS, *TABLES)
FINALISTS = Budget().finalists
FASTER = 4.2  # times that a whole search of genseek ends before plain Ray Tune's: whole_search.py


@dataclass(frozen=True)
class System:
    """How one searches.

    Args:
        make: a searcher of curves and a seed.
        best: what it names as its best.
        faster: how many times the epochs it has by the clock.
        places: trials at a time.
        searches: share of the clock for the search; the rest is for its finalists, if there is any.
    """

    make: Callable[[Learning, int], Searcher]
    best: Best = furthest
    faster: float = 1.0
    places: int = WORKERS
    searches: float = 1.0


PLAIN, OURS, STACKED = "plain Ray Tune", "genseek", "genseek, at equal time"
SYSTEMS = {
    "random search": System(partial(Alone, chance=True)),
    PLAIN: System(PlainRay, lowest),
    "Optuna alone": System(Alone),
    OURS: System(Genseek),
}
EQUAL = {
    STACKED: System(
        partial(Genseek, places=MOST_AHEAD),
        faster=FASTER,
        places=MOST_AHEAD,
        searches=TRAINED,
    ),
}
THOMPSON = "Thompson sampling, as genseek"


def _rising(learning: Learning, seed: int) -> Searcher:
    return Genseek(learning, seed, sharing=partial(rising, trials=expected_trials(learning)))


WAYS = {
    THOMPSON: SYSTEMS[OURS],
    "rising bandits": System(_rising),
    "all alike": System(partial(Genseek, sharing=even)),
    "one TPE, Optuna alone": System(partial(Alone, grouped=True)),
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
    problem, name, seed = job
    learning, system = tabled(problem) if problem in REAL else shaped(problem), (SYSTEMS | EQUAL | WAYS)[name]
    budget = CLOCK * learning.epochs[-1] * system.faster
    searching = budget * system.searches
    run = simulate(system.make(learning, seed), learning, searching, seed, system.best, system.places)
    named = run.named
    if system.searches < 1:
        named.append((searching + FINALISTS * SEEDS * learning.epochs[-1], confirmed(run.trials, learning)))
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
    budget = float(CLOCK * learning.epochs[-1])
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
    multi = [*WHOLE, *HALVINGS]
    with multiprocessing.get_context("spawn").Pool() as pool:

        def of_all(names: Sequence[str], problems: Sequence[str]) -> dict[tuple[str, str], Array]:
            pairs = [(problem, name) for problem in problems for name in names]
            jobs = [(*pair, seed) for pair in pairs for seed in range(seeds)]
            values = np.array(pool.map(regrets, jobs, chunksize=1)).reshape(len(pairs), seeds, -1)
            return dict(zip(pairs, values, strict=True))

        found = of_all([*SYSTEMS], [*SHAPES, *REAL]) | of_all([*EQUAL], REAL)
        shared = of_all([way for way in WAYS if way != THOMPSON], REAL)
        shared |= {(problem, THOMPSON): found[problem, OURS] for problem in REAL}
        tasks = [(goals, system, seed) for goals in PAIRS for system in multi for seed in range(seeds)]
        covered = np.array(pool.map(volumes, tasks, chunksize=1)).reshape(len(PAIRS), len(multi), seeds)
    said = f"{seeds} seeds, a clock of {CLOCK} fully trained trials, {WORKERS} at a time"
    stacked = (
        f"at equal time genseek has {FASTER} times the epochs, as its whole search ends {FASTER} times as soon (above),"
        f" and trains {MOST_AHEAD} trials at a time for {TRAINED:.0%} of the clock, then its finalists"
    )
    regret, sharing, fronts = _regret_table(found), _sharing_table(shared), _fronts_table(covered, multi)
    if given.quick:
        print(regret, sharing, fronts, sep="\n")
        return
    write("regret", regret, f"{said}; {stacked}")
    write("sharing", sharing, said)
    write("fronts", fronts, said)


def _regret_table(found: dict[tuple[str, str], Array]) -> str:
    heads = ["regret", "searcher", *(f"{moment:.0%} of the clock" for moment in MOMENTS), "mean"]
    rows = [
        [
            problem if name == next(iter(SYSTEMS)) else "",
            name,
            *(mean_error(values) for values in found[problem, name].T),
            ratio(found[problem, name][:, -2], found[problem, PLAIN][:, -2]),
        ]
        for problem in (*SHAPES, *REAL)
        for name in SYSTEMS | EQUAL
        if (problem, name) in found
    ]
    return table([*heads, "end over plain Ray Tune's"], rows)


def _sharing_table(shared: dict[tuple[str, str], Array]) -> str:
    rows = [[way, *(_end_and_mean(shared[problem, way]) for problem in REAL)] for way in WAYS]
    return table(["regret at the end; mean over the clock", *REAL], rows)


def _end_and_mean(values: Array) -> str:
    return f"{mean_error(values[:, -2])}; {mean_error(values[:, -1])}"


def _fronts_table(covered: Array, multi: Sequence[str]) -> str:
    titles = {sampler: f"{name}, all trained whole" for sampler, name in WHOLE.items()}
    rows = [
        [titles.get(system, system), *(mean_error(covered[pair, place]) for pair in range(len(PAIRS)))]
        for place, system in enumerate(multi)
    ]
    return table(["share of the true front's hypervolume", *(" and ".join(goals) for goals in PAIRS)], rows)


if __name__ == "__main__":
    main()
