"""The journal: a file with one line for each event, from which a search resumes after a crash.

The driver writes an event here before any other listener receives it, so the journal is complete even if the record, a
trainer or the driver fails. The first line is the header that describes the search. A crash or power cut can leave half
a line, or a block that the disk never wrote, at the end; this counts as never written.
"""

import fcntl
import json
import os
import shlex
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, Self, final

from search.checkpoints import CheckpointStorage
from search.errors import StoreError
from search.events.events import Ended, Event, RecordingStalled, Report, Reported, Started, TrainerHeartbeat, Troubled
from search.formats import FORMAT, check_format, spelled, unspelled
from search.study.configuration import Configuration

JOURNAL = "journal.jsonl"


@final
class Journal:
    """Listener that appends each event to a file, and locks it against other processes.

    A crash of this process loses no event. A power cut loses at most the reports since the last trial began or ended:
    the events that decide on proposals and ends are on disk before these are carried out.

    Args:
        path: path of the file; its folder is made.

    Raises:
        StoreError: another process has it open, it can't be written, or a line before its end is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: IO[bytes] = path.open("a+b")
        except OSError as error:
            raise StoreError(f"{path}: can't write there ({error.strerror or error})") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            raise StoreError(f"search {path.parent.name!r} is running in another process") from error
        self._file.seek(0)
        lines = self._file.readlines()
        try:
            _check(path, lines)
        except StoreError:
            self._file.close()
            raise
        self._lines = [_line(line) for line in lines]
        while self._lines and self._lines[-1] is None:
            self._lines.pop()
        if None in self._lines:
            self._file.close()
            raise _damaged(path, self._lines.index(None) + 1)
        self._file.truncate(sum(map(len, lines[: len(self._lines)])))
        self._decided = False  # whether a trial began or ended since the file was last synced

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self._settle()
        self._file.close()

    def __call__(self, event: Event) -> None:
        if isinstance(event, TrainerHeartbeat):
            if self._decided:  # a trainer's message ends with this event: sync before the trainer gets its orders
                self._settle()
        elif not isinstance(event, RecordingStalled | Troubled):
            self._append(_written(event))
            self._decided |= isinstance(event, Started | Ended)

    def begin(self, header: dict[str, Any]) -> None:
        """Write the header that describes the search; the last header counts."""
        self._append({"format": FORMAT, "search": header})
        self._settle()
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # the folder holds the name of a new file
        finally:
            os.close(folder)

    def read(self) -> tuple[dict[str, Any], list[Event]]:
        """Return the header, empty if there is none, and in order all events that the file held when it was opened."""
        header: dict[str, Any] = {}
        events: list[Event] = []
        for line in self._lines:
            if isinstance(line, dict):
                header = line
            elif line is not None:
                events.append(line)
        return header, events

    def _append(self, written: dict[str, Any]) -> None:
        self._file.write(f"{json.dumps(written, allow_nan=False)}\n".encode())
        self._file.flush()

    def _settle(self) -> None:
        """Sync the file to disk."""
        os.fsync(self._file.fileno())
        self._decided = False


def begun(path: Path) -> bool:
    """Return whether a journal has a header; a crash may come before."""
    with suppress(OSError), path.open("rb") as file:
        return isinstance(_line(file.readline()), dict)
    return False


def without_interruptions(events: Sequence[Event]) -> list[Event]:
    """Return the events without the ends of interrupted trials, which will go on."""
    return [event for event in events if not (isinstance(event, Ended) and event.outcome == "interrupted")]


def _check(path: Path, lines: Sequence[bytes]) -> None:
    """Check that a journal with a header has the format that this module reads."""
    with suppress(ValueError):
        first = json.loads(lines[0]) if lines else None
        if isinstance(first, dict) and "search" in first:
            check_format(first, f"the journal {path}", "search anew, under another name")


def _line(line: bytes) -> dict[str, Any] | Event | None:
    """Return the header or event of a line; None if it isn't a complete line of a journal."""
    try:
        written: Any = json.loads(line.decode()) if line.endswith(b"\n") else None
        return dict(written["search"]) if "search" in written else _event(written)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _damaged(path: Path, number: int) -> StoreError:
    name = shlex.quote(str(path))
    keep = f"head -n {number - 1} {name} > {name}.kept && mv {name}.kept {name}"
    return StoreError(f"{path}: line {number} is damaged; to go on from the lines before it: {keep}")


def _written(event: Event) -> dict[str, Any]:
    values = {**vars(event)}
    if isinstance(event, Started):
        values["configuration"] = event.configuration.nested()
    elif isinstance(event, Reported):
        values["report"], values["architecture"] = spelled(asdict(event.report)), spelled(event.architecture)
    elif isinstance(event, Ended):
        values["checkpoint"] = None if event.checkpoint is None else event.checkpoint.uri
    return {"event": type(event).__name__, **values}


def _event(written: dict[str, Any]) -> Event:
    values = {key: value for key, value in written.items() if key != "event"}
    if written["event"] == "Started":
        return Started(**{**values, "configuration": Configuration.from_nested(values["configuration"])})
    if written["event"] == "Reported":
        report = Report(**unspelled(values["report"]))
        return Reported(**{**values, "report": report, "architecture": unspelled(values["architecture"])})
    return Ended(
        **{**values, "checkpoint": None if values["checkpoint"] is None else CheckpointStorage(values["checkpoint"])}
    )
