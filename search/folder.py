"""The store's folder: that it can be written."""

import tempfile
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
