"""A store works wherever its folder is: moved, copied, under any name, and where it can only be read."""

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
from mlflow import MlflowClient

from search import GenseekError, Store
from search.checkpoints import CheckpointStorage, leaving_nothing
from search.export.registry import register
from search.record.sqlite import relocate

NAMES = (" plain ", "50%41", "what?x=1#2", 'it\'s "so"', "数据 €")
MORE = (
    "plain",
    "a b",
    "%2F",
    "?",
    "#1",
    "a&b;c",
    "dots..",
    "[x]",
    "a\\b",
    "x" * 200,
    "new\nline",
    "{x}",
    "~",
    "-v",
    "file:x",
)


def state(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of every file below a folder, and of the folders; sqlite's lock files are no content."""
    return {
        str(path.relative_to(folder)): (path.stat().st_size if path.is_file() else 0, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.suffix not in (".db-wal", ".db-shm")
    }


@pytest.fixture
def moved(finished: Any, tmp_path: Path) -> Callable[[str], Path]:
    """The finished search in a store that had another place when it was written."""

    def move(name: str) -> Path:
        before = tmp_path / "before" / "store"
        shutil.copytree(finished.folder, before)
        Store(before).prepare()  # from here on nothing says where it was copied from
        with closing(sqlite3.connect(before / "mlflow.db")) as database:
            assert str(finished.folder) not in "\n".join(database.iterdump())
        place = tmp_path / "after" / name
        place.parent.mkdir()
        before.rename(place)
        return place

    return move


@pytest.mark.parametrize("name", [*NAMES, *(pytest.param(name, marks=pytest.mark.slow) for name in MORE)])
def test_a_moved_store_is_read_under_any_name(
    name: str, moved: Callable[[str], Path], tmp_path: Path, genseek: Any, finished: Any
) -> None:
    place = moved(name)
    there = f"--store={place}"
    winner = finished.result.board.winner()
    code, out, err = genseek("best", "first", there, "--json")
    assert code == 0, err
    assert json.loads(out)["trial"] == winner.trial
    code, out, err = genseek("export", "first", there, "--out", tmp_path / "winner")
    assert code == 0, err
    assert (tmp_path / "winner" / "weights.safetensors").stat().st_size > 0
    store = Store(place)
    store.prepare()
    client = MlflowClient(store.uri)
    (experiment,) = store.experiments()
    assert client.get_experiment(experiment).artifact_location == (place / "artifacts").as_uri()
    run_id = store.leaderboard("first").winner().run_id
    into = tmp_path / "by-mlflow"
    into.mkdir()
    address = f"{client.get_run(run_id).info.artifact_uri}/checkpoint/weights.safetensors"
    mlflow.artifacts.download_artifacts(artifact_uri=address, dst_path=str(into))
    kept = place / "artifacts" / run_id / "artifacts" / "checkpoint" / "weights.safetensors"
    assert (into / "weights.safetensors").read_bytes() == kept.read_bytes()
    assert sorted(each.name for each in place.parent.iterdir()) == [name]  # and nothing beside it


def test_a_relative_place(moved: Callable[[str], Path], genseek: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(moved("store").parent)
    assert genseek("best", "first", "--store", "store")[0] == 0
    assert genseek("best", "first", "--store", "../after/./store")[0] == 0
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///store/mlflow.db")  # as MLflow's own commands want it
    code, _, err = genseek("best", "first", "--store", "store")
    assert code == 0, err


def test_a_copy_never_writes_into_its_original(finished: Any, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    shutil.copytree(finished.folder, one)
    original = Store(one)
    original.prepare()
    (trial,) = [entry for entry in original.leaderboard("first").entries if entry.trial == 0]
    (tmp_path / "note.txt").write_text("before")
    original.save(trial.run_id, tmp_path / "note.txt")  # this process knows where it lies
    shutil.copytree(one, two)
    before = state(one)
    copy = Store(two)
    plan = replace(finished.plan, store=copy)
    copy.prepare()
    (tmp_path / "note.txt").write_text("after")
    copy.save(trial.run_id, tmp_path / "note.txt")
    version = register(plan.store, plan.name, plan.study, plan.task)
    parent = copy.begin("second", {}, {}, finished.plan.study.name)
    copy.save_json(parent, "search.json", {})
    assert state(one) == before
    assert [path.parent.parent.parent.name for path in two.rglob("note.txt")] == ["artifacts"]
    assert (two / "artifacts" / parent / "artifacts" / "search.json").exists()
    source = MlflowClient(copy.uri).get_model_version(version.name, str(version.version)).source
    assert source is not None and source.startswith((two / "artifacts").as_uri())
    assert original.fetch(trial.run_id, "note.txt", tmp_path / "back").read_text() == "before"


def test_what_is_registered_loads_from_where_the_store_is_now(finished: Any, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "a 50% store?"
    shutil.copytree(finished.folder, one)
    name = register(Store(one), finished.plan.name, finished.plan.study, finished.plan.task).name
    one.rename(two)
    store = Store(two)
    assert store.moved_from() == [(one / "artifacts").as_uri()]
    store.prepare()
    assert store.moved_from() == []
    try:
        mlflow.set_tracking_uri(store.uri)
        loaded = mlflow.pyfunc.load_model(f"models:/{name}@challenger")
    finally:
        mlflow.set_tracking_uri(None)  # type: ignore[arg-type]
    assert len(loaded.predict(pd.DataFrame({"rows": [7]}))) == 7
    with closing(sqlite3.connect(two / "mlflow.db")) as database:
        assert str(one) not in "\n".join(database.iterdump())


def test_two_processes_may_find_a_moved_store_at_once(moved: Callable[[str], Path]) -> None:
    place = moved("store")
    threads = [threading.Thread(target=relocate, args=(place / "mlflow.db", place / "artifacts")) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Store(place).moved_from() == []


def test_what_others_keep_in_the_database_stays_where_it_is(moved: Callable[[str], Path], tmp_path: Path) -> None:
    place = moved("store")
    client = MlflowClient(Store(place).uri)
    location = (tmp_path / "other" / "artifacts").as_uri()
    own = client.create_experiment("genseeker", location)
    Store(place).prepare()
    assert client.get_experiment(own).artifact_location == location


def test_doctor_says_that_a_store_was_moved(moved: Callable[[str], Path], tmp_path: Path, genseek: Any) -> None:
    place = moved("store")
    _, out, _ = genseek("doctor", "--store", place, "--json")
    (found,) = [each for each in json.loads(out) if each["what"] == "store's files"]
    assert found["state"] == "warning"
    assert str(tmp_path / "before" / "store") in found["found"]
    assert "genseek ui" in found["cure"]
    Store(place).prepare()
    _, out, _ = genseek("doctor", "--store", place, "--json")
    assert [each["state"] for each in json.loads(out) if each["what"] == "store"] == ["ok"]
    assert "store's files" not in out


@pytest.fixture(params=["closed", "cut off", "cut off, without sqlite's shared memory"])
def read_only(request: pytest.FixtureRequest, finished: Any, tmp_path: Path) -> Iterator[Path]:
    """The finished search in a folder that nobody can write; its database closed, or with a log beside it."""
    store, seen = tmp_path / "kept", tmp_path / "archive"
    shutil.copytree(finished.folder, store)
    with closing(sqlite3.connect(store / "mlflow.db")) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    if request.param != "closed":
        with closing(sqlite3.connect(store / "mlflow.db")) as database, database:
            database.execute("UPDATE params SET value = 'changed' WHERE key = 'problem'")
            database.commit()
            for end in ("-wal", "-shm"):
                shutil.copyfile(store / f"mlflow.db{end}", tmp_path / end)
        for end in ("-wal", "-shm") if request.param == "cut off" else ("-wal",):
            shutil.copyfile(tmp_path / end, store / f"mlflow.db{end}")
    seen.mkdir()
    commands: list[list[str | Path]] = [["mount", "-o", "bind", store, seen], ["mount", "-o", "remount,bind,ro", seen]]
    for command in commands:
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            subprocess.run(["umount", seen], check=False, capture_output=True)
            pytest.skip(f"no read-only mount can be made here: {error}")
    yield seen
    subprocess.run(["umount", "--lazy", seen], check=True)


def test_the_best_in_a_store_that_cannot_be_written(read_only: Path, genseek: Any, finished: Any) -> None:
    code, out, err = genseek("best", "first", "--store", read_only, "--json")
    assert code == 0, err
    assert json.loads(out)["trial"] == finished.result.board.winner().trial


@pytest.mark.slow
def test_a_store_that_cannot_be_written_is_read(read_only: Path, tmp_path: Path, genseek: Any, finished: Any) -> None:
    there = ("--store", read_only)
    code, out, err = genseek("best", "first", *there, "--json")
    assert code == 0, err
    assert json.loads(out)["trial"] == finished.result.board.winner().trial
    code, out, err = genseek("list", "searches", *there)
    assert (code, "first" in out) == (0, True), err
    assert ("changed" in out) == ((read_only / "mlflow.db-wal").exists())
    assert genseek("list", "registry", *there)[0] == 0
    code, out, err = genseek("export", "first", *there, "--out", tmp_path / "winner")
    assert code == 0, err
    assert "warning" not in out + err
    assert (tmp_path / "winner" / "report.html").exists()
    code, out, err = genseek("report", "first", *there, "--out", tmp_path / "page.html")
    assert code == 0, err
    assert (tmp_path / "page.html").exists()
    _, out, _ = genseek("doctor", *there, "--json")
    (found,) = [each for each in json.loads(out) if each["what"] == "store"]
    assert (found["state"], "can only be read" in found["found"]) == ("warning", True)
    code, _, err = genseek("ui", "first", *there)
    assert (code, err.count("\n")) == (2, 1)
    assert f"store {read_only}: can't write there (Read-only file system)" in err
    code, _, err = genseek("check", "gaussian_2d", *there)
    assert (code, err.count("\n")) == (2, 1)
    assert f"store {read_only}: can't write there (Read-only file system)" in err


@pytest.mark.slow
def test_reading_writes_nothing(finished: Any, tmp_path: Path, genseek: Any) -> None:
    place = tmp_path / "store"
    shutil.copytree(finished.folder, place)
    with closing(sqlite3.connect(place / "mlflow.db")) as database:
        database.execute("PRAGMA journal_mode=DELETE")  # which a reader must leave as it is
    before = state(place)
    for command in (
        ("best", "first"),
        ("list", "searches"),
        ("list", "registry"),
        ("export", "first", "--out", tmp_path / "winner"),
        ("report", "first", "--out", tmp_path / "page.html"),
        ("doctor",),
    ):
        genseek(*command, "--store", place)
    assert (tmp_path / "winner" / "report.html").exists()
    assert state(place) == before
    with closing(sqlite3.connect(place / "mlflow.db")) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("delete",)


@pytest.mark.slow
def test_check_makes_nothing(tmp_path: Path, genseek: Any, monkeypatch: pytest.MonkeyPatch, tiny_study: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for options in (
        ("--store", tmp_path / "new" / "store"),
        (),
        ("--tracking-uri", f"sqlite:///{tmp_path}/other.db"),
        ("--checkpoints", tmp_path / "checkpoints"),
    ):
        code, out, err = genseek("check", tiny_study, *options)
        assert code == 0, err
        assert "can be written" in out
        assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    code, _, err = genseek("check", tiny_study, "--store", tmp_path / "file" / "store")
    assert code == 2
    assert f"store {tmp_path}/file/store: can't write there (Not a directory: {tmp_path}/file)" in err


def test_what_a_check_of_nodes_writes_goes(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    for place in ("there", "new/store"):
        with leaving_nothing(str(tmp_path / place)):
            CheckpointStorage(str(tmp_path / place / "survey")).write(b"")
            (tmp_path / place / "survey").unlink()
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_a_file_system_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*paths: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    store = Store(tmp_path / "store")
    assert store.searches() == []
    assert [path.name for path in (tmp_path / "store").iterdir() if path.suffix == ".db"] == ["mlflow.db"]
    store.begin("first", {}, {})
    assert [found.name for found in Store(tmp_path / "store").searches()] == ["first"]


def test_a_database_that_is_read_while_it_is_written(finished: Any, tmp_path: Path) -> None:
    place = tmp_path / "store"
    shutil.copytree(finished.folder, place)
    writer = Store(place)
    writer.begin("second", {}, {})
    assert {found.name for found in Store(place, create=False).searches()} == {"first", "second"}


def test_what_a_copy_lacks_is_not_taken_from_the_original(finished: Any, tmp_path: Path) -> None:
    place = tmp_path / "store"
    shutil.copytree(finished.folder, place, ignore=shutil.ignore_patterns("artifacts"))
    with pytest.raises(GenseekError, match="has not ended: it has no summary yet"):
        Store(place).leaderboard("first")


ODD = "a 50%41 store? #1 'x' é"


@pytest.mark.slow
def test_a_search_in_a_store_that_is_moved(
    ray_cluster: None, tiny_study: Path, new_store: Callable[[Path], Path], tmp_path: Path, genseek: Any
) -> None:
    one, two = new_store(tmp_path / ODD), tmp_path / "two %"

    def run(*words: object) -> str:
        code, out, err = genseek(*words)
        assert code == 0, err
        assert "warning" not in out + err
        return str(out)

    options = ("--trials", 3, "--epochs", 2)
    run("run", tiny_study, "--name", "base", "--store", one, *options)
    one.rename(two)
    before = json.loads(run("best", "base", "--store", two, "--json"))
    run("export", "base", "--store", two, "--out", tmp_path / "winner")
    run("report", "base", "--store", two, "--out", tmp_path / "page.html")
    run("resume", "base", "--store", two, "--more-trials", "1")
    run("confirm", "base", "--store", two, "--top", 1, "--seeds", 2)
    run("run", tiny_study, "--name", "after", "--store", two, "--warm-start", "base", *options)
    assert run("list", "registry", "--store", two).count("gaussian_2d") == 2
    after = json.loads(run("best", "base", "--store", two, "--json"))
    assert (before["run_id"], after["confirmed"] is None) == (before["run_id"], False)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["two %", "winner"]
    assert len(Store(two).leaderboard("base").entries) == 4
    assert Store(two).moved_from() == []


@pytest.mark.slow
def test_a_search_that_was_killed_goes_on_where_its_store_is_now(
    ray_cluster: None, new_store: Callable[[Path], Path], tmp_path: Path, genseek: Any, tiny_study: Path
) -> None:
    one, two = new_store(tmp_path / "one"), tmp_path / "two"
    script = "from search.cli.app import main; main()"
    words = ["run", str(tiny_study), "--name", "cut", "--store", str(one), "--trials", "16", "--pack-size", "off"]
    search = subprocess.Popen(
        [sys.executable, "-c", script, *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    journal = one / "ray" / "cut" / "journal.jsonl"
    until = time.monotonic() + 120
    while not (journal.exists() and journal.read_text().count('"finished"') >= 2):
        assert search.poll() is None
        assert time.monotonic() < until
        time.sleep(0.05)
    os.killpg(search.pid, signal.SIGKILL)
    search.wait()
    one.rename(two)
    code, _, err = genseek("resume", "cut", "--store", two)
    assert code == 0, err
    # A trainer of the search that was killed may have left a checkpoint before it noticed, and nothing else is there.
    assert {path.name for path in one.glob("*")} <= {"ray"}
    board = Store(two).leaderboard("cut")
    assert len(board.entries) == 16
    for entry in board.finished():
        assert (two / "artifacts" / entry.run_id / "artifacts" / "checkpoint" / "weights.safetensors").exists()
    assert genseek("export", "cut", "--store", two, "--out", tmp_path / "winner")[0] == 0


@pytest.mark.slow
def test_the_ui_shows_the_files_of_a_moved_store(moved: Callable[[str], Path]) -> None:
    place = moved(ODD)
    run_id = Store(place).search("first").run_id
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = "from search.cli.app import main; main()"
    server = subprocess.Popen([sys.executable, "-c", script, "ui", "--store", str(place), "--port", str(port)])
    address = f"http://127.0.0.1:{port}/get-artifact?path=search.json&run_uuid={run_id}"
    try:
        until = time.monotonic() + 120
        while True:
            assert server.poll() is None
            try:
                with urllib.request.urlopen(address, timeout=5) as answer:
                    shown = answer.read()
                break
            except urllib.error.URLError:
                assert time.monotonic() < until
                time.sleep(0.5)
    finally:
        server.terminate()
        server.wait(30)
    assert shown == (place / "artifacts" / run_id / "artifacts" / "search.json").read_bytes()
    assert [path.name for path in place.parent.iterdir()] == [ODD]
