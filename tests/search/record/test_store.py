"""The store: an embedded database or a server, names taken once, and what it says when it can't be used."""

import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from search import GenseekError, Store
from search.events.events import Started
from search.study.configuration import Configuration


def test_the_database_is_in_write_ahead_mode(tmp_path: Path) -> None:
    folder = tmp_path / "below" / "new"
    store = Store(folder)
    with closing(sqlite3.connect(folder / "mlflow.db")) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert (store.embedded, store.where()) == (True, str(folder))
    assert store.searches() == []


def test_searches_are_found_newest_first(store_folder: Path) -> None:
    store = Store(store_folder)
    for name in ("first", "second"):
        run_id = store.begin(name, {"problem": "table", "trials": 7}, {"genseek.data_sha256": "abc"})
        time.sleep(0.01)
    store.log(run_id, [("best_misfit", 1.25, 0, 1.0)])
    store.end(run_id, "interrupted", 2.0)
    second, first = Store(store_folder).searches()
    assert (first.name, first.problem, first.trials, first.status, first.best_misfit) == (
        "first",
        "table",
        7,
        "RUNNING",
        None,
    )
    assert (second.name, second.run_id, second.status, second.best_misfit) == ("second", run_id, "KILLED", 1.25)
    assert MlflowClient(store.uri).get_run(run_id).data.tags["genseek.kind"] == "search"


def test_what_is_only_read_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(GenseekError, match=r"no store in .*/none yet"):
        Store(tmp_path / "none", create=False)
    assert not (tmp_path / "none").exists()


def test_a_name_is_taken_once(store_folder: Path) -> None:
    Store(store_folder).begin("first", {}, {})
    with pytest.raises(GenseekError, match="a search named 'first' exists already in"):
        Store(store_folder).begin("first", {}, {})
    assert len(Store(store_folder).searches()) == 1


