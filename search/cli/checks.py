"""What `doctor` checks: what is installed, what this machine has, and what can be reached."""

import base64
import importlib
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal, final

from search.checkpoints import could_write
from search.environment import MLFLOW, RAY
from search.errors import GenseekError, StoreError, redact_credentials
from search.log import show_traceback
from search.study.budget import cores

PACKAGES = ("genseek", "torch", "ray", "optuna", "mlflow", "numpy", "pandas")
SLOW = 30.0  # seconds to import them
SHARED = 2**28  # bytes of /dev/shm that Ray takes on one machine
TRAINER = 0.4e9  # bytes of memory that a trainer takes
FULL = 1e9  # bytes of disk below which a search may not end
ALSO = (
    *("GENSEEK_STORE", "GENSEEK_CHECKPOINTS", "MLFLOW_TRACKING_URI", "RAY_ADDRESS", "RAY_AUTH_MODE", "RAY_TMPDIR"),
    *("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "OTEL_EXPORTER_OTLP_ENDPOINT"),
)
TELEMETRY = ("RAY_USAGE_STATS_ENABLED", "MLFLOW_DISABLE_TELEMETRY")
ASKING = "/api/2.0/mlflow/experiments/search?max_results=1"


@final
@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line of a diagnosis: of what, ok or not, what was found, and what to do about it."""

    what: str
    state: Literal["ok", "warning", "error"]
    found: str
    cure: str = ""


def findings(store: Path | None = None, tracking_uri: str | None = None, patience: float = 20) -> Iterator[Finding]:
    """Everything that a search needs, one after the other, as soon as it's known.

    Args:
        store: folder of the embedded store; genseek-store if None.
        tracking_uri: MLflow's; MLFLOW_TRACKING_URI if None.
        patience: seconds for a store or a server to answer.
    """
    folder = store or Path("genseek-store")
    yield from _packages()
    yield from _machine()
    yield from _graphics()
    yield from _store(folder, patience)
    if uri := tracking_uri or os.environ.get("MLFLOW_TRACKING_URI"):
        yield _tracking(uri, patience)
    yield from _ray(os.environ.get("RAY_ADDRESS", ""), patience)
    yield from _disk(folder)
    yield from _environment()


def _packages() -> Iterator[Finding]:
    yield Finding(what="python", state="ok", found=f"{sys.version.split()[0]}, {sys.executable}")
    began = time.perf_counter()
    for name in PACKAGES:
        try:
            found = version(name)
            if name != "genseek":
                importlib.import_module(name)
            yield Finding(what=name, state="ok", found=found)
        except PackageNotFoundError:
            yield Finding(what=name, state="error", found="isn't installed", cure=f"pip install {name}")
        except Exception as error:  # whatever a broken installation raises
            show_traceback()
            said = f"{found} can't be imported: {type(error).__name__}: {error}"
            yield Finding(what=name, state="error", found=said, cure=f"pip install --force-reinstall {name}")
    seconds = time.perf_counter() - began
    cure = "each command and each trainer takes as long to start; is the environment on a slow disk?"
    slow = seconds > SLOW
    yield Finding(
        what="imports", state="warning" if slow else "ok", found=f"{seconds:.1f} s", cure=cure if slow else ""
    )


def _machine() -> Iterator[Finding]:
    usable = cores()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    yield Finding(what="cores", state="ok", found=f"{usable} of {os.cpu_count()} may be used")
    small = memory < usable * TRAINER
    cure = "a trainer takes 0.4 GB, and each core gets one: raise cpus in the study's [budget]" if small else ""
    yield Finding(what="memory", state="warning" if small else "ok", found=_size(memory), cure=cure)
    if (shared := Path("/dev/shm")).is_dir():
        free = shutil.disk_usage(shared).free
        cure = "Ray falls back on the disk, and is slow: docker run --shm-size 1g, or empty it" if free < SHARED else ""
        yield Finding(
            what="shared memory", state="warning" if cure else "ok", found=f"{_size(free)} free in /dev/shm", cure=cure
        )


def _graphics() -> Iterator[Finding]:
    try:
        import torch
    except Exception:  # told of before
        return
    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    built = f"CUDA {torch.version.cuda}" if torch.version.cuda else "without CUDA"
    cards = _cards()
    found = f"{', '.join(names) or 'none'}; torch is built {'for ' if torch.version.cuda else ''}{built}"
    if len(cards) > len(names) and os.environ.get("CUDA_VISIBLE_DEVICES") is None:
        why = "install a CUDA build of torch" if not torch.version.cuda else "does the driver fit torch's CUDA?"
        yield Finding(what="GPUs", state="error", found=f"{found}; nvidia-smi sees {', '.join(cards)}", cure=why)
    else:
        yield Finding(what="GPUs", state="ok", found=found)


def _cards() -> list[str]:
    """GPUs that the driver sees, whatever torch does."""
    try:
        command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in done.stdout.splitlines() if line.strip()]


def _store(folder: Path, patience: float) -> Iterator[Finding]:
    if not (folder / "mlflow.db").exists():
        try:
            could_write(folder)
            yield Finding(what="store", state="ok", found=f"none in {folder} yet; a search makes one")
        except GenseekError as error:
            yield Finding(what="store", state="error", found=str(error), cure="name another folder: --store")
        return
    states: list[Finding] = []

    def opened() -> str:
        from search.record.store import Store

        store = Store(folder, create=False)
        searches = store.searches()
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        line = f"{folder.resolve()}, {len(searches)} searches, {_size(size)}"
        if store.read_only:
            states.append(
                Finding(
                    what="store",
                    state="warning",
                    found=f"{line}; it can only be read",
                    cure="searches need another: --store",
                )
            )
        if there := store.moved_from():
            said = f"MLflow looks for them in {', '.join(there)}, since the store was moved or copied; genseek doesn't"
            cure = "a search in the store, or genseek ui, says in its record where they are now"
            states.append(Finding(what="store's files", state="warning", found=said, cure=cure))
        return line

    cure = "was another version of MLflow's, or was it cut off while it was copied?"
    found = _tried("store", opened, patience, cure)
    if found.state != "ok" or not any(state.what == "store" for state in states):
        yield found
    yield from states


def _tracking(uri: str, patience: float) -> Finding:
    shown = redact_credentials(uri)
    if uri.startswith("http"):
        cure = "is it an MLflow server, does it run, and do MLFLOW_TRACKING_USERNAME and PASSWORD fit?"
        return _tried("tracking server", lambda: f"{shown}, {probe_server(uri, patience)}", patience * 3, cure)

    def opened() -> str:
        from search.record.store import Store

        return f"{shown}, {len(Store(Path(), uri).searches())} searches"

    return _tried("tracking server", opened, patience, "is it a tracking URI, and is its database there?")


def _ray(address: str, patience: float) -> Iterator[Finding]:
    if address and address != "local":
        mode = os.environ.get("RAY_AUTH_MODE", "not set")

        def counted() -> str:
            if address.startswith("http"):
                from search.tune.jobs import Jobs

                return f"{address}, {len(Jobs(address).all())} searches submitted, RAY_AUTH_MODE {mode}"
            from search.tune.cluster import count_nodes

            return f"{address}, {count_nodes(address)} nodes, RAY_AUTH_MODE {mode}"

        yield _tried("Ray cluster", counted, patience, "ray status, on the head, says how it is")
    else:
        yield Finding(what="Ray cluster", state="ok", found="none is named; a search starts one of this machine")
    if heads := _heads():
        line = f"processes {', '.join(heads)} lead Ray clusters on this machine"
        yield Finding(
            what="Ray here",
            state="warning",
            found=line,
            cure="if no search runs, they are left over: ray stop ends them all",
        )


def _heads() -> list[str]:
    """Process ids of Ray's heads on this machine."""
    found = []
    for path in Path("/proc").glob("[0-9]*/comm"):
        try:
            if path.read_text().strip() == "gcs_server":
                found.append(path.parent.name)
        except OSError:
            continue  # it has just ended
    return found


def _disk(folder: Path) -> Iterator[Finding]:
    there = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.is_dir())
    for what, place in (("disk of the store", there), ("disk of Ray", Path(os.environ.get("RAY_TMPDIR", "/tmp")))):
        free = shutil.disk_usage(place).free
        cure = "a search keeps its checkpoints and logs there" if free < FULL else ""
        yield Finding(what=what, state="warning" if cure else "ok", found=f"{_size(free)} free in {place}", cure=cure)


