"""The leaderboard: who wins, who never does, and what of an entry is told."""

import io
import json
import math
import re
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from objectives import Floor
from search.cli.tables import _ranking, fitting, put, show, show_finalists
from search.errors import GenseekError
from search.events.events import Ended, Report, Reported, Started
from search.rank.finalist import Finalist
from search.rank.leaderboard import Entries, Entry, Leaderboard, floors_from, floors_json, with_floors
from search.study.configuration import Configuration, Training
from search.study.goals import WORST, Goals

FLOORS = {
    "ad": Floor(median=0.7, upper=1.9, positive=0.8, n=100, m=100),
    "kendall": Floor(median=0.02, upper=0.05, positive=0.02, n=100, m=100),
    "overfit": Floor(median=0.5, upper=0.6, positive=0.5, n=100, m=100),
}

MISFIT = Goals()


def entry(trial: int, misfit: float, outcome: Any = "finished", epoch: int = 9, **scores: float) -> Entry:
    scores = {"ad": misfit, "kendall": 0.03, **scores}
    test = {"ad": 2.0, "misfit": 3.0} if outcome == "finished" else {}
    return Entry(
        trial=trial,
        configuration=Configuration(model="vae", objective="elbo"),
        outcome=outcome,
        epoch=epoch,
        best_epoch=epoch,
        misfit=misfit,
        scores=scores,
        architecture={"parameters": 7.0},
        test=test,
        run_id="id",
    )


def board(*entries: Entry, goals: Goals = MISFIT) -> Leaderboard:
    return Leaderboard(
        name="first",
        entries=list(entries),
        references={},
        floors={"validation": FLOORS, "test": FLOORS},
        provenance={},
        goals=goals,
    )


@pytest.mark.parametrize("outcome", ["stopped", "diverged", "failed", "interrupted"])
def test_only_a_trial_at_full_budget_wins(outcome: str) -> None:
    found = board(entry(0, 0.1, outcome, epoch=8), entry(1, 5.0), entry(2, 4.0))
    assert found.winner().trial == 2
    assert [e.trial for e in found.ranked()] == [2, 1, 0]
    assert board(entry(0, 0.1, outcome, ad=0.001), entry(1, 5.0)).winner("ad").trial == 1


def test_another_score_may_decide() -> None:
    found = board(entry(0, 1.0, ad=3.0, kendall=0.04), entry(1, 2.0, ad=1.0, kendall=0.05), entry(2, 3.0, ad=2.0))
    assert [found.winner(by).trial for by in ("misfit", "ad", "kendall")] == [0, 1, 2]
    assert [e.trial for e in found.ranked("ad")] == [1, 2, 0]


def test_a_score_that_does_not_exist_or_is_nan_never_wins() -> None:
    without = Entry(
        trial=0,
        configuration=Configuration(model="vae", objective="elbo"),
        outcome="finished",
        epoch=9,
        best_epoch=9,
        misfit=1.0,
        scores={},
        architecture={},
    )
    found = board(without, entry(1, 2.0, ad=math.nan), entry(2, 3.0, ad=8.0))
    assert found.winner("ad").trial == 2
    assert found.winner().trial == 0


def test_those_that_were_not_finished_are_ranked_by_how_far_they_came() -> None:
    found = board(
        entry(0, 2.0, "stopped", 3),
        entry(1, 1.0, "stopped", 3),
        entry(2, 9.0, "stopped", 6),
        entry(3, 9.0),
        entry(4, WORST, "failed", 0),
    )
    assert [e.trial for e in found.ranked()] == [3, 2, 1, 0, 4]


def test_errors() -> None:
    found = board(entry(0, 1.0, "stopped"), entry(1, WORST))
    with pytest.raises(GenseekError, match=r"search 'first': no trial was trained at full budget"):
        found.winner()
    with pytest.raises(GenseekError, match=r"--by: unknown score 'kendal'; did you mean 'kendall'\?"):
        found.winner("kendal")
    with pytest.raises(GenseekError, match=r"--by: unknown score 'mmd'; known: misfit, ad, kendall"):
        found.winner("mmd")  # no floor: this search wasn't judged by it
    with pytest.raises(GenseekError, match="--by: unknown score 'overfit'"):
        found.winner("overfit")
    with pytest.raises(GenseekError, match="trial 0 of 'first' was stopped, not trained at full budget"):
        found.entry(0)
    with pytest.raises(GenseekError, match="search 'first' has no trial 7"):
        found.entry(7)


