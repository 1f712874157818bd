"""What tests of whole searches share: a tiny study, one finished search, MLflow servers, tasks."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

STUDY = """
trials = 6
epochs = 6
grace = 2
evaluations = 3
eval_samples = 2
finalists = 0

[problem]
name = "gaussian_2d"
train = 100
validation = 100
test = 100

[training]
learning_rate = { low = 1e-3, high = 1e-2, log = true }
batch = 25

[models.pushforward]
width = [8, 16]

[models.vae]
latent = [1, 2]
encoder_width = 32
decoder_width = 8

[objectives.mmd]
bandwidth = { low = 0.5, high = 2.0, log = true }

[objectives.elbo]

[[points]]
model = "vae"
latent = 2
learning_rate = 0.01

[[points]]
model = "pushforward"
width = 16
learning_rate = 0.01
"""


@pytest.fixture(scope="session")
def tiny_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study file of both families that takes seconds."""
    path = tmp_path_factory.mktemp("studies") / "tiny.toml"
    path.write_text(STUDY)
    return path


@dataclass(frozen=True)
class Finished:
    """A search that ended: its plan and result, the store's folder, and all events in order."""

    plan: Any
    result: Any
    folder: Path
    events: list[Any]


@pytest.fixture(scope="session")
def finished(
    ray_cluster: None, new_store: Callable[[Path], Path], tiny_study: Path, tmp_path_factory: pytest.TempPathFactory
) -> Finished:
    """The search "first" of the tiny study, run to its end; for reading only."""
    from search import Store, load_study, plan_search, run_search

    folder = new_store(tmp_path_factory.mktemp("finished") / "store")
    plan = plan_search(load_study(str(tiny_study)), Store(folder), "first")
    events: list[Any] = []
    return Finished(plan, run_search(plan, [events.append]), folder, events)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[], tuple[str, subprocess.Popen[bytes]]]]:
    """Starts an MLflow server on one loopback port, anew if it was killed; its address and its process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--workers", "1", "--host", "127.0.0.1", "--port", str(port)]
    places = ["--backend-store-uri", f"sqlite:///{tmp_path}/server.db", "--artifacts-destination", str(tmp_path / "up")]
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    address, started = f"http://127.0.0.1:{port}", []

    def start() -> tuple[str, subprocess.Popen[bytes]]:
        with (tmp_path / "server.log").open("ab") as log:
            process = subprocess.Popen(
                [*command, *places], stdout=log, stderr=log, env=environment, start_new_session=True
            )
        started.append(process)
        for _ in range(240):
            assert process.poll() is None, (tmp_path / "server.log").read_text()
            try:
                urllib.request.urlopen(f"{address}/health", timeout=1).close()
                break
            except OSError:
                time.sleep(0.5)
        return address, process

    yield start
    for process in started:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


@pytest.fixture(scope="session")
def make_task() -> Callable[..., Any]:
    """Makes a task on a small sample of gaussian_2d, judged at epochs 1, 2, 4 and 6; what is named replaces a field."""
    from dataclasses import replace

    from models import Shape
    from objectives import judge_for
    from objectives.problems.known import Gaussian2D
    from search.train.context import TrialContext

    problem = Gaussian2D(train=100, validation=60, test=60)
    rows = problem.rows(0)
    judge = judge_for(problem, rows.train, rows.validation, 60, repeats=20)

    def make(evaluations: tuple[int, ...] = (1, 2, 4, 6), **fields: Any) -> TrialContext:
        plain = TrialContext(
            rows=rows,
            columns=("a", "b"),
            shape=Shape(2, "normal", 2),
            judge=judge,
            epochs=evaluations[-1],
            evaluations=evaluations,
            eval_samples=2,
        )
        return replace(plain, **fields)

    return make


@pytest.fixture(scope="session")
def assert_alike() -> Callable[[Any, Any], None]:
    """Whether two histories of reports are one, but for sums of the same numbers in another order."""

    def check(first: Any, second: Any) -> None:
        assert [report.epoch for report in first] == [report.epoch for report in second]
        for one, other in zip(first, second, strict=True):
            assert (one.diverged, one.best_epoch) == (other.diverged, other.best_epoch)
            for name in ("loss", "validation_loss"):
                assert getattr(one, name) == pytest.approx(getattr(other, name), rel=1e-3, abs=1e-4, nan_ok=True), name
            for name in ("zeros", "deviation"):
                assert getattr(one, name) == pytest.approx(getattr(other, name), rel=1e-3, abs=1e-6), name
            # Ranks may change places where two rows all but coincide.
            for name in ("misfit", "epoch_misfit"):
                assert getattr(one, name) == pytest.approx(getattr(other, name), rel=0.03), name
            for name in ("scores", "epoch_scores", "spread"):
                assert getattr(one, name) == pytest.approx(getattr(other, name), rel=0.03, abs=0.01), name

    return check
