"""The recorder: few writes, in order, off the search's thread; nothing is lost while the store is away."""

import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INTERNAL_ERROR

from search import Store
from search.checkpoints import CheckpointStorage
from search.events.events import Ended, Report, Reported, Started, TrainerHeartbeat
from search.rank.leaderboard import Entries
from search.record import recorder
from search.record.dataset import DataSet
from search.record.layout import Axes
from search.record.recorder import Recorder
from search.study.configuration import Configuration, Training

CONFIGURATION = Configuration(
    model="vae",
    objective="elbo",
    model_arguments={"latent": 3},
    objective_arguments={"beta": 0.5},
    training=Training(learning_rate=0.01),
)
EPOCHS = (10, 20, 30)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorter waits."""
    monkeypatch.setattr(recorder, "PERIOD", 0.1)
    monkeypatch.setattr(recorder, "CLOSING", 3.0)


class Watched:
    """A store that counts its calls, and fails in those that `broken` says."""

    def __init__(self, store: Store, broken: Any = lambda call: False) -> None:
        self.store, self.broken = store, broken
        self.calls: list[str] = []
        self.threads: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.store, name)
        if not callable(method) or name == "where":
            return method

        def call(*arguments: Any, **named: Any) -> Any:
            self.calls.append(name)
            self.threads.add(threading.current_thread().name)
            if self.broken(len(self.calls)):
                raise OSError("the disk is full\nand more")
            return method(*arguments, **named)

        return call


FACTS = {"parameters": 99.0, "log2_encoder_over_decoder": 1.5}


def report(epoch: int, misfit: float) -> Report:
    spread = {"misfit": misfit / 8, "ad": misfit / 4}
    return Report(
        epoch=epoch,
        loss=1 / epoch,
        validation_loss=2.0,
        misfit=misfit,
        scores={"ad": misfit, "mmd": 0.5},
        epoch_misfit=misfit + 1,
        epoch_scores={"ad": misfit + 1},
        best_epoch=epoch,
        diverged=False,
        zeros=0.25,
        deviation=0.5,
        spread=spread,
    )


def told(listener: Any, trials: int, checkpoint: CheckpointStorage) -> None:
    """All events of some trials; the second is stopped, the third diverges, the fourth fails."""
    outcomes = ["finished", "stopped", "diverged", "failed"]
    for trial in range(trials):
        listener(
            TrainerHeartbeat(trainer="trainer", networks=trial, busy=0.5, time=time.time())
        )  # of no trial, and not recorded
        listener(Started(trial=trial, configuration=CONFIGURATION, seed=100 + trial, time=time.time()))
        for epoch in EPOCHS:
            listener(
                Reported(
                    trial=trial,
                    report=report(epoch, 10.0 / epoch + trial),
                    architecture=FACTS,
                    time=time.time(),
                    node=f"10.0.0.{1 + epoch // 10 % 2}",
                )
            )
        outcome: Any = outcomes[trial] if trial < 4 else "finished"
        kept = checkpoint if outcome == "finished" else None
        listener(
            Ended(
                trial=trial,
                outcome=outcome,
                time=time.time(),
                checkpoint=kept,
                error="it broke" if outcome == "failed" else "",
            )
        )


@pytest.fixture
def checkpoint(tmp_path: Path) -> CheckpointStorage:
    place = CheckpointStorage(str(tmp_path / "checkpoint"))
    place.at("model.json").write(b"{}")
    return place


def test_all_that_was_told_is_in_the_store(store_folder: Path, checkpoint: CheckpointStorage) -> None:
    store, entries = Store(store_folder), Entries()
    parent = store.begin("first", {}, {})
    writer = Recorder(store, parent)
    told(writer, 5, checkpoint)
    told(entries, 5, checkpoint)
    assert writer.close() == ""
    store.save_json(parent, "search.json", {"references": {}, "floors": {"validation": {}}, "provenance": {"seed": 1}})
    board = store.leaderboard("first")
    assert board.provenance == {"seed": 1}
    expected = entries.entries({}, writer.run_ids)
    for read, own in zip(board.entries, expected, strict=True):
        assert (read.trial, read.configuration, read.outcome, read.run_id) == (
            own.trial,
            own.configuration,
            own.outcome,
            own.run_id,
        )
        assert (read.epoch, read.best_epoch) == (30, 30)
        assert read.misfit == pytest.approx(own.misfit, rel=1e-5)
        assert read.scores == pytest.approx(own.scores, rel=1e-5)
        assert read.architecture == FACTS | {"zeros": 0.25, "deviation": 0.5}


def test_how_runs_look_in_mlflow(store_folder: Path, checkpoint: CheckpointStorage) -> None:
    store = Store(store_folder)
    parent = store.begin("first", {}, {})
    data = DataSet(
        name="prices", digest="abc", source={"uri": "prices.csv"}, columns=("a", "b"), profile={"train_rows": 5}
    )
    writer = Recorder(store, parent, axes=Axes(searched=("latent",), rungs=(10, 25)), data=data)
    told(writer, 4, checkpoint)
    writer.close()
    client = MlflowClient(store.uri)
    statuses = {0: "FINISHED", 1: "FINISHED", 2: "FAILED", 3: "FAILED"}
    for trial, status in statuses.items():
        run = client.get_run(writer.run_ids[trial])
        assert run.info.status == status
        assert run.info.run_name == f"vae latent 3 beta 0.5 #{trial}"
        assert run.inputs is not None
        assert [each.dataset.name for each in run.inputs.dataset_inputs] == ["prices"]
        assert run.data.params["asymmetry"] == "encoder larger"
        assert {name: value for name, value in run.data.metrics.items() if name.startswith("config/")} == {
            "config/latent": 3.0,
            "config/lambda": 0.5,
        }
        assert run.data.tags["mlflow.parentRunId"] == parent
        assert run.data.tags["genseek.kind"] == "trial"
        assert run.data.params["model"] == "vae"
        assert {key: run.data.params[key] for key in CONFIGURATION.flat()} == {
            key: str(value) for key, value in CONFIGURATION.flat().items()
        }
        assert (run.data.params["seed"], run.data.params["log10_learning_rate"]) == (str(100 + trial), "-2.0000")
        for name, values in (
            ("misfit", [1.0 + trial, 0.5 + trial, pytest.approx(1 / 3 + trial, rel=1e-5)]),
            ("loss/train", [0.1, 0.05, pytest.approx(1 / 30, rel=1e-5)]),
            ("spread/misfit", [(1.0 + trial) / 8, (0.5 + trial) / 8, pytest.approx((1 / 3 + trial) / 8, rel=1e-5)]),
            ("rung", [10.0, 10.0, 25.0]),
            ("epoch/ad", [2.0 + trial, 1.5 + trial, pytest.approx(4 / 3 + trial, rel=1e-5)]),
        ):
            history = client.get_metric_history(run.info.run_id, name)
            assert [(point.step, point.value) for point in history] == list(zip(EPOCHS, values, strict=True))
        seconds = [point.value for point in client.get_metric_history(run.info.run_id, "seconds")]
        assert 0 <= seconds[0] <= seconds[-1] < 5
    assert [client.get_run(writer.run_ids[trial]).data.tags["genseek.outcome"] for trial in range(4)] == [
        "finished",
        "stopped",
        "diverged",
        "failed",
    ]
    assert client.get_run(writer.run_ids[3]).data.tags["genseek.error"] == "it broke"
    assert client.get_run(writer.run_ids[0]).data.tags["genseek.node"] == "10.0.0.2, 10.0.0.1"  # in order, each once
    assert [entry.path for entry in client.list_artifacts(writer.run_ids[0])] == ["checkpoint"]
    assert client.list_artifacts(writer.run_ids[1]) == []


def test_few_writes_and_none_from_the_searchs_thread(store_folder: Path, checkpoint: CheckpointStorage) -> None:
    store = Watched(Store(store_folder))
    writer: Any = Recorder(store, store.begin("first", {}, {}))  # type: ignore[arg-type]
    store.calls.clear()
    store.threads.clear()
    writer(Started(trial=0, configuration=CONFIGURATION, seed=1, time=time.time()))
    for epoch in range(1, 301):
        writer(
            Reported(
                trial=0,
                report=report(epoch, 1.0 / epoch),
                architecture={"parameters": 99.0},
                time=time.time(),
                node=f"10.0.0.{1 + epoch // 10 % 2}",
            )
        )
    writer(Ended(trial=0, outcome="stopped", time=time.time()))
    assert writer.close() == ""
    assert store.calls.count("log") < 10  # for 300 reports of about ten metrics each
    assert store.threads == {"recorder"}
    history = MlflowClient(store.store.uri).get_metric_history(writer.run_ids[0], "misfit")
    assert [point.step for point in history] == list(range(1, 301))


@pytest.mark.slow
def test_listening_does_not_wait_for_a_slow_store(store_folder: Path) -> None:
    def slow(call: int) -> bool:
        time.sleep(1.0)
        return False

    store = Store(store_folder)
    parent = store.begin("first", {}, {})
    writer: Any = Recorder(Watched(store, slow), parent)  # type: ignore[arg-type]
    began = time.monotonic()
    writer(Started(trial=0, configuration=CONFIGURATION, seed=1, time=time.time()))
    for epoch in range(1, 101):
        writer(Reported(trial=0, report=report(epoch, 1.0), architecture={}, time=time.time()))
    assert time.monotonic() - began < 0.5
    writer(Ended(trial=0, outcome="stopped", time=time.time()))
    assert writer.close() == ""


@pytest.mark.parametrize("failing", [{1}, {2}, {3}, {4}, {5}, {6}, {2, 3, 5, 7}])
def test_nothing_is_lost_or_doubled_when_a_write_fails(
    failing: set[int], store_folder: Path, checkpoint: CheckpointStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    # MLflow's own client fails, so that what a store does in two calls may break between them.
    store = Store(store_folder)
    parent = store.begin("first", {}, {})
    calls = []

    def shaky(method: Any) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            calls.append(method)
            if len(calls) in failing:
                raise ConnectionError("away")
            return method(*arguments, **named)

        return call

    for name in ("create_run", "log_batch", "set_terminated", "log_artifacts"):
        monkeypatch.setattr(MlflowClient, name, shaky(getattr(MlflowClient, name)))
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    writer = Recorder(store, parent)
    told(writer, 3, checkpoint)
    assert writer.close() == ""
    monkeypatch.undo()
    runs = MlflowClient(store.uri).search_runs(store.experiments(), "tags.genseek.kind = 'trial'")
    assert sorted(run.info.run_id for run in runs) == sorted(writer.run_ids.values())
    for run in runs:
        assert run.data.params["latent"] == "3"
        history = MlflowClient(store.uri).get_metric_history(run.info.run_id, "misfit")
        assert [point.step for point in history] == list(EPOCHS)
        assert run.info.status in ("FINISHED", "FAILED")


def test_closing_says_what_could_not_be_written(store_folder: Path, checkpoint: CheckpointStorage) -> None:
    store = Store(store_folder)
    parent = store.begin("first", {}, {})
    writer: Any = Recorder(Watched(store, lambda call: call > 4), parent)  # type: ignore[arg-type]
    told(writer, 3, checkpoint)
    began = time.monotonic()
    said = writer.close()
    assert time.monotonic() - began < 8
    assert said == f"{said[0]} trials are not fully recorded in {store_folder}: the disk is full"
    assert said[0] in "123"
    assert writer.close() == said  # and once more, after its thread has ended


@pytest.mark.parametrize("heard", range(0, 16, 2))
def test_a_search_that_goes_on_records_what_is_missing_and_nothing_twice(
    heard: int, store_folder: Path, checkpoint: CheckpointStorage
) -> None:
    store = Store(store_folder)
    parent = store.begin("first", {}, {})
    events: list[Any] = []
    told(events.append, 4, checkpoint)
    events = [event for event in events if not isinstance(event, TrainerHeartbeat)]
    first = Recorder(store, parent)
    for event in events[:heard]:
        first(event)
    assert first.close() == ""
    known = store.trial_runs(parent)
    ended = {event.trial for event in events[:heard] if isinstance(event, Ended)}
    assert {trial for trial, (_, whole) in known.items() if whole} == ended
    second = Recorder(store, parent, known)
    for event in events:
        second(event)
    assert second.close() == ""
    client = MlflowClient(store.uri)
    runs = client.search_runs(store.experiments(), "tags.genseek.kind = 'trial'")
    assert sorted(run.data.tags["genseek.trial"] for run in runs) == ["0", "1", "2", "3"]
    assert second.run_ids == {int(run.data.tags["genseek.trial"]): run.info.run_id for run in runs}
    expected = {trial: [event for event in events if event.trial == trial] for trial in range(4)}
    for run in runs:
        own = expected[int(run.data.tags["genseek.trial"])]
        reports = [event for event in own if isinstance(event, Reported)]
        for name in ("misfit", "ad", "epoch/misfit"):
            steps = [point.step for point in client.get_metric_history(run.info.run_id, name)]
            assert steps == [event.report.epoch for event in reports]
        assert run.info.status != "RUNNING"
        assert run.info.end_time == int(own[-1].time * 1000)


def test_an_interrupted_trial_goes_on_in_its_run(store_folder: Path, checkpoint: CheckpointStorage) -> None:
    store = Store(store_folder)
    parent = store.begin("first", {}, {})
    begun = Started(trial=0, configuration=CONFIGURATION, seed=1, time=1e9)
    first = Recorder(store, parent)
    for event in (begun, Ended(trial=0, outcome="interrupted", time=1e9 + 5)):
        first(event)
    first.close()
    ((run_id, whole),) = store.trial_runs(parent).values()
    assert not whole
    second = Recorder(store, parent, store.trial_runs(parent))
    second(begun)
    assert second.close() == ""
    client = MlflowClient(store.uri)
    assert client.get_run(run_id).info.status == "RUNNING"
    third = Recorder(store, parent, store.trial_runs(parent))
    for event in (begun, Ended(trial=0, outcome="finished", time=1e9 + 9, checkpoint=checkpoint)):
        third(event)
    assert third.close() == ""
    run = client.get_run(run_id)
    assert (run.info.status, run.data.tags["genseek.outcome"]) == ("FINISHED", "finished")
    assert run.info.end_time == int((1e9 + 9) * 1000)


def test_it_says_while_the_store_is_away(store_folder: Path) -> None:
    away = threading.Event()
    away.set()

    def refuses(call: int) -> bool:
        return away.is_set()

    store = Store(store_folder)
    writer: Any = Recorder(Watched(store, refuses), store.begin("first", {}, {}))  # type: ignore[arg-type]
    assert writer.waiting == ""
    writer(Started(trial=0, configuration=CONFIGURATION, seed=1, time=time.time()))
    until = time.monotonic() + 30
    while not writer.waiting:
        assert time.monotonic() < until
        time.sleep(0.05)
    away.clear()
    while writer.waiting:
        assert time.monotonic() < until
        time.sleep(0.05)
    writer(Ended(trial=0, outcome="stopped", time=time.time()))
    assert writer.close() == ""


def with_score(name: str) -> Report:
    return replace(report(10, 1.0), scores={"ad": 1.0, name: 2.0}, epoch_scores={})


@pytest.mark.parametrize("trouble", ["score", "checkpoint", "bug", "error of the server's"])
def test_what_the_record_never_takes_is_set_aside_and_the_rest_is_there(
    trouble: str, store_folder: Path, checkpoint: CheckpointStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(store_folder)
    parent = store.begin("first", {}, {})
    begin = Store.begin_trial

    def begins(self: Store, parent: str, name: str, started: Started) -> str:
        if started.trial == 1 and trouble == "bug":
            raise TypeError("of genseek's own making")
        if started.trial == 1 and trouble == "error of the server's":
            raise MlflowException("it broke", INTERNAL_ERROR)
        return begin(self, parent, name, started)

    monkeypatch.setattr(Store, "begin_trial", begins)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    events: list[Any] = []
    for trial in range(4):
        events.append(Started(trial=trial, configuration=CONFIGURATION, seed=trial, time=1e9))
        reported = with_score("a*b") if trouble == "score" and trial in (1, 2) else report(10, 1.0)
        events.append(Reported(trial=trial, report=reported, architecture=FACTS, time=1e9 + 1))
        gone = trouble == "checkpoint" and trial == 1
        events.append(
            Ended(
                trial=trial, outcome="finished", time=1e9 + 2, checkpoint=checkpoint.at("gone") if gone else checkpoint
            )
        )
    first = Recorder(store, parent)
    for event in events:
        first(event)
    said = first.close()
    monkeypatch.undo()
    assert said.startswith(f"{store_folder} doesn't take ")
    assert len(said.splitlines()) == 1
    for words in {
        "score": ["metric 'a*b' of 2 trials (", "Invalid"],
        "checkpoint": ["the checkpoint of trial 1 (", "No such file"],
        "bug": ["the run of trial 1 (of genseek's own making)"],
        "error of the server's": ["the run of trial 1 (it broke)"],
    }[trouble]:
        assert words in said
    client = MlflowClient(store.uri)
    runs = {
        int(run.data.tags["genseek.trial"]): run
        for run in client.search_runs(store.experiments(), "tags.genseek.kind = 'trial'")
    }
    assert set(runs) == ({0, 1, 2, 3} if trouble in ("score", "checkpoint") else {0, 2, 3})
    for run in runs.values():
        assert (run.info.status, run.data.metrics["ad"], run.data.params["latent"]) == ("FINISHED", 1.0, "3")
    missing = {trial for trial, (_, all_there) in store.trial_runs(parent).items() if not all_there}
    assert missing == {"score": {1, 2}, "checkpoint": {1}}.get(trouble, set())

    # Where the cause is gone, a search that goes on writes the rest.
    checkpoint.at("gone").at("model.json").write(b"{}")
    second = Recorder(store, parent, store.trial_runs(parent))
    for event in events:
        second(replace(event, report=report(10, 1.0)) if isinstance(event, Reported) else event)
    assert second.close() == ""
    assert [whole for _, whole in store.trial_runs(parent).values()] == [True] * 4
    assert len(client.list_artifacts(second.run_ids[1])) == 1


def test_a_line_names_three_things_and_counts_the_others(
    store_folder: Path, checkpoint: CheckpointStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(store_folder)
    writer = Recorder(store, store.begin("first", {}, {}))
    writer(Started(trial=0, configuration=CONFIGURATION, seed=0, time=1e9))
    for name in "*?#%":
        writer(Reported(trial=0, report=with_score(f"a{name}"), architecture={}, time=1e9))
    writer(Ended(trial=0, outcome="stopped", time=1e9))
    said = writer.close()
    for name in "*?#":
        assert f"metric 'a{name}' of trial 0 (" in said
    assert said.endswith(" and 1 other things")