def test_scores_are_told_with_their_floors() -> None:
    told = with_floors({"ad": 1.0, "kendall": 0.06, "mmd": 0.5, "misfit": 1.7}, FLOORS)
    assert told == {
        "ad": {"value": 1.0, "floor": 0.7, "upper": 1.9, "inside": True},
        "kendall": {"value": 0.06, "floor": 0.02, "upper": 0.05, "inside": False},
        "misfit": 1.7,
    }
    assert with_floors({"ad": math.nan}, FLOORS)["ad"]["inside"] is False


def test_an_entry_is_told_as_json() -> None:
    told = json.loads(json.dumps(board(entry(3, 1.5, kendall=0.04)).to_dict(entry(3, 1.5, kendall=0.04))))
    assert {key: told[key] for key in ("search", "trial", "model", "objective", "outcome", "run_id")} == {
        "search": "first",
        "trial": 3,
        "model": "vae",
        "objective": "elbo",
        "outcome": "finished",
        "run_id": "id",
    }
    assert told["scores"]["ad"]["value"] == told["scores"]["misfit"] == 1.5
    assert told["test"] == {"ad": {"value": 2.0, "floor": 0.7, "upper": 1.9, "inside": False}, "misfit": 3.0}
    assert told["configuration"]["learning_rate"] == Configuration(model="vae", objective="elbo").training.learning_rate
    assert board().to_dict(entry(0, 1.0, "stopped"))["test"] is None


def test_floors_come_back_from_json() -> None:
    floors = {"validation": FLOORS, "test": {}}
    assert floors_from(json.loads(json.dumps(floors_json(floors)))) == floors


def report(epoch: int, misfit: float) -> Report:
    return Report(
        epoch=epoch,
        loss=0.5,
        validation_loss=0.6,
        misfit=misfit,
        scores={"ad": misfit},
        epoch_misfit=misfit,
        epoch_scores={"ad": misfit},
        best_epoch=epoch,
        diverged=False,
        zeros=0.0,
        deviation=0.0,
    )


def test_events_become_entries() -> None:
    entries = Entries()
    for trial in range(4):
        entries(Started(trial=trial, configuration=Configuration(model="vae", objective="elbo"), seed=trial, time=1.0))
    for epoch, misfit in ((2, 5.0), (4, 3.0)):
        entries(Reported(trial=0, report=report(epoch, misfit), architecture={"parameters": 7.0}, time=2.0))
    entries(Reported(trial=1, report=report(2, 6.0), architecture={}, time=2.0))
    entries(Ended(trial=0, outcome="finished", time=3.0))
    entries(Ended(trial=1, outcome="stopped", time=3.0))
    entries(Ended(trial=2, outcome="failed", time=3.0, error="it broke"))
    assert [ended.trial for ended in entries.finished()] == [0]
    assert [ended.error for ended in entries.failures()] == ["it broke"]
    first, second, third = entries.entries({0: {"misfit": 4.0}}, {0: "id"})  # trial 3 has not ended
    assert (first.epoch, first.misfit, first.architecture, first.test, first.run_id) == (
        4,
        3.0,
        {"parameters": 7.0},
        {"misfit": 4.0},
        "id",
    )
    assert (second.outcome, second.epoch, second.misfit, second.test, second.run_id) == ("stopped", 2, 6.0, {}, "")
    assert (third.outcome, third.epoch, third.misfit, third.scores) == ("failed", 0, WORST, {})


def test_what_breaks_a_bound_neither_wins_nor_stands_before_what_keeps_it() -> None:
    goals = Goals(bounds={"overfit": 0.6})
    worse, copy, slightly = entry(0, 2.0, overfit=0.5), entry(1, 0.5, overfit=0.9), entry(2, 0.7, overfit=0.61)
    found = board(copy, slightly, worse, entry(3, 0.1, "stopped"), goals=goals)
    assert [e.trial for e in found.ranked()] == [0, 2, 1, 3]
    assert found.winner() == found.winner("ad") == worse
    assert found.eligible() == [worse]
    assert found.to_dict(copy)["violation"] == pytest.approx(0.5)
    with pytest.raises(GenseekError, match=r"no trial at full budget keeps the constraints; the nearest, trial 2, exc"):
        board(copy, slightly, goals=goals).winner()


