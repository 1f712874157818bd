"""A whole search, from a study to a leaderboard: prepare, record, tune, judge on test rows, draw the pictures."""

import itertools
import math
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from models.noise import hashed_seed
from search.checkpoints import CheckpointStorage
from search.errors import GenseekError, StoreError, TrainingError
from search.events.events import Ended, Event, Listener, RecordingStalled, Troubled
from search.events.journal import JOURNAL, Journal, without_interruptions
from search.export.export import versions
from search.rank.leaderboard import Entries, Leaderboard
from search.record.dataset import DataSet
from search.record.describe import describe_search
from search.record.layout import DATA_SHA256, ERROR, TRIALS, Axes
from search.record.recorder import Recorder
from search.run.finish import finish_search, references, tests
from search.run.plan import FINALISTS, Plan
from search.schedule.director import Limits
from search.schedule.suggest import Suggester
from search.study.fields import LEARNING, PACK_SIZES
from search.study.serialize import study_json
from search.study.study import Study
from search.tune.run import tune_trials

AHEAD = 0.5  # of the trials: fewer would teach the sampler more, and leave packs half empty
MOST_AHEAD = 24  # trials, where time bounds the search rather than their number
# Shares of the time after which a search proposes and trains no more, and waits no more for what isn't trained whole.
PROPOSED, TRAINED, HANDED_IN = 0.5, 0.6, 0.9


@dataclass(frozen=True, kw_only=True)
class Result:
    """How a search ended: its leaderboard, and whether Ctrl-C ended it.

    `failures` are trials that an error ended, `unrecorded` what the store didn't take, `troubles` what else the user
    should know of, a line each.
    """

    board: Leaderboard
    interrupted: bool
    failures: list[str]
    unrecorded: list[str]
    troubles: list[str]


def run_search(plan: Plan, listeners: Sequence[Listener] = ()) -> Result:
    """Run a planned search to its end, from where it was cut off if it was, and record all of it.

    Raises:
        ClusterError, StoreError: the cluster or the store can't do what was asked.
        TrainingError: its trainers keep dying; it can go on when that is mended.

    Examples:
        >>> from search import Store, load_study, plan_search, with_overrides
        >>> study = with_overrides(load_study("gaussian_2d"), trials=4, epochs=4)
        >>> result = run_search(plan_search(study, Store("genseek-store")))
        >>> result.interrupted, result.unrecorded
        (False, [])
    """
    with Journal(plan.folder / JOURNAL) as journal:
        return _run(plan, journal, listeners)


def _run(plan: Plan, journal: Journal, listeners: Sequence[Listener]) -> Result:
    study, store, task, budget = plan.study, plan.store, plan.task, plan.study.budget
    provenance = {
        "problem": study.problem,
        "problem_arguments": study.problem_arguments,
        "data_sha256": task.rows.digest(),
        "rows": {split: len(rows) for split, rows in vars(task.rows).items()},
        "budget": asdict(budget),
        "versions": versions(),
    }
    before, events = journal.read()
    past, params = _here(plan, before, without_interruptions(events)), before.get("params") or _params(study)
    header = {
        "study": study_json(study),
        "data_sha256": task.rows.digest(),
        "params": params,
        # The store's own folder goes where the store goes.
        "checkpoints": None if plan.storage == CheckpointStorage(str(plan.folder)) else plan.storage.uri,
    }
    if header != before:
        journal.begin(header)
    axes, data = Axes.of(study), DataSet.of(study, task.rows, task.columns)
    try:
        parent = _parent(plan, params, axes, new=not before)
    except GenseekError:
        if not before:
            journal.path.unlink(missing_ok=True)  # it never began, so nothing can go on
        raise
    store.log_data(parent, data)
    entries, recorder = Entries(), Recorder(store, parent, store.trial_runs(parent), axes, data=data)
    folder = plan.folder
    seeds = [hashed_seed(budget.seed, "trial", number) for number in range(plan.trials)]
    said: list[str] = []
    heard: list[Listener] = [entries, recorder, *listeners, _watching(recorder, listeners), noting(said)]
    try:
        for event, listener in itertools.product(past, heard):
            listener(event)
        complete = tune_trials(
            Suggester(study, budget.seed),
            task,
            replace(budget, trials=plan.trials),
            seeds,
            folder=folder,
            listeners=[journal, *heard],
            pack_size=study.pack_size,
            max_open_trials=_max_open_trials(plan),
            past=past,
            storage=plan.storage,
            limits=Limits(plan.moment(PROPOSED), plan.moment(TRAINED), plan.moment(HANDED_IN)),
        )
    except BaseException as error:
        recorder.close()
        with suppress(GenseekError):
            if isinstance(error, TrainingError):
                store.log(parent, tags={ERROR: str(error)})
            store.end(parent, "interrupted" if isinstance(error, KeyboardInterrupt) else "failed", time.time())
        if isinstance(error, OSError):
            raise StoreError(f"store {store.folder}: {error.strerror or error}") from error
        raise
    troubles = [recorder.close()]
    board = Leaderboard(
        name=plan.name,
        entries=entries.entries(
            {} if budget.finalists else tests(plan, entries, seeds, recorder.run_ids), recorder.run_ids
        ),
        references=references(plan),
        floors={"validation": task.judge.floors, "test": plan.test_judge.floors},
        provenance=provenance,
        goals=study.goals,
    )
    try:
        finish_search(plan, parent, board)
        describe_search(store, plan.name)
        if complete:
            tried = len(board.entries)
            if tried < plan.trials:  # time or the space has ended it: it is whole as it is
                left = budget.trials - (plan.trials - tried)
                ended = replace(study, budget=replace(budget, trials=max(1, left)))
                journal.begin(header | {"study": study_json(ended)})
            store.log(parent, tags={TRIALS: str(tried)})
            store.save(parent, journal.path)
        store.end(parent, "finished" if complete else "interrupted", time.time())
        store.tidy()
    except GenseekError as error:
        troubles.append(str(error))
    unrecorded = [trouble for trouble in troubles if trouble]
    if complete and not unrecorded:
        _clear(plan)
    failures = [f"trial {ended.trial} failed: {ended.error.splitlines()[-1]}" for ended in entries.failures()]
    return Result(board=board, interrupted=not complete, failures=failures, unrecorded=unrecorded, troubles=said)


