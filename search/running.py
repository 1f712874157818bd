"""A whole search, from a study to a leaderboard: prepare, record, tune, judge on test rows, draw the pictures."""

import itertools
import math
import re
import shutil
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from models.noise import hashed_seed
from objectives import REFERENCES, Judge, Problem
from search import plots
from search.draws import draws
from search.errors import InputError
from search.events import Listener
from search.exporting import opened, versions
from search.folder import writable
from search.keys import FUSE
from search.leaderboard import Entries, Leaderboard, floors_json
from search.preparation import check, judge_of, problem_of, task_of
from search.proposer import Proposer
from search.recorder import Recorder
from search.store import SUMMARY, TUNE, Store
from search.study import Study
from search.task import Task
from search.tuning import tune_trials

AHEAD = 0.5  # of the trials: fewer would teach the sampler more, and leave packs half empty
LEAST_SPACE = 100 * 2**20  # bytes that a search may well need


@dataclass(frozen=True)
class Plan:
    """A search that can start: study, problem, task, the judge of test rows, and its name in the store."""

    study: Study
    problem: Problem
    task: Task
    test_judge: Judge
    name: str
    store: Store


@dataclass(frozen=True)
class Result:
    """How a search ended: its leaderboard, and whether Ctrl-C ended it.

    `failures` are trials that an error ended, `unrecorded` what the store didn't take, a line each.
    """

    board: Leaderboard
    interrupted: bool
    failures: list[str]
    unrecorded: list[str]


def plan_search(study: Study, store: Store, name: str | None = None) -> Plan:
    """Check everything, and settle the search's name: `name`, or the study's with the first free number.

    Raises:
        InputError: anything that a user could have got wrong.
    """
    problem = problem_of(study)
    task = task_of(study, problem)
    check(study, task)
    writable(store.folder)  # Tune's own files go there, whatever the tracking URI
    if shutil.disk_usage(store.folder).free < LEAST_SPACE:
        raise InputError(f"store {store.folder}: less than {LEAST_SPACE // 2**20} MB of disk space is left")
    taken = {found.name for found in store.searches()}
    if name is None:
        stem = re.sub(r"[^A-Za-z0-9._-]", "-", study.name)
        name = next(free for number in itertools.count(1) if (free := f"{stem}-{number}") not in taken)
    elif not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise InputError(f"--name {name!r}: expected letters, digits, '.', '_' and '-' only")
    elif name in taken:
        raise InputError(f"--name {name}: a search of that name exists already in {store.where()}; choose another")
    return Plan(study, problem, task, judge_of(study, problem, task.rows, task.rows.test), name, store)


def run_search(plan: Plan, listeners: Sequence[Listener] = ()) -> Result:
    """Run a planned search to its end and record all of it.

    Raises:
        InputError: the cluster or the store can't do what was asked.
    """
    study, store, task, budget = plan.study, plan.store, plan.task, plan.study.budget
    provenance = {
        "problem": study.problem,
        "problem_arguments": study.problem_arguments,
        "data_sha256": task.rows.digest(),
        "budget": asdict(budget),
        "versions": versions(),
    }
    fuse = next((word for word, most in FUSE.items() if most == study.fuse), str(study.fuse))
    settings = {"study": study.name, "problem": study.problem, "fuse": fuse}
    params = settings | asdict(budget) | study.problem_arguments
    parent = store.begin(plan.name, params, {"genseek.data_sha256": task.rows.digest()})
    entries, recorder = Entries(), Recorder(store, parent, plan.name)
    folder = store.folder / TUNE / plan.name
    seeds = [hashed_seed(budget.seed, "trial", number) for number in range(budget.trials)]
    try:
        complete = tune_trials(
            Proposer(study, budget.seed),
            task,
            budget,
            seeds,
            folder,
            [entries, recorder, *listeners],
            study.fuse,
            _ahead(study),
        )
    except BaseException as error:
        recorder.close()
        with suppress(InputError):
            store.end(parent, "interrupted" if isinstance(error, KeyboardInterrupt) else "failed", time.time())
        if isinstance(error, OSError):
            raise InputError(f"store {store.folder}: {error.strerror or error}") from error
        raise
    troubles = [recorder.close()]
    board = Leaderboard(
        plan.name,
        entries.entries(_tests(plan, entries, seeds), recorder.run_ids),
        _references(plan),
        {"validation": task.judge.floors, "test": plan.test_judge.floors},
        provenance,
    )
    try:
        _conclude(plan, parent, board)
        store.end(parent, "finished" if complete else "interrupted", time.time())
        store.tidy()
    except InputError as error:
        troubles.append(str(error))
    unrecorded = [trouble for trouble in troubles if trouble]
    if not unrecorded:
        shutil.rmtree(folder, ignore_errors=True)
    failures = [f"trial {ended.trial} failed: {ended.error.splitlines()[-1]}" for ended in entries.failures()]
    return Result(board, not complete, failures, unrecorded)


