"""A whole search with ASHA over mixed architectures, recorded in MLflow: genseek, and a plain script of the same parts.

    python benchmarks/whole_search.py [--rounds 3] [--quick]

The plain side is Ray Tune with OptunaSearch, ASHAScheduler and MLflowLoggerCallback on a database in a file. Both
search the same space with the same rungs, evaluations and judges, from the same data; each round is another seed. The
clock starts before data and floors are made. The table goes into docs/performance.md.
"""

import argparse
import json
import logging
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import Any

import optuna
import ray
from page import cores, table, write
from plain_trial import PlainTrial
from ray import tune
from ray.air.integrations.mlflow import MLflowLoggerCallback
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch
from turns import Measured, spread, take_turns

from search.events.events import Ended, Event
from search.record.store import Store
from search.run.plan import plan_search
from search.run.prepare import judge_of, task_of
from search.run.search import run_search
from search.study.parse import parse_study, problem_of
from search.study.study import Study

PLAIN, OURS = "plain script", "genseek"
SPACE = """
trials = 128
epochs = 270
grace = 10
reduction = 3
evaluations = 3
finalists = 0
device = "cpu"
[problem]
name = "gaussian_to_uniform"
[training]
learning_rate = { low = 1e-4, high = 1e-2, log = true }
schedule = ["constant", "cosine"]
batch = 64
[models.pushforward]
width = [16, 32, 64]
depth = { low = 1, high = 3 }
activation = ["relu", "leaky_relu", "elu", "tanh", "silu"]
[objectives.mmd]
"""
QUICK: dict[str, Any] = {"trials": 8, "epochs": 9, "grace": 3}


@dataclass(frozen=True)
class Finish:
    """A trial that was trained at full budget: seconds since the start, misfit on validation and on test rows."""

    seconds: float
    misfit: float
    test: float


def suggested(trial: optuna.Trial) -> dict[str, Any]:
    """The same space, define-by-run; what it returns are constants beside the suggestions."""
    trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True)
    trial.suggest_categorical("schedule", ["constant", "cosine"])
    trial.suggest_categorical("width", [16, 32, 64])
    trial.suggest_int("depth", 1, 3)
    trial.suggest_categorical("activation", ["relu", "leaky_relu", "elu", "tanh", "silu"])
    return {"model": "pushforward", "batch": 64}


