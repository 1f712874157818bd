"""The database of an embedded store: an sqlite file that is whole or doesn't exist.

MLflow keeps absolute addresses of files in its tables. `relocate` updates them, so that MLflow's own commands find the
files of a store that was moved or copied. genseek finds files by their runs and needs no address.
"""

import atexit
import os
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from mlflow import MlflowClient
from sqlalchemy import URL, make_url

ARTIFACTS = "artifacts"  # folder of all files of runs and models
LOCATIONS = (  # columns of MLflow's tables with addresses of files
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
UNSHARED = {"immutable": "1"}  # for a file that no process can write
PATIENCE = 60.0  # seconds to wait for another process's write


def make_database(database: Path) -> None:
    """Make an sqlite file with MLflow's tables if there is none; its readers don't block its writer.

    MLflow makes its tables in hundreds of steps, and can't open a database that a crash left half made.

    Raises:
        OSError, sqlite3.Error, MlflowException: it can't be made.
    """
    if database.exists():
        return
    with tempfile.TemporaryDirectory(dir=database.parent, prefix="new-") as folder:
        whole = Path(folder) / database.name
        MlflowClient(uri_of(whole)).search_experiments()
        with closing(sqlite3.connect(whole)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
        try:
            os.link(whole, database)
        except FileExistsError:
            pass  # another process was first
        except OSError:  # a file system without hard links
            if not database.exists():
                whole.rename(database)


def uri_of(database: Path) -> str:
    """Return MLflow's URI of an sqlite file."""
    return _uri(database, {})


def readable_uri(database: Path) -> str:
    """Return a URI that can read an sqlite file: `uri_of`, or another one if nothing can be written.

    Raises:
        OSError, sqlite3.Error: it can't be read at all.
    """
    try:
        _read(database, {})
    except sqlite3.OperationalError:  # sqlite can't create the files that it needs for sharing a database
        if _log(database).exists():  # it holds data that isn't in the file yet
            copy = Path(tempfile.mkdtemp(prefix="genseek-"))
            atexit.register(shutil.rmtree, copy, ignore_errors=True)
            for file in (database, _log(database)):
                shutil.copyfile(file, copy / file.name)
            return uri_of(copy / database.name)
        _read(database, UNSHARED)
        return _uri(database, UNSHARED)
    return uri_of(database)


def database_of(uri: str) -> Path | None:
    """Return the file of an sqlite URI; None for another URI."""
    if not uri.startswith("sqlite"):
        return None
    name = make_url(uri).database
    return Path(name).resolve() if name else None


def relocate(database: Path, artifacts: Path) -> None:
    """Write into MLflow's tables that the files of genseek's experiments are below the folder `artifacts`.

    Raises:
        sqlite3.Error: the file can't be written.
    """
    here = artifacts.as_uri()
    known = "SELECT DISTINCT artifact_location FROM experiments WHERE name = 'genseek' OR name LIKE 'genseek/%'"
    moved = "UPDATE {0} SET {1} = :here || substr({1}, length(:there) + 1)"
    below = " WHERE {1} = :there OR substr({1}, 1, length(:there) + 1) = :there || '/'"
    with closing(sqlite3.connect(database, PATIENCE)) as connection, connection:
        connection.execute("BEGIN IMMEDIATE")  # another process may relocate it at the same time
        for (there,) in connection.execute(known).fetchall():
            if there != here and there.endswith(f"/{ARTIFACTS}"):
                for table, column in LOCATIONS:
                    connection.execute((moved + below).format(table, column), {"here": here, "there": there})


def analyse(database: Path) -> None:
    """Let sqlite count its rows: a search by metric over thousands of runs takes seconds without this, 0.04 s with it.

    Raises:
        sqlite3.Error: the file can't be written.
    """
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("ANALYZE")


def _read(database: Path, query: dict[str, str]) -> None:
    options = "&".join(f"{key}={value}" for key, value in query.items())
    with closing(sqlite3.connect(f"file:{quote(str(database))}?{options}", PATIENCE, uri=True)) as connection:
        connection.execute("SELECT name FROM sqlite_master LIMIT 1").fetchone()


def _log(database: Path) -> Path:
    """Return the path of sqlite's write-ahead log."""
    return database.with_name(f"{database.name}-wal")


def _uri(database: Path, query: dict[str, str]) -> str:
    path = str(database)
    if not query and not {"?", "%"} & set(path):
        return f"sqlite:///{path}"
    # sqlite unquotes the path, SQLAlchemy quotes it. If the URI began with sqlite:///, MLflow would create the quoted
    # path as a folder; the driver's name prevents that.
    options = {"uri": "true"} | query
    return URL.create("sqlite+pysqlite", database=f"file:{quote(path)}", query=options).render_as_string()
