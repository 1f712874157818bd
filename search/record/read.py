"""Reads searches and trials back from their runs in the store."""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from mlflow.entities import Run

from objectives import Floor
from search.rank.leaderboard import Entry, Leaderboard, floors_from
from search.record.layout import (
    CONFIGURATION,
    CONFIRMED,
    CONFIRMED_OF,
    MISSING,
    NETWORK,
    OUTCOME,
    REFITTED,
    RUNNING,
    SPREAD,
    TEST,
    TRIAL,
    TRIALS,
    VERDICT,
    WINNER,
)
from search.study.configuration import Configuration
from search.study.goals import RESERVED, WORST
from search.study.serialize import goals_from


@dataclass(frozen=True, kw_only=True)
class SearchInfo:
    """A search in the store: name, place in the record, problem, trials, status, and whether it was confirmed.

    `winner` is the run of the trial that is tagged as the winner.
    """

    name: str
    experiment: str
    run_id: str
    problem: str
    trials: int
    status: str
    best_misfit: float | None
    confirmed: bool
    winner: str


def search_info(run: Run) -> SearchInfo:
    """Return the search of a parent run."""
    tags, metrics = run.data.tags, run.data.metrics
    trials = int(tags.get(TRIALS, run.data.params.get("trials", 0)))
    problem = run.data.params.get("problem", "")
    best, confirmed = metrics.get("best_misfit"), tags.get(CONFIRMED_OF) == str(trials)
    info = run.info
    name, winner = tags["mlflow.runName"], tags.get(WINNER, "")
    return SearchInfo(
        name=name,
        experiment=info.experiment_id,
        run_id=info.run_id,
        problem=problem,
        trials=trials,
        status=info.status,
        best_misfit=best,
        confirmed=confirmed,
        winner=winner,
    )


def entry(run: Run) -> Entry:
    """Return the trial of a child run as an entry of the leaderboard."""
    tags, metrics = run.data.tags, run.data.metrics
    grouped: dict[str, dict[str, float]] = {"": {}, TEST: {}, NETWORK: {}, SPREAD: {}, CONFIRMED: {}}
    for key, value in metrics.items():
        group, _, name = key.rpartition("/")
        grouped.setdefault(group, {})[name] = value
    return Entry(
        trial=int(tags[TRIAL]),
        configuration=Configuration.from_nested(json.loads(tags[CONFIGURATION])),
        outcome="interrupted" if tags.get(OUTCOME, RUNNING) == RUNNING else tags[OUTCOME],
        epoch=int(metrics.get("epoch", 0)),
        best_epoch=int(metrics.get("best_epoch", 0)),
        misfit=metrics.get("misfit", WORST),
        scores={name: value for name, value in grouped[""].items() if name not in RESERVED},
        architecture=grouped[NETWORK],
        test=grouped[TEST] and {"misfit": math.inf} | grouped[TEST],
        run_id=run.info.run_id,
        spread=grouped[SPREAD],
        confirmed=grouped[CONFIRMED],
        verdict=tags.get(VERDICT, ""),
        refitted=int(tags.get(REFITTED) or 0),
    )


def whole(run: Run) -> bool:
    """Return whether a trial is recorded completely. Its run is ended last, after everything else is written."""
    tags = run.data.tags
    return run.info.status != "RUNNING" and tags.get(OUTCOME) != "interrupted" and not tags.get(MISSING)


def trial_of(run: Run) -> int | None:
    """Return the trial number of a child run; None if it isn't a trial, or its configuration is lost."""
    number = run.data.tags.get(TRIAL, "")
    return int(number) if number.isdecimal() and CONFIGURATION in run.data.tags else None


def leaderboard_of(name: str, summary: dict[str, Any], runs: Iterable[Run]) -> Leaderboard:
    """Return the leaderboard of a search from its summary, which may be incomplete, and the runs of its trials."""
    floors: dict[str, dict[str, Floor]] = {"validation": {}, "test": {}} | floors_from(summary.get("floors", {}))
    references = {
        rows: {
            name: {"misfit": math.inf} | {key: _number(value) for key, value in own.items()} for name, own in by.items()
        }
        for rows, by in ({"validation": {}, "test": {}} | summary.get("references", {})).items()
    }
    entries = [entry(run) for run in runs if trial_of(run) is not None]
    more = {"unranked": tuple(summary["unranked"])} if "unranked" in summary else {}
    return Leaderboard(
        name=name,
        entries=sorted(entries, key=lambda each: each.trial),
        references=references,
        floors=floors,
        provenance=summary.get("provenance", {}),
        goals=goals_from(summary.get("goals", {})),
        **more,
    )


def _number(written: float | None) -> float:
    """Return a score from its JSON form, in which null stands for nan."""
    return math.inf if written is None else written
