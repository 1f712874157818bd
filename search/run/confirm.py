"""Confirmation: the best of a search, trained again with fresh seeds and judged on test rows that decided nothing.

The best of many noisy scores is an extreme value. Fresh seeds show what a configuration is worth; a bootstrap over
seeds and test rows says how well that is known, and the study says which of those wins that can't be told apart.
Source: Efron, Tibshirani 1993, An Introduction to the Bootstrap, section 13.3; Good 2005, Permutation, Parametric and
Bootstrap Tests of Hypotheses, section 3.2.
"""

import math
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np

from models.noise import hashed_seed
from search.checkpoints import CheckpointStorage
from search.errors import StoreError
from search.events.events import Listener, Troubled
from search.events.journal import JOURNAL, Journal, without_interruptions
from search.export.export import load_generator
from search.rank.finalist import Finalist, advantage, holm, interval, resampled, ties
from search.rank.leaderboard import Entries, Entry, Leaderboard
from search.record.describe import describe_search
from search.record.layout import CONFIRMED, CONFIRMED_OF, REFITTED, VERDICT
from search.run.finish import picture
from search.run.plan import FINALISTS, Plan
from search.schedule.director import Limits
from search.schedule.suggest import Suggester
from search.study.goals import WORST
from search.study.plugins import blamed
from search.text import command
from search.train.context import draw_samples
from search.tune.run import tune_trials

CONFIRMED_BY = 0.8  # share of the time after which no finalist is trained any more; judging takes the rest
NEAR = 1.5  # times the lowest misfit: the best trial of a family up to there is worth fresh networks
DIVERGED = "diverged"  # verdict on a finalist one of whose fresh networks could not be judged


@dataclass(frozen=True, kw_only=True)
class _Trained:
    """What the fresh networks of one candidate are: checkpoints, their epochs, validation misfits, seeds."""

    entry: Entry
    checkpoints: Sequence[CheckpointStorage]
    best_epochs: Sequence[int]
    validated: Sequence[float]
    seeds: Sequence[int]


def candidates(board: Leaderboard, top: int) -> list[Entry]:
    """Return the `top` best configurations, and those of the front.

    Among them is the best of each family that came near the best of all, as far as `top` reaches: several trials of one
    family, close to each other, would tell little more than one. Equal configurations take part once.

    Raises:
        StudyError: no trial was trained at full budget within the bounds.
    """
    board.winner()
    able = _distinct(board.ranked()[: len(board.eligible())])
    families: dict[str, Entry] = {}
    for entry in able:
        if entry.misfit <= NEAR * able[0].misfit:
            families.setdefault(entry.configuration.model, entry)
    best = list(families.values())[:top]
    best += [entry for entry in able if entry not in best][: top - len(best)]
    front = board.front() if len(board.goals.rank) > 1 else []
    return _distinct([*best, *front])


def _distinct(entries: Sequence[Entry]) -> list[Entry]:
    """The first entry of each configuration."""
    found: list[Entry] = []
    for entry in entries:
        if entry.configuration not in [other.configuration for other in found]:
            found.append(entry)
    return found


def confirm_search(
    plan: Plan, board: Leaderboard, top: int, seeds: int, *, listeners: Sequence[Listener] = ()
) -> list[Finalist]:
    """Confirm the best of a finished search, and record which of them won, if any; what `confirm` returns.

    Raises:
        GenseekError: as `confirm`, or the store can't be written, or the storage read.

    Examples:
        >>> from search import Store, plan_resume
        >>> store = Store("genseek-store")
        >>> finalists = confirm_search(plan_resume(store, "first"), store.leaderboard("first"), 2, 2)
        >>> len(finalists[0].misfits)
        2
    """
    try:
        finalists = confirm(plan, board, top, seeds, listeners=listeners)
        if finalists:
            record_confirmation(plan, board, finalists, time.time())
    except OSError as error:
        again = command("confirm", plan.name, *plan.store.options())
        raise StoreError(f"checkpoints {plan.storage.uri}: {error}; {again} goes on") from error
    return finalists


