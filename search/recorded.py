"""What the store has recorded of a search and of a trial, read back from their runs."""

import json
from dataclasses import dataclass

from mlflow.entities import Run

from search.configuration import Configuration
from search.goals import WORST
from search.leaderboard import CONFIRMED, Entry

NOT_SCORES = ("epoch", "best_epoch", "fit", "violation")  # metrics without a group that are no scores
VERDICT = "genseek.finalist"
FRONT = "genseek.front"  # tag of trials at full budget, where a search has several goals
CONFIRMED_OF = "genseek.confirmed"  # tag: of how many trials the finalists were chosen
TRIALS = "genseek.trials"  # tag of a search that was extended


@dataclass(frozen=True)
class Found:
    """A search in the store: its name, parent run, problem, trials, state, and whether its finalists were confirmed."""

    name: str
    run_id: str
    problem: str
    trials: int
    status: str
    best_fit: float | None
    confirmed: bool


def found(run: Run) -> Found:
    """The search of a parent run."""
    tags, metrics = run.data.tags, run.data.metrics
    trials = int(tags.get(TRIALS, run.data.params.get("trials", 0)))
    problem = run.data.params.get("problem", "")
    best, confirmed = metrics.get("best_fit"), tags.get(CONFIRMED_OF) == str(trials)
    return Found(tags["mlflow.runName"], run.info.run_id, problem, trials, run.info.status, best, confirmed)


def entry(run: Run) -> Entry:
    """The trial of a child run, as the leaderboard lists it."""
    tags, metrics = run.data.tags, run.data.metrics
    grouped: dict[str, dict[str, float]] = {"": {}, "test": {}, "network": {}, "spread": {}, CONFIRMED: {}}
    for key, value in metrics.items():
        group, _, name = key.rpartition("/")
        grouped.setdefault(group, {})[name] = value
    return Entry(
        int(tags["genseek.trial"]),
        Configuration.from_nested(json.loads(tags["genseek.configuration"])),
        tags.get("genseek.outcome", "interrupted"),
        int(metrics.get("epoch", 0)),
        int(metrics.get("best_epoch", 0)),
        metrics.get("fit", WORST),
        {name: value for name, value in grouped[""].items() if name not in NOT_SCORES},
        grouped["network"],
        grouped["test"],
        run.info.run_id,
        grouped["spread"],
        grouped[CONFIRMED],
        tags.get(VERDICT, ""),
    )


def whole(run: Run) -> bool:
    """Whether all of a trial is recorded: its run is ended last, when all else is written."""
    return run.info.status != "RUNNING" and run.data.tags.get("genseek.outcome") != "interrupted"
