"""Whole searches: what they decide, what they leave behind, and how they bear a trial that fails."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest
from mlflow import MlflowClient

from models.noise import hashed_seed
from objectives import Judge, Rows
from search import GenseekError, Store, plan_search, run_search
from search.checkpoints import CheckpointStorage
from search.events.events import Ended, Started, TrainerHeartbeat
from search.rank.leaderboard import Leaderboard
from search.study.parse import load_study, parse_study
from search.study.study import short_name
from search.train.group import Group
from search.train.trial import Trial


def children(store: Store, parent: str) -> list[Any]:
    found = MlflowClient(store.uri).search_runs(store.experiments(), f"tags.`mlflow.parentRunId` = '{parent}'")
    return sorted(found, key=lambda run: int(run.data.tags["genseek.trial"]))


def test_every_trial_starts_reports_and_ends_once(finished: Any) -> None:
    trials = finished.plan.study.budget.trials
    for kind in (Started, Ended):
        assert sorted(event.trial for event in finished.events if isinstance(event, kind)) == list(range(trials))
    for trial in range(trials):
        own = [event for event in finished.events if not isinstance(event, TrainerHeartbeat) and event.trial == trial]
        assert isinstance(own[0], Started)
        assert isinstance(own[-1], Ended)
        epochs = [event.report.epoch for event in own[1:-1]]
        assert epochs == finished.plan.task.evaluations[: len(epochs)]
        assert own[-1].outcome == ("finished" if epochs[-1] == finished.plan.task.epochs else "stopped")


def test_both_families_ran_with_the_points_first(finished: Any) -> None:
    entries = {entry.trial: entry for entry in finished.result.board.entries}
    assert {(entry.configuration.model, entry.configuration.objective) for entry in entries.values()} == {
        ("vae", "elbo"),
        ("pushforward", "mmd"),
    }
    assert [entries[trial].configuration.model for trial in (0, 1)] == ["vae", "pushforward"]
    assert [entries[trial].configuration.training.learning_rate for trial in (0, 1)] == [0.01, 0.01]


def test_the_winner_was_trained_at_full_budget_and_tested(finished: Any) -> None:
    board = finished.result.board
    at_full_budget = [entry for entry in board.entries if entry.outcome == "finished"]
    winner = board.winner()
    assert winner.epoch == finished.plan.study.budget.epochs
    assert winner.misfit == min(entry.misfit for entry in at_full_budget)
    assert winner == board.ranked()[0]
    for entry in board.entries:
        scored = (
            {"ad", "kendall", "mmd", "overfit", "tail", "tau_error", "misfit"} if entry in at_full_budget else set()
        )
        assert set(entry.test) == scored
    assert winner.test["misfit"] != winner.misfit


def test_a_trial_in_a_worker_equals_the_same_trial_here(finished: Any) -> None:
    entry = finished.result.board.winner()
    trial = Trial(entry.configuration, finished.plan.task, hashed_seed(0, "trial", entry.trial))
    group = Group.of(trial)
    while group.epoch(trial) < finished.plan.task.epochs:
        group.advance()
    report = trial.report
    # Its company there was padded: other sums of the same numbers.
    assert report.misfit == pytest.approx(entry.misfit, rel=0.02)
    assert report.best_epoch == entry.best_epoch
    assert report.scores == pytest.approx(entry.scores, rel=0.02, abs=1e-3)
    assert trial.architecture == entry.architecture


def test_asymmetry_is_recorded(finished: Any) -> None:
    for entry in finished.result.board.entries:
        if entry.configuration.model == "vae":
            ratio = entry.architecture["encoder_parameters"] / entry.architecture["decoder_parameters"]
            assert entry.architecture["log2_encoder_over_decoder"] == pytest.approx(np.log2(ratio))
            assert ratio > 2  # encoders are 32 wide here, decoders 8
        else:
            assert "log2_encoder_over_decoder" not in entry.architecture


def test_references_and_floors_stand_in_the_leaderboard(finished: Any) -> None:
    board = finished.result.board
    for split in ("validation", "test"):
        references, floors = board.references[split], board.floors[split]
        assert set(references) == {"training rows", "bootstrap", "independent columns", "gaussian copula"}
        assert set(floors) == {"ad", "kendall", "mmd", "overfit", "tail", "tau_error"}
        assert all(set(scores) == {*floors, "misfit"} for scores in references.values())
        assert references["training rows"]["overfit"] > 0.95
        assert references["gaussian copula"]["overfit"] < 0.7
        assert references["independent columns"]["kendall"] > floors["kendall"].upper
        assert references["gaussian copula"]["misfit"] < references["independent columns"]["misfit"]
    assert board.references["test"] != board.references["validation"]


def test_the_store_gives_back_what_was_found(finished: Any) -> None:
    board, read = finished.result.board, Store(finished.folder).leaderboard("first")
    assert (read.name, read.references, read.floors, read.provenance) == (
        board.name,
        board.references,
        board.floors,
        board.provenance,
    )
    assert [entry.trial for entry in read.ranked()] == [entry.trial for entry in board.ranked()]
    same_but_rounded(board, read)


def same_but_rounded(board: Leaderboard, read: Leaderboard) -> None:
    """Metrics are stored with six digits."""
    ours = {entry.trial: entry for entry in board.entries}
    assert len(read.entries) == len(ours)
    for entry in read.entries:
        own = ours[entry.trial]
        assert replace(entry, misfit=0, scores={}, architecture={}, test={}) == replace(
            own, misfit=0, scores={}, architecture={}, test={}
        )
        assert entry.misfit == pytest.approx(own.misfit, rel=1e-5)
        assert entry.scores == pytest.approx(own.scores, rel=1e-5)
        assert entry.test == pytest.approx(own.test, rel=1e-5)
        assert {key: entry.architecture[key] for key in own.architecture} == pytest.approx(own.architecture, rel=1e-5)


def test_one_run_a_trial_and_one_for_the_search(finished: Any) -> None:
    store, board = Store(finished.folder), finished.result.board
    (found,) = store.searches()
    assert (found.name, found.problem, found.trials, found.status) == ("first", "gaussian_2d", 6, "FINISHED")
    assert found.best_misfit == pytest.approx(board.winner().misfit, rel=1e-5)
    runs = children(store, found.run_id)
    assert {run.info.run_id for run in runs} == {entry.run_id for entry in board.entries}
    named = [
        f"{short_name(entry.configuration)} #{entry.trial}" for entry in sorted(board.entries, key=lambda e: e.trial)
    ]
    assert [run.info.run_name for run in runs] == named
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert len(MlflowClient(store.uri).search_runs(store.experiments())) == 1 + len(runs)


def test_what_trains_stacked_is_recorded_in_the_studys_own_words(finished: Any) -> None:
    store = Store(finished.folder)
    params = MlflowClient(store.uri).get_run(store.searches()[0].run_id).data.params
    assert (params["pack_size"], params["replicas"], params["device"]) == ("auto", "1", "auto")


@pytest.mark.parametrize("written", ['"auto"', '"off"', "3"])
def test_a_pack_size_is_recorded_as_it_was_written(
    written: str, store_folder: Path, tiny_study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[int | None] = []

    def trained(*arguments: Any, pack_size: int | None, **more: Any) -> bool:
        given.append(pack_size)
        return True

    monkeypatch.setattr("search.run.search.tune_trials", trained)
    store, text = Store(store_folder), f"pack_size = {written}\n{tiny_study.read_text()}"
    study = parse_study(text, "tiny", "tiny.toml")
    run_search(plan_search(study, store, "none"))
    assert given == [study.pack_size]
    params = MlflowClient(store.uri).get_run(store.searches()[0].run_id).data.params
    assert params["pack_size"] == written.strip('"')


def test_the_search_leaves_a_summary_and_pictures(finished: Any, tmp_path: Path) -> None:
    store = Store(finished.folder)
    parent, winner = store.searches()[0].run_id, finished.result.board.winner()
    summary = json.loads(store.fetch(parent, "search.json", tmp_path).read_text())
    assert [entry["trial"] for entry in summary["leaderboard"]] == [e.trial for e in finished.result.board.ranked()]
    assert summary["provenance"]["data_sha256"] == finished.plan.task.rows.digest()
    assert summary["provenance"]["budget"]["seed"] == 0
    assert {"torch", "genseek", "python"} <= summary["provenance"]["versions"].keys()
    for run_id, name in ((parent, "samples.png"), (winner.run_id, "samples.png"), (parent, "asymmetry.png")):
        (tmp_path / run_id).mkdir(exist_ok=True)
        picture = matplotlib.image.imread(store.fetch(run_id, name, tmp_path / run_id))
        assert min(picture.shape[:2]) > 300
        assert picture[..., :3].std() > 0.03


def test_checkpoints_are_kept_of_trials_at_full_budget_only(finished: Any, tmp_path: Path) -> None:
    store = Store(finished.folder)
    for entry in finished.result.board.entries:
        (tmp_path / entry.run_id).mkdir()
        if entry.outcome == "finished":
            kept = store.fetch(entry.run_id, "checkpoint", tmp_path / entry.run_id)
            assert sorted(path.name for path in kept.iterdir()) == ["model.json", "weights.safetensors"]
        else:
            with pytest.raises(GenseekError):
                store.fetch(entry.run_id, "checkpoint", tmp_path / entry.run_id)


def test_tunes_own_files_are_gone(finished: Any) -> None:
    assert finished.result.failures == finished.result.unrecorded == []
    assert not finished.result.interrupted
    assert not list((finished.folder / "ray").glob("*"))


def test_a_name_is_taken_once(finished: Any, tiny_study: Path) -> None:
    store, study = Store(finished.folder), load_study(str(tiny_study))
    with pytest.raises(GenseekError, match="--name first: a search of that name exists already"):
        plan_search(study, store, "first")
    with pytest.raises(GenseekError, match="'first' exists already"):
        store.begin("first", {}, {})
    assert plan_search(study, store).name == "tiny-1"


@pytest.mark.parametrize("name", ["", "a/b", "../a", "-a", "a'b", "a b", "x" * 101])
def test_a_name_is_of_plain_letters(name: str, finished: Any) -> None:
    with pytest.raises(GenseekError, match=r"--name .*: expected letters, digits"):
        plan_search(finished.plan.study, Store(finished.folder), name)


@pytest.mark.slow
def test_a_disk_that_fills_up_loses_the_record_and_not_the_result(
    ray_cluster: None, store_folder: Path, tiny_study: Path, genseek: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = CheckpointStorage.write

    def full(self: CheckpointStorage, content: bytes) -> None:
        if Path(self.uri).name == "search.json":  # which the store keeps at the end
            raise OSError(28, "No space left on device")
        write(self, content)

    monkeypatch.setattr(CheckpointStorage, "write", full)
    options = ("--trials", 2, "--epochs", 2, "--name", "full", "--store", store_folder)
    code, out, err = genseek("run", tiny_study, *options, "--json")
    assert code == 2
    assert json.loads(out)["outcome"] == "finished"
    assert "full: best trials on validation rows" in err
    (told,) = [line for line in err.splitlines() if line.startswith("error:")]
    assert "not all is recorded" in told
    assert "No space left on device" in told
    assert list((store_folder / "ray" / "full").glob("0*/weights.safetensors"))  # what was trained is still there


TWO_WAYS = """
trials = 4
epochs = 2
grace = 2
eval_samples = 1