def test_a_study_that_another_search_begins_at_the_same_time(
    store_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Store(store_folder).begin("first", {}, {}, "a study")
    find, not_yet = MlflowClient.get_experiment_by_name, iter([None])
    monkeypatch.setattr(MlflowClient, "get_experiment_by_name", lambda self, name: next(not_yet, find(self, name)))
    second = Store(store_folder).begin("second", {}, {}, "a study")
    client = MlflowClient(f"sqlite:///{store_folder / 'mlflow.db'}")
    assert client.get_run(first).info.experiment_id == client.get_run(second).info.experiment_id
    with pytest.raises(GenseekError, match="name"):
        Store(store_folder).begin("third", {}, {}, "x" * 600)  # longer than a database takes


def test_many_metrics_are_written_in_batches(store_folder: Path) -> None:
    store = Store(store_folder)
    parent = store.begin("first", {}, {})
    run_id = store.begin_trial(
        parent,
        "first",
        Started(trial=0, configuration=Configuration(model="vae", objective="elbo"), seed=1, time=time.time()),
    )
    store.log(run_id, [("misfit", float(step), step, 1.0) for step in range(2500)], {"a": 1}, {"b": "2"})
    run = MlflowClient(store.uri).get_run(run_id)
    assert (run.data.params["a"], run.data.tags["b"], run.data.metrics["misfit"]) == ("1", "2", 2499.0)
    assert len(MlflowClient(store.uri).get_metric_history(run_id, "misfit")) == 2500


def test_files_come_back(store_folder: Path, tmp_path: Path) -> None:
    store = Store(store_folder)
    run_id = store.begin("first", {}, {})
    store.save_json(run_id, "search.json", {"a": [1, 2]})
    (tmp_path / "pair").mkdir()
    (tmp_path / "pair" / "one.txt").write_text("one")
    store.save(run_id, tmp_path / "pair", "pair")
    for name, path in (("a", "search.json"), ("b", "pair/one.txt")):
        (tmp_path / name).mkdir()
        text = store.fetch(run_id, path, tmp_path / name).read_text()
        assert text == "one" if name == "b" else json.loads(text) == {"format": 1, "a": [1, 2]}
    with pytest.raises(GenseekError, match="store sqlite"):
        store.fetch(run_id, "nothing.txt", tmp_path / "a")


def test_a_search_that_has_not_ended_or_does_not_exist(store_folder: Path) -> None:
    store = Store(store_folder)
    with pytest.raises(GenseekError, match="unknown search 'first'; known: none"):
        store.leaderboard("first")
    store.begin("first", {}, {})
    with pytest.raises(GenseekError, match="search 'first' has not ended: it has no summary yet"):
        store.leaderboard("first")
    with pytest.raises(GenseekError, match="unknown search 'frist'; did you mean 'first'"):
        store.leaderboard("frist")


@pytest.mark.parametrize("below", ["file/store", "file"])
def test_a_folder_that_cannot_be_written(below: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(GenseekError, match=r"store .*: can't write there \(.+\)"):
        Store(tmp_path / below)


def test_a_database_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("this is no database" * 100)
    with pytest.raises(GenseekError, match=r"store .*mlflow\.db: file is not a database"):
        Store(tmp_path)


def test_a_server_that_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(GenseekError) as error:
        Store(tmp_path, "http://127.0.0.1:9")
    assert str(error.value).startswith("store http://127.0.0.1:9: ")
    assert "\n" not in str(error.value)
    with pytest.raises(GenseekError, match="store nonsense://x: "):
        Store(tmp_path, "nonsense://x")


@pytest.fixture
def server(serve: Callable[[], tuple[str, Any]]) -> str:
    """An MLflow server on a loopback port; its address."""
    return serve()[0]


@pytest.mark.slow
def test_a_search_on_a_server(
    server: str, ray_cluster: None, tiny_study: Path, tmp_path: Path, genseek: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = genseek("run", tiny_study, "--trials", 3, "--tracking-uri", server, "--name", "far", "--json")
    assert code == 0, err
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    code, best, err = genseek("best", "far", "--json")
    assert code == 0, err
    ours, read = json.loads(out), json.loads(best)
    assert (read["trial"], read["run_id"], read["configuration"]) == (
        ours["trial"],
        ours["run_id"],
        ours["configuration"],
    )
    assert read["scores"]["misfit"] == pytest.approx(ours["scores"]["misfit"], rel=1e-5)
    assert genseek("export", "far", "--out", tmp_path / "winner")[0] == 0
    assert genseek("sample", tmp_path / "winner", "-n", 5, "--out", tmp_path / "rows.csv")[0] == 0
    assert not list(tmp_path.rglob("mlflow.db"))
    parent = Store(tmp_path / "any", server).searches()[0].run_id
    client = MlflowClient(server)
    assert {entry.path for entry in client.list_artifacts(parent)} >= {"search.json", "samples.png"}


def test_a_crash_while_the_database_is_made_leaves_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "store"

    def crash(*paths: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr("os.link", crash)
        with pytest.raises(KeyboardInterrupt):
            Store(folder)
    assert list(folder.iterdir()) == []
    assert Store(folder).searches() == []


def test_many_and_long_parameters_and_tags(store_folder: Path) -> None:
    store = Store(store_folder)
    params = {f"key_{number}": number for number in range(250)} | {"columns": "abc," * 400}
    run_id = store.begin("first", params, {})
    points, tags = [(f"m{number}", 1.0, 0, 1.0) for number in range(900)], {f"t{number}": "x" for number in range(150)}
    store.log(run_id, points, {"late": 1}, tags)
    run = MlflowClient(store.uri).get_run(run_id)
    assert {key: run.data.params[key] for key in params if key != "columns"} == {
        key: str(value) for key, value in params.items() if key != "columns"
    }
    shown = run.data.params["columns"]
    assert (len(shown), shown[:8], shown[-3:]) == (500, "abc,abc,", "...")
    assert len([name for name in run.data.metrics if name.startswith("m")]) == 900
    assert len([name for name in run.data.tags if name.startswith("t")]) == 150


WRITER = """
import sys, time
from search.study.configuration import Configuration
from search.events.events import Ended, Reported, Started
from search.record.recorder import Recorder
from search.record.store import Store
from search.events.events import Report

folder, name = sys.argv[1:]
store = Store(folder)
recorder = Recorder(store, store.begin(name, {"trials": "12"}, {}))
for trial in range(12):
    configuration = Configuration(model="vae", objective="elbo")
    recorder(Started(trial=trial, configuration=configuration, seed=trial, time=time.time()))
    for epoch in range(1, 31):
        report = Report(epoch=epoch, misfit=trial + 1 / epoch)
        recorder(Reported(trial=trial, report=report, architecture={}, time=time.time()))
    recorder(Ended(trial=trial, outcome="stopped", time=time.time()))
    time.sleep(0.3)
said = recorder.close()
assert not said, said
"""


@pytest.mark.slow
def test_several_searches_write_at_once(store_folder: Path) -> None:
    names = ("first", "second", "third")
    command = [sys.executable, "-c", WRITER, str(store_folder)]
    writers = [subprocess.Popen([*command, name], stderr=subprocess.PIPE) for name in names]
    for writer in writers:
        _, error = writer.communicate(timeout=120)
        assert writer.returncode == 0, error.decode()
    store, client = Store(store_folder), MlflowClient(f"sqlite:///{store_folder / 'mlflow.db'}")
    for name in names:
        parent = store.search_run(name)
        assert parent is not None
        runs = store.trial_runs(parent)
        assert sorted(runs) == list(range(12))
        for trial, (run_id, whole) in runs.items():
            history = client.get_metric_history(run_id, "misfit")
            expected = [(epoch, float(f"{trial + 1 / epoch:.6g}")) for epoch in range(1, 31)]
            assert ([(point.step, point.value) for point in history], whole) == (expected, True)


def test_a_server_that_is_not_there_is_told_in_few_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(GenseekError, match=r"^store http://127.0.0.1:9: Connection refused; is it an MLflow server, "):
        Store(tmp_path, "http://127.0.0.1:9").searches()


def test_a_password_is_not_told(tmp_path: Path) -> None:
    with pytest.raises(GenseekError) as raised:
        Store(tmp_path, "postgresql://me:hunter2@127.0.0.1:1/runs")
    assert "hunter2" not in str(raised.value)
    assert "postgresql://me:***@127.0.0.1:1/runs" in str(raised.value)


NAMES = (
    "it's",
    'say "so"',
    'it\'s "so"',
    "50%",
    "a`b",
    "a\\b",
    "a_b",
    "数据",
    "a\nb",
    "x" * 300,
    "' or 1 = 1",
    "-1",
    ".",
)


@pytest.mark.parametrize("name", NAMES)
def test_names_that_filters_of_mlflow_would_misread(name: str, store_folder: Path, genseek: Any) -> None:
    store = Store(store_folder)
    run_id = store.begin("first", {}, {}, name)
    assert MlflowClient(store.uri).get_experiment(store.search("first").experiment).name == f"genseek/{name}"
    assert store.search("first").run_id == run_id
    for command in ("best", "resume", "export"):
        more = ("--out", store_folder / "out") if command == "export" else ()
        code, out, err = genseek(command, "--store", store_folder, *more, "--", name)
        assert code == 2
        assert "unknown search" in err
        assert "bug" not in out + err
    experiment, tags = store.search("first").experiment, {"genseek.kind": "search", "genseek.format": "1"}
    other = MlflowClient(store.uri).create_run(experiment, run_name=name, tags=tags).info.run_id  # as others may
    assert {found.name: found.run_id for found in store.searches()} == {"first": run_id, name: other}
    assert store.search(name).run_id == other


@pytest.mark.parametrize("name", [name for name in NAMES if not {"'", '"'} <= set(name) and name != "."])
def test_registered_models_of_any_name_are_found(name: str, store_folder: Path) -> None:
    from search.record.client import quoted

    client = MlflowClient(Store(store_folder).uri)
    for each in ("other", "axb", name):
        client.create_registered_model(each)
    (found,) = client.search_registered_models(f"name = {quoted(name)}")
    assert found.name == name


def test_a_name_that_no_filter_can_hold_is_told() -> None:
    from search.record.client import quoted

    with pytest.raises(GenseekError, match="expected a name with one kind of quotes at most"):
        quoted('it\'s "so"')
