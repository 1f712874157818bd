"""The simulated clock: what each searcher does by it, and the table of real curves."""

from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
NAMES = ["random search", "plain Ray Tune", "Optuna alone", "genseek"]


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


@pytest.mark.parametrize("system", NAMES)
def test_every_searcher_spends_the_clock_and_starts_alike(system: str) -> None:
    from learning import START, shaped
    from regret import SYSTEMS
    from searchers import WORKERS, simulate

    assert list(SYSTEMS) == NAMES
    learning = shaped("ordinary")
    best = SYSTEMS[system].best
    run = simulate(SYSTEMS[system].make(learning, 3), learning, 810.0, 3, best)
    started = [told.configuration for told in run.trials.values()]
    assert started[:START] == [learning.configuration(flat) for flat in learning.start(3)]
    spent = sum(learning.epochs[told.evaluations - 1] for told in run.trials.values() if told.evaluations)
    assert 810 - WORKERS * 81 < spent <= 810 + 81
    whole = [told for told in run.trials.values() if told.evaluations == len(learning.epochs)]
    assert whole
    assert (len(whole) + WORKERS >= len(run.trials)) == (system == "random search")  # the others stop most trials
    moments = [moment for moment, _ in run.named]
    assert moments == sorted(moments)
    assert run.named[-1][1] == best(run.trials).configuration


def test_the_same_seed_is_the_same_search() -> None:
    from learning import shaped
    from regret import SYSTEMS
    from searchers import simulate

    learning = shaped("crossing")
    make, best = SYSTEMS["genseek"].make, SYSTEMS["genseek"].best
    first, second, other = (simulate(make(learning, seed), learning, 400.0, seed, best) for seed in (1, 1, 2))
    assert first.named == second.named
    assert first.named != other.named


def test_shapes_are_what_they_are_called() -> None:
    from learning import SHAPES

    epochs = np.linspace(0.05, 1, 20)
    good, bad = (
        np.array([[shape(lack, share) for share in epochs] for shape in SHAPES.values()]) for lack in (0.1, 2.0)
    )
    assert (np.diff(good[0]) < 0).all()
    assert (good[0] < bad[0]).all()
    assert good[1, 0] > bad[1, 0]  # the good one is behind,
    assert good[1, -1] < bad[1, -1]  # and ends before
    assert good[2, -1] > good[2, 2]
    assert bad[2, 0] < good[2, -1]  # a bad one looks better early than a good one at its end


@pytest.mark.parametrize("name", ["ordinary", "crossing", "rising, with a warm-up"])
def test_the_best_value_is_the_least(name: str) -> None:
    from learning import quality, shaped

    learning = shaped(name)
    some = [learning.configuration(flat) for seed in range(20) for flat in learning.start(seed)]
    assert min(map(quality, some)) > 0
    assert min(map(learning.true, some)) > learning.best


@pytest.mark.parametrize(
    ("problem", "count", "columns"),
    [("returns_4d", 504, 4), ("wine", 216, 13), ("diabetes", 216, 10), ("breast_cancer", 216, 10)],
)
def test_the_table_is_whole(problem: str, count: int, columns: int) -> None:
    from curves import SEEDS, grid, reported, space
    from learning import tabled

    learning, study = tabled(problem), space(problem)
    assert grid(problem).with_suffix(".parquet").stat().st_size < 500_000
    points = [learning.configuration(point) for point in study.points]
    assert len(points) == count
    curves = np.array([[learning.curve(point, seed) for seed in range(SEEDS)] for point in points])
    assert curves.shape == (count, SEEDS, len(reported(study)))
    assert learning.epochs[-1] == study.budget.epochs
    assert np.isfinite(curves).all()
    assert (np.diff(curves, axis=2) <= 1e-6).all()  # of the best checkpoint so far
    assert learning.best == min(map(learning.true, points)) > 0.7
    assert learning.architecture is not None
    # Rows stand in the order of the grid: a network's size follows from its configuration.
    for point in points:
        if point.model == "pushforward" and point.model_arguments["depth"] == 1:
            width, inputs = point.model_arguments["width"], columns + point.model_arguments["noise"]
            parameters = (inputs + 1) * width + (width + 1) * columns
            assert learning.architecture(point, 0)[0]["parameters"] == parameters


def test_a_search_ends_when_every_configuration_was_tried() -> None:
    from learning import tabled
    from searchers import Genseek, furthest, simulate

    learning = tabled("wine")
    run = simulate(Genseek(learning, 0, sampler="random"), learning, 1e9, 0, furthest)
    assert len(run.trials) == len({told.configuration.identity for told in run.trials.values()}) == 216


def test_the_finalist_is_the_best_by_the_other_seeds() -> None:
    from learning import tabled
    from searchers import Told, confirmed

    learning = tabled("wine")
    last = len(learning.epochs)
    points = [learning.configuration(point) for point in learning.study.points]
    ends = np.array([[learning.curve(point, seed)[-1] for seed in range(3)] for point in points])
    chosen = ends[:, 0].argsort()[:5]
    trials = {place: Told(points[place], last, ends[place, 0], seed=0) for place in map(int, chosen)}
    trials[999] = Told(points[int(ends[:, 1:].mean(1).argmin())], last - 1, 0.0, seed=0)  # it was stopped
    finalists = chosen[:3]
    assert confirmed(trials, learning) == points[int(finalists[ends[finalists, 1:].mean(1).argmin()])]


def test_rising_bandits_drop_what_cannot_catch_up() -> None:
    from searchers import SHOWN, rising

    from search.schedule.families import Family
    from search.study.parse import load_study

    best, worse, new = (Family(load_study("gaussian_2d"), "pushforward", seed) for seed in range(3))
    best.misfits, worse.misfits = [0.1] * SHOWN, [0.9, 0.8, 0.7, 0.6, 0.5]
    best.proposed, worse.proposed = 9, 8
    assert rising([best, worse, new], 40) is new
    assert rising([best, worse], 21) is worse  # in the four that are left it would come to 0.1
    assert rising([best, worse], 20) is best


def test_expected_trials_by_hand() -> None:
    from learning import shaped
    from searchers import CLOCK, expected_trials

    assert expected_trials(shaped("ordinary")) == round(CLOCK * 81 / (3 + 6 / 3 + 18 / 9 + 54 / 27))


def test_hypervolume_by_hand() -> None:
    from regret import volume

    worst = np.array([4.0, 4.0])
    assert volume(np.array([[1.0, 3.0], [3.0, 1.0]]), worst) == pytest.approx(3 + 3 - 1)
    assert volume(np.array([[1.0, 3.0], [2.0, 3.5], [5.0, 0.0]]), worst) == pytest.approx(3)


def test_who_is_named() -> None:
    from learning import shaped
    from regret import SYSTEMS
    from searchers import furthest, lowest, simulate

    learning = shaped("rising, with a warm-up")
    trials = simulate(SYSTEMS["random search"].make(learning, 0), learning, 300.0, 0, furthest).trials
    assert furthest(trials).evaluations == max(told.evaluations for told in trials.values())
    assert lowest(trials).value == min(told.value for told in trials.values() if told.evaluations)
