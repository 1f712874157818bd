"""The folder of an embedded store: that it can be written, and how its database writes."""

import sqlite3
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


def use_write_ahead(database: Path) -> None:
    """Put an sqlite file, made if it isn't there, into write-ahead mode: readers then don't hold up the writer.

    Raises:
        InputError: it can't be opened.
    """
    try:
        connection = sqlite3.connect(database)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.close()
    except sqlite3.Error as error:
        raise InputError(f"store {database}: can't open the database ({error})") from error
