"""What all tests share: one thread for torch, a home of their own for Ray, and a ready-made store to copy."""

import os
import shutil
import tempfile
from pathlib import Path

_home = tempfile.mkdtemp(prefix="genseek-tests-")
os.environ |= {"RAY_AUTH_MODE": "disabled", "HOME": _home, "MLFLOW_DISABLE_TELEMETRY": "true"}
for _name in ("MLFLOW_TRACKING_URI", "RAY_ADDRESS"):
    os.environ.pop(_name, None)

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def ready_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty store: making one takes seconds of database migrations, copying it none."""
    from search.store import Store

    folder = tmp_path_factory.mktemp("ready") / "store"
    Store(folder)
    return folder


@pytest.fixture
def store_folder(ready_store: Path, tmp_path: Path) -> Path:
    """A folder with an empty store of the test's own."""
    folder = tmp_path / "store"
    folder.mkdir()
    shutil.copy(ready_store / "mlflow.db", folder / "mlflow.db")
    return folder


def pytest_sessionfinish() -> None:
    shutil.rmtree(_home, ignore_errors=True)
