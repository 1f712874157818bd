"""All of a search in one call from Python: what `genseek run` does, without a terminal."""

from dataclasses import replace
from pathlib import Path

import pytest

from search import Store, load_study, plan_resume, plan_search, search_and_publish


@pytest.mark.slow
def test_a_search_is_confirmed_reported_and_registered(
    ray_cluster: None, store_folder: Path, tiny_study: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    store, study = Store(store_folder), load_study(str(tiny_study))
    study = replace(study, budget=replace(study.budget, trials=3, finalists=2, grace=study.budget.epochs))
    outcome = search_and_publish(plan_search(study, store, name="first"), seeds=2)
    assert not outcome.interrupted and list(outcome.warnings) == []
    assert len(outcome.finalists) == 2
    (won,) = [each for each in outcome.finalists if each.verdict == "winner"]
    assert outcome.board.winner().trial == won.trial
    assert outcome.board.winner().confirmed["misfit"] == pytest.approx(won.misfit)
    assert outcome.published.report is not None and Path(outcome.published.report).exists()
    assert outcome.published.registered is not None and outcome.published.registered.version == 1
    assert capfd.readouterr().out == ""

    again = search_and_publish(plan_resume(store, "first"), seeds=2)
    assert list(again.finalists) == []  # they were confirmed before
    assert again.board.winner().trial == won.trial
    assert again.published.registered is not None and again.published.registered.version == 1
