"""What is sent to a cluster: the study, its table and its plug-ins run there as they do here."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from objectives import PROBLEMS
from search.errors import GenseekError
from search.study.parse import load_study
from search.tune.jobs import FILES, bundle

STUDY = """
plugins = {plugins}
[problem]
name = "table"
data = "{data}"
[models.pushforward]
[objectives.energy]
"""
PROBLEM = "from objectives.problems import Gaussian2D\nPROBLEMS = {{'own_{name}': type('Own', (Gaussian2D,), {{}})}}\n"


@pytest.fixture(autouse=True)
def problems() -> Iterator[None]:
    """The registry of problems, as it was."""
    before = dict(PROBLEMS)
    yield
    for name in PROBLEMS.keys() - before.keys():
        del PROBLEMS[name]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project: a study that names a plug-in beside it and one of a neighbour folder, and a table."""
    (tmp_path / "studies").mkdir()
    (tmp_path / "plugins").mkdir()
    (tmp_path / "studies" / "near.py").write_text(PROBLEM.format(name=f"near_{tmp_path.name}"))
    (tmp_path / "plugins" / "far.py").write_text(PROBLEM.format(name=f"far_{tmp_path.name}"))
    (tmp_path / "rows.csv").write_text("a,b\n" + "".join(f"{row},{row % 7}\n" for row in range(50)))
    (tmp_path / "secret.txt").write_text("not to be sent")
    study = STUDY.format(plugins='["near.py", "../plugins/far.py"]', data="rows.csv")
    (tmp_path / "studies" / "mine.toml").write_text(study)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_all_that_is_named_is_sent_and_nothing_else(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with bundle("studies/mine.toml", load_study("studies/mine.toml")) as (folder, written, table):
        sent = {str(path.relative_to(folder / FILES)) for path in folder.rglob("*") if path.is_file()}
        assert sent == {"studies/mine.toml", "studies/near.py", "plugins/far.py", "data/rows.csv"}
        assert (written, table) == ("studies/mine.toml", "data/rows.csv")
        assert (folder / FILES / "data" / "rows.csv").read_text() == (home / "rows.csv").read_text()
    assert not folder.exists()


def test_a_shipped_study_needs_no_file(home: Path) -> None:
    with bundle("gaussian_2d", load_study("gaussian_2d")) as (folder, written, table):
        assert (written, table) == ("gaussian_2d", None)
        assert not list((folder / FILES).iterdir())


def test_a_table_that_is_only_there_keeps_its_path(home: Path) -> None:
    study = STUDY.format(plugins="[]", data="/only/there.csv")
    (home / "there.toml").write_text(study)
    with bundle("there.toml", load_study("there.toml")) as (folder, _, table):
        assert table == "/only/there.csv"
        assert [path.name for path in (folder / FILES).iterdir()] == ["there.toml"]


def test_a_plug_in_by_its_whole_path_is_refused(home: Path) -> None:
    (home / "whole.toml").write_text(STUDY.format(plugins=f'["{home}/studies/near.py"]', data="rows.csv"))
    said = r"^whole.toml: plug-in .*near.py: name it by its path from the study"
    with pytest.raises(GenseekError, match=said), bundle("whole.toml", load_study("whole.toml")):
        pass
