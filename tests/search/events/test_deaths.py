"""Trainers that die: the signal is named, the trials that kill them fail, and where all do the search can go on."""

import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from search import Store
from search.events import messages as deaths
from search.events.journal import JOURNAL
from search.events.messages import Death, death_of, leave_words, read_words, words_of

DYING = """
import ctypes, os, signal, sys, threading
from search.events.messages import leave_words

def killed(): os.kill(os.getpid(), signal.SIGKILL)
def aborted(): os.abort()
def crashed(): ctypes.string_at(0)
def deep(): deeper([1])
def deeper(x): return list(map(deeper, [x]))

def work():
    leave_words()
    sys.setrecursionlimit(10**9)
    globals()[sys.argv[1]]()

import faulthandler
faulthandler.enable()  # as Ray has, for another thread
thread = threading.Thread(target=work)
thread.start()
thread.join()
"""


@pytest.mark.parametrize(
    ("way", "cause", "crashed"),
    [
        ("killed", r"SIGKILL", False),
        ("aborted", r"SIGABRT in aborted \(<string>, line \d+\)", True),
        ("crashed", r"SIGSEGV in string_at \(.*ctypes/__init__\.py, line \d+\)", True),
        ("deep", r"SIGSEGV in deeper \(<string>, line \d+\)", True),  # its stack is full: no room for a handler there
    ],
)
def test_what_a_process_leaves(way: str, cause: str, crashed: bool) -> None:
    with subprocess.Popen([sys.executable, "-c", DYING, way], stderr=subprocess.DEVNULL) as process:
        assert process.wait(60) < 0
    left = read_words(process.pid)
    assert left is not None
    assert re.fullmatch(cause, left.cause)
    assert left.crashed == crashed
    assert read_words(process.pid) is None  # it's read once


def test_the_kernels_memory_killer_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events = tmp_path / "memory.events"
    monkeypatch.setattr(deaths, "KILLS", (str(tmp_path / "none"), str(events)))
    events.write_text("low 0\noom 1\noom_kill 2\n")
    words_of(10**9).write_text("2\n")
    assert read_words(10**9) == Death("SIGKILL")
    words_of(10**9).write_text("1\n")
    assert read_words(10**9) == Death("SIGKILL of the kernel's memory killer")


SYSTEM = """Failure # 1 (occurred at x)
The actor died unexpectedly before finishing this task.
\tpid: 7
\tip: 10.0.0.1
The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR Worker exit detail: {}
"""


@pytest.mark.parametrize(
    ("said", "death"),
    [
        (
            SYSTEM.format("Worker unexpectedly exits ... killed by the OOM killer"),
            Death("what (10.0.0.1, 7) left", True),
        ),
        (SYSTEM.format("Worker exits with an exit code 1. The process receives a SIGTERM."), Death("SIGTERM")),
        (
            "Failure # 1 (occurred at x)\nTask was killed due to the node running low on memory.\nMemory on the node",
            Death("SIGKILL of Ray's memory monitor, since its node ran low on memory"),
        ),
        (
            "Failure # 1 (occurred at x)\nThe actor died because its node has died. Node Id: x",
            Death("the end of its node"),
        ),
        (SYSTEM.format("") + "Failure # 2 (occurred at x)\nTraceback\nRuntimeError: no\n", Death("RuntimeError: no")),
        ("", Death("an unknown error")),
    ],
)
def test_what_ray_says_of_a_death(said: str, death: Death) -> None:
    crashed = "OOM" in said
    assert death_of(said, lambda *where: Death(f"what ({where[0]}, {where[1]}) left", crashed)) == death


def test_words_are_this_threads_and_the_process_goes_on() -> None:
    thread = threading.Thread(target=leave_words)
    thread.start()
    thread.join()
    assert words_of(os.getpid()).exists()
    assert read_words(os.getpid()) == Death("SIGKILL")


