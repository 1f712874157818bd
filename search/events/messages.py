"""Messages between the driver and its trainers, and causes of a trainer's death."""

import ctypes
import faulthandler
import os
import re
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

from search.events.events import Report
from search.study.configuration import Configuration, StackKey

SIGNALS = {
    "Segmentation fault": "SIGSEGV",
    "Aborted": "SIGABRT",
    "Bus error": "SIGBUS",
    "Illegal instruction": "SIGILL",
    "Floating point exception": "SIGFPE",
}
# Where Linux counts the processes that it killed for lack of memory: in the container, or on the machine.
KILLS = ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control", "/proc/vmstat")
STACK = 2**18  # bytes for a signal handler that runs when a thread's own stack is full


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """A trial to train, from the beginning or from the checkpoint that another trainer left."""

    trial: int
    configuration: Configuration
    seed: int
    begun: bool = False


@dataclass(frozen=True)
class Commands:
    """Trials that a trainer must begin, numbers of those that it must stop, and those that it must hand in.

    `hand_in` holds the last epoch known of each trial that shall count as far as it is trained.
    """

    begin: list[Assignment] = field(default_factory=list)
    stop: list[int] = field(default_factory=list)
    hand_in: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TrialUpdate:
    """Progress of a trial since the last message: a report and its architecture, or the error that ended it.

    `handed_in` says that its best checkpoint is kept and that it trains no more.
    """

    trial: int
    report: Report
    architecture: dict[str, float]
    error: str = ""
    handed_in: bool = False


@dataclass(frozen=True, kw_only=True)
class TrainerStatus:
    """State of a trainer: updates of its trials since its last message, and its free room.

    Args:
        trainer: a unique name; a trainer that replaces it has another.
        news: updates of its trials, in order.
        trials: numbers of the trials that it has or is to begin.
        kinds: kinds of these trials.
        room: further trials that it could train.
        networks: networks in training now.
        busy: share of recent time that it spent training and judging.
        device: "cpu" or "gpu".
        seconds: recent seconds of a step for each network, by kind.
        node: address of its node.
        trouble: a problem there that the user should know of, if any.
    """

    trainer: str
    news: list[TrialUpdate]
    trials: frozenset[int]
    kinds: frozenset[StackKey]
    room: int
    networks: int
    busy: float
    device: str = "cpu"
    seconds: dict[StackKey, float] = field(default_factory=dict)
    node: str = ""
    trouble: str = ""


@final
@dataclass(frozen=True)
class Death:
    """Why a trainer died, in a few words, and whether its trials caused it: a fatal signal of its own process."""

    cause: str
    crashed: bool = False


class _Stack(ctypes.Structure):
    _fields_ = (("start", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


_spare = ctypes.create_string_buffer(STACK)


def leave_words() -> None:
    """Write a fatal signal of the calling thread to this process's file, which is created now."""
    path = words_of(os.getpid())
    with suppress(OSError):  # a node without room for the file tells less
        path.unlink(missing_ok=True)
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.write(file, f"{_kills()}\n".encode())
        # Ray has enabled it for its own thread; enable it for this one, so that a stack overflow is handled.
        if sys.platform == "linux":
            ctypes.CDLL(None).sigaltstack(ctypes.byref(_Stack(ctypes.addressof(_spare), 0, STACK)), None)
        faulthandler.disable()
        faulthandler.enable(file, all_threads=False)


def words_of(pid: int) -> Path:
    """Return the path of the file that a trainer's process leaves."""
    return Path(tempfile.gettempdir()) / f"genseek-{os.getuid()}-{pid}"


def read_words(pid: int) -> Death | None:
    """Return why a process of this node died, and remove the file that says so; None if there is no file."""
    path = words_of(pid)
    try:
        before, _, words = path.read_text(errors="replace").partition("\n")
        path.unlink()
    except OSError:
        return None
    fatal = re.search(r"Fatal Python error: (.+)", words)
    if fatal:
        frame = re.search(r'File "(.+)", line (\d+) in (.+)', words)
        where = f" in {frame[3]} ({frame[1]}, line {frame[2]})" if frame else ""
        return Death(SIGNALS.get(fatal[1].strip(), f"a fatal error, {fatal[1].strip()},") + where, crashed=True)
    starved = before.isdecimal() and _kills() > int(before)
    return Death("SIGKILL of the kernel's memory killer" if starved else "SIGKILL")


def death_of(said: str, ask: Callable[[str, int], Death | None]) -> Death:
    """Return why a trainer died, from Ray's message; `ask` reads what a process left on a node, by address."""
    said = said.rpartition("Failure # ")[2].strip()
    if "running low on memory" in said:
        return Death("SIGKILL of Ray's memory monitor, since its node ran low on memory")
    node, pid = re.search(r"^\s*ip: (\S+)", said, re.MULTILINE), re.search(r"^\s*pid: (\d+)", said, re.MULTILINE)
    if "worker process has died" in said and node and pid:
        left = ask(node[1], int(pid[1]))
        if "SIGTERM" in said and not (left and left.crashed):
            return Death("SIGTERM")
        return left or Death("a signal, or an exit of its own")
    if "node" in said and "has died" in said:
        return Death("the end of its node")
    return Death(said.splitlines()[-1].strip() if said else "an unknown error")


def _kills() -> int:
    """Return how many processes Linux has killed for lack of memory here since start."""
    for path in map(Path, KILLS):
        with suppress(OSError):
            if found := re.search(r"^oom_kill (\d+)", path.read_text(), re.MULTILINE):
                return int(found[1])
    return 0