def test_the_front_holds_only_trials_of_full_budget_within_the_bounds() -> None:
    found = board(
        entry(0, 1.0, ad=9.0, overfit=0.5),
        entry(1, 2.0, ad=5.0, overfit=0.5),
        entry(2, 3.0, ad=6.0, overfit=0.5),  # trial 1 beats it in both
        entry(3, 4.0, ad=1.0, overfit=0.5),
        entry(4, 0.1, "stopped", ad=0.1, overfit=0.5),
        entry(5, 0.2, ad=0.2, overfit=0.9),
        entry(6, WORST, ad=0.0, overfit=0.5),
        goals=Goals(("misfit", "ad"), {"overfit": 0.6}),
    )
    assert [e.trial for e in found.front()] == [0, 1, 3]


def test_a_long_name_gives_way_to_the_figures(finished: Any) -> None:
    sizes = {"encoder_depth": 3, "encoder_width": 128, "latent": 2, "decoder_depth": 1, "decoder_width": 32}
    configuration = Configuration(
        model="vae",
        objective="elbo",
        model_arguments=sizes | {"sigma": 0.25},
        objective_arguments={"beta": 0.5},
        training=Training(),
    )
    board = finished.result.board
    board = replace(board, entries=[replace(each, configuration=configuration) for each in board.entries])
    kept: Any = None
    finalist = Finalist(
        trial=3,
        configuration=configuration,
        searched=1.0,
        validated=(1.0,),
        misfits=(1.0,),
        scores={},
        low=1.12,
        high=2.12,
        p_value=0.5,
        parameters=9000,
        verdict="winner",
        checkpoint=kept,
        best_epoch=6,
        run_id="",
    )
    said = {}
    for width in (80, 110):
        file = io.StringIO()
        console = Console(width=width, file=file, color_system=None)
        show(console, board)
        show_finalists(console, "first", [finalist], {})
        said[width] = file.getvalue()
        assert max(map(len, said[width].splitlines())) <= width
    best = board.finished()[0]
    assert f"{best.scores['overfit']:.3f}" in said[80]
    assert re.search(r"trial 3  vae 3x128>2<1x32 s.*…  9000    1.00  1.12-2.12  0.500 +\+0%  winner", said[80])
    assert "vae 3x128>2<1x32 sigma 0.25 beta 0.5" in said[110]


def figures(text: str) -> list[str]:
    """All numbers of a text, as they stand in its cells."""
    return sorted(re.findall(r"(?<=\s)[-+]?\d+[\d.%-]*(?=\s)", f"{text}\n"))


@pytest.mark.parametrize("width", [30, 40, 50, 60, 70, 80])
def test_no_figure_is_cut_on_a_narrow_terminal(width: int, finished: Any) -> None:
    board = finished.result.board
    kept: Any = None
    configuration = board.winner().configuration
    finalists = [
        Finalist(
            trial=3,
            configuration=configuration,
            searched=1.0,
            validated=(1.0,),
            misfits=(12.0,),
            scores={},
            low=11.12,
            high=12.12,
            p_value=0.5,
            parameters=123456,
            verdict=verdict,
            checkpoint=kept,
            best_epoch=6,
            run_id="",
        )
        for verdict in ("winner", "breaks a bound")
    ]
    names = fitting(list(board.floors["validation"]), width)
    shown = {}
    for columns in (width, 400):
        console = Console(width=columns, file=io.StringIO(), color_system=None)
        put(console, _ranking(board, "misfit", names, columns))
        show_finalists(console, "first", finalists, board.references["test"])
        assert isinstance(console.file, io.StringIO)
        shown[columns] = console.file.getvalue().partition("size: parameters")[0]
    assert width < 60 or max(map(len, shown[width].splitlines())) <= width
    assert width < 60 or len(names) >= 4
    assert figures(shown[width]) == figures(re.sub(r"\S*[x>]\S*|sigma \S+|lambda \S+", "", shown[400]))
