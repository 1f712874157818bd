"""What all tests share: one thread for torch, a home of their own for Ray, and a ready-made store to copy."""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

_home = tempfile.mkdtemp(prefix="genseek-tests-")
os.environ |= {"RAY_AUTH_MODE": "disabled", "HOME": _home, "MLFLOW_DISABLE_TELEMETRY": "true"}
for _name in ("MLFLOW_TRACKING_URI", "RAY_ADDRESS", "RAY_API_SERVER_ADDRESS", "GENSEEK_STORE", "GENSEEK_STORAGE"):
    os.environ.pop(_name, None)

import pytest  # noqa: E402
import torch  # noqa: E402

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def new_store(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """Makes an empty store in a new folder: a first one takes seconds of database migrations, a copy none."""
    from search.store import Store

    ready = tmp_path_factory.mktemp("ready") / "store"
    Store(ready)

    def copy(folder: Path) -> Path:
        shutil.copytree(ready, folder)
        with closing(sqlite3.connect(folder / "mlflow.db")) as database, database:
            artifacts = "UPDATE experiments SET artifact_location = replace(artifact_location, ?, ?)"
            database.execute(artifacts, (str(ready), str(folder)))
        return folder

    return copy


@pytest.fixture
def store_folder(new_store: Callable[[Path], Path], tmp_path: Path) -> Path:
    """A folder with an empty store of the test's own."""
    return new_store(tmp_path / "store")


def pytest_sessionfinish() -> None:
    shutil.rmtree(_home, ignore_errors=True)
