"""The Ray cluster of a search: one on this machine alone, or the one that RAY_ADDRESS names."""

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
PATIENCE = 10.0  # seconds for a head node to accept a connection
OBJECTS = 2**28  # bytes of shared memory of a local cluster
LONGEST = 107  # bytes, the longest path of a socket
SOCKET = "/ray/session_2000-01-01_00-00-00_000000_/sockets/plasma_store"  # Ray's path; the process id follows
REFUSED = "InvalidAuthToken"
TOKEN = "the token is not the head's: set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN or ~/.ray/auth_token to what it has"
JOINING = "is this machine one of its nodes (ray start --address HEAD:6379)?"
SAME = "install the same version here"
OUTSIDE = ("ray://", "http://", "https://")  # addresses for programs outside the cluster


@contextmanager
def cluster(budget: Budget, storage: CheckpointStorage | None = None) -> Iterator[list[str]]:
    """Join the cluster or start one, unless this process is in one; give warnings for the user, one line each.

    Raises:
        ClusterError: it can't be joined, has no room for one trainer, or a node isn't fit to run one.
    """
    set_defaults(RAY)
    hush("ray.tune")  # a failed trial is reported in one line at the end
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
                pass  # only check that the storage can be written
            yield []
        finally:
            with nullcontext() if verbose() else redirect_stdout(io.StringIO()):
                ray.shutdown()  # it prints output that it held back


class _Sieve:
    """Standard output without what Ray's own threads print, unless verbose.

    Ray has no switch for its advice about processes that died, which would appear between results.
    """

    def __init__(self, output: TextIO) -> None:
        self._output = output

    def __getattr__(self, name: str) -> Any:
        return getattr(self._output, name)

    def write(self, text: str) -> int:
        """Print the text, unless one of Ray's threads writes it."""
        silent = threading.current_thread().name.startswith("ray_") and not verbose()
        return len(text) if silent else self._output.write(text)


def room(budget: Budget, storage: CheckpointStorage) -> tuple[dict[str, int], list[str]]:
    """Return how many trainers a search would have, by device, and warnings for the user; join a cluster to ask it.

    Raises:
        ClusterError: as `cluster`.
    """
    if not os.environ.get("RAY_ADDRESS"):
        return _held(budget, cores(), torch.cuda.device_count()), []
    with cluster(budget, storage) as warnings:
        return slots(budget), warnings


def check_places() -> None:
    """Raise an error for folders in which a Ray of this machine alone would fail.

    Raises:
        ClusterError: the home folder can't be written, or the paths of sockets would be too long.
    """
    if os.environ.get("RAY_ADDRESS") or ray.is_initialized():
        return
    for name in ("RAY_TMPDIR", "TMPDIR"):
        if not os.environ.get(name, "none"):
            del os.environ[name]  # Ray would take an empty value for a folder
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
    except RuntimeError:  # the system doesn't know the user
        home = "not set"
    if not os.access(home, os.W_OK | os.X_OK):
        raise ClusterError(
            f"HOME {home}: no folder that can be written, and Ray keeps its token there; export HOME=$(mktemp -d)"
        )
    os.environ.setdefault("HOME", home)


def count_nodes(address: str) -> int:
    """Return the number of nodes of the cluster at an address; this process joins the cluster to count them.

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
    """Return how many trainers the nodes can hold, by device, GPUs first."""
    held = [_held(budget, node["Resources"].get("CPU", 0), node["Resources"].get("GPU", 0)) for node in nodes()]
    return {device: sum(own[device] for own in held) for device in ("gpu", "cpu")}


def _held(budget: Budget, cpus: float, gpus: float) -> dict[str, int]:
    """Return how many trainers a node with so many cores and GPUs holds, by device."""
    cores = int(cpus / budget.cpus + ROUNDING)
    on_gpus = min(cores, int(gpus / budget.gpus + ROUNDING)) if budget.device != "cpu" else 0
    return {"gpu": on_gpus, "cpu": cores - on_gpus if budget.device != "gpu" else 0}


def _start(address: str) -> None:
    if address.startswith(OUTSIDE):
        raise ClusterError(
            f"--address {address}: a search can't be led from outside its cluster; submit it, genseek submit "
            f"--address http://HEAD:8265, or run it on one of the nodes with --address auto"
        )
    # Without an address Ray would join a cluster that runs on this machine.
    local: dict[str, Any] = {
        "address": "local",
        "include_dashboard": False,
        "object_store_memory": OBJECTS,
        "num_cpus": cores(),
    }
    host, _, port = address.rpartition(":")
    with _muted(), _undisturbed():
        try:
            if host and port.isdecimal():  # check first, because Ray tries for minutes
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
    """Discard standard error, to which Ray's libraries write many times what an error already says."""
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
    """Let processes that are started meanwhile survive when the terminal closes; their leader ends them."""
    old = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, old)


def _check_room(budget: Budget) -> None:
    if budget.trainers or any(slots(budget).values()):
        return  # nodes may still join
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
