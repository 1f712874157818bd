"""The store's folder: that it can be written."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from search.errors import InputError


def writable(folder: Path) -> None:
    """Make the folder, and see that it can be written.

    Raises:
        InputError: it can't be.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder) as file:
            file.write(b"\0" * 2**20)
    except OSError as error:
        raise InputError(f"store {folder}: can't write there ({error.strerror})") from error


def could_write(folder: Path) -> None:
    """See that the folder can be written, or made; without writing anything.

    Raises:
        InputError: it can't be.
    """
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    why = "" if there.is_dir() else "Not a directory"
    if not why and not os.access(there, os.W_OK | os.X_OK):
        why = "Read-only file system" if os.statvfs(there).f_flag & os.ST_RDONLY else "Permission denied"
    if why:
        said = "" if there == folder else f": {there}"
        raise InputError(f"store {folder}: can't write there ({why}{said})")


@contextmanager
def leaving_nothing(place: str) -> Iterator[None]:
    """Remove, at the end, what has become of a path's folders that weren't there, if nothing is in them; of no URI."""
    path = Path(place).absolute()
    made = [] if "://" in place else [folder for folder in (path, *path.parents) if not folder.exists()]
    yield
    with suppress(OSError):
        for folder in made:
            folder.rmdir()