def _environment() -> Iterator[Finding]:
    defaults = RAY | MLFLOW
    for name in (*defaults, *ALSO):
        value, default = os.environ.get(name), defaults.get(name)
        if value is None or value == default:
            continue
        if name in TELEMETRY:
            yield Finding(
                what=name,
                state="warning",
                found=f"{value}: reports of use are sent",
                cure=f"unset {name}, to send none",
            )
        else:
            yield Finding(
                what=name,
                state="ok",
                found=redact_credentials(value) + (f" (genseek's own: {default})" if default else ""),
            )


def _tried(what: str, answer: Callable[[], str], patience: float, cure: str) -> Finding:
    """What `answer` says, or why it doesn't within `patience` seconds."""
    said: list[Any] = []

    def ask() -> None:
        try:
            said.append(answer())
        except Exception as error:  # whatever a broken store raises
            show_traceback()
            said.append(error)

    # A thread that hangs is left behind: nothing waits for it when the command ends.
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(patience)
    if not said:
        return Finding(what=what, state="error", found=f"no answer within {patience:g} s", cure=cure)
    if isinstance(said[0], GenseekError):
        return Finding(what=what, state="error", found=str(said[0]), cure=cure)
    if isinstance(said[0], Exception):
        return Finding(what=what, state="error", found=f"{type(said[0]).__name__}: {said[0]}", cure=cure)
    return Finding(what=what, state="ok", found=said[0])


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def probe_server(uri: str, patience: float) -> str:
    """Version of the server at `uri`, and whether the user's name and password let in.

    Raises:
        StoreError: it doesn't answer within `patience` seconds a question, isn't MLflow's, or lets nobody in.
    """
    name, password = (os.environ.get(f"MLFLOW_TRACKING_{each}", "") for each in ("USERNAME", "PASSWORD"))
    if match := re.match(r"(https?://)([^/@:]*):([^/@]*)@(.*)", uri):
        uri, name, password = match[1] + match[4], match[2], match[3]
    headers = {}
    if name:
        headers["Authorization"] = f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"
    elif token := os.environ.get("MLFLOW_TRACKING_TOKEN"):
        headers["Authorization"] = f"Bearer {token}"
    said = []
    for path in ("/version", ASKING):
        try:
            request = urllib.request.Request(uri.rstrip("/") + path, headers=headers)
            with urllib.request.urlopen(request, timeout=patience) as answer:
                said.append(answer.read(10_000).decode(errors="replace").strip())
        except urllib.error.HTTPError as error:
            error.close()
            raise StoreError(f"{uri}{path.partition('?')[0]}: {error.code} {error.reason}") from error
        except (OSError, ValueError) as error:
            raise StoreError(f"{uri}: {getattr(error, 'reason', None) or error}") from error
    if not re.fullmatch(r"\d+\.\d+[\w.]*", said[0]):
        raise StoreError(f"{uri}: answers, but not as MLflow does")
    return f"MLflow {said[0]}, " + ("the name and password fit" if name else "no password asked for")
