"""Searches on several nodes through what befalls these: every trial ends once, as it does on one machine alone."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hosts import Command, Host
from mlflow import MlflowClient
from mlflow.entities import Run
from ray_hosts import RayHosts

from search import Store
from search.record.store import TUNE

pytestmark = pytest.mark.cluster

TRIALS, EPOCHS, EVERY = 10, 240, 20  # a judgement every so many epochs
LONG = 4 * EPOCHS  # so that one node alone isn't done before another one has joined
STUDY = f"""
trials = {TRIALS}
epochs = EPOCHS
grace = EPOCHS
evaluations = REPORTS
eval_samples = 2
finalists = 0
pack_size = 3
sampler = "points"
checkpoint_seconds = 1

[problem]
name = "gaussian_2d"
train = 400
validation = 100
test = 100

[training]
learning_rate = {{ low = 1e-4, high = 1e-1, log = true }}
batch = 20

[models.pushforward]
[models.vae]
[objectives.energy]
[objectives.elbo]
""" + "".join(
    f'\n[[points]]\nmodel = "{["pushforward", "vae"][number % 2]}"\nlearning_rate = {1e-3 * (number + 1):.3f}\n'
    for number in range(TRIALS)
)
Misfits = Mapping[int, list[tuple[int, float]]]


@pytest.fixture(scope="module")
def shared(cluster: RayHosts) -> Path:
    """A folder that all hosts see, with the studies."""
    folder = cluster.hosts.shared
    for name, epochs in (("study", EPOCHS), ("long", LONG)):
        text = STUDY.replace("EPOCHS", str(epochs)).replace("REPORTS", str(epochs // EVERY))
        (folder / f"{name}.toml").write_text(text)
    return folder


@pytest.fixture(scope="module")
def alone(shared: Path) -> Misfits:
    """What the search finds on this machine, without any cluster."""
    command: list[str | Path] = ["run", shared / "study.toml", "--name", "alone", "--store", shared / "alone"]
    subprocess.run([f"{sys.prefix}/bin/genseek", *command], check=True, timeout=300, capture_output=True)
    return misfits(Store(shared / "alone"))


def runs(store: Store) -> list[Run]:
    """The runs of all trials of a store's one search."""
    return list(MlflowClient(store.uri).search_runs(store.experiments(), "tags.genseek.kind = 'trial'"))


def misfits(store: Store, epochs: int = EPOCHS) -> Misfits:
    """Misfit of every trial at each of its judgements; every trial is there once, and so is each of its judgements."""
    trials = {int(run.data.tags["genseek.trial"]): run.info.run_id for run in runs(store)}
    assert sorted(trials) == list(range(TRIALS)) == list(range(len(runs(store))))
    assert {run.data.tags["genseek.outcome"] for run in runs(store)} == {"finished"}
    client, found = MlflowClient(store.uri), {}
    for trial, run_id in trials.items():
        points = client.get_metric_history(run_id, "epoch/misfit")
        assert [point.step for point in points] == list(range(EVERY, epochs + 1, EVERY))
        found[trial] = [(point.step, point.value) for point in points]
    return found


def nodes(store: Store) -> list[str]:
    """Addresses of the nodes that trained each trial, as its run says."""
    return [run.data.tags["genseek.node"] for run in runs(store)]


@dataclass
class Search:
    """A search that a driver on the head runs, in a store of the head's own."""

    cluster: RayHosts
    name: str
    store: Path
    driver: Command
    log: Path

    def told(self) -> list[dict[str, Any]]:
        """What its journal says so far: whole lines only."""
        path = self.store / TUNE / self.name / "journal.jsonl"
        lines = path.read_text().split("\n")[:-1] if path.exists() else []
        return [line for line in map(json.loads, lines) if "event" in line]

    def reported(self, node: Host | None = None) -> int:
        """Judgements so far, on one node or on all."""
        address = node and node.address
        return sum(line["event"] == "Reported" and address in (None, line["node"]) for line in self.told())

    def until(self, condition: Callable[[], Any], seconds: float = 60) -> float:
        """Wait for something; how long that took."""
        began = time.monotonic()
        while not condition():
            assert self.driver.poll() is None, f"it ended before that:\n{self.log.read_text()}"
            assert time.monotonic() < began + seconds, f"waited too long:\n{self.log.read_text()}"
            time.sleep(0.1)
        return time.monotonic() - began

    def ends(self, code: int = 0, seconds: float = 180) -> None:
        assert self.driver.wait(seconds) == code, self.log.read_text()


@pytest.fixture
def begin(cluster: RayHosts, shared: Path) -> Iterator[Callable[..., Search]]:
    """Starts searches; none of them outlives its test."""
    begun: list[Search] = []

    def start(name: str, *options: object, study: str = "study", resume: bool = False) -> Search:
        here = Path("home") / f"store-{name}"  # on the head's own disk, which no other node sees
        what = ["resume", name] if resume else ["run", shared / f"{study}.toml", "--name", name]
        command = ["genseek", *what, "--address", "auto", "--store", Path("/tmp") / here, *options]
        log = shared / f"{name}.log"
        driver = cluster.head.start(*map(str, command), env=cluster.env, log=log)
        begun.append(Search(cluster, name, cluster.head.tmp / here, driver, log))
        return begun[-1]

    yield start
    for search in begun:
        if search.driver.poll() is None:
            search.driver.kill()
            search.driver.wait(30)


