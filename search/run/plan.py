"""Plan a search: its name, study, rows and places; a new one, a resumed one, or one that begins with another's best."""

import fcntl
import itertools
import os
import re
import shutil
import uuid
import weakref
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, final

from objectives import Judge, Problem
from objectives.problems.problem import Array
from objectives.scores.score import chosen_rows
from search.checkpoints import CheckpointStorage
from search.errors import DataError, GenseekError, StoreError, StudyError
from search.events.journal import JOURNAL, Journal, begun
from search.rank.leaderboard import Leaderboard
from search.record.store import TUNE, Store
from search.run.prepare import check, judge_of, task_of
from search.study.fields import LISTED
from search.study.parse import problem_of
from search.study.serialize import study_from
from search.study.study import Study, check_point
from search.text import command
from search.train.context import TrialContext

FINALISTS = "finalists-"  # how folders of their training begin, below that of the search
LEAST_SPACE = 100 * 2**20  # bytes that a search may well need
MOST_LETTERS = 80  # of a study's name in those of its searches
RESERVED = "reserved"  # file in the folder of a search that is planned
JUDGED = 10_000  # most test rows: scores that compare all pairs of rows take minutes for each finalist above that
MOST = 10  # configurations taken over: the sampler learns from them, and must not spend a search on them


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A search that can start: study, problem, task, judge of test rows, its name in the store, and its storage.

    `test_rows` are those that finalists are judged on: all of them, or a fixed random choice of `JUDGED`. `held` keeps
    the name of a new search from others, as long as the plan is there.
    """

    study: Study
    problem: Problem
    task: TrialContext
    test_rows: Array = field(compare=False, repr=False)
    test_judge: Judge
    name: str
    store: Store
    storage: CheckpointStorage
    held: "Reservation | None" = field(default=None, compare=False, repr=False)

    @property
    def folder(self) -> Path:
        """For Tune's own files and the journal; the driver's alone."""
        return _folder(self.store, self.name)


@final
class Reservation:
    """A name that no other process and no other plan can have, until this is released, is gone, or its process ends.

    Args:
        folder: of the search that shall have the name.

    Raises:
        BlockingIOError: another has it.
        OSError: the folder can't be written, or nothing in it locked.
    """

    def __init__(self, folder: Path) -> None:
        path, file = folder / RESERVED, -1
        while file < 0:
            folder.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):  # it was released in between, and its folder removed
                file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    if path.stat().st_ino != os.fstat(file).st_ino:
                        raise FileNotFoundError
                except OSError:
                    os.close(file)
                    file = -1
                    raise
        self.release = weakref.finalize(self, _release, path, file)


def _release(path: Path, file: int) -> None:
    path.unlink(missing_ok=True)
    with suppress(OSError):  # more is in it by now
        path.parent.rmdir()
    os.close(file)


def plan_search(study: Study, store: Store, name: str | None = None, checkpoints: str | None = None) -> Plan:
    """Check everything, and settle the search's name: `name`, or the study's with the first free number.

    Args:
        study: what to search.
        store: to record it in.
        name: of the search.
        checkpoints: path or URI that every node of a cluster sees, for checkpoints; the store's folder if None.

    Raises:
        GenseekError: of the kind that fits, for anything that a user could have got wrong.

    Examples:
        >>> from search import Store, load_study
        >>> plan = plan_search(load_study("gaussian_2d"), Store("genseek-store"))
        >>> plan.name, plan.study.budget.trials
        ('gaussian_2d-1', 40)
    """
    store.prepare()
    own = stem(study)
    names = (f"{own}-{number}" for number in itertools.count(1)) if name is None else [check_name(name)]
    chosen, held = _reserved(store, names)
    try:
        return _planned(study, store, chosen, _place(checkpoints, store, chosen), held=held)
    except BaseException:
        held.release()
        raise


def stem(study: Study) -> str:
    """What names of a study's searches begin with."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", study.name).strip("-._")[:MOST_LETTERS] or "search"