def with_ray_tune(study: Study, folder: Path, began: float) -> list[Finish]:
    """The plain script."""
    budget, problem = study.budget, problem_of(study)
    shared = task_of(study, problem)
    judge = judge_of(study, problem, shared.rows, shared.rows.test)
    ray.init("local", num_cpus=cores(), include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    tuner = tune.Tuner(
        tune.with_resources(tune.with_parameters(PlainTrial, task=shared, test_judge=judge), {"cpu": 1}),
        tune_config=tune.TuneConfig(
            search_alg=OptunaSearch(suggested, metric="misfit", mode="min", seed=budget.seed),
            scheduler=ASHAScheduler(
                time_attr="epoch",
                metric="misfit",
                mode="min",
                max_t=budget.epochs,
                grace_period=budget.grace,
                reduction_factor=budget.reduction,
            ),
            num_samples=budget.trials,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            name="plain",
            storage_path=str(folder),
            verbose=0,
            callbacks=[MLflowLoggerCallback(f"sqlite:///{folder / 'mlflow.db'}", experiment_name="plain")],
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        ),
    )
    results: Any = tuner.fit()  # iterable by its indices alone
    metrics = [result.metrics or {} for result in results]
    return [Finish(each["moment"] - began, each["misfit"], each["test"]) for each in metrics if "test" in each]


def with_genseek(study: Study, folder: Path, began: float) -> list[Finish]:
    """genseek as users run it, with its record, its pictures and the test scores of all that finished."""
    ended: dict[int, float] = {}

    def listen(event: Event) -> None:
        if isinstance(event, Ended) and event.outcome == "finished":
            ended[event.trial] = event.time - began

    result = run_search(plan_search(study, Store(folder), "search"), [listen])
    if result.failures or result.unrecorded:
        raise SystemExit(f"failures: {result.failures}, not recorded: {result.unrecorded}")
    return [Finish(ended[each.trial], each.misfit, each.test["misfit"]) for each in result.board.finished()]


def measure(way: str, seed: int, quick: bool) -> Measured:
    """Seconds of a whole search, and its finishes."""
    study = _study(seed, quick)
    with tempfile.TemporaryDirectory() as folder:
        began = time.time()
        finishes = (with_ray_tune if way == PLAIN else with_genseek)(study, Path(folder), began)
        seconds = time.time() - began
    return {"seconds": seconds, "finishes": [vars(finish) for finish in finishes]}


def incumbents(finishes: Sequence[Finish]) -> list[Finish]:
    """Those that had the lowest misfit on validation rows when they finished, in that order."""
    best: list[Finish] = []
    for finish in sorted(finishes, key=lambda finish: finish.seconds):
        if not best or finish.misfit < best[-1].misfit:
            best.append(finish)
    return best


def reached(finishes: Sequence[Finish], quality: str, wanted: float) -> float:
    """Seconds until the incumbent's `quality` ("misfit" or "test") was at most `wanted`; inf if it never was."""
    return next((each.seconds for each in incumbents(finishes) if getattr(each, quality) <= wanted), inf)


@dataclass(frozen=True)
class Compared:
    """One seed: seconds of both sides, their winners, and when genseek had what the plain side ended with."""

    plain: float
    ours: float
    plain_winner: Finish
    our_winner: Finish
    as_misfit: float
    as_tested: float

    @classmethod
    def of(cls, plain: Measured, ours: Measured) -> "Compared":
        """Of what both sides measured.

        Raises:
            IndexError: on one side no trial was trained at full budget.
        """
        theirs, own = ([Finish(**finish) for finish in side["finishes"]] for side in (plain, ours))
        best = incumbents(theirs)[-1]
        as_misfit, as_tested = reached(own, "misfit", best.misfit), reached(own, "test", best.test)
        return cls(plain["seconds"], ours["seconds"], best, incumbents(own)[-1], as_misfit, as_tested)

    @property
    def ratios(self) -> tuple[float, float, float, float]:
        """Plain over genseek: to the end; from plain's end, and from when it had its winner, to when genseek had as
        low a misfit; from when plain had its winner to when genseek's was as good on test rows. 0 where it never was.
        """
        had = self.plain_winner.seconds
        return self.plain / self.ours, self.plain / self.as_misfit, had / self.as_misfit, had / self.as_tested

    def row(self, seed: int) -> list[str]:
        """Row of the table."""
        had = self.plain_winner.seconds
        return [
            str(seed),
            f"{self.plain:.0f}",
            f"{self.ours:.0f} ({self.ratios[0]:.2f})",
            f"{had:.0f}",
            *(f"{each:.0f} ({had / each:.2f})" if each < inf else "never" for each in (self.as_misfit, self.as_tested)),
            *(f"{winner.misfit:.2f}, {winner.test:.2f}" for winner in (self.plain_winner, self.our_winner)),
        ]


HEADS = (
    "seed",
    "plain, s",
    "genseek, s (ratio)",
    "plain had its winner, s",
    "genseek had as low a misfit, s (ratio)",
    "on test rows as well, s (ratio)",
    "plain's winner: misfit, test",
    "genseek's",
)


def main() -> None:
    """Take turns, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="seeds")
    parser.add_argument("--quick", action="store_true", help="one seed of a small search, to see that all works")
    parser.add_argument("--way", help=argparse.SUPPRESS)
    parser.add_argument("--round", type=int, default=0, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.way:
        print(json.dumps(measure(given.way, given.round, given.quick)))
        return
    rounds = 1 if given.quick else given.rounds
    found = take_turns(__file__, [PLAIN, OURS], rounds, ["--quick"] * given.quick)
    seeds = [Compared.of(plain, ours) for plain, ours in zip(found[PLAIN], found[OURS], strict=True)]
    rows = [each.row(seed) for seed, each in enumerate(seeds)]
    end, told, misfit, test = (spread(values) for values in zip(*(each.ratios for each in seeds), strict=True))
    closing = (
        f"Median ratios (0 for never): {end} to the end; to as low a misfit as the plain script's winner, {told} from "
        f"the plain script's end and {misfit} from when it had that winner; {test} on test rows as well."
    )
    trials = _study(0, given.quick).budget.trials
    quick = ", `--quick`: too small to read anything from" if given.quick else ""
    write("whole search", f"{table(HEADS, rows)}\n{closing}", f"{trials} trials, {rounds} seeds{quick}")


def _study(seed: int, quick: bool) -> Study:
    study = parse_study(SPACE, "whole_search", "whole_search")
    return replace(study, budget=replace(study.budget, seed=seed, **(QUICK if quick else {})))


if __name__ == "__main__":
    main()