def confirm(
    plan: Plan, board: Leaderboard, top: int, seeds: int, *, listeners: Sequence[Listener] = ()
) -> list[Finalist]:
    """Train the best of a finished search again, and judge them; best first, none if it was interrupted.

    Interrupted, or cut off, it goes on where it was when called again for the same candidates and number of seeds.

    Raises:
        GenseekError: no trial was trained at full budget, or the cluster can't do what is asked.
    """
    chosen = candidates(board, top)
    # Named by who takes part: a search that tries more after a crash here may have other candidates.
    name = f"{FINALISTS}{hashed_seed(seeds, *(str(entry.trial) for entry in chosen)):x}"
    trained = _trained(plan, chosen, seeds, name, listeners=listeners)
    if trained is None:
        return []
    for trial in sorted({entry.trial for entry in chosen} - {own.entry.trial for own in trained}):
        said = f"time was up before the fresh networks of trial {trial} were trained, so that it isn't confirmed"
        for listener in listeners:
            listener(Troubled(said, time.time()))
    if not trained:
        return []
    rows, judge = plan.task.rows.test, plan.test_judge
    samples = np.stack([np.stack([_drawn(plan, *each) for each in _networks(own)]) for own in trained])
    with blamed(f"search {plan.name}", scores=judge.floors):
        judged = judge.each(samples.reshape(-1, *samples.shape[2:]))
    judged_of = [judged[start : start + seeds] for start in range(0, len(judged), seeds)]
    misfits, seed = np.array([[evaluation.misfit for evaluation in own] for own in judged_of]), plan.study.budget.seed
    repeats = resampled(judge, rows, samples[:, :, 0], seed)
    spans = [interval(own, again) for own, again in zip(misfits, repeats, strict=True)]
    means = np.log(misfits).mean(1)
    scores = [{name: float(np.mean([each.values[name] for each in own])) for name in judge.floors} for own in judged_of]
    goals = plan.study.goals
    broken = [goals.violation(values, own.entry.architecture) > 0 for values, own in zip(scores, trained, strict=True)]
    whole = np.flatnonzero(np.isfinite(means)).tolist()  # those of which every network could be judged
    able = [place for place in whole if not broken[place]] or whole
    equal = ties(misfits, repeats, able, seed)
    sizes = [own.entry.architecture.get("parameters", math.inf) for own in trained]
    winner = min(equal, key=lambda place: sizes[place] if plan.study.prefer == "small" else means[place], default=None)
    others = [place for place in range(len(trained)) if winner is not None and place != winner]
    leads = holm([advantage(misfits[winner], misfits[place], seed) for place in others])
    p_values = dict(zip(others, leads, strict=True))
    verdicts = ["breaks a bound" if breaks else "" for breaks in broken]
    for place in range(len(trained)):
        if place not in whole:
            verdicts[place] = DIVERGED
        elif place in equal:
            verdicts[place] = "winner" if place == winner else "tie"
    return [
        Finalist(
            trial=own.entry.trial,
            configuration=own.entry.configuration,
            searched=own.entry.misfit if own.entry.outcome == "finished" else math.nan,
            validated=tuple(own.validated),
            misfits=tuple(misfits[place].tolist()),
            scores=scores[place],
            low=spans[place][0],
            high=spans[place][1],
            p_value=p_values.get(place, 1.0),
            parameters=sizes[place],
            verdict=verdicts[place],
            checkpoint=own.checkpoints[int(np.argmin(own.validated))],
            best_epoch=own.best_epochs[int(np.argmin(own.validated))],
            run_id=own.entry.run_id,
        )
        for place, own in sorted(enumerate(trained), key=lambda pair: means[pair[0]])
    ]


