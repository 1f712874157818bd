"""A search in a cluster, from a machine outside: submitted, watched, stopped, gone on with; and what is refused."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from hosts import Host
from ray_hosts import RayHosts

from search import Store

pytestmark = pytest.mark.cluster

PLUGIN = """
from models import MODELS as OURS

class Mine(OURS["gaussian"]):
    pass

MODELS = {"mine": Mine}
"""
STUDY = """
plugins = ["../plugins/mine.py"]
trials = 24
epochs = 1500
grace = 1500
finalists = 2
[problem]
name = "table"
data = "rows.csv"
[training]
learning_rate = { low = 1e-4, high = 1e-2, log = true }
[models.pushforward]
[models.mine]
[objectives.energy]
[objectives.likelihood]
"""
Ran = Callable[..., CompletedProcess[str]]


@pytest.fixture(scope="module")
def laptop(cluster: RayHosts) -> Host:
    """A host that is no node, with the token, a table, and a study with a plug-in."""
    laptop = cluster.hosts.add("laptop")
    cluster.admit(laptop)
    home = laptop.tmp / "home"
    (home / "rows.csv").write_text("x,y\n" + "".join(f"{row * 7 % 13},{row * 5 % 11}\n" for row in range(400)))
    for name, text in {"studies/mine.toml": STUDY, "plugins/mine.py": PLUGIN}.items():
        (home / name).parent.mkdir()
        (home / name).write_text(text)
    return laptop


@pytest.fixture(scope="module")
def genseek(cluster: RayHosts, laptop: Host) -> Ran:
    """Runs a command on the laptop, at the cluster's Jobs API."""

    def run(*words: object, **env: str) -> CompletedProcess[str]:
        command = ["genseek", *map(str, words), "--address", cluster.dashboard]
        return laptop.run(*command, env=cluster.env | env, timeout=150, check=False)

    return run


def test_a_submitted_search_outlives_the_laptop(genseek: Ran, cluster: RayHosts, laptop: Host) -> None:
    store = cluster.hosts.shared / "jobs"
    words = ["studies/mine.toml", "--name", "mine", "--store", str(store), "--trials", "20"]
    log = laptop.tmp / "follow.log"
    command = ["genseek", "submit", *words, "--follow", "--address", cluster.dashboard]
    following = laptop.start(*command, env=cluster.env, log=log)
    until = time.monotonic() + 90
    while "search mine: rows.csv" not in (log.read_text() if log.exists() else ""):
        assert following.poll() is None and time.monotonic() < until, log.read_text()
        time.sleep(0.2)
    following.kill()  # the lid is closed
    following.wait(30)
    (job,) = json.loads(genseek("status", "--json").stdout)
    assert (job["search"], job["status"]) == ("mine", "RUNNING")
    again = genseek("submit", *words)
    assert again.returncode == 2
    assert again.stderr.startswith("error: search 'mine' runs in the cluster already: genseek attach mine --address ")

    stopped = genseek("stop", "mine")
    assert stopped.returncode == 0 and "goes on with genseek resume mine" in stopped.stdout
    journal = (store / "ray" / "mine" / "journal.jsonl").read_text()
    assert '"interrupted"' in journal  # it was not killed, but had time to record

    resumed = genseek("resume", "mine")
    assert resumed.returncode == 0, resumed.stderr
    attached = genseek("attach", "mine")
    assert attached.returncode == 0, attached.stdout + attached.stderr
    assert "mine: fresh networks on test rows" in attached.stdout
    board = Store(store).leaderboard("mine")
    assert sorted(entry.trial for entry in board.entries) == list(
        range(1 + 20)
    )  # the one closed-form fit, and the trials
    assert board.winner().confirmed
    assert [job["status"] for job in json.loads(genseek("status", "--json").stdout)] == ["SUCCEEDED", "STOPPED"]


def test_what_a_cluster_is_not_asked_to_run(genseek: Ran) -> None:
    for words, said in (
        (["submit", "returns_5d"], "unknown study or problem 'returns_5d'"),
        (["submit", "table", "--data", "nowhere.csv"], "nowhere.csv"),
        (["submit", "gaussian_2d", "--trials", "0"], "trials must be at least 1"),
        (["submit", "gaussian_2d", "--store", "here"], "--store here: expected a whole path"),
        (["attach", "yours"], "unknown search 'yours'"),
    ):
        done = genseek(*words)
        assert done.returncode == 2
        assert said in done.stderr and done.stderr.count("\n") == 1, done.stderr


def test_a_search_that_fails_there_fails_here(genseek: Ran, cluster: RayHosts) -> None:
    where = ["--store", cluster.hosts.shared / "jobs", "--checkpoints", "/tmp/of-this-host-alone"]
    done = genseek("submit", "gaussian_2d", "--name", "apart", "--follow", *where)
    assert done.returncode == 2
    assert "checkpoints /tmp/of-this-host-alone/apart-" in done.stdout
    assert "what the driver writes isn't seen there; name a folder that every node sees" in done.stdout


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"RAY_AUTH_TOKEN": "0" * 64}, "Invalid authentication token; set RAY_AUTH_MODE=token and give the cluster's"),
        ({"RAY_AUTH_MODE": "disabled"}, "Missing authentication token; set RAY_AUTH_MODE=token and give the cluster's"),
    ],
)
def test_nobody_submits_without_the_token(env: dict[str, str], said: str, genseek: Ran) -> None:
    for words in (["status"], ["submit", "gaussian_2d"]):
        done = genseek(*words, **env)
        assert done.returncode == 2
        assert said in done.stderr and done.stderr.count("\n") == 1, done.stderr


def test_nobody_leads_a_search_without_the_token(cluster: RayHosts, tmp_path: Path) -> None:
    where = ["--address", cluster.address, "--store", cluster.hosts.shared / "jobs"]
    command = list(map(str, ["genseek", "check", "gaussian_2d", *where]))
    done = cluster.head.run(*command, env=cluster.env | {"RAY_AUTH_TOKEN": "0" * 64}, check=False)
    assert done.returncode == 2
    assert "the token is not the head's" in done.stderr and done.stderr.count("\n") == 1, done.stderr
    right = cluster.head.run(*command, env=cluster.env, check=False)
    assert right.returncode == 0, right.stderr
    assert "trainers: 0 on GPUs, 2 on cores" in right.stdout
