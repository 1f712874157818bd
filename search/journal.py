"""The journal: a file of a line for each event, from which a search goes on after a crash.

It is written in the driver before anything else hears of an event, so whatever the record, the trainers or the driver
lose, it holds. The first line says what the search is; a line that a crash cut short counts as never written.
"""

import fcntl
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, Self, final

from search.configuration import Configuration
from search.errors import InputError
from search.events import Delayed, Ended, Event, Reported, Started, Trained
from search.storage import Storage
from search.trial import Report

JOURNAL = "journal.jsonl"


@final
class Journal:
    """Listener that appends each event to a file, which no other process may write meanwhile.

    Args:
        path: of the file; its folder is made.

    Raises:
        InputError: another process has it open, or it can't be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: IO[str] = path.open("a+", encoding="utf-8")
        except OSError as error:
            raise InputError(f"{path}: can't write there ({error.strerror or error})") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            raise InputError(f"search {path.parent.name!r} is running in another process") from error
        self._file.seek(0)
        whole = self._file.read()
        self._file.truncate(len(whole[: whole.rfind("\n") + 1].encode()))
        self._lines = whole.splitlines()[: whole.count("\n")]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self._file.close()

    def __call__(self, event: Event) -> None:
        if not isinstance(event, Trained | Delayed):
            self._append(_written(event))

    def begin(self, header: dict[str, Any]) -> None:
        """Write what the search is; the last header counts."""
        self._append({"search": header})

    def read(self) -> tuple[dict[str, Any], list[Event]]:
        """The header, empty if there is none, and all events, in order, that the file held when it was opened."""
        header: dict[str, Any] = {}
        events: list[Event] = []
        for line in self._lines:
            written = json.loads(line)
            if "search" in written:
                header = written["search"]
            else:
                events.append(_event(written))
        return header, events

    def _append(self, written: dict[str, Any]) -> None:
        self._file.write(f"{json.dumps(written)}\n")
        self._file.flush()


def begun(path: Path) -> bool:
    """Whether a journal says what its search is: a crash may come before."""
    with suppress(OSError), path.open("rb") as file:
        return file.readline().endswith(b"\n")
    return False


def told(events: Sequence[Event]) -> list[Event]:
    """Events without those that an interruption ended: their trials go on."""
    return [event for event in events if not (isinstance(event, Ended) and event.outcome == "interrupted")]


def _written(event: Event) -> dict[str, Any]:
    values = {**vars(event)}
    if isinstance(event, Started):
        values["configuration"] = event.configuration.nested()
    elif isinstance(event, Reported):
        values["report"] = asdict(event.report)
    elif isinstance(event, Ended):
        values["checkpoint"] = None if event.checkpoint is None else event.checkpoint.uri
    return {"event": type(event).__name__, **values}


def _event(written: dict[str, Any]) -> Event:
    values = {key: value for key, value in written.items() if key != "event"}
    if written["event"] == "Started":
        return Started(**{**values, "configuration": Configuration.from_nested(values["configuration"])})
    if written["event"] == "Reported":
        return Reported(**{**values, "report": Report(**values["report"])})
    return Ended(**{**values, "checkpoint": None if values["checkpoint"] is None else Storage(values["checkpoint"])})
