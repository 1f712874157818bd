"""The examples in docstrings do what they say, in a folder whose store holds the search "first"."""

import doctest
import importlib
import pkgutil
import shutil
from pathlib import Path
from typing import Any

import pytest

import models
import objectives
import search

FINDER = doctest.DocTestFinder(exclude_empty=True, recurse=True)
TRAIN = {"search_and_publish", "run_search", "confirm_search", "export_generator"}


def examples() -> list[doctest.DocTest]:
    names = [
        each.name
        for package in (search, models, objectives)
        for each in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    ]
    modules = [search, models, objectives, *map(importlib.import_module, names)]
    found = [each for module in modules for each in FINDER.find(module) if each.examples]
    return list({each.name: each for each in found}.values())


EXAMPLES = examples()


@pytest.mark.parametrize(
    "example",
    [
        pytest.param(each, marks=[pytest.mark.slow] if each.name.rpartition(".")[2] in TRAIN else [], id=each.name)
        for each in EXAMPLES
    ],
)
def test_an_example(example: doctest.DocTest, finished: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(finished.folder, tmp_path / "genseek-store")
    monkeypatch.chdir(tmp_path)
    said: list[str] = []
    result = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(example, out=said.append)
    assert result.failed == 0, "".join(said)


def test_the_public_face_has_examples() -> None:
    shown = {each.name.rpartition(".")[2] for each in EXAMPLES}
    kinds = {name for name in search.__all__ if name.endswith("Error")}
    assert set(search.__all__) - kinds - {"Finalist", "Outcome", "load_generator"} <= shown