def _ahead(study: Study) -> int | None:
    """Trials that may be open at once: only part of them, where a sampler learns from those that have ended."""
    return math.ceil(study.budget.trials * AHEAD) if study.sampler == "tpe" else None


def _tests(plan: Plan, entries: Entries, seeds: Sequence[int]) -> dict[int, dict[str, float]]:
    """Scores and fit on the test rows of every checkpoint that was trained at full budget, by trial."""
    tests = {}
    for ended in entries.finished():
        with suppress(InputError):  # a checkpoint that a full disk cut short has no test scores
            generator = opened(ended.checkpoint or Path())
            rows, seed = len(plan.task.rows.test), seeds[ended.trial]
            drawn = draws(generator.model, [generator.features], plan.task.draws, rows, [seed])
            verdict = plan.test_judge(drawn[0])
            tests[ended.trial] = verdict.values | {"fit": verdict.fit}
    return tests


def _references(plan: Plan) -> dict[str, dict[str, dict[str, float]]]:
    """Scores and fit of every reference generator on validation and on test rows."""
    rows, seed = plan.task.rows, plan.study.budget.seed
    judged: dict[str, dict[str, dict[str, float]]] = {"validation": {}, "test": {}}
    for split, judge, held in (("validation", plan.task.judge, rows.validation), ("test", plan.test_judge, rows.test)):
        for name, draw in REFERENCES.items():
            generator = np.random.default_rng([seed, len(name)])
            drawn = np.stack([draw(rows.train, len(held), generator) for _ in range(plan.task.draws)])
            verdict = judge(drawn)
            judged[split][name] = verdict.values | {"fit": verdict.fit}
    return judged


def _conclude(plan: Plan, parent: str, board: Leaderboard) -> None:
    """Record what the search as a whole has found: summary, test scores, pictures."""
    store, now = plan.store, time.time()
    summary = {
        "references": board.references,
        "floors": floors_json(board.floors),
        "provenance": board.provenance,
        "leaderboard": [board.described(entry) for entry in board.ranked()],
    }
    store.save_json(parent, SUMMARY, summary)
    for entry in board.entries:
        if entry.test and entry.run_id:
            store.log(entry.run_id, [(f"test/{name}", value, entry.epoch, now) for name, value in entry.test.items()])
    try:
        winner = board.winner()
    except InputError:
        return  # nothing was trained at full budget
    store.log(parent, [("best_fit", winner.fit, 0, now)], tags={"genseek.winner": winner.run_id})
    with tempfile.TemporaryDirectory() as pictures:
        generator = opened(store.fetch(winner.run_id, "checkpoint", Path(pictures)))
        sample = generator.sample(len(plan.task.rows.test), plan.study.budget.seed).numpy()
        path = Path(pictures) / "samples.png"
        plots.samples_beside(plan.task.rows.test, sample, plan.task.columns, path)
        for run_id in (parent, winner.run_id):
            store.save(run_id, path)
        path = Path(pictures) / "asymmetry.png"
        if plots.asymmetry(board, path):
            store.save(parent, path)
