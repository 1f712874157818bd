"""Confirmation: fresh seeds, rows that decided nothing, ties to the smaller model, and a record that is read back."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient

from models import MODELS
from search import Store, load_generator, plan_resume
from search.checkpoints import CheckpointStorage
from search.errors import GenseekError
from search.rank.finalist import Finalist
from search.rank.leaderboard import Entry, Leaderboard
from search.run import confirm as confirming
from search.run.confirm import _Trained, candidates, confirm
from search.study.configuration import Configuration
from search.study.goals import Goals

Genseek = Callable[..., tuple[int, str, str]]
STUDY = """
[problem]
name = "gaussian_2d"
[models.pushforward]
width = { low = 1, high = 99 }
[objectives.mmd]
"""


def entry(
    trial: int, misfit: float, outcome: str = "finished", *, parameters: float = 10.0, family: str = "pushforward"
) -> Entry:
    return Entry(
        trial=trial,
        configuration=Configuration(model=family, objective="mmd", model_arguments={"width": 1 + trial}),
        outcome=outcome,
        epoch=9,
        best_epoch=9,
        misfit=misfit,
        scores={},
        architecture={"parameters": parameters},
        run_id=f"run{trial}",
    )


def board(*entries: Entry) -> Leaderboard:
    return Leaderboard(
        name="s", entries=list(entries), references={}, floors={"validation": {}, "test": {}}, provenance={}
    )


def test_the_best_that_were_trained_whole_take_part() -> None:
    found = board(entry(4, 0.5, "stopped"), entry(1, 2.0), entry(0, 9.0, "stopped"), entry(2, 1.0), entry(3, 3.0))
    assert [each.trial for each in candidates(found, 2)] == [2, 1]
    assert [each.trial for each in candidates(found, 9)] == [2, 1, 3]
    with pytest.raises(GenseekError, match="no trial was trained at full budget"):
        candidates(board(entry(0, 1.0, "stopped")), 3)


def test_families_that_came_near_take_part() -> None:
    found = board(
        entry(0, 1.0),
        entry(1, 1.01),
        entry(2, 1.02),
        entry(3, 1.49, family="vae"),
        entry(4, 1.3, family="gmm"),
        entry(5, 1.51, family="kde"),
        entry(6, 1.2, "stopped", family="ae"),
    )
    assert [each.trial for each in candidates(found, 3)] == [0, 4, 3]
    assert [each.trial for each in candidates(found, 2)] == [0, 4]
    assert [each.trial for each in candidates(found, 5)] == [0, 4, 3, 1, 2]
    assert [each.trial for each in candidates(found, 9)] == [0, 4, 3, 1, 2, 5]


def test_equal_configurations_take_part_once() -> None:
    again = replace(entry(0, 1.1), trial=5)
    found = board(entry(1, 1.2), again, entry(0, 1.0))
    assert [each.trial for each in candidates(found, 3)] == [0, 1]
    several = replace(found, goals=Goals(("misfit", "parameters"), {}))
    small = replace(again, architecture={"parameters": 1.0})  # on the front, and the same configuration as trial 0
    assert [each.trial for each in candidates(replace(several, entries=[*found.entries, small]), 1)] == [0]


def preferring(finished: Any, prefer: str) -> Any:
    """The finished search, of a study that prefers these ties."""
    return replace(finished, plan=replace(finished.plan, study=replace(finished.plan.study, prefer=prefer)))


def finalists(finished: Any, monkeypatch: pytest.MonkeyPatch, noises: Any, parameters: Any) -> list[Finalist]:
    """What three fresh networks of each candidate confirm, drawn as real rows moved by so much."""
    plan = finished.plan
    problem, rows = plan.problem, len(plan.task.rows.test)
    chosen = [entry(trial, 1.0, parameters=size) for trial, size in enumerate(parameters)]
    made = [
        _Trained(
            entry=each,
            checkpoints=[CheckpointStorage(f"/{each.trial}/{number}") for number in range(3)],
            best_epochs=[4, 2, 6],
            validated=[3.0, 1.0, 2.0],
            seeds=[5, 6, 7],
        )
        for each in chosen
    ]

    def drawn(plan: Any, checkpoint: CheckpointStorage, validated: float, seed: int) -> Any:
        trial, number = map(int, checkpoint.uri.split("/")[1:])
        moved = noises[trial]
        if moved is None:
            return np.full((2, rows, 2), np.nan)
        dice = np.random.default_rng([trial, number])
        return np.stack([problem.pair(2, rows, dice)[1] + moved for _ in range(2)])

    monkeypatch.setattr(confirming, "_trained", lambda *given, **more: made)
    monkeypatch.setattr(confirming, "_drawn", drawn)
    return confirm(plan, board(*chosen), 9, 3)


def test_the_best_wins_where_it_can_be_told_apart(finished: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    found = finalists(finished, monkeypatch, [2.0, 0.0, 4.0], [1.0, 99.0, 1.0])
    assert [each.trial for each in found] == [1, 0, 2]
    assert [each.verdict for each in found] == ["winner", "", ""]
    assert found[0].p_value == 1
    assert [each.p_value for each in found[1:]] == pytest.approx([2 / 20] * 2)  # one way to deal of 20, for each of two
    for each in found:
        assert each.low < each.misfit < each.high
        assert each.optimism == pytest.approx(6 ** (1 / 3) - 1)  # of 3, 1 and 2, where the search had found 1
        assert each.checkpoint.uri.endswith("/1")  # the best on validation rows
        assert each.misfit == pytest.approx(math.prod(each.misfits) ** (1 / 3))
    assert found[0].high < found[1].low


@pytest.mark.slow
def test_ties_go_where_the_study_says_and_are_called_ties(finished: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for prefer, wins in (("best", 0), ("small", 1)):
        found = finalists(preferring(finished, prefer), monkeypatch, [0.0, 0.0, 0.0, 4.0], [30.0, 10.0, 20.0, 1.0])
        assert [each.trial for each in found][::3] == [0, 3]  # by their misfits
        verdicts = {each.trial: each.verdict for each in found}
        assert verdicts == {0: "tie", 1: "tie", 2: "tie", 3: ""} | {wins: "winner"}


def test_overlapping_intervals_are_no_tie(finished: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # What one set of 100 rows leaves open of each misfit, all share: the ratio of the two is known far better.
    found = finalists(preferring(finished, "small"), monkeypatch, [0.3, 0.4], [30.0, 10.0])
    assert [(each.trial, each.verdict) for each in found] == [(0, "winner"), (1, "")]
    assert found[1].low < found[0].high


def test_one_that_cannot_be_judged_does_not_win(finished: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    found = finalists(finished, monkeypatch, [None, 1.0], [1.0, 50.0])
    assert [(each.trial, each.verdict) for each in found] == [(1, "winner"), (0, "diverged")]
    assert found[1].misfit == math.inf
    assert found[1].p_value == pytest.approx(1 / 20)
    json.dumps([each.to_dict() for each in found])


def test_where_none_can_be_judged_none_wins(finished: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    found = finalists(finished, monkeypatch, [None, None], [1.0, 50.0])
    assert [(each.trial, each.verdict, each.p_value) for each in found] == [(0, "diverged", 1.0), (1, "diverged", 1.0)]


UNSTABLE = """
import torch
from torch import nn
from models.adapter import pushforward_of

