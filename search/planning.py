"""Planning: all that can be checked before a search starts, or goes on."""

import itertools
import re
import shutil
import uuid
from dataclasses import dataclass, replace
from pathlib import Path

from objectives import Judge, Problem
from search.errors import InputError, unknown
from search.escapes import command
from search.folder import writable
from search.journal import JOURNAL, Journal, begun
from search.keys import LISTED
from search.preparation import check, judge_of, problem_of, task_of
from search.storage import Storage
from search.store import TUNE, Store
from search.study import Study
from search.study_json import study_from
from search.task import Task

FINALISTS = "finalists-"  # how folders of their training begin, below that of the search
LONGEST = 80  # letters of a study's name in those of its searches
LEAST_SPACE = 100 * 2**20  # bytes that a search may well need


@dataclass(frozen=True)
class Plan:
    """A search that can start: study, problem, task, judge of test rows, its name in the store, and its storage."""

    study: Study
    problem: Problem
    task: Task
    test_judge: Judge
    name: str
    store: Store
    storage: Storage

    @property
    def folder(self) -> Path:
        """For Tune's own files and the journal; the driver's alone."""
        return _folder(self.store, self.name)


def plan_search(study: Study, store: Store, name: str | None = None, storage: str | None = None) -> Plan:
    """Check everything, and settle the search's name: `name`, or the study's with the first free number.

    Args:
        study: what to search.
        store: to record it in.
        name: of the search.
        storage: path or URI that every node of a cluster sees, for checkpoints; the store's folder if None.

    Raises:
        InputError: anything that a user could have got wrong.
    """
    taken = {found.name for found in store.searches()} | _begun(store)
    if name is None:
        name = next(free for number in itertools.count(1) if (free := f"{stem(study)}-{number}") not in taken)
    elif check_name(name) in taken:
        raise InputError(
            f"--name {name}: a search of that name exists already in {store.where()}; "
            f"choose another, or go on with it: {command('resume', name, *store.options())}"
        )
    return _planned(study, store, name, _place(storage, store, name))


def stem(study: Study) -> str:
    """What names of a study's searches begin with."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", study.name).strip("._-")[:LONGEST] or "search"


def check_name(name: str) -> str:
    """The name of a search, if it may be one.

    Raises:
        InputError: it has other letters than a folder, a run and a job may have.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise InputError(f"--name {name!r}: expected letters, digits, '.', '_' and '-' only")
    return name


def plan_resume(store: Store, name: str, more: int = 0, storage: str | None = None) -> Plan:
    """Plan of a search that was cut off, or that shall try `more` configurations; what it has done it keeps.

    With another `storage` than before, trials in training begin anew.

    Raises:
        InputError: there is no such search, it runs at this moment, or its rows have changed.
    """
    path = _folder(store, name) / JOURNAL
    if name not in _begun(store):
        _fetch(store, name, path)
    with Journal(path) as journal:
        header, _ = journal.read()
    study = study_from(header["study"])
    if more and study.sampler in LISTED:
        raise InputError(f"--trials +{more}: search {name!r} tries the points of a list, and there are no more")
    budget = replace(study.budget, trials=study.budget.trials + more)
    kept = header.get("storage")
    place = Storage(kept) if kept and storage is None else _place(storage, store, name)
    plan = _planned(replace(study, budget=budget), store, name, place)
    if plan.task.rows.digest() != header["data_sha256"]:
        raise InputError(f"search {name!r} can't go on: the rows of problem {study.problem!r} are not what they were")
    return plan


def _fetch(store: Store, name: str, path: Path) -> None:
    """Get the journal of a search that has ended from the store."""
    run_id = store.search_run(name)
    if run_id is None and path.exists():
        raise InputError(f"search {name!r} was cut off before it began: run it again")
    if run_id is None:
        names = [found.name for found in store.searches()]
        raise InputError(f"{unknown('search', name, names)} (in {store.where()})")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        store.fetch(run_id, JOURNAL, path.parent)
    except InputError as error:
        raise InputError(f"search {name!r} can't go on: its journal is neither here nor in {store.where()}") from error


def _planned(study: Study, store: Store, name: str, storage: Storage) -> Plan:
    problem = problem_of(study)
    task = task_of(study, problem)
    check(study, task)
    writable(store.folder)  # the journal and Tune's own files go there, whatever the tracking URI
    if shutil.disk_usage(store.folder).free < LEAST_SPACE:
        raise InputError(f"store {store.folder}: less than {LEAST_SPACE // 2**20} MB of disk space is left")
    return Plan(study, problem, task, judge_of(study, problem, task.rows, task.rows.test), name, store, storage)


def _place(storage: str | None, store: Store, name: str) -> Storage:
    """A search's own part of a storage, or its folder: searches of one name in several stores may share a storage."""
    if storage is None:
        return Storage(str(_folder(store, name)))
    return Storage.named(storage).at(f"{name}-{uuid.uuid4().hex[:8]}")


def _folder(store: Store, name: str) -> Path:
    return store.folder / TUNE / name


def _begun(store: Store) -> set[str]:
    """Names of the searches that the store's folder has a journal of: they run, or were cut off."""
    return {path.parent.name for path in (store.folder / TUNE).glob(f"*/{JOURNAL}") if begun(path)}