[problem]
name = "returns_4d"
train = 100
validation = 60
test = 60

[training]
features = ["standard", "log1p"]
learning_rate = [0.001, 0.002, 0.003]

[models.pushforward]
width = 8

[objectives.mmd]

[[points]]
width = 8

[[points]]
{}
"""


@pytest.mark.slow
def test_trials_that_cannot_be_built_fail_and_the_others_go_on(ray_cluster: None, store_folder: Path) -> None:
    text = TWO_WAYS.format('features = "log1p"')
    plan = plan_search(parse_study(text, "two", "two.toml"), Store(store_folder), "some")
    rows = plan.task.rows  # checked; now the workers get rows that only one kind of features can take
    spoilt = replace(plan.task, rows=Rows(rows.train - 1, rows.validation, rows.test))
    result = run_search(replace(plan, task=spoilt))
    outcomes = {e.trial: (e.configuration.training.features, e.outcome) for e in result.board.entries}
    assert len(outcomes) == 4
    assert set(outcomes.values()) == {("standard", "finished"), ("log1p", "failed")}
    assert result.board.winner().configuration.training.features == "standard"
    failed = [trial for trial, (_, outcome) in outcomes.items() if outcome == "failed"]
    assert len(result.failures) == len(failed)
    for trial, warning in zip(sorted(failed), sorted(result.failures), strict=True):
        assert warning.startswith(f"trial {trial} failed: ValueError: log1p features need rows of at least 0")
    recorded_as_failed(plan.store, failed, "log1p features need rows of at least 0")


@pytest.mark.slow
def test_a_trial_that_breaks_in_training_fails_and_the_others_go_on(ray_cluster: None, store_folder: Path) -> None:
    class Touchy:  # a class of this function travels to the workers by value
        def __init__(self, judge: Judge) -> None:
            self.judge, self.floors = judge, judge.floors

        def __call__(self, generated: Any) -> Any:
            return self.judge(generated)

        def each(self, generated: Any) -> Any:
            if np.ptp(generated, axis=2).max(axis=(1, 2)).min() < 1e-6:
                raise RuntimeError("the judge left the room")
            return self.judge.each(generated)

    # At this strength the penalty takes all weights to zero in one step, and what is left is a constant.
    text = TWO_WAYS.replace('features = ["standard", "log1p"]', "l1 = [0.0, 1e6]")
    plan = plan_search(parse_study(text.format("l1 = 1e6"), "two", "two.toml"), Store(store_folder), "some")
    touchy: Any = Touchy(plan.task.judge)
    result = run_search(replace(plan, task=replace(plan.task, judge=touchy)))
    outcomes = {e.trial: (e.configuration.training.l1, e.outcome) for e in result.board.entries}
    assert len(outcomes) == 4
    assert set(outcomes.values()) == {(0.0, "finished"), (1e6, "failed")}
    failed = [trial for trial, (_, outcome) in outcomes.items() if outcome == "failed"]
    recorded_as_failed(plan.store, failed, "the judge left the room")


def recorded_as_failed(store: Store, failed: list[int], said: str) -> None:
    (found,) = store.searches()
    assert found.status == "FINISHED"
    for run in children(store, found.run_id):
        number = int(run.data.tags["genseek.trial"])
        assert run.info.status == ("FAILED" if number in failed else "FINISHED")
        assert run.data.tags["genseek.outcome"] == ("failed" if number in failed else "finished")
        assert (said in run.data.tags.get("genseek.error", "")) == (number in failed)


def test_a_stores_own_storage_goes_where_the_store_goes(finished: Any, tmp_path: Path) -> None:
    store = finished.plan.store
    journal = store.fetch(store.search_run("first"), "journal.jsonl", tmp_path)
    assert json.loads(journal.read_text().split("\n")[0])["search"]["checkpoints"] is None
