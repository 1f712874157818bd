"""What all tests share: one thread for torch, a home for Ray, one Ray cluster, a store to copy, the command line."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

_home = tempfile.mkdtemp(prefix="genseek-tests-")
os.environ |= {"RAY_AUTH_MODE": "disabled", "HOME": _home, "MLFLOW_DISABLE_TELEMETRY": "true"}
for _name in ("MLFLOW_TRACKING_URI", "RAY_ADDRESS", "RAY_API_SERVER_ADDRESS", "GENSEEK_STORE", "GENSEEK_CHECKPOINTS"):
    os.environ.pop(_name, None)

import pytest  # noqa: E402
import torch  # noqa: E402

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def new_store(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """Makes an empty store in a new folder: a first one takes seconds of database migrations, a copy none."""
    from search.record.store import Store

    ready = tmp_path_factory.mktemp("ready") / "store"
    Store(ready)

    def copy(folder: Path) -> Path:
        shutil.copytree(ready, folder)
        return folder

    return copy


@pytest.fixture
def store_folder(new_store: Callable[[Path], Path], tmp_path: Path) -> Path:
    """A folder with an empty store of the test's own."""
    return new_store(tmp_path / "store")


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    """Ray, started once: searches use a cluster that is there, and leave it."""
    import ray

    from search.environment import RAY, set_defaults

    set_defaults(RAY)
    ray.init(num_cpus=2, include_dashboard=False, object_store_memory=2**28, log_to_driver=False)
    yield
    ray.shutdown()


Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def genseek(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command line in this process: exit code, standard output, standard error."""
    from search.cli.app import main

    def run(*arguments: object, columns: int = 200) -> tuple[int, str, str]:
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setattr("sys.argv", ["genseek", *map(str, arguments)])
        capsys.readouterr()
        code, before = 0, dict(os.environ)
        try:
            main()
        except SystemExit as error:
            code = int(error.code or 0)
        finally:
            os.environ.clear()
            os.environ.update(before)
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def clean_registries() -> Iterator[None]:
    """Registries, and what is known of plug-ins, as they were."""
    from search.study import plugins

    dicts: list[dict[Any, Any]] = [registry for registry, _ in plugins.REGISTRIES.values()]
    dicts += [plugins._origins, plugins._homes, plugins._files]
    before = [dict(entry) for entry in dicts]
    yield
    for entry, old in zip(dicts, before, strict=True):
        entry.clear()
        entry.update(old)
    plugins.merge_installed.cache_clear()


def pytest_sessionfinish() -> None:
    shutil.rmtree(_home, ignore_errors=True)
