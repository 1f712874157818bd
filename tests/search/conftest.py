"""What tests of whole searches share: one Ray cluster, one finished search, the command line in this process."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

STUDY = """
trials = 6
epochs = 6
grace = 2
reports = 3
draws = 2

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
def ray_cluster() -> Iterator[None]:
    """Ray, started once: searches use a cluster that is there, and leave it."""
    import ray

    import search  # noqa: F401  (sets what Ray reads when it starts)

    ray.init(num_cpus=2, include_dashboard=False, object_store_memory=2**28, log_to_driver=False)
    yield
    ray.shutdown()


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


Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def genseek(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command line in this process: exit code, standard output, standard error."""
    from search.cli import main

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setenv("COLUMNS", "200")
        monkeypatch.setattr("sys.argv", ["genseek", *map(str, arguments)])
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as error:
            code = int(error.code or 0)
        return code, *capsys.readouterr()

    return run
