"""What commands share: the store they open, and how they print."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from search.jsonable import json_text
from search.verbosity import LOGGER, quiet, verbose

WIDE = 120  # columns of a file or a pipe
LOG = "genseek.log"  # in the store's folder


class _Warnings(logging.Handler):
    """Shows each warning in one line on standard error, and keeps its traceback in the log of the open store."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
        self.folder: Path | None = None

    def emit(self, record: logging.LogRecord) -> None:
        said, whole = record.getMessage(), self.format(record)
        try:
            if self.folder is not None:
                with (self.folder / LOG).open("a", encoding="utf-8") as file:
                    file.write(f"{whole}\n")
                said += f" (more in {self.folder / LOG})"
        except OSError:
            pass  # a store that can't be written
        if verbose():
            printer(stderr=True).print(escape(whole), highlight=False)
        elif not quiet():
            printer(stderr=True).print(f"[yellow]warning:[/] {escape(said)}", soft_wrap=True, highlight=False)


_warnings = _Warnings()


@contextmanager
def warnings_shown() -> Iterator[None]:
    """Show what genseek's logger warns of, and nowhere else."""
    _warnings.folder, before = None, LOGGER.propagate
    LOGGER.addHandler(_warnings)
    LOGGER.propagate = False
    try:
        yield
    finally:
        LOGGER.removeHandler(_warnings)
        LOGGER.propagate = before


def tell(error: str) -> None:
    """Print a mistake in one line on standard error."""
    Console(stderr=True, soft_wrap=True).print("[bold red]error:[/]", escape(error), highlight=False)


def printer(stderr: bool = False, silent: bool = False) -> Console:
    """Where a command prints: as wide as its terminal or COLUMNS, and elsewhere wide enough for the names in tables."""
    narrow = (sys.stderr if stderr else sys.stdout).isatty() or os.environ.get("COLUMNS")
    return Console(stderr=stderr, quiet=silent, width=None if narrow else WIDE)


def results(as_json: bool) -> Console:
    """Where tables of results go: standard error if JSON has the other, and nowhere if JSON is all that is wanted."""
    return printer(stderr=as_json, silent=as_json and quiet())


def aside(console: Console) -> Console:
    """Where progress, warnings and hints go: where the results do, or nowhere if only these are wanted."""
    return printer(console.stderr, silent=True) if quiet() else console


def store_of(folder: Path | None, tracking_uri: str | None, create: bool = False) -> Any:
    """The store that the options name: its record is MLFLOW_TRACKING_URI's unless `tracking_uri` says otherwise."""
    from search.store import Store

    uri = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or None
    store = Store(folder or Path("genseek-store"), uri, create)
    _warnings.folder = store.folder
    return store


def print_note(console: Console, note: str) -> None:
    """Print what was decided about the user's data."""
    console.print("note:", note, soft_wrap=True, highlight=False, markup=False)


def check_tracking(tracking_uri: str | None) -> None:
    """See that the tracking URI of the options or of MLFLOW_TRACKING_URI, if any, can be opened; makes no database.

    Raises:
        InputError: it can't be.
    """
    uri = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")
    if not uri:
        return
    from search.embedded import database_of
    from search.folder import could_write

    database = database_of(uri)
    if database is None or database.exists():
        store_of(None, uri)
    else:
        could_write(database.parent)  # a search makes it


def print_links(console: Console, search: str, links: dict[str, str]) -> None:
    """Print where MLflow's UI shows what of a search."""
    console.print(f"search {search}:", highlight=False)
    for what, address in links.items():
        console.print(f"    {what}: {address}", soft_wrap=True, highlight=False, markup=False)


def print_json(value: Any) -> None:
    """Print JSON on standard output; null for what it has no number for."""
    print(json_text(value))
