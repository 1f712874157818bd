"""The Ray cluster that a search runs on: one of this machine alone, or one that RAY_ADDRESS names."""

import io
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from pathlib import Path
from typing import Any, TextIO, cast

import ray
import torch
from ray.exceptions import AuthenticationError, RayError

from search.checkpoints import CheckpointStorage
from search.environment import RAY, set_defaults
from search.errors import ClusterError
from search.log import hush, verbose
from search.study.budget import Budget, cores
from search.tune.preflight import nodes, preflight, with_marks

ROUNDING = 1e-9  # ten shares of 0.1 are a whole
PATIENCE = 10.0  # seconds for a head to take a connection
OBJECTS = 2**28  # bytes of shared memory of a cluster of this machine
LONGEST = 107  # bytes of the path of a socket
SOCKET = "/ray/session_2000-01-01_00-00-00_000000_/sockets/plasma_store"  # of Ray, and its process
REFUSED = "InvalidAuthToken"
TOKEN = "the token is not the head's: set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN or ~/.ray/auth_token to what it has"
JOINING = "is this machine one of its nodes (ray start --address HEAD:6379)?"
SAME = "install the same version here"
OUTSIDE = ("ray://", "http://", "https://")  # addresses for programs that aren't on a node


@contextmanager
def cluster(budget: Budget, storage: CheckpointStorage | None = None) -> Iterator[list[str]]:
    """Join the cluster or start one, unless this process is in one; gives what a user should know of it, a line each.

    Raises:
        ClusterError: it can't be joined, has no room for one trainer, or a node isn't fit to run one.
    """
    set_defaults(RAY)
    hush("ray.tune")  # a failing trial is told in one line at the end
    with redirect_stdout(cast(TextIO, _Sieve(sys.stdout))):
        if ray.is_initialized():
            _check_room(budget)
            yield []
            return
        address = os.environ.get("RAY_ADDRESS", "")
        try:
            _start(address)
            _check_room(budget)
            if address and address != "local":
                yield preflight(storage)
                return
            with with_marks(storage):
                pass  # it can be written
            yield []
        finally:
            with nullcontext() if verbose() else redirect_stdout(io.StringIO()):
                ray.shutdown()  # which prints what it has held back


class _Sieve:
    """Standard output without what Ray's own threads print there, unless all is wanted.

    Ray has no switch for its advice about processes that died, which would stand between results.
    """

    def __init__(self, output: TextIO) -> None:
        self._output = output

    def __getattr__(self, name: str) -> Any:
        return getattr(self._output, name)

    def write(self, text: str) -> int:
        """Print, or don't."""
        silent = threading.current_thread().name.startswith("ray_") and not verbose()
        return len(text) if silent else self._output.write(text)


def room(budget: Budget, storage: CheckpointStorage) -> tuple[dict[str, int], list[str]]:
    """Trainers that a search would have, by device, and what a user should know; joins a cluster to ask it.

    Raises:
        ClusterError: as `cluster`.
    """
    if not os.environ.get("RAY_ADDRESS"):
        return _held(budget, cores(), torch.cuda.device_count()), []
    with cluster(budget, storage) as warnings:
        return slots(budget), warnings


def check_places() -> None:
    """Refuse folders in which a Ray of this machine alone can't live, before it dies of them.

    Raises:
        ClusterError: the home folder can't be written, or the paths of sockets would be too long.
    """
    if os.environ.get("RAY_ADDRESS") or ray.is_initialized():
        return
    for name in ("RAY_TMPDIR", "TMPDIR"):
        if not os.environ.get(name, "none"):
            del os.environ[name]  # empty, which Ray would take for a folder
    variable = "RAY_TMPDIR" if "RAY_TMPDIR" in os.environ else "TMPDIR"
    place = os.environ.get(variable, "/tmp")
    longest = len(os.fsencode(f"{place}{SOCKET}{os.getpid()}"))
    if longest > LONGEST:
        cure = "export RAY_TMPDIR=/tmp"
        raise ClusterError(
            f"{variable} {place}: Ray's sockets would have paths of {longest} bytes, and {LONGEST} are the most; {cure}"
        )
    if os.environ.get("RAY_AUTH_MODE", "token") != "token" or "RAY_AUTH_TOKEN" in os.environ:
        return
    try:
        home = str(Path.home())
    except RuntimeError:  # of a user that the system doesn't know
        home = "not set"
    if not os.access(home, os.W_OK | os.X_OK):
        raise ClusterError(
            f"HOME {home}: no folder that can be written, and Ray keeps its token there; export HOME=$(mktemp -d)"
        )
    os.environ.setdefault("HOME", home)


