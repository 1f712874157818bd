"""Whole runs on Ray: more trials at once in a trainer, for `scaling.py`, and more nodes, for `cluster.py`."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray
from cases import F1, task
from page import cores
from ray.cluster_utils import Cluster

from search.events.events import Event, TrainerHeartbeat
from search.schedule.suggest import Suggester
from search.study.parse import parse_study
from search.study.study import Study
from search.tune.run import tune_trials

SEARCH = """
grace = 5
device = "cpu"
finalists = 0
[problem]
name = "gaussian_2d"
train = 2000
[training]
learning_rate = { low = 1e-4, high = 1e-1, log = true }
batch = 64
[models.pushforward]
width = [32, 64]
[objectives.mmd]
"""


def study_of(trials: int, epochs: int) -> Study:
    """A list of `trials` alike, so that only their number at once differs from run to run."""
    study = parse_study(F1.replace("gaussian_to_uniform", "gaussian_2d"), "fleet", "fleet")
    points: list[dict[str, Any]] = [{"learning_rate": 1e-3}] * trials
    budget = replace(study.budget, trials=trials, epochs=epochs, grace=epochs, evaluations=4, device="cpu")
    return replace(study, points=points, sampler="points", budget=budget)


def fleet_run(trials: int, epochs: int, most: int | None) -> dict[str, float]:
    """Seconds of a run, from its first message to its last, its messages, and the driver's milliseconds for each."""
    return _run(study_of(trials, epochs), most, 0)


def search_run(trials: int, epochs: int, nodes: int) -> dict[str, float]:
    """The same of a search, with TPE and ASHA, on so many Ray nodes of one core each, all on this machine."""
    study = parse_study(SEARCH, "search", "search")
    return _run(replace(study, budget=replace(study.budget, trials=trials, epochs=epochs)), None, nodes)


def _run(study: Study, most: int | None, nodes: int) -> dict[str, float]:
    shared, budget = task(study), study.budget
    moments: list[tuple[float, float]] = []

    def listen(event: Event) -> None:
        if isinstance(event, TrainerHeartbeat):
            moments.append((event.time, time.process_time()))

    with _started(nodes), tempfile.TemporaryDirectory() as folder:
        proposer, max_open_trials = Suggester(study, 0), budget.trials // 2
        tune_trials(
            proposer,
            shared,
            budget,
            range(budget.trials),
            folder=Path(folder) / "ray",
            listeners=[listen],
            pack_size=most,
            max_open_trials=max_open_trials,
        )
    (first, unused), (last, used) = moments[0], moments[-1]
    intervals = len(moments) - 1
    return {"seconds": last - first, "messages": len(moments), "driver": 1e3 * (used - unused) / intervals}


@contextmanager
def _started(nodes: int) -> Iterator[None]:
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if not nodes:
        ray.init("local", num_cpus=cores(), include_dashboard=False, **quiet)
        yield
        ray.shutdown()
        return
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    for _ in range(nodes - 1):
        cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    ray.init(cluster.address, **quiet)
    yield
    ray.shutdown()
    cluster.shutdown()  # type: ignore[no-untyped-call]