PLUGIN = '''
import ctypes, os, signal, sys
from pathlib import Path

import torch

from models import Pushforward


class Dying(Pushforward):
    """A network that ends its trainer's process, unless a file says that it doesn't."""

    def __init__(self, shape, seed: int, *, width: int = 8, deadly: float = 1.0):
        super().__init__(shape, seed, width=width, depth=1)
        self.register_buffer("deadly", torch.full((1, 1, 1), deadly))

    def push(self, inputs, noise=None):
        in_trainer = "default_worker" in sys.argv[0]
        if in_trainer and self.deadly.max() > 0.5 and not Path({safe!r}).exists():
            {how}
        return super().push(inputs, noise)


MODELS = {{"dying": Dying}}
'''
WAYS = {
    "SIGKILL": "os.kill(os.getpid(), signal.SIGKILL)",
    "SIGSEGV": "ctypes.string_at(0)",
    "SIGABRT": "os.abort()",
}
STUDY = """
plugins = ["dying.py"]
trials = 4
epochs = 4
grace = 4
evaluations = 2
eval_samples = 1
finalists = {finalists}

[problem]
name = "gaussian_2d"
train = 100
validation = 60
test = 60

[training]
batch = 50
learning_rate = [0.001, 0.002, 0.003, 0.004]

[models.dying]
deadly = {deadly}

[objectives.energy]
"""


@pytest.fixture
def dying(tmp_path: Path) -> Any:
    """Writes a study whose model dies in a way."""

    def write(way: str, deadly: str = "1.0", finalists: int = 0) -> Path:
        plugin = PLUGIN.format(how=WAYS[way], safe=str(tmp_path / "safe"))
        (tmp_path / "dying.py").write_text(plugin)
        (tmp_path / "study.toml").write_text(STUDY.format(deadly=deadly, finalists=finalists))
        return tmp_path / "study.toml"

    return write


def genseek(*words: object) -> "subprocess.CompletedProcess[str]":
    """The command line in a process of its own, with all that it prints."""
    command = [sys.executable, "-c", "from search.cli.app import main; main()", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)


def outcomes(folder: Path, name: str) -> dict[int, tuple[str, str]]:
    """Outcome and error of each trial in the record."""
    store = Store(folder)
    client = MlflowClient(store.uri)
    runs = client.search_runs(store.experiments(), "tags.genseek.kind = 'trial'")
    tags = [run.data.tags for run in runs]
    return {int(own["genseek.trial"]): (own["genseek.outcome"], own.get("genseek.error", "")) for own in tags}


@pytest.mark.slow
@pytest.mark.parametrize("way", ["SIGSEGV", "SIGKILL"])
def test_a_search_whose_trainers_keep_dying_ends_and_goes_on(way: str, dying: Any, store_folder: Path) -> None:
    study = dying(way, finalists=1)
    done = genseek("run", study, "--name", "first", "--store", store_folder)
    assert done.returncode == 1, done.stdout + done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert re.match(rf"error: trainers keep dying of {way}", line)
    assert line.endswith(f"; when that is mended, it goes on with: genseek resume first --store {store_folder}")
    both = done.stdout + done.stderr
    assert "Traceback" not in both
    assert "OOM" not in both  # Ray's own advice
    store = Store(store_folder)
    assert store.search("first").status == "FAILED"
    assert not store.confirmed("first")
    assert (store_folder / "ray" / "first" / JOURNAL).exists()
    assert {outcome for outcome, _ in outcomes(store_folder, "first").values()} == {"interrupted"}
    if way == "SIGKILL":
        return  # it goes on as the other does

    (study.parent / "safe").write_text("")
    again = genseek("resume", "first", "--store", store_folder)
    assert again.returncode == 0, again.stdout + again.stderr
    assert store.search("first").status == "FINISHED"
    assert store.confirmed("first")
    assert [outcome for outcome, _ in outcomes(store_folder, "first").values()] == ["finished"] * 4
    assert not (store_folder / "ray" / "first").exists()


@pytest.mark.slow
def test_trials_that_kill_their_trainers_fail_by_name_and_the_others_finish(dying: Any, store_folder: Path) -> None:
    study = dying("SIGABRT", deadly="[0.0, 1.0]")
    two = study.read_text().replace("trials = 4", 'trials = 2\nsampler = "grid"')
    study.write_text(two.replace("learning_rate = [0.001, 0.002, 0.003, 0.004]", ""))
    done = genseek("run", study, "--name", "some", "--store", store_folder)
    assert done.returncode == 0, done.stdout + done.stderr
    found = outcomes(store_folder, "some")
    assert sorted(outcome for outcome, _ in found.values()) == ["failed", "finished"]
    (error,) = [error for _, error in found.values() if error]
    assert re.fullmatch(r"its trainers died of SIGABRT in push \(.*, line \d+\)", error)
    assert f"warning: trial {1} failed: {error}" in " ".join(done.stdout.split()) or error in done.stdout