def assert_as_alone(found: Misfits, alone: Misfits) -> None:
    for trial, points in alone.items():
        same = found[trial][: len(points)]  # a longer training begins in the same way
        assert [step for step, _ in same] == [step for step, _ in points]
        # In other company sums have another order, and the ranks of rows that all but coincide change.
        assert [misfit for _, misfit in same] == pytest.approx([misfit for _, misfit in points], rel=0.03), trial


def test_a_search_spreads_over_the_nodes(begin: Any, cluster: RayHosts, alone: Misfits) -> None:
    search = begin("spread", "--checkpoints", cluster.hosts.shared / "kept")
    search.ends()
    store = Store(search.store)
    assert_as_alone(misfits(store), alone)
    assert set(nodes(store)) == {cluster.hosts[name].address for name in ("w1", "w2")}
    assert not list((cluster.hosts.shared / "kept").iterdir())  # all is in the store


def test_a_node_loses_its_power_and_another_one_joins(begin: Any, cluster: RayHosts, alone: Misfits, s3: str) -> None:
    search = begin("power", "--checkpoints", s3, study="long")
    lost = cluster.hosts["w2"]
    search.until(lambda: search.reported(lost) >= 2)
    lost.kill()
    before = search.reported()
    joined = cluster.add_worker("w3")
    assert search.until(lambda: search.reported(joined), 30) < 20
    search.ends()
    assert before < TRIALS * LONG / EVERY / 2
    store = Store(search.store)
    assert_as_alone(misfits(store, LONG), alone)
    moved = [each for each in nodes(store) if each.startswith(f"{lost.address}, ")]
    assert moved  # and their first judgements, which the dead node told, stand


def test_a_node_that_is_cut_off_and_comes_back(begin: Any, cluster: RayHosts, alone: Misfits) -> None:
    search = begin("cut", "--checkpoints", cluster.hosts.shared / "kept")
    apart = cluster.hosts["w3"]
    search.until(lambda: search.reported(apart) >= 2)
    apart.cut()
    time.sleep(15)  # it trains on, and writes checkpoints where others look for theirs
    apart.heal()
    search.ends()
    cluster.add_worker("w3")
    store = Store(search.store)
    assert_as_alone(misfits(store), alone)
    assert {each.rpartition(" ")[2] for each in nodes(store) if each.startswith(apart.address)} >= {
        cluster.hosts["w1"].address
    }
    # What the one that was cut off could not tell stood in its checkpoints, and is told at once by who goes on.
    (journal,) = (search.store / "artifacts").rglob("journal.jsonl")
    told = [line for line in map(json.loads, journal.read_text().splitlines()) if line.get("event") == "Reported"]
    times = [line["time"] for line in told if line["node"] != apart.address]
    assert sum(later - earlier < 0.01 for earlier, later in pairwise(times)) >= 3


def test_a_driver_that_is_killed_goes_on(begin: Any, cluster: RayHosts, alone: Misfits) -> None:
    search = begin("killed", "--checkpoints", cluster.hosts.shared / "kept")
    search.until(lambda: search.reported() >= TRIALS)
    search.driver.send_signal(signal.SIGKILL)
    search.driver.wait(30)
    again = begin("killed", resume=True)
    again.ends()
    assert_as_alone(misfits(Store(again.store)), alone)


def test_a_tracking_server_is_down_for_a_minute(begin: Any, cluster: RayHosts, alone: Misfits, shared: Path) -> None:
    address = f"http://{cluster.head.address}:5000"

    def serve() -> Command:
        places = ["--backend-store-uri", f"sqlite:///{shared}/server.db", "--artifacts-destination", str(shared / "up")]
        bound = ["--host", cluster.head.address, "--port", "5000", "--workers", "1", "--allowed-hosts", "*"]
        light = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        server = cluster.head.start("mlflow", "server", *bound, *places, env=light, log=shared / "server.log")
        ask = f"import urllib.request; urllib.request.urlopen('{address}/health', timeout=1)"
        until = time.monotonic() + 60
        while cluster.head.run("python", "-c", ask, check=False).returncode:
            assert time.monotonic() < until and server.poll() is None, (shared / "server.log").read_text()
        return server

    server = serve()
    search = begin("down", "--tracking-uri", address, "--checkpoints", cluster.hosts.shared / "kept")
    search.until(lambda: search.reported() >= TRIALS)
    server.terminate()
    server.wait(30)
    down = time.monotonic()
    search.ends(2)  # since not all is recorded
    assert "genseek resume down" in search.log.read_text()
    time.sleep(max(0.0, down + 60 - time.monotonic()))
    server = serve()
    again = begin("down", "--tracking-uri", address, resume=True)
    again.ends()
    server.terminate()
    server.wait(30)
    assert_as_alone(misfits(Store(again.store, f"sqlite:///{shared}/server.db")), alone)
