"""What a search in a cluster needs of this machine: the study, its table, and the plug-ins that it names by file."""

import os
import shutil
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from search.errors import InputError
from search.study.study import Study

DATA = "data"
FILES = "files"  # a folder of their own: Ray lets Python import what is at the top


@contextmanager
def shipped(name: str, study: Study) -> Iterator[tuple[Path, str, str | None]]:
    """Folder with all of it below `FILES`, and there the study's name or file and that of its table.

    Args:
        name: of a shipped study, or a file that ends in .toml.
        study: what was read of it, with the table that the command line names.

    Raises:
        InputError: a plug-in is named by a whole path, which another machine may not have.
    """
    with TemporaryDirectory() as temporary:
        folder = Path(temporary) / FILES
        folder.mkdir()
        written, table = name, study.problem_arguments.get(DATA)
        if name.endswith(".toml"):
            written = _with_plugins(Path(name).resolve(), folder)
        if isinstance(table, str) and not elsewhere(study):
            (folder / DATA).mkdir()
            shutil.copyfile(table, folder / DATA / Path(table).name)
            table = f"{DATA}/{Path(table).name}"
        yield Path(temporary), written, table


def elsewhere(study: Study) -> bool:
    """Whether the study's table is named by a whole path that isn't on this machine, and so one of the cluster's."""
    table = Path(str(study.problem_arguments.get(DATA, "")))
    return table.is_absolute() and not table.exists()


def _with_plugins(path: Path, folder: Path) -> str:
    """Copy a study and the files of its plug-ins, which stay where they are to each other; where the study is then."""
    files = [path]
    for plugin in _plugins(path):
        if Path(plugin).is_absolute():
            raise InputError(f"{path.name}: plug-in {plugin}: name it by its path from the study, to send it along")
        files.append((path.parent / plugin).resolve())
    top = Path(os.path.commonpath([file.parent for file in files]))
    for file in files:
        place = folder / file.relative_to(top)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, place)
    return str(path.relative_to(top))


def _plugins(path: Path) -> list[Any]:
    return [each for each in tomllib.loads(path.read_text(encoding="utf-8")).get("plugins", []) if each.endswith(".py")]