class Net(nn.Module):
    "Some seeds diverge: those whose last bias begins low."
    def __init__(self, inputs: int, outputs: int, *, width: int = 8) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(inputs, width), nn.Linear(width, outputs)
        self.register_buffer("scale", (self.last.bias[:1].detach() < LOW).float() * 3e38 * 10)
    def forward(self, x):
        rows = self.last(torch.tanh(self.first(x)))
        return rows + self.scale * rows.abs().clamp_min(1e-3)

MODELS = {"net": pushforward_of(Net)}
"""
UNSTABLE_STUDY = """
plugins = ["net.py"]
trials = 4
epochs = 3
grace = 3
finalists = 2
sampler = "random"
[problem]
name = "gaussian_2d"
train = 100
validation = 60
test = 60
[training]
learning_rate = [0.001, 0.002, 0.003]
[models.net]
width = [8, 16]
[objectives.energy]
"""


@pytest.mark.slow
@pytest.mark.usefixtures("clean_registries")
def test_a_search_ends_whatever_fresh_networks_diverge(
    genseek: Genseek, ray_cluster: None, store_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "net.py").write_text(UNSTABLE.replace("LOW", "-0.05"))
    (tmp_path / "unstable.toml").write_text(UNSTABLE_STUDY)
    where, out = ("--store", store_folder), tmp_path / "winner"
    code, said, err = genseek("run", tmp_path / "unstable.toml", "--name", "unst", *where)
    assert code == 0, err
    assert "diverged" in said.partition("fresh networks on test rows")[2]
    assert "warning" not in err
    for words in (
        ("best", "unst"),
        ("resume", "unst"),
        ("confirm", "unst", "--top", 1, "--seeds", 2),
        ("report", "unst"),
    ):
        code, said, err = genseek(*words, *(("--out", tmp_path / "r.html") if words[0] == "report" else ()), *where)
        assert code == 0, err
    assert genseek("export", "unst", "--out", out, *where)[0] == 0
    MODELS.pop("net")  # as in a new process
    assert load_generator(out, (str(out / "plugin.py"),)).sample(9).isfinite().all()


@pytest.mark.slow
def test_no_decoration_ends_a_search(
    genseek: Genseek, ray_cluster: None, store_folder: Path, tiny_study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*given: Any, **named: Any) -> Any:
        raise RuntimeError("not today")

    where = ("--store", store_folder)
    with monkeypatch.context() as patched:
        for place in (
            "search.report.png.samples_beside",
            "search.report.png.asymmetry",
            "search.record.describe.description",
            "search.record.view.state_tag",
            "search.run.publish.keep_report",
            "search.run.publish.register",
        ):
            patched.setattr(place, broken)
        code, said, err = genseek("run", tiny_study, "--name", "first", "--finalists", 1, "--trials", 2, *where)
    assert code == 0, err
    assert "winner" in said.partition("fresh networks on test rows")[2]
    log = store_folder / "genseek.log"
    warned = [line for line in err.splitlines() if line.startswith("warning: ")]
    for what in (
        "no picture of samples",
        "no description in MLflow",
        "no view",
        "no report",
        "the winner isn't registered",
    ):
        assert any(what in line and line.endswith(f"not today (more in {log})") for line in warned), (what, err)
    assert log.read_text().count("Traceback (most recent call last)") == len(warned) >= 6
    code, said, err = genseek("confirm", "first", "--top", 1, "--seeds", 2, *where)
    assert code == 0 and "warning" not in err, err
    assert "registered: gaussian_2d version 1, champion" in said


def test_what_breaks_a_bound_does_not_win(finished: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    goals = Goals(bounds={"parameters": 20.0})
    bounded = replace(finished, plan=replace(finished.plan, study=replace(finished.plan.study, goals=goals)))
    found = finalists(bounded, monkeypatch, [0.0, 0.3, 0.3], [21.0, 20.0, 19.0])
    verdicts = {each.trial: each.verdict for each in found}
    assert verdicts == {0: "breaks a bound", found[1].trial: "winner", found[2].trial: "tie"}
    goals = Goals(bounds={"parameters": 1.0})  # where all do, the best wins all the same
    bounded = replace(finished, plan=replace(finished.plan, study=replace(finished.plan.study, goals=goals)))
    assert finalists(bounded, monkeypatch, [0.0, 4.0], [21.0, 20.0])[0].verdict == "winner"


@pytest.mark.slow
def test_from_a_search_to_its_confirmed_winner(
    genseek: Genseek, ray_cluster: None, store_folder: Path, tiny_study: Path, tmp_path: Path
) -> None:
    where = ("--store", store_folder)
    code, said, error = genseek("run", tiny_study, "--name", "first", *where)
    assert code == 0, error
    families = said.partition("first: best of each family")[2]
    assert families.count(" validation ") == 2 and "encoder/decoder" in families
    code, out, error = genseek("confirm", "first", "--top", 2, "--seeds", 3, "--json", *where)
    assert code == 0, error
    assert "fresh networks on test rows" in error
    assert "gaussian copula" in error
    found = json.loads(out)
    families = genseek("best", "first", *where)[1].partition("first: best of each family")[2].partition("best by")[0]
    assert families.split() == error.partition("first: best of each family")[2].partition("report:")[0].split()
    assert f"{next(each['misfit'] for each in found if each['verdict'] == 'winner'):.2f}" in families
    assert " test " in families
    assert len(found) in (2, 3)
    (winner,) = [each for each in found if each["verdict"] == "winner"]
    assert all(len(each["misfits"]) == 3 and len(set(each["misfits"])) == 3 for each in found)
    assert not (store_folder / "ray" / "first").exists()

    code, out, _ = genseek("best", "first", "--json", *where)
    best = json.loads(out)
    assert (best["trial"], best["verdict"]) == (winner["trial"], "winner")
    shown = genseek("best", "first", *where)[1].partition("the winner on test rows")[2].splitlines()
    assert best["test"] is None or shown[2].split()[:2] == ["trial", str(winner["trial"])]
    assert best["confirmed"]["misfit"] == pytest.approx(winner["misfit"], rel=1e-5)  # recorded to six digits
    assert best["confirmed"]["low"] == pytest.approx(winner["low"], rel=1e-5)
    assert genseek("best", "first", "--by", "ad", "--json", *where)[0] == 0
    store = Store(store_folder)
    parent = store.search_run("first")
    assert parent is not None
    run = MlflowClient(store.uri).get_run(parent)
    assert run.data.tags["genseek.winner"] == best["run_id"]
    assert run.info.status == "FINISHED"

    out_folder = tmp_path / "winner"
    assert genseek("export", "first", "--out", out_folder, *where)[0] == 0
    scores = json.loads((out_folder / "scores.json").read_text())
    assert scores["confirmed"]["misfit"] == best["confirmed"]["misfit"]
    searched = store.fetch(best["run_id"], "checkpoint", tmp_path)
    sample = load_generator(out_folder).sample(20, 0)
    assert sample.shape == (20, 2)
    assert not np.allclose(sample.numpy(), load_generator(searched).sample(20, 0).numpy())  # fresh networks

    one = json.loads(genseek("confirm", "first", "--top", 1, "--seeds", 2, "--json", *where)[1])
    tagged = MlflowClient(store.uri).search_runs(store.experiments(), "tags.`genseek.finalist` = 'winner'")
    assert [int(run.data.tags["genseek.trial"]) for run in tagged] == [
        each["trial"] for each in one if each["verdict"] == "winner"
    ]
    again = json.loads(genseek("confirm", "first", "--top", 2, "--seeds", 3, "--json", *where)[1])
    assert [each["trial"] for each in again] == [each["trial"] for each in found]
    for first, second in zip(found, again, strict=True):
        assert second["misfits"] == pytest.approx(first["misfits"], rel=0.03)


@pytest.mark.slow
def test_a_confirmation_that_was_cut_off_goes_on(
    finished: Any, ray_cluster: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = finished.plan.store
    plan = replace(plan_resume(store, "first"), store=store)
    found = store.leaderboard("first")

    def cut(*given: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(confirming, "resampled", cut)
        with pytest.raises(KeyboardInterrupt):
            confirm(plan, found, 1, 2)
    trained: list[Any] = []
    whole = confirm(plan, found, 1, 2, listeners=[trained.append])
    assert whole[0].misfit > 0
    assert not [event for event in trained if type(event).__name__ == "Trained"]  # nothing was trained again


def test_what_cannot_be_confirmed(genseek: Genseek, store_folder: Path) -> None:
    Store(store_folder)
    for words in (("nothing",), ("nothing", "--seeds", "1")):
        code, _, error = genseek("confirm", *words, "--store", store_folder)
        assert code == 2
        assert "nothing" in error or "seeds" in error


@pytest.mark.slow
def test_a_search_confirms_its_finalists_and_again_when_it_has_tried_more(
    genseek: Genseek, ray_cluster: None, store_folder: Path, tiny_study: Path
) -> None:
    where = ("--store", store_folder)
    code, out, error = genseek("run", tiny_study, "--name", "first", "--finalists", 2, "--json", *where)
    assert code == 0, error
    assert "fresh networks on test rows" in error
    assert "the winner on test rows" not in error
    winner = json.loads(out)
    assert (winner["verdict"], winner["test"]) == ("winner", None)
    assert winner["confirmed"]["low"] < winner["confirmed"]["misfit"] < winner["confirmed"]["high"]
    store = Store(store_folder)
    assert [found.confirmed for found in store.searches()] == [True]
    kept = [entry.path for entry in MlflowClient(store.uri).list_artifacts(winner["run_id"])]
    assert {"checkpoint", "confirmed", "samples.png"} <= set(kept)
    for entry in store.leaderboard("first").entries:
        run = MlflowClient(store.uri).get_run(entry.run_id)
        assert not [name for name in run.data.metrics if name.startswith("test/")]
    assert "fresh networks" not in genseek("resume", "first", *where)[1]
    parent = store.search_run("first")
    assert parent is not None
    assert MlflowClient(store.uri).get_run(parent).data.tags["genseek.winner"] == winner["run_id"]
    MlflowClient(store.uri).set_tag(store.leaderboard("first").ranked()[-1].run_id, "genseek.finalist", "winner")
    said = genseek("resume", "first", "--more-trials", "2", *where)[1]
    assert "fresh networks on test rows" in said
    assert [(found.trials, found.confirmed) for found in store.searches()] == [(8, True)]
    assert len([entry for entry in store.leaderboard("first").entries if entry.verdict == "winner"]) == 1


def test_other_candidates_never_go_on_from_these(finished: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []

    def trained(plan: Any, chosen: Any, seeds: int, name: str, listeners: Any) -> list[Any]:
        names.append(name)
        return []

    monkeypatch.setattr(confirming, "_trained", trained)
    first, better = board(entry(0, 1.0), entry(1, 2.0)), board(entry(0, 1.0), entry(1, 2.0), entry(2, 0.5))
    for found, seeds in ((first, 3), (first, 3), (better, 3), (first, 4)):
        assert confirm(finished.plan, found, 1, seeds) == []
    assert names[0] == names[1]
    assert len(set(names)) == 3
