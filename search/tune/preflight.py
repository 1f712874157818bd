"""Preflight check of a cluster: before a search starts, each node says whether it can run trainers."""

import platform
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from search.checkpoints import CheckpointStorage
from search.errors import ClusterError, StoreError

PACKAGES = ("genseek", "torch", "numpy")  # packages whose versions change results
PATIENCE = 60.0  # seconds for a node to answer
SHOWN = 3  # nodes that a line names
SHARED = "name a folder that every node sees, or such as s3://bucket/folder, with --checkpoints"
CORES_ONLY = "+cpu"  # suffix of the version of a torch that was built without CUDA


@dataclass(frozen=True)
class Answer:
    """A node's answer: versions of what is installed, and an error of the storage there, if any."""

    versions: Mapping[str, str]
    storage: str = ""


def nodes() -> list[dict[str, Any]]:
    """Return Ray's description of each node that is alive."""
    return [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]


def preflight(storage: CheckpointStorage | None) -> list[str]:
    """Ask every node with cores; return warnings for the user if all can run trainers, one line each.

    Raises:
        ClusterError: some nodes can't: one line for each reason, with its cure.
    """
    asked = [node for node in nodes() if node["Resources"].get("CPU", 0) > 0]
    troubles: dict[str, list[str]] = {}
    warnings: dict[str, list[str]] = {}
    with with_marks(storage) as place:
        pending, latest = [_ask(place, node["NodeID"]) for node in asked], time.monotonic() + PATIENCE
        for node, reference in zip(asked, pending, strict=True):
            address = node["NodeManagerAddress"]
            try:
                answer = ray.get(reference, timeout=max(0.0, latest - time.monotonic()))
            except (RayError, ImportError) as error:
                if node["NodeID"] in [each["NodeID"] for each in nodes()]:  # otherwise the node has left meanwhile
                    troubles.setdefault(_silence(error), []).append(address)
                continue
            for trouble in _compared(answer, place, node["NodeID"]):
                troubles.setdefault(trouble, []).append(address)
            if node["Resources"].get("GPU", 0) > 0 and answer.versions["torch"].endswith(CORES_ONLY):
                line = "GPUs, but a torch without CUDA, so trials train on cores there; install a CUDA build"
                warnings.setdefault(line, []).append(address)
    if troubles:
        raise ClusterError("\n".join(_lines(troubles)))
    return _lines(warnings)


def _ask(place: CheckpointStorage | None, node: str) -> Any:
    there = NodeAffinitySchedulingStrategy(node, soft=False)
    return ray.remote(_answer).options(num_cpus=0, max_retries=0, scheduling_strategy=there).remote(place, node)


def _answer(place: CheckpointStorage | None, node: str) -> Answer:
    """Return the answer of a node."""
    trouble = ""
    if place is not None:
        try:
            if place.at("missing").read() is not None or place.at("driver").read() is None:
                trouble = "what the driver writes isn't seen there"
            place.at(node).write(b"")
        except Exception as error:
            trouble = (
                f"it can't be read and written there ({type(error).__name__}: {' '.join(str(error).split())[:200]})"
            )
    return Answer(_versions(), trouble)


def _versions() -> dict[str, str]:
    return {"Python": platform.python_version()} | {name: metadata.version(name) for name in PACKAGES}


@contextmanager
def with_marks(storage: CheckpointStorage | None) -> Iterator[CheckpointStorage | None]:
    """Give a place in the storage with a file of the driver, which exists as long as the context.

    Raises:
        ClusterError: it can't be written.
    """
    if storage is None:
        yield None
        return
    place = storage.at(f"survey-{uuid.uuid4().hex}")
    try:
        place.at("driver").write(b"")
        place.at("missing").read()  # some object stores have a separate permission for this
    except Exception as error:  # file systems raise many kinds of errors
        raise StoreError(f"checkpoints {storage.uri}: the driver can't use it ({error}); {SHARED}") from error
    try:
        yield place
    finally:
        with suppress(OSError):
            place.remove()


def _silence(error: Exception) -> str:
    """Return why a node gave no answer."""
    if isinstance(error, GetTimeoutError):
        return f"no answer within {PATIENCE:.0f} seconds; look at Ray's logs there, and whether its ports are open"
    if "ModuleNotFoundError" in str(error) or isinstance(error, ImportError):
        return "genseek can't be imported; install the same version there as here"
    return f"no task can run there ({str(error).strip().splitlines()[-1][:200]})"


def _compared(answer: Answer, place: CheckpointStorage | None, node: str) -> Iterator[str]:
    """Return what is wrong with a node that answered."""
    for name, here in _versions().items():
        here, there = here.partition("+")[0], answer.versions[name].partition("+")[0]
        if here != there:
            yield f"{name} {there}, where the driver has {here}; install the same on both"
    if place is None:
        return
    where = place.uri.rpartition("/")[0]
    if answer.storage:
        yield f"checkpoints {where}: {answer.storage}; {SHARED}"
    elif place.at(node).read() is None:
        yield f"checkpoints {where}: what is written there isn't seen by the driver; {SHARED}"


def _lines(found: Mapping[str, Sequence[str]]) -> list[str]:
    lines = []
    for what, addresses in found.items():
        others = f" and {len(addresses) - SHOWN} others" if len(addresses) > SHOWN else ""
        lines.append(f"node{'s' if len(addresses) > 1 else ''} {', '.join(addresses[:SHOWN])}{others}: {what}")
    return lines