def _clear(plan: Plan) -> None:
    """Remove what the search kept in its folder and in storage; finalists that were cut off stay, and go on."""
    with suppress(OSError):
        for name in plan.storage.names():
            if not name.startswith(FINALISTS):
                plan.storage.at(name).remove()
        if not plan.storage.names():
            plan.storage.remove()
    for path in plan.folder.iterdir():
        if path.is_dir() and not path.name.startswith(FINALISTS):
            shutil.rmtree(path, ignore_errors=True)
        elif path.is_file():
            path.unlink(missing_ok=True)
    with suppress(OSError):
        plan.folder.rmdir()


def _watching(recorder: Recorder, listeners: Sequence[Listener]) -> Listener:
    """Listener that tells others when the store ceases and begins again to take what is recorded."""
    said = ""

    def listen(event: Event) -> None:
        nonlocal said
        if recorder.waiting != said:
            said = recorder.waiting
            for listener in listeners:
                listener(RecordingStalled(said, time.time()))

    return listen


def noting(said: list[str]) -> Listener:
    """Listener that keeps what the user should know of."""

    def listen(event: Event) -> None:
        if isinstance(event, Troubled):
            said.append(event.trouble)

    return listen


def _params(study: Study) -> dict[str, str]:
    """Parameters of the parent run, as MLflow keeps them."""
    pack_size = next((word for word, most in PACK_SIZES.items() if most == study.pack_size), str(study.pack_size))
    bounds = {f"{name}_most": bound for name, bound in study.goals.bounds.items()}
    settings = {
        "study": study.name,
        "problem": study.problem,
        "pack_size": pack_size,
        "sampler": study.sampler,
        "rank": ", ".join(study.goals.rank),
        "prefer": study.prefer,
        "refit": study.refit,
        **bounds,
        **asdict(study.budget),
        **study.problem_arguments,
    }
    return {key: str(value) for key, value in settings.items()}


def _parent(plan: Plan, params: dict[str, str], axes: Axes, new: bool) -> str:
    """Parent run of the search, open: a new one, or that of a search that goes on."""
    tags = {DATA_SHA256: plan.task.rows.digest(), TRIALS: str(plan.trials)}
    parent = None if new else plan.store.search_run(plan.name)
    if parent is None:
        return plan.store.begin(plan.name, params, tags, plan.study.name, axes=axes)
    plan.store.reopen(parent)
    # Parameters can't be changed, so those that it began with are written again, if a crash came before them.
    plan.store.log(parent, params=params, tags=tags)
    return parent


def _here(plan: Plan, header: dict[str, Any], events: Sequence[Event]) -> list[Event]:
    """Events, with checkpoints that were left in the store's own folder where that folder is now."""
    if header.get("checkpoints") is not None:
        return list(events)
    own = CheckpointStorage(str(plan.folder))
    return [
        replace(event, checkpoint=own.at(Path(event.checkpoint.uri).name))
        if isinstance(event, Ended) and event.checkpoint is not None
        else event
        for event in events
    ]


def _max_open_trials(plan: Plan) -> int | None:
    """Trials that may be open at once: only part of them, where a sampler learns from those that have ended."""
    if plan.study.sampler not in LEARNING:
        return None
    return min(math.ceil(plan.trials * AHEAD), MOST_AHEAD if plan.study.budget.time else plan.trials)
