"""The public face: names load late, an import changes nothing, and a file that hides a package is named."""

import subprocess
import sys
from pathlib import Path

import pytest

import search


def test_every_public_name_is_there() -> None:
    assert set(search.__all__) <= set(dir(search))
    assert all(getattr(search, name).__name__ == name for name in search.__all__)
    with pytest.raises(AttributeError, match="no attribute 'find'"):
        _ = search.find


def python(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    (folder / "script.py").write_text(code)
    return subprocess.run([sys.executable, "script.py"], cwd=folder, text=True, capture_output=True)


def test_an_import_changes_nothing_and_loads_no_library(tmp_path: Path) -> None:
    code = """
import os, sys
before = dict(os.environ)
import search, search.cli.app
assert dict(os.environ) == before
assert not {"ray", "mlflow", "torch", "optuna", "pandas", "numpy"} & set(sys.modules)
import logging, matplotlib as mpl, optuna
level, settings = optuna.logging.get_verbosity(), dict(mpl.rcParams)
for name in search.__all__:
    getattr(search, name)
import search.report.png
assert optuna.logging.get_verbosity() == level and dict(mpl.rcParams) == settings
assert not {name for name in set(os.environ) - set(before) if name.startswith(("TUNE", "MLFLOW"))}
"""
    ran = python(code, tmp_path)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize("name", ["models.py", "objectives.py", "models/__init__.py"])
def test_a_file_that_hides_a_package_is_named(name: str, tmp_path: Path) -> None:
    hiding = tmp_path / name
    hiding.parent.mkdir(exist_ok=True)
    hiding.touch()
    said = python("from search import load_study", tmp_path).stderr.splitlines()[-1]
    assert (
        said == f"ImportError: {hiding} hides genseek's package {name.partition('.')[0].partition('/')[0]!r}; rename it"
    )


def test_a_file_called_search_is_named_by_python(tmp_path: Path) -> None:
    (tmp_path / "search.py").touch()
    assert f"({tmp_path / 'search.py'})" in python("from search import load_study", tmp_path).stderr
