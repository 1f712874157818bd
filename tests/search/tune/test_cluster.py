"""What a cluster holds: trainers are counted node by node, and what can't be had is said before anything starts."""

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from search.checkpoints import CheckpointStorage
from search.errors import GenseekError
from search.study.budget import Budget, cores
from search.tune.cluster import check_places, cluster, room, slots


@pytest.fixture(autouse=True)
def kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps the cluster of other tests, which a search that can't join one would shut down."""
    monkeypatch.setattr("ray.shutdown", lambda: None)


@pytest.fixture
def with_nodes(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Lets Ray have nodes of these resources, and a dead one."""

    def have(*resources: dict[str, float]) -> None:
        dead = {"Alive": False, "Resources": {"CPU": 64.0}}
        alive = [{"Alive": True, "Resources": own} for own in resources]
        monkeypatch.setattr("ray.nodes", lambda: [dead, *alive])
        monkeypatch.setattr("ray.is_initialized", lambda: True)

    return have


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        ({}, {"gpu": 2, "cpu": 9}),
        ({"cpus": 2}, {"gpu": 2, "cpu": 2}),  # cores that are left over don't add up
        ({"device": "gpu", "gpus": 0.5}, {"gpu": 4, "cpu": 0}),
        ({"device": "cpu", "cpus": 4}, {"gpu": 0, "cpu": 1}),
    ],
)
def test_trainers_are_counted_node_by_node(budget: Any, expected: dict[str, int], with_nodes: Any) -> None:
    with_nodes({}, {"CPU": 3.0}, {"CPU": 3.0}, {"CPU": 5.0, "GPU": 2.0})
    assert slots(Budget(**budget)) == expected


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        ({"cpus": 4}, r"^cpus = 4: one trainer wants more than any node has \(3 CPU\)$"),
        ({"device": "gpu", "gpus": 2}, r"^gpus = 2: one trainer wants more than any node has \(1 GPU\)$"),
        ({"device": "gpu", "cpus": 3}, r"^no node has both 3 CPUs and 1 GPUs"),
    ],
)
def test_what_no_node_has(budget: Any, said: str, with_nodes: Any) -> None:
    with_nodes({"CPU": 3.0}, {"CPU": 1.0, "GPU": 1.0})
    with pytest.raises(GenseekError, match=said), cluster(Budget(**budget)):
        pass
    with cluster(Budget(trainers=4, **budget)):
        pass  # such nodes may come


def test_a_head_without_cores_says_how_a_cluster_grows(with_nodes: Any) -> None:
    with_nodes({})
    with pytest.raises(GenseekError, match=r"--trainers N$"), cluster(Budget()):
        pass


def test_room_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("search.tune.cluster.cores", lambda: 6)
    monkeypatch.setattr("search.tune.cluster.torch.cuda.device_count", lambda: 0)
    assert room(Budget(cpus=2), CheckpointStorage(str(tmp_path))) == ({"gpu": 0, "cpu": 3}, [])


@pytest.mark.parametrize("address", ["ray://10.0.0.5:10001", "http://10.0.0.5:8265"])
def test_a_search_is_led_from_a_node(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(GenseekError, match=r"genseek submit --address http://.*--address auto"), cluster(Budget()):
        pass


def test_a_cluster_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    monkeypatch.setenv("RAY_ADDRESS", "auto")

    def refused(**options: Any) -> None:
        raise ConnectionError("Could not find any\nrunning Ray instance")

    monkeypatch.setattr("ray.init", refused)
    with pytest.raises(GenseekError) as raised, cluster(Budget()):
        pass
    said = "--address auto: can't join the cluster (Could not find any running Ray instance); is this machine one"
    assert str(raised.value).startswith(said)
    assert "\n" not in str(raised.value)


def test_a_wrong_token_is_called_that(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    monkeypatch.setenv("RAY_ADDRESS", "auto")

    def refused(**options: Any) -> None:
        os.write(2, b"gcs_client.cc:210: RPC error: InvalidAuthToken\n" * 20)  # as Ray's libraries do
        raise ConnectionError("Failed to connect") from RuntimeError("InvalidAuthToken: it is missing or incorrect")

    monkeypatch.setattr("ray.init", refused)
    with pytest.raises(GenseekError, match="the token is not the head's: set RAY_AUTH_MODE=token"), cluster(Budget()):
        pass
    os.write(2, b"all is told again\n")
    assert capfd.readouterr().err == "all is told again\n"


def test_an_address_where_nobody_listens_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(GenseekError, match=r"^--address 127.0.0.1:1: can't join .*refused"), cluster(Budget()):
        pass


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No cluster is there."""
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    for name in ("RAY_ADDRESS", "RAY_TMPDIR", "TMPDIR", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)


def test_a_home_that_ray_can_not_write(alone: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for home in ("/nonexistent", "/proc/none", str(tmp_path / "none")):
        monkeypatch.setenv("HOME", home)
        with pytest.raises(GenseekError, match=rf"^HOME {home}: .*; export HOME=\$\(mktemp -d\)$"):
            check_places()
    monkeypatch.setattr(Path, "home", _unknown)
    monkeypatch.delenv("HOME")
    with pytest.raises(GenseekError, match=r"^HOME not set: no folder"):
        check_places()
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    check_places()


def _unknown() -> Path:
    raise RuntimeError("Could not determine home directory.")


def test_a_folder_whose_sockets_have_long_paths(alone: None, monkeypatch: pytest.MonkeyPatch) -> None:
    longest = 107 - len("/ray/session_2000-01-01_00-00-00_000000_/sockets/plasma_store") - len(str(os.getpid()))
    monkeypatch.setenv("TMPDIR", "/" + "x" * (longest - 1))
    check_places()
    for name in ("TMPDIR", "RAY_TMPDIR"):
        monkeypatch.setenv(name, "/" + "é" * (longest // 2 + 1))
        with pytest.raises(
            GenseekError, match=rf"^{name} /é+: Ray's sockets .* 1\d\d bytes.*; export RAY_TMPDIR=/tmp$"
        ):
            check_places()
        monkeypatch.setenv(name, "")
        check_places()
        assert name not in os.environ


@pytest.mark.parametrize(
    ("quota", "count"), [("150000 100000", 1), ("50000 100000", 1), ("250000 100000", 2), ("max 100000", 6)]
)
def test_cores_are_those_that_a_container_has(
    quota: str, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(6)))
    monkeypatch.setattr("search.study.budget.QUOTA", tmp_path / "cpu.max")
    assert cores() == 6
    (tmp_path / "cpu.max").write_text(f"{quota}\n")
    assert cores() == count


def test_rays_advice_does_not_come_through_unasked(
    ray_cluster: None, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with cluster(Budget(), CheckpointStorage(str(tmp_path))):
        for name in ("ray_listen_error_messages", "own"):
            thread = threading.Thread(target=print, args=(f"said by {name}",), name=name)
            thread.start()
            thread.join()
    assert capsys.readouterr().out == "said by own\n"
