"""A survey of nodes: each that can't run trainers is named, with why and a cure; several alike share a line."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ray.exceptions import GetTimeoutError, RaySystemError

from search.checkpoints import CheckpointStorage
from search.errors import GenseekError
from search.tune import preflight as surveying
from search.tune.preflight import Answer, preflight

HERE = {"Python": "3.11.7", "genseek": "0.1.0", "torch": "2.13.0+cu130", "numpy": "2.4.1"}


def nodes(count: int, **resources: float) -> list[dict[str, Any]]:
    return [
        {
            "NodeID": f"n{number}",
            "NodeManagerAddress": f"10.0.0.{number}",
            "Alive": True,
            "Resources": {"CPU": 2.0, **resources},
        }
        for number in range(1, count + 1)
    ]


def surveyed(storage: CheckpointStorage | None, alive: list[dict[str, Any]]) -> list[str]:
    """What a survey of these nodes says."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ray.nodes", lambda: alive)
        return preflight(storage)


@pytest.fixture
def says(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Lets nodes say what a test wants; by default what is so here, and they see the storage as we do."""
    said: dict[str, Any] = {}

    def ask(place: CheckpointStorage | None, node: str) -> Any:
        def answer() -> Answer:
            own = said.get(node, {})
            if isinstance(own, Exception):
                raise own
            if place is not None and not own.get("blind"):
                place.at(node).write(b"")
            versions: Mapping[str, str] = HERE | own.get("versions", {})
            return Answer(versions, own.get("storage", ""))

        return answer

    monkeypatch.setattr(surveying, "_ask", ask)
    monkeypatch.setattr(surveying, "_versions", lambda: HERE)
    monkeypatch.setattr("ray.get", lambda reference, timeout: reference())
    return said


def test_nodes_that_can_run_trainers(says: Any, tmp_path: Path) -> None:
    says["n1"] = {"versions": {"torch": "2.13.0"}}  # the same torch, for another device
    assert surveyed(CheckpointStorage(str(tmp_path / "kept")), nodes(3)) == []
    assert not list((tmp_path / "kept").iterdir())  # nothing is left of the survey
    assert surveyed(None, nodes(2)) == []


def test_a_node_without_cores_is_not_asked(says: Any) -> None:
    says["n1"] = GetTimeoutError()
    assert surveyed(None, nodes(1, CPU=0)) == []


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            {"versions": {"torch": "2.12.1"}},
            "torch 2.12.1, where the driver has 2.13.0; install the same",
        ),
        (
            {"versions": {"genseek": "0.0.9"}},
            "genseek 0.0.9, where the driver has 0.1.0; install the same",
        ),
        ({"storage": "it is full"}, "checkpoints .*: it is full; name a folder .* s3://bucket/folder"),
        ({"blind": True}, "checkpoints .*: what is written there isn't seen by the driver; .* --checkpoints"),
        (GetTimeoutError(), "no answer within 60 seconds; look at Ray's logs"),
        (
            RaySystemError("x\nModuleNotFoundError: No module named 'search'"),
            "genseek can't be imported; inst",
        ),
        (RaySystemError("no memory left"), "no task can run there .*no memory left"),
    ],
)
def test_a_node_that_cannot(answer: Any, said: str, says: Any, tmp_path: Path) -> None:
    says["n2"] = answer
    with pytest.raises(GenseekError, match=f"^node 10.0.0.2: {said}") as raised:
        surveyed(CheckpointStorage(str(tmp_path)), nodes(3))
    assert "\n" not in str(raised.value)
    assert "10.0.0.1" not in str(raised.value)


def test_every_reason_has_a_line_and_many_nodes_share_it(says: Any) -> None:
    says |= {f"n{number}": {"versions": {"torch": "2.12.1"}} for number in range(1, 6)}
    says["n6"] = GetTimeoutError()
    with pytest.raises(GenseekError) as raised:
        surveyed(None, nodes(7))
    first, second = str(raised.value).split("\n")
    assert first.startswith("nodes 10.0.0.1, 10.0.0.2, 10.0.0.3 and 2 others: torch 2.12.1")
    assert second.startswith("node 10.0.0.6: no answer")


def test_a_node_that_dies_meanwhile_is_no_trouble(says: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    alive = nodes(3)
    monkeypatch.setattr("ray.nodes", lambda: [*alive])

    def get(reference: Any, timeout: float) -> Answer:
        if len(alive) == 3:
            alive.pop(0)
            raise RaySystemError("it is dead")
        answer: Answer = reference()
        return answer

    monkeypatch.setattr("ray.get", get)
    assert preflight(None) == []


def test_a_gpu_that_no_torch_can_use_is_told(says: Any) -> None:
    says["n1"] = {"versions": {"torch": "2.13.0+cpu"}}
    (line,) = surveyed(None, nodes(2, GPU=1.0))
    assert line.startswith("node 10.0.0.1: GPUs, but a torch without CUDA")


def test_a_storage_that_the_driver_cannot_write(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(GenseekError, match="the driver can't use it"):
        surveyed(CheckpointStorage(str(tmp_path / "file" / "below")), nodes(1))


def test_a_real_node_answers(ray_cluster: None, tmp_path: Path) -> None:
    assert preflight(CheckpointStorage(str(tmp_path / "kept"))) == []