def check_name(name: str) -> str:
    """The name of a search, if it may be one.

    Raises:
        StudyError: it has other letters than a folder, a run and a job may have.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise StudyError(f"--name {name!r}: expected letters, digits, '.', '_' and '-' only")
    return name


def plan_resume(store: Store, name: str, more: int = 0, checkpoints: str | None = None) -> Plan:
    """Plan of a search that was cut off, or that shall try `more` configurations; what it has done it keeps.

    With other `checkpoints` than before, trials in training begin anew.

    Raises:
        StudyError: there is no such search, or it runs at this moment.
        DataError: its rows have changed.
        StoreError: its journal is gone.

    Examples:
        >>> from search import Store
        >>> plan_resume(Store("genseek-store"), "first", more=4).study.budget.trials
        10
    """
    path = _folder(store, name) / JOURNAL
    if name not in _begun(store):
        _fetch(store, name, path)
    with Journal(path) as journal:
        header, _ = journal.read()
    study = study_from(header["study"])
    if more and study.sampler in LISTED:
        raise StudyError(f"--more-trials {more}: search {name!r} tries the points of a list, and there are no more")
    budget = replace(study.budget, trials=study.budget.trials + more)
    kept = header.get("checkpoints")
    place = CheckpointStorage(kept) if kept and checkpoints is None else _place(checkpoints, store, name)
    plan = _planned(replace(study, budget=budget), store, name, place)
    if plan.task.rows.digest() != header["data_sha256"]:
        raise DataError(f"search {name!r} can't go on: the rows of problem {study.problem!r} are not what they were")
    return plan


def _fetch(store: Store, name: str, path: Path) -> None:
    """Get the journal of a search that has ended from the store."""
    if store.search_run(name) is None and path.exists():
        raise StudyError(f"search {name!r} was cut off before it began: run it again")
    run_id = store.search(name).run_id
    try:
        store.fetch(run_id, JOURNAL, path.parent)
    except GenseekError as error:
        raise StoreError(f"search {name!r} can't go on: its journal is neither here nor in {store.where()}") from error


def _reserved(store: Store, names: Iterable[str]) -> tuple[str, Reservation]:
    """The first of some names that no search has, held for a new one.

    Raises:
        StudyError: all are taken.
        StoreError: the store's folder can't be written.
    """
    why = ""
    taken = _taken(store)
    for name in names:
        if name not in taken:
            try:
                held = Reservation(_folder(store, name))
            except BlockingIOError:
                why = f"--name {name}: another process begins a search of that name in {store.where()}; choose another"
                continue
            except OSError as error:
                raise StoreError(f"store {store.folder}: no name can be reserved there ({error.strerror})") from error
            taken = _taken(store)  # it may have begun, and even ended, since
            if name not in taken:
                return name, held
            held.release()
        why = (
            f"--name {name}: a search of that name exists already in {store.where()}; "
            f"choose another, or go on with it: {command('resume', name, *store.options())}"
        )
    raise StudyError(why)


def _taken(store: Store) -> set[str]:
    return {found.name for found in store.searches()} | _begun(store)


def _planned(
    study: Study, store: Store, name: str, storage: CheckpointStorage, *, held: Reservation | None = None
) -> Plan:
    problem = problem_of(study)
    task = task_of(study, problem)
    check(study, task)
    store.prepare()  # the journal and Tune's own files go to its folder, whatever the tracking URI
    if shutil.disk_usage(store.folder).free < LEAST_SPACE:
        raise StoreError(f"store {store.folder}: less than {LEAST_SPACE // 2**20} MB of disk space is left")
    test = task.rows.test if len(task.rows.test) <= JUDGED else chosen_rows(task.rows.test, JUDGED)
    judge = judge_of(study, problem, task.rows, test)
    return Plan(
        study=study,
        problem=problem,
        task=task,
        test_rows=test,
        test_judge=judge,
        name=name,
        store=store,
        storage=storage,
        held=held,
    )


def _place(checkpoints: str | None, store: Store, name: str) -> CheckpointStorage:
    """A search's own place below `checkpoints`, which searches of several stores may share, or else its folder."""
    if checkpoints is None:
        return CheckpointStorage(str(_folder(store, name)))
    return CheckpointStorage.named(checkpoints).at(f"{name}-{uuid.uuid4().hex[:8]}")


def _folder(store: Store, name: str) -> Path:
    return store.folder / TUNE / name


def _begun(store: Store) -> set[str]:
    """Names of the searches that the store's folder has a journal of: they run, or were cut off."""
    return {path.parent.name for path in (store.folder / TUNE).glob(f"*/{JOURNAL}") if begun(path)}


def start_from(study: Study, board: Leaderboard) -> Study:
    """The study with the best configurations of another search that lie in its space behind its own points.

    Raises:
        StudyError: none does, or the study tries the points of a list and nothing else.
    """
    if study.sampler in LISTED:
        raise StudyError(
            f"--warm-start {board.name}: sampler {study.sampler!r} tries the points of a list and nothing else"
        )
    known = [check_point(study, point) for point in study.points]
    points: list[dict[str, Any]] = []
    for entry in board.ranked():
        point = entry.configuration.flat()
        try:
            configuration = check_point(study, point)
        except GenseekError:
            continue  # outside this study's space
        if configuration == entry.configuration and configuration not in known and len(points) < MOST:
            known.append(configuration)
            points.append(point)
    if not points:
        raise StudyError(
            f"--warm-start {board.name}: none of its configurations that this study lacks lies in its space"
        )
    return replace(study, points=[*study.points, *points])
