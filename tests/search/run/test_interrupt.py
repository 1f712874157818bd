"""Ctrl-C: workers end, every trial's state is recorded, and the best so far is shown."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from search import Store

pytestmark = pytest.mark.slow

STUDY = """
trials = 500
epochs = {epochs}
grace = {epochs}
eval_samples = 1
evaluations = 500
finalists = 0

[problem]
name = "gaussian_2d"
train = 100
validation = 60
test = 60

[training]
learning_rate = {{ low = 1e-3, high = 1e-2, log = true }}

[models.pushforward]
[models.vae]
[objectives.mmd]
[objectives.elbo]
"""
FINISHED = "SELECT count(*) FROM tags WHERE key = 'genseek.outcome' AND value = 'finished'"
REPORTED = "SELECT count(*) FROM metrics WHERE key = 'misfit'"


def started(study: Path, folder: Path, log: Path) -> subprocess.Popen[bytes]:
    code = "from search.cli.app import main; main()"
    command: list[str | Path] = [sys.executable, "-c", code, "run", study, "--store", folder, "--name", "cut"]
    with log.open("wb") as file:
        return subprocess.Popen(command, stdout=file, stderr=file, start_new_session=True)


def wait_for(what: Callable[[], bool], seconds: float) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "waited too long"
        time.sleep(0.2)


def counted(folder: Path, query: str) -> int:
    with closing(sqlite3.connect(folder / "mlflow.db")) as database:
        return int(database.execute(query).fetchone()[0])


def descendants(pid: int) -> set[int]:
    """Processes below `pid`, of /proc."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(entry.parent.name)] = int(entry.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # it has ended meanwhile
    found, fresh = set[int](), {pid}
    while fresh:
        fresh = {child for child, parent in parents.items() if parent in fresh} - found
        found |= fresh
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize(
    ("number", "whole_group", "epochs", "query"),
    [
        (signal.SIGINT, False, 40, FINISHED),
        (signal.SIGINT, True, 100_000, REPORTED),
        (signal.SIGHUP, True, 100_000, REPORTED),
    ],
    ids=["the process, some trials done", "the terminal's group, none done", "hangup of the group"],
)
def test_ctrl_c(
    number: signal.Signals, whole_group: bool, epochs: int, query: str, store_folder: Path, tmp_path: Path
) -> None:
    study, log = tmp_path / "cut.toml", tmp_path / "log"
    study.write_text(STUDY.format(epochs=epochs))
    process = started(study, store_folder, log)
    try:
        wait_for(lambda: process.poll() is not None or counted(store_folder, query) >= 2, 120)
        assert process.poll() is None, log.read_text()
        below = descendants(process.pid)
        assert len(below) > 2  # Ray's servers and workers
        (os.killpg if whole_group else os.kill)(process.pid, number)
        code = process.wait(60)
        wait_for(lambda: not any(alive(pid) for pid in below), 20)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    told = log.read_text()
    assert code == 130, told
    assert "Traceback" not in told
    assert "interrupted; what was trained so far is recorded" in told
    assert "cut: best trials on validation rows" in told
    assert "gaussian copula" in told
    check_record(store_folder, finished=query == FINISHED)


def check_record(folder: Path, finished: bool) -> None:
    store = Store(folder)
    (found,) = store.searches()
    assert found.status == "KILLED"
    assert counted(folder, "SELECT count(*) FROM runs WHERE status = 'RUNNING'") == 0
    board = store.leaderboard("cut")
    outcomes = {entry.outcome for entry in board.entries}
    assert "interrupted" in outcomes
    assert outcomes <= {"interrupted", "finished"}
    assert len({entry.trial for entry in board.entries}) == len(board.entries)
    if finished:
        assert board.winner().misfit == min(entry.misfit for entry in board.entries if entry.outcome == "finished")
        assert board.winner().test["misfit"] > 0
    else:
        assert any(entry.epoch > 0 for entry in board.entries)
