"""Hosts are as apart as real ones, and Ray runs on them; what doesn't have the token stays outside."""

import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hosts import Host, Hosts
from ray_hosts import RayHosts

pytestmark = pytest.mark.cluster

# How Ray finds its own address: by the default route.
WHO_AM_I = """
import os, socket
with socket.socket(type=socket.SOCK_DGRAM) as probe:
    probe.connect(("8.8.8.8", 80))
    print(socket.gethostname(), probe.getsockname()[0], *sorted(os.environ))
"""
FETCH = "import sys, urllib.request as web; print(web.urlopen(sys.argv[1], timeout=1).read().decode())"
WHERE = """
import sys, ray
ray.init(address=sys.argv[1], log_to_driver=False)

@ray.remote(num_cpus=1)
class Probe:
    def address(self):
        return ray.util.get_node_ip_address()

probes = [Probe.remote() for _ in range(2)]  # each keeps its CPU
print(*sorted(ray.get([probe.address.remote() for probe in probes])))
"""


@pytest.fixture(scope="module")
def pair(hosts: Hosts) -> tuple[Host, Host]:
    """Two hosts; the second one serves its /tmp."""
    near, far = hosts.add("near"), hosts.add("far")
    (far.tmp / "greeting").write_text("hello from far")
    far.start("python", "-m", "http.server", "8000", "--directory", "/tmp")
    return near, far


def reached(near: Host) -> bool:
    greeting = near.run("python", "-c", FETCH, "http://far:8000/greeting", check=False).stdout
    assert greeting in ("", "hello from far\n")
    return bool(greeting)


def soon(condition: Callable[[], bool]) -> bool:
    until = time.monotonic() + 10
    while not (met := condition()) and time.monotonic() < until:
        time.sleep(0.05)
    return met


def processes(space: str) -> list[str]:
    """Command lines of what runs in a namespace."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it's gone meanwhile
            if str((process / "ns" / space.partition(":")[0]).readlink()) == space:
                found.append((process / "cmdline").read_text())
    return found


def namespace(process: int, kind: str = "pid") -> str:
    return str(Path(f"/proc/{process}/ns/{kind}").readlink())


def test_hosts_have_names_and_addresses_of_their_own(pair: tuple[Host, Host], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOT_THEIRS", "1")
    for host in pair:
        names = ["HOME", "LANG", "PATH"]
        assert host.run("python", "-c", WHO_AM_I).stdout.split() == [host.name, host.address, *names]
    assert pair[0].address != pair[1].address


def test_only_the_shared_folder_is_shared(hosts: Hosts, pair: tuple[Host, Host]) -> None:
    near, far = pair
    folders = ["/tmp", "/tmp/home", "/dev/shm", str(hosts.shared)]
    near.run("touch", *(f"{folder}/near" for folder in folders))
    seen = [folder for folder in folders if not far.run("test", "-e", f"{folder}/near", check=False).returncode]
    assert seen == [str(hosts.shared)]
    assert (hosts.shared / "near").exists()
    assert not Path("/dev/shm/near").exists()


def test_a_host_that_is_cut_off_is_out_of_reach_until_it_is_healed(pair: tuple[Host, Host]) -> None:
    near, far = pair
    assert soon(lambda: reached(near))
    far.cut()
    assert not reached(near)
    far.heal()
    assert soon(lambda: reached(near))


def test_commands_end_as_they_would_elsewhere(pair: tuple[Host, Host], tmp_path: Path) -> None:
    near, _ = pair
    with pytest.raises(subprocess.CalledProcessError) as failed:
        near.run("sh", "-c", "echo why >&2; exit 3")
    assert (failed.value.returncode, failed.value.__notes__) == (3, ["why\n"])
    with pytest.raises(subprocess.TimeoutExpired):
        near.run("sleep", "1000", timeout=0.2)
    trap = "trap 'echo caught; exit 4' TERM; echo set; while :; do sleep 0.05; done"
    trapped = near.start("sh", "-c", trap, log=tmp_path / "log")
    assert soon(lambda: bool((tmp_path / "log").read_text()))
    trapped.terminate()
    assert trapped.wait(10) == 4
    assert (tmp_path / "log").read_text() == "set\ncaught\n"
    assert len(processes(namespace(near.pid))) == 1


def test_a_killed_host_is_gone_and_another_takes_its_place(hosts: Hosts, pair: tuple[Host, Host]) -> None:
    old = hosts.add("victim")
    old.run("sh", "-c", "setsid sleep 1000 & touch /tmp/mine")
    space, started = namespace(old.pid), old.start("sleep", "1000")
    assert soon(lambda: len(processes(space)) == 3)
    old.kill()
    assert (processes(space), started.returncode) == ([], -9)
    with pytest.raises(RuntimeError, match="victim is dead"):
        old.run("true")
    new = hosts.add("victim")
    assert new.address == old.address
    assert new.run("test", "-e", "/tmp/mine", check=False).returncode == 1
    assert soon(lambda: reached(new))


def test_nothing_is_left_behind_even_by_a_failure(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError), Hosts(tmp_path) as hosts:
        host = hosts.add("only")
        host.run("sh", "-c", "setsid sleep 1000 &")
        spaces = [namespace(host.pid), namespace(hosts.switch.pid, "net")]
        assert [len(processes(space)) for space in spaces] == [2, 1]
        host.run("false")
    assert [processes(space) for space in spaces] == [[], []]
    assert not hosts.folder.exists()
    assert "hosts-" not in Path("/proc/mounts").read_text()


def test_tasks_run_on_both_workers(cluster: RayHosts) -> None:
    out = cluster.head.run("python", "-c", WHERE, cluster.address, env=cluster.env).stdout
    assert len(set(out.split())) == 2 and cluster.head.address not in out  # other tests may have replaced a worker


def test_without_the_right_token_nobody_joins(cluster: RayHosts) -> None:
    stranger = cluster.hosts.add("stranger")
    cluster.admit(stranger, "0" * 64)
    join = ["ray", "start", f"--address={cluster.address}", f"--node-ip-address={stranger.address}"]
    once = cluster.env | {"RAY_NUM_REDIS_GET_RETRIES": "1"}  # Ray would try 20 times, once a second
    joined = stranger.run(*join, env=once, check=False)
    assert joined.returncode == 1
    assert "Authentication token is missing or incorrect" in joined.stderr
    assert len(processes(namespace(stranger.pid))) == 1