def count_nodes(address: str) -> int:
    """Nodes of the cluster at an address, which this process joins to count them.

    Raises:
        ClusterError: it can't be joined.
    """
    set_defaults(RAY)
    try:
        _start(address)
        return len(nodes())
    finally:
        ray.shutdown()


def slots(budget: Budget) -> dict[str, int]:
    """Trainers that the nodes can hold, by device; those on GPUs come first."""
    held = [_held(budget, node["Resources"].get("CPU", 0), node["Resources"].get("GPU", 0)) for node in nodes()]
    return {device: sum(own[device] for own in held) for device in ("gpu", "cpu")}


def _held(budget: Budget, cpus: float, gpus: float) -> dict[str, int]:
    """Trainers that a node with so many cores and GPUs holds."""
    cores = int(cpus / budget.cpus + ROUNDING)
    on_gpus = min(cores, int(gpus / budget.gpus + ROUNDING)) if budget.device != "cpu" else 0
    return {"gpu": on_gpus, "cpu": cores - on_gpus if budget.device != "gpu" else 0}


def _start(address: str) -> None:
    if address.startswith(OUTSIDE):
        raise ClusterError(
            f"--address {address}: a search can't be led from outside its cluster; submit it, genseek submit "
            f"--address http://HEAD:8265, or run it on one of the nodes with --address auto"
        )
    # Without an address Ray would join what runs on this machine.
    local: dict[str, Any] = {
        "address": "local",
        "include_dashboard": False,
        "object_store_memory": OBJECTS,
        "num_cpus": cores(),
    }
    host, _, port = address.rpartition(":")
    with _muted(), _undisturbed():
        try:
            if host and port.isdecimal():  # Ray would try for minutes
                socket.create_connection((host.strip("[]"), int(port)), PATIENCE).close()
            if not sys.stderr.isatty():
                os.environ.setdefault("RAY_COLOR_PREFIX", "0")
            level = logging.INFO if verbose() else logging.ERROR
            ray.init(log_to_driver=verbose(), logging_level=level, **({} if address else local))
        except (RayError, ConnectionError, RuntimeError, ValueError, OSError) as error:
            if not address:
                raise ClusterError(f"Ray can't be started on this machine: {_line(error)}") from error
            refused = isinstance(error, AuthenticationError) or REFUSED in str(error.__cause__)
            cure = TOKEN if refused else SAME if "ersion" in str(error) else JOINING
            raise ClusterError(f"--address {address}: can't join the cluster ({_line(error)}); {cure}") from error


@contextmanager
def _muted() -> Iterator[None]:
    """Let nothing through to standard error: Ray's libraries write there, many times, what an error says."""
    if verbose():
        yield
        return
    kept = os.dup(2)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let processes that are started meanwhile live on when the terminal closes: who leads them ends them."""
    old = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, old)


def _check_room(budget: Budget) -> None:
    if budget.trainers or any(slots(budget).values()):
        return  # or else nodes may come
    have = [node["Resources"] for node in nodes()]
    wanted = {"CPU": budget.cpus} | ({"GPU": budget.gpus} if budget.device == "gpu" else {})
    for name, share in wanted.items():
        most = max((own.get(name, 0) for own in have), default=0)
        if share > most:
            key = f"{name.lower()}s"
            grows = "" if most else "; where nodes come when they are asked for, say how many trainers: --trainers N"
            raise ClusterError(f"{key} = {share:g}: one trainer wants more than any node has ({most:g} {name}){grows}")
    raise ClusterError(f"no node has both {budget.cpus:g} CPUs and {budget.gpus:g} GPUs, which one trainer wants")


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
