"""The simulated clock: what each searcher does by it, and the table of real curves."""

import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

from curves import REPORTED, SEEDS, TABLE, space  # noqa: E402
from learning import SHAPES, START, quality, shaped, tabled  # noqa: E402
from regret import SYSTEMS, volume  # noqa: E402
from searchers import WORKERS, furthest, lowest, simulate  # noqa: E402


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_searcher_spends_the_clock_and_starts_alike(system: str) -> None:
    learning = shaped("ordinary")
    make, best = SYSTEMS[system]
    run = simulate(make(learning, 3), learning, 810.0, 3, best)
    started = [told.configuration for told in run.trials.values()]
    assert started[:START] == [learning.configuration(flat) for flat in learning.start(3)]
    spent = sum(learning.epochs[told.evaluations - 1] for told in run.trials.values() if told.evaluations)
    assert 810 - WORKERS * 54 <= spent <= 810  # what places were at work on when the clock ended isn't in it
    whole = [told for told in run.trials.values() if told.evaluations == len(learning.epochs)]
    assert whole
    assert (len(whole) + WORKERS >= len(run.trials)) == (system == "random search")  # the others stop most trials
    moments = [moment for moment, _ in run.named]
    assert moments == sorted(moments)
    assert run.named[-1][1] == best(run.trials, 0).configuration


def test_the_same_seed_is_the_same_search() -> None:
    learning = shaped("crossing")
    make, best = SYSTEMS["genseek"]
    first, second = (simulate(make(learning, 1), learning, 400.0, 1, best) for _ in range(2))
    assert first.named == second.named
    assert simulate(make(learning, 2), learning, 400.0, 2, best).named != first.named


def test_shapes_are_what_they_are_called() -> None:
    epochs = np.linspace(0.05, 1, 20)
    good, bad = (
        np.array([[shape(lack, share) for share in epochs] for shape in SHAPES.values()]) for lack in (0.1, 2.0)
    )
    assert (np.diff(good[0]) < 0).all()
    assert (good[0] < bad[0]).all()
    assert good[1, 0] > bad[1, 0]  # the good one is behind,
    assert good[1, -1] < bad[1, -1]  # and ends before
    assert good[2, -1] > good[2, 2]
    assert bad[2, 2] < good[2, -1]  # a bad one looks better early than a good one at its end


@pytest.mark.parametrize("name", SHAPES)
def test_the_best_value_is_the_least(name: str) -> None:
    learning = shaped(name)
    some = [learning.configuration(flat) for seed in range(20) for flat in learning.start(seed)]
    assert min(map(quality, some)) > 0
    assert min(map(learning.true, some)) > learning.best


def test_the_table_is_whole() -> None:
    learning = tabled()
    assert TABLE.stat().st_size < 500_000
    points = [learning.configuration(point) for point in space().points]
    assert len(points) == 504
    curves = np.array([[learning.curve(point, seed) for seed in range(SEEDS)] for point in points])
    assert curves.shape == (504, SEEDS, len(REPORTED))
    assert np.isfinite(curves).all()
    assert (np.diff(curves, axis=2) <= 1e-6).all()  # of the best checkpoint so far
    assert learning.best == min(map(learning.true, points)) > 0.8
    assert learning.facts is not None
    narrow, wide = (
        max(
            learning.facts(point, 0)[0]["parameters"] for point in points if point.model_arguments.get("width") == width
        )
        for width in (8, 32)
    )
    assert narrow < wide


def test_hypervolume_by_hand() -> None:
    worst = np.array([4.0, 4.0])
    assert volume(np.array([[1.0, 3.0], [3.0, 1.0]]), worst) == pytest.approx(3 + 3 - 1)
    assert volume(np.array([[1.0, 3.0], [2.0, 3.5], [5.0, 0.0]]), worst) == pytest.approx(3)


def test_who_is_named() -> None:
    learning = shaped("rising, with a warm-up")
    make, _ = SYSTEMS["random search"]
    trials = simulate(make(learning, 0), learning, 300.0, 0, furthest).trials
    assert furthest(trials, 0).evaluations == max(told.evaluations for told in trials.values())
    assert lowest(trials, 0).value == min(told.value for told in trials.values() if told.evaluations)
