"""The end of a search: scores on test rows, reference generators, and the record of what it has found."""

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import numpy as np

from models.noise import hashed_seed
from objectives import REFERENCES
from objectives.problems.problem import Array
from search.errors import GenseekError
from search.events.events import Ended
from search.export.export import load_generator
from search.log import decoration
from search.rank.leaderboard import Entries, Leaderboard, floors_json
from search.record.layout import ASYMMETRY, CHECKPOINT, FRONT, SAMPLES, SUMMARY, TEST
from search.report import png
from search.run.plan import Plan
from search.study.plugins import blamed
from search.study.serialize import goals_json
from search.train.context import draw_samples


def tests(
    plan: Plan, entries: Entries, seeds: Sequence[int], run_ids: Mapping[int, str]
) -> dict[int, dict[str, float]]:
    """Scores and misfit on the test rows of every checkpoint that was trained at full budget, by trial."""
    judged = {}
    for ended in entries.finished():
        # A checkpoint that a full disk cut short has no test scores.
        with suppress(GenseekError), _kept(plan, ended, run_ids.get(ended.trial, "")) as kept:
            generator = load_generator(kept)
            rows, seed = len(plan.test_rows), seeds[ended.trial]
            drawn = draw_samples(generator.model, [generator.features], plan.task.eval_samples, rows, seeds=[seed])
            evaluation = plan.test_judge(drawn[0])
            judged[ended.trial] = evaluation.values | {"misfit": evaluation.misfit}
    return judged


@contextmanager
def _kept(plan: Plan, ended: Ended, run_id: str) -> Iterator[Path]:
    """A finished trial's checkpoint: in storage, or in the store since the search ended the last time."""
    with ExitStack() as stack:
        folder = None
        with suppress(OSError):
            if ended.checkpoint is not None and ended.checkpoint.names():
                folder = stack.enter_context(ended.checkpoint.fetched())
        if folder is None:
            folder = plan.store.fetch(run_id, CHECKPOINT, Path(stack.enter_context(tempfile.TemporaryDirectory())))
        yield folder


def references(plan: Plan) -> dict[str, dict[str, dict[str, float]]]:
    """Scores and misfit of every reference generator on validation and on test rows."""
    rows, seed = plan.task.rows, plan.study.budget.seed
    judged: dict[str, dict[str, dict[str, float]]] = {"validation": {}, "test": {}}
    splits = (("validation", plan.task.judge, rows.validation), ("test", plan.test_judge, plan.test_rows))
    for split, judge, held in splits:
        for name, draw in REFERENCES.items():
            generator = np.random.default_rng([seed, hashed_seed(seed, split, name)])
            drawn = np.stack([draw(rows.train, len(held), generator) for _ in range(plan.task.eval_samples)])
            with blamed(f"search {plan.name}", scores=judge.floors):
                evaluation = judge(drawn)
            judged[split][name] = evaluation.values | {"misfit": evaluation.misfit}
    return judged


def finish_search(plan: Plan, parent: str, board: Leaderboard) -> None:
    """Record what the search as a whole has found: summary, test scores, pictures."""
    store, now = plan.store, time.time()
    summary = {
        "references": board.references,
        "floors": floors_json(board.floors),
        "provenance": board.provenance,
        "goals": goals_json(board.goals),
        "unranked": list(board.unranked),
        "leaderboard": [board.to_dict(entry) for entry in board.ranked()],
    }
    store.save_json(parent, SUMMARY, summary)
    best = {entry.trial for entry in board.front()} if len(board.goals.rank) > 1 else set()
    for entry in board.finished():
        values = {f"{TEST}/{name}": value for name, value in entry.test.items()}
        values |= {"violation": board.standing(entry).violation} if board.goals.bounds else {}
        tags = {FRONT: str(entry.trial in best).lower()} if len(board.goals.rank) > 1 else {}
        if entry.run_id and values | tags:
            store.log(entry.run_id, [(name, value, entry.epoch, now) for name, value in values.items()], tags=tags)
    if store.confirmed(plan.name):
        return  # its winner stands already
    try:
        winner = board.winner()
    except GenseekError:
        return  # nothing was trained at full budget within the bounds
    store.log(parent, [("best_misfit", winner.misfit, 0, now)])
    with tempfile.TemporaryDirectory() as pictures:
        checkpoint = store.fetch(winner.run_id, CHECKPOINT, Path(pictures))
        picture(plan, checkpoint, plan.task.rows.validation, [parent, winner.run_id])
        with decoration("no picture of misfit against asymmetry"):
            path = Path(pictures) / ASYMMETRY
            if png.asymmetry(board, path):
                store.save(parent, path)


def picture(plan: Plan, checkpoint: Path, rows: Array, run_ids: Sequence[str]) -> None:
    """Keep a picture of a generator's samples beside held-out rows `[n, columns]` with some runs."""
    with decoration("no picture of samples"), tempfile.TemporaryDirectory() as folder:
        sample = load_generator(checkpoint).sample(len(rows), plan.study.budget.seed).numpy()
        path = Path(folder) / SAMPLES
        png.samples_beside(rows, sample, plan.task.columns, path)
        for run_id in run_ids:
            plan.store.save(run_id, path)