def record_confirmation(plan: Plan, board: Leaderboard, finalists: Sequence[Finalist], now: float) -> None:
    """Write what was confirmed into the runs of the search, instead of what was before, and clear up."""
    parent = plan.store.search(plan.name).run_id
    for entry in board.entries:
        if entry.verdict and entry.trial not in [finalist.trial for finalist in finalists]:
            plan.store.log(entry.run_id, tags={VERDICT: ""})
        if entry.refitted:
            plan.store.log(entry.run_id, tags={REFITTED: ""})
    for finalist in finalists:
        values = finalist.scores | {
            "misfit": finalist.misfit,
            "low": finalist.low,
            "high": finalist.high,
            "p_value": finalist.p_value,
            "optimism": finalist.optimism,
            "best_epoch": finalist.best_epoch,
        }
        points = [
            (f"confirmed/{name}", float(f"{value:.6g}"), 0, now)
            for name, value in values.items()
            if math.isfinite(value)
        ]
        if finalist.checkpoint.names():
            with finalist.checkpoint.fetched() as folder:
                plan.store.save(finalist.run_id, folder, CONFIRMED)
                shown = [finalist.run_id, *([parent] if finalist.verdict == "winner" else [])]
                picture(plan, folder, plan.task.rows.test, shown)
        plan.store.log(finalist.run_id, points, tags={VERDICT: finalist.verdict or "finalist"})
    best = [
        ("best_confirmed_misfit", float(f"{each.misfit:.6g}"), 0, now) for each in finalists if each.verdict == "winner"
    ]
    plan.store.log(parent, best, tags={CONFIRMED_OF: str(plan.store.search(plan.name).trials)})
    describe_search(plan.store, plan.name)
    shutil.rmtree(plan.folder, ignore_errors=True)
    with suppress(OSError):
        plan.storage.remove()


def _trained(
    plan: Plan, chosen: Sequence[Entry], seeds: int, name: str, *, listeners: Sequence[Listener]
) -> list[_Trained] | None:
    """The fresh networks of the candidates that there was time for; None if training was interrupted."""
    budget = plan.study.budget
    points = [entry.configuration.flat() for entry in chosen for _ in range(seeds)]
    fresh = [hashed_seed(budget.seed, "finalist", entry.trial, number) for entry in chosen for number in range(seeds)]
    listed = replace(plan.study, points=points, sampler="points")
    whole = replace(budget, trials=len(points), grace=budget.epochs, replicas=1)
    task, entries, storage = replace(plan.task, replicas=1), Entries(), plan.storage.at(name)
    with Journal(plan.folder / name / JOURNAL) as journal:
        past = without_interruptions(journal.read()[1])
        heard: list[Listener] = [entries, *listeners]
        for event in past:
            for listener in heard:
                listener(event)
        proposer = Suggester(listed, budget.seed)
        complete = tune_trials(
            proposer,
            task,
            whole,
            fresh,
            folder=journal.path.parent,
            listeners=[journal, *heard],
            pack_size=plan.study.pack_size,
            past=past,
            storage=storage,
            limits=Limits(trains=plan.moment(CONFIRMED_BY), rest="interrupted"),
        )
    if not complete:
        return None
    ended = {entry.trial: entry for entry in entries.entries({}, {}) if entry.outcome != "interrupted"}
    found = []
    for start, entry in zip(range(0, len(points), seeds), chosen, strict=True):
        numbers = range(start, start + seeds)
        if all(number in ended for number in numbers):
            own = [ended[number] for number in numbers]
            trained = _Trained(
                entry=entry,
                checkpoints=[storage.at(f"{number:05d}") for number in numbers],
                best_epochs=[each.best_epoch for each in own],
                validated=[each.misfit if _able(each) else math.inf for each in own],
                seeds=[fresh[number] for number in numbers],
            )
            found.append(trained)
    return found


def _able(entry: Entry) -> bool:
    """Whether a fresh network was trained whole, and has a misfit."""
    return entry.outcome == "finished" and entry.misfit < WORST


def _networks(own: _Trained) -> list[tuple[CheckpointStorage, float, int]]:
    return list(zip(own.checkpoints, own.validated, own.seeds, strict=True))


def _drawn(
    plan: Plan, checkpoint: CheckpointStorage, validated: float, seed: int
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Samples `[draws, m, columns]` of a fresh network; what could not be trained draws nothing that can be judged."""
    rows, columns, count = len(plan.task.rows.test), len(plan.task.columns), plan.task.eval_samples
    if math.isinf(validated):
        return np.full((count, rows, columns), np.nan)
    with checkpoint.fetched() as folder:
        generator = load_generator(folder)
    return np.asarray(draw_samples(generator.model, [generator.features], count, rows, seeds=[seed])[0])
