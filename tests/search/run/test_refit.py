"""The winner, trained once more on all rows: what is exported knows them, and the figures are those of before."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from search import Store, export_generator, load_generator, plan_resume, plan_search, search_and_publish
from search.events.events import Troubled
from search.run import refit
from search.run.publish import confirm_best
from search.study.parse import parse_study
from search.train.trial import Trial

STUDY = """
trials = 1
epochs = 6
grace = 6
finalists = 2
refit = true
[problem]
name = "table"
data = "{data}"
[models.gaussian_copula]
[models.pushforward]
width = 4
[objectives.likelihood]
[objectives.mmd]
"""


def planned(folder: Path, store: Store) -> Any:
    rows = np.random.default_rng(0).normal(size=(100, 2))
    rows[:, 0] = np.sort(rows[:, 0])
    rows[99, 0] = 50.0  # nothing else comes near
    pd.DataFrame(rows, columns=["a", "b"]).to_csv(folder / "rows.csv", index=False)
    study = parse_study(STUDY.format(data=folder / "rows.csv"), "own", "own.toml")
    for seed in range(20):  # one by which the outlier isn't among the training rows
        own = replace(study, budget=replace(study.budget, seed=seed))
        plan = plan_search(own, store, name=f"first-{seed}")
        if plan.task.rows.train[:, 0].max() < 50:
            return plan
    raise AssertionError


@pytest.mark.slow
def test_what_is_exported_knows_all_rows(ray_cluster: None, store_folder: Path, tmp_path: Path) -> None:
    store = Store(store_folder)
    plan = planned(tmp_path, store)
    outcome = search_and_publish(plan, seeds=2)
    assert not outcome.interrupted and list(outcome.warnings) == []
    winner = outcome.board.winner()
    assert winner.refitted == 100
    assert json.loads(json.dumps(outcome.board.to_dict(winner)))["refitted"] == 100
    assert not plan.folder.exists()
    for trial in (each.trial for each in outcome.finalists):
        missing = export_generator(store, outcome.board, trial, tmp_path / str(trial), program=False)
        assert missing == ""
        said = "trained once more on all 100 rows" in (tmp_path / str(trial) / "card.md").read_text()
        assert said == (trial == winner.trial)
    copula = next(each for each in outcome.finalists if each.configuration.model == "gaussian_copula")
    assert copula.trial == winner.trial
    reached = load_generator(tmp_path / str(copula.trial)).sample(5000, seed=0)[:, 0].max()
    assert reached > 25  # no network of the training rows knows the outlier
    assert outcome.published.report is not None
    assert "trained once more on all 100 rows" in Path(outcome.published.report).read_text()
    again = search_and_publish(plan_resume(store, plan.name), seeds=2)
    assert again.board.winner() == winner
    assert again.published.registered is not None and again.published.registered.version == 1
    confirm_best(plan_resume(store, plan.name), top=1, seeds=2)
    assert [each.refitted for each in store.leaderboard(plan.name).entries if each.refitted] == [100]


def test_a_learning_rate_falls_as_if_training_went_on(finished: Any) -> None:
    task, entry = finished.plan.task, finished.result.board.winner()
    shorter = replace(task, epochs=2, evaluations=[2], horizon=task.epochs)
    packs = [Trial(entry.configuration, own, seed=1).untrained() for own in (task, shorter)]
    assert packs[0].budget == packs[1].budget == task.epochs


@pytest.mark.parametrize(
    ("complete", "time", "said"),
    [(True, 0.0, "the winner diverged when trained on all"), (True, 60.0, "time was up before"), (False, 0.0, "")],
)
def test_a_network_that_is_not_there_is_told(
    complete: bool, time: float, said: str, finished: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, heard = finished.plan, list[Any]()
    monkeypatch.setattr(refit, "tune_trials", lambda *arguments, **keys: complete)
    study = replace(plan.study, refit=True, budget=replace(plan.study.budget, time=time))
    plan = replace(plan, study=study, began=0.0)
    assert refit.wants_refit(plan, finished.result.board)
    assert refit.refit_winner(plan, finished.result.board, listeners=[heard.append]) == complete
    assert [event.trouble.startswith(said) for event in heard if isinstance(event, Troubled)] == [True] * bool(said)


def test_it_is_wanted_where_it_adds_rows(finished: Any) -> None:
    board, plan = finished.result.board, replace(finished.plan, study=replace(finished.plan.study, refit=True))
    assert refit.wants_refit(plan, board)
    assert not refit.wants_refit(finished.plan, board)  # the study doesn't say so
    full = replace(plan, task=replace(plan.task, epoch_rows=len(plan.task.rows.train)))
    assert not refit.wants_refit(full, board)  # an epoch sees no more rows than before
    winner = board.winner()
    entries = [replace(each, refitted=9) if each == winner else each for each in board.entries]
    assert not refit.wants_refit(plan, replace(board, entries=entries))  # it is there
