"""A search within a time: it proposes, trains and confirms until then, says what it could not do, and is whole."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from search.events.events import Event, Troubled
from search.record.store import Store
from search.run.confirm import candidates, confirm_search
from search.run.plan import plan_resume
from search.study.budget import UNBOUNDED, Budget, seconds_of
from search.study.parse import load_study, parse_study, with_overrides

Genseek = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize(
    ("written", "seconds"), [("90s", 90), ("10m", 600), ("1.5h", 5400), (" 2 d ", 172800), (75, 75), (90.5, 90.5)]
)
def test_times_are_read(written: object, seconds: float) -> None:
    assert seconds_of(written) == seconds


@pytest.mark.parametrize("written", ["10", "ten minutes", "-5m", "5 m s", "", True, None])
def test_what_is_no_time_is_told(written: object) -> None:
    with pytest.raises(ValueError, match=r"expected such as 90s, 10m or 1\.5h"):
        seconds_of(written)


def test_time_alone_bounds_a_search_and_trials_beside_it_do_too() -> None:
    study = load_study("gaussian_2d")
    timed = with_overrides(study, time="10m").budget
    assert (timed.time, timed.trials) == (600, UNBOUNDED)
    both = with_overrides(study, time="10m", trials=7).budget
    assert (both.time, both.trials) == (600, 7)
    text = 'time = "5m"\n[problem]\nname = "gaussian_2d"\n[models.vae]\n[objectives.elbo]\n'
    assert parse_study(text, "timed", "timed.toml").budget == Budget(time=300, trials=UNBOUNDED)
    assert parse_study("trials = 3\n" + text, "timed", "timed.toml").budget == Budget(time=300, trials=3)
    listed = with_overrides(load_study("published_b_f2"), time="10m").budget
    assert listed.trials == load_study("published_b_f2").budget.trials


@pytest.mark.parametrize(("time", "said"), [("10s", "time must be at least 60 seconds"), ("soon", "time = 'soon'")])
def test_a_time_that_cannot_be_is_one_line(time: str, said: str, genseek: Genseek, tmp_path: Path) -> None:
    code, _, error = genseek("run", "gaussian_2d", "--time", time, "--store", tmp_path)
    assert code == 2
    assert said in error and error.count("\n") == 1


@pytest.mark.slow
def test_a_search_ends_by_its_time_with_what_it_has_and_goes_on_by_trials(
    genseek: Genseek, ray_cluster: None, store_folder: Path, tiny_study: Path, tmp_path: Path
) -> None:
    timed, where = tmp_path / "timed.toml", ("--store", store_folder)
    study = tiny_study.read_text().replace("trials = 6\nepochs = 6", 'time = "60s"\nepochs = 100_000')
    timed.write_text(study.replace("finalists = 0", "finalists = 1").replace("evaluations = 3", "evaluations = 20"))
    code, said, error = genseek("run", timed, "--name", "timed", *where)
    assert code == 0, error
    assert "1 min of up to 100,000 epochs" in said
    assert "count as far as they were" in said + error
    assert "time was up before the fresh networks" in said + error
    store = Store(store_folder)
    board = store.leaderboard("timed")
    assert 4 < len(board.entries) < UNBOUNDED
    assert store.search("timed").trials == len(board.entries)
    assert 0 < board.winner().epoch < 100_000
    assert genseek("export", "timed", "--out", tmp_path / "best", *where)[0] == 0
    plan = plan_resume(store, "timed", more=1)
    assert plan.trials == len(board.entries) + 1
    assert plan_resume(store, "timed", time="2m").study.budget.time == 120


def test_finalists_that_there_is_no_time_for_are_told_and_nothing_is_recorded(finished: Any) -> None:
    store = finished.plan.store
    plan = plan_resume(store, "first")
    late = replace(
        plan,
        store=store,
        began=time.time() - 50,
        study=replace(plan.study, budget=replace(plan.study.budget, time=60.0)),
    )
    board, heard = store.leaderboard("first"), list[Event]()
    before = [(entry.trial, entry.verdict) for entry in board.entries]
    assert confirm_search(late, board, 2, 2, listeners=[heard.append]) == []
    said = [event.trouble for event in heard if isinstance(event, Troubled)]
    assert said == [
        f"time was up before the fresh networks of trial {trial} were trained, so that it isn't confirmed"
        for trial in sorted(entry.trial for entry in candidates(board, 2))
    ]
    assert [(entry.trial, entry.verdict) for entry in store.leaderboard("first").entries] == before
