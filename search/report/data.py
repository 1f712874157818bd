"""The data of a report: a search's leaderboard, study and rows, and the history of each trial."""

import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.generator import Generator
from objectives import Problem, Rows
from search.errors import GenseekError, StoreError, StudyError, unknown_name
from search.events.events import Ended, Event, Reported, Started
from search.events.journal import JOURNAL, Journal
from search.export.export import load_generator
from search.log import show_traceback
from search.rank.leaderboard import Entry, Leaderboard
from search.record.layout import network_folder
from search.record.read import SearchInfo
from search.record.store import TUNE, Store
from search.study.configuration import Configuration
from search.study.parse import problem_of
from search.study.serialize import study_from
from search.study.study import Study


@dataclass(frozen=True, kw_only=True)
class History:
    """History of one trial; `ended` is None, and `outcome` empty, if the search was interrupted before its end."""

    trial: int
    configuration: Configuration
    began: float
    reports: Sequence[Reported] = ()
    ended: float | None = None
    outcome: str = ""

    @property
    def epochs(self) -> int:
        """The number of epochs that it was trained for."""
        return self.reports[-1].report.epoch if self.reports else 0


@dataclass(frozen=True, kw_only=True)
class Contents:
    """Data of a search's report.

    `study`, `problem` and `rows` are None if a table or a plug-in is missing; `missing` says so, one line each.
    """

    store: Store
    found: SearchInfo
    board: Leaderboard
    histories: dict[int, History]
    study: Study | None
    problem: Problem | None
    rows: Rows | None
    missing: tuple[str, ...]

    @property
    def winner(self) -> Entry | None:
        """The winner, if any trial was trained at full budget within the bounds."""
        with suppress(GenseekError):
            return self.board.winner()
        return None

    @property
    def finalists(self) -> list[Entry]:
        """Trials that were trained again with fresh seeds, best first."""
        return sorted((each for each in self.board.entries if each.finalist), key=lambda each: each.confirmed_misfit)


def collect(store: Store, name: str) -> Contents:
    """Collect the data for the report of a search that has ended or was interrupted.

    Raises:
        StudyError: there is no such search, or it has no leaderboard yet.
    """
    known = {each.name: each for each in store.searches()}
    if name not in known:
        raise StudyError(f"{unknown_name('search', name, known)} (in {store.where()})")
    board, missing = store.leaderboard(name), []
    study = problem = rows = None
    events: list[Event] = []
    try:
        header, events = _journal(store, known[name])
        study = study_from(header["study"])
        problem = problem_of(study)
        rows = problem.rows(study.budget.seed)
        if rows.digest() != header["data_sha256"]:
            rows = None
            missing.append(f"the rows of problem {study.problem!r} are not what they were")
    except GenseekError as error:
        missing.append(str(error))
        show_traceback()
    return Contents(
        store=store,
        found=known[name],
        board=board,
        histories=histories(events),
        study=study,
        problem=problem,
        rows=rows,
        missing=tuple(missing),
    )


def histories(events: Sequence[Event]) -> dict[int, History]:
    """Return the history of each trial, by number, from the events of a search in order."""
    started = {event.trial: event for event in reversed(events) if isinstance(event, Started)}
    reported: dict[int, dict[int, Reported]] = {trial: {} for trial in started}
    ended = {event.trial: event for event in events if isinstance(event, Ended)}
    for event in events:
        if (
            isinstance(event, Reported) and event.trial in reported
        ):  # a trial that was interrupted repeats some of its epochs
            reported[event.trial][event.report.epoch] = event
    return {
        trial: History(
            trial=trial,
            configuration=start.configuration,
            began=start.time,
            reports=[reported[trial][epoch] for epoch in sorted(reported[trial])],
            ended=ended[trial].time if trial in ended else None,
            outcome=ended[trial].outcome if trial in ended else "",
        )
        for trial, start in sorted(started.items())
    }


def fetched(contents: Contents, entry: Entry, folder: Path) -> Path:
    """Copy a trial's checkpoint below `folder`, for a finalist that of its best fresh network; return its path.

    Raises:
        StoreError: it doesn't exist.
    """
    return contents.store.fetch(entry.run_id, network_folder(entry), folder)


def kept_generator(contents: Contents, entry: Entry) -> Generator | None:
    """Return the generator of that checkpoint; None if the checkpoint or its model's code is missing."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            return load_generator(fetched(contents, entry, Path(folder)))
        except GenseekError:
            show_traceback()
    return None


def _journal(store: Store, found: SearchInfo) -> tuple[dict[str, Any], list[Event]]:
    """Return header and events of a search: from the store once it is complete, until then from its folder."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / JOURNAL
        try:
            # copy it, since a search that is running has it open
            copy.write_bytes((store.folder / TUNE / found.name / JOURNAL).read_bytes())
        except OSError:
            try:
                store.fetch(found.run_id, JOURNAL, Path(folder))
            except GenseekError as error:
                raise StoreError(f"the journal of search {found.name!r} is gone") from error
        with Journal(copy) as journal:
            return journal.read()
