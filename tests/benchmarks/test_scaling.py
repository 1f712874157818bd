"""The measurements of growth: exponents, the scripted driver, the simulated clock, and one trainer drained."""

import re
from math import inf
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def test_an_exponent_is_that_of_the_power() -> None:
    from scaling import exponent

    sizes = [1, 10, 100, 1000]
    assert exponent(sizes, [3 * size**1.5 for size in sizes]) == pytest.approx(1.5)
    assert exponent(sizes, [7.0] * 4) == pytest.approx(0)


def test_scores_are_measured_up_to_a_limit() -> None:
    from scored_rows import last_slope, measured

    from objectives import SCORES
    from objectives.scores import Reference

    rows = np.random.default_rng(0).random((3, 400, 2))
    samples = {size: (Reference.of(rows[0, :size], rows[1, :size]), rows[2, :size]) for size in (100, 200, 400)}
    assert measured(SCORES["ad"], samples, inf)[0] == [100, 200, 400]
    assert measured(SCORES["ad"], samples, 0.0)[0] == [100]
    assert last_slope([10, 100, 1000], [1.0, 5.0, 500.0]) == pytest.approx(2)


@pytest.mark.slow
def test_scripted_trainers_bring_every_trial_to_its_end(tmp_path: Path) -> None:
    from driver import driver_costs

    from search import Store

    costs = driver_costs(12, tmp_path)
    assert all(cost > 0 for cost in costs.values())
    store = Store(tmp_path / "store", create=False)
    (found,) = store.searches()
    recorded = [store.trial_run(found.run_id, number) for number in range(13)]
    assert all(recorded[:12]) and recorded[12] is None
    assert len(list((tmp_path / "best").iterdir())) < 12  # halving has stopped some


def test_a_driver_that_costs_nothing_delays_nothing() -> None:
    from simulated import Load, simulated

    served = simulated(20, 0.0, 300.0, Load(places=4, training=5.0, pause=0.0))
    assert served.trained == pytest.approx(1, abs=1e-3)
    assert (served.busy, served.wait) == (0, 0)


def test_a_driver_is_as_busy_as_its_messages_make_it() -> None:
    from simulated import Load, simulated

    # One judgement in 1,000 s a place: nothing but heartbeats, each 1 s after the driver has taken in the last.
    load = Load(places=1, training=1e6)
    served = simulated(10, 0.01, 2000.0, load)
    assert served.busy == pytest.approx(10 * 0.01 / (1 + served.wait), rel=0.01)
    assert served.wait < 0.1
    # Saturated, a trainer waits for all the others: trainers * message = wait + heartbeat.
    crowded = simulated(500, 0.01, 2000.0, load)
    assert crowded.busy == pytest.approx(1, rel=0.01)
    assert crowded.wait == pytest.approx(500 * 0.01 - 1, rel=0.05)


def test_a_place_is_idle_for_as_long_as_the_driver_takes() -> None:
    from simulated import Load, simulated

    # One trainer with one place: each trial trains for 9 s, then the driver takes 1 s over its news.
    load = Load(places=1, training=9.0, judgements=1, heartbeat=100.0, pause=0.0)
    assert simulated(1, 1.0, 5000.0, load).trained == pytest.approx(0.9, abs=0.01)


@pytest.mark.slow
def test_fewer_reports_relieve_a_driver() -> None:
    from cluster import LOADS, TRAINERS, clock

    text = clock(10.0)
    rows = [line.split(" | ") for line in text.splitlines() if re.match(r"\| [\d,]+ \|", line)]
    assert len(rows) == len(TRAINERS)
    trained = [[float(cell.partition("%")[0]) for cell in row[1:]] for row in rows]
    assert all(len(row) == len(LOADS) for row in trained)
    assert all(often <= seldom + 0.1 for often, seldom, _ in trained)
    assert trained[0][0] > trained[-1][0]


def test_off_and_auto_train_the_same_trials_to_their_end() -> None:
    from dataclasses import replace

    from losing import CASES, drained, made

    from search.train.stacking import Machine, Stacking

    case = replace(CASES[0], rows=128, epochs=8)
    trials = {most: made(case, 5) for most in (1, 3)}
    machine = Machine(1.0, 1e-12)
    assert drained(trials[1], Stacking(machine, 1)) == 1
    assert drained(trials[3], Stacking(machine, 3)) > 1
    for alone, stacked in zip(trials[1], trials[3], strict=True):
        assert alone.report.epoch == stacked.report.epoch == 8
        assert alone.report.loss == pytest.approx(stacked.report.loss, abs=1e-4)
