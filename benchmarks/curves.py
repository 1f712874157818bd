"""Real learning curves of our own families: every combination of a grid, trained whole with three seeds.

    python benchmarks/curves.py [--tables] [--quick]

Writes what benchmarks/regret.py searches without training anything: curves.parquet, of curves.toml on `returns_4d`, or
with --tables curves_tables.parquet, of curves_tables.toml on three tables that scikit-learn ships. A row is an
evaluation of one configuration (its place in the grid) and seed. `misfit` and the scores are those of the best
checkpoint by then, as a trial reports them, `epoch_misfit` is that of the epoch alone.
"""

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from search.events.events import Event, Reported
from search.run.prepare import task_of
from search.schedule.suggest import Suggester
from search.study.parse import load_study, problem_of
from search.study.study import Study
from search.tune.run import tune_trials

HERE = Path(__file__).resolve().parent
RETURNS = "returns_4d"
TABLES = {"wine": 13, "diabetes": 10, "breast_cancer": 10}  # of scikit-learn, and how many of its columns, the first
SEEDS = 3
REPORTED = (10, 20, 30, 60, 90, 120, 150, 180, 210, 240, 270)  # epochs kept: ASHA's rungs, and every thirtieth
GOALS = ("ad", "kendall", "mmd")
QUICK = 8  # configurations of a quick run


def grid(problem: str) -> Path:
    """The study whose points are all combinations for a problem."""
    return HERE / ("curves.toml" if problem == RETURNS else "curves_tables.toml")


def space(problem: str = RETURNS) -> Study:
    """Study of the grid of a problem."""
    return load_study(str(grid(problem)))


def reported(study: Study) -> tuple[int, ...]:
    """The epochs that are kept of its curves."""
    return tuple(epoch for epoch in REPORTED if epoch <= study.budget.epochs)


def curves(problem: str = RETURNS) -> pd.DataFrame:
    """The curves of a problem, by configuration, seed and epoch."""
    table = pd.read_parquet(grid(problem).with_suffix(".parquet"))
    return table if problem == RETURNS else table[table.table == problem].drop(columns="table")


def trained(study: Study) -> pd.DataFrame:
    """Curves of all points of a study, each with every seed."""
    count = len(study.points)
    listed = replace(study, points=study.points * SEEDS, sampler="points")
    budget = replace(study.budget, trials=count * SEEDS)
    task = replace(task_of(study, problem_of(study)), evaluations=reported(study))
    rows: list[dict[str, Any]] = []

    def listen(event: Event) -> None:
        if not isinstance(event, Reported):
            return
        report, (seed, place) = event.report, divmod(event.trial, count)
        scores = {name: report.scores.get(name) for name in GOALS}
        architecture = {"parameters": event.architecture["parameters"]}
        rows.append(
            {"configuration": place, "seed": seed, "epoch": report.epoch, "misfit": report.misfit}
            | {"epoch_misfit": report.epoch_misfit, **scores, **architecture}
        )
        if len(rows) % 1000 == 0:
            print(f"{len(rows)} of {count * SEEDS * len(task.evaluations)} evaluations", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        tune_trials(
            Suggester(listed, 0), task, budget, range(count * SEEDS), folder=Path(folder) / "curves", listeners=[listen]
        )
    return pd.DataFrame(rows).sort_values(["configuration", "seed", "epoch"], ignore_index=True)


def trained_table(name: str, most: int | None) -> pd.DataFrame:
    """Curves on one of the tables, of the first `most` configurations."""
    from sklearn import datasets

    load: Callable[..., Any] = getattr(datasets, f"load_{name}")
    study = space(name)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / f"{name}.csv"
        load(as_frame=True).data.iloc[:, : TABLES[name]].to_csv(data, index=False)
        arguments = study.problem_arguments | {"data": str(data)}
        found = trained(replace(study, problem_arguments=arguments, points=study.points[:most]))
    found.insert(0, "table", name)
    return found


def main() -> None:
    """Train and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", action="store_true", help=f"of {', '.join(TABLES)} instead of {RETURNS}")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} configurations, printed and not written")
    given = parser.parse_args()
    most = QUICK if given.quick else None
    if given.tables:
        path = grid(next(iter(TABLES)))
        table = pd.concat([trained_table(name, most) for name in TABLES], ignore_index=True)
    else:
        path, study = grid(RETURNS), space()
        table = trained(replace(study, points=study.points[:most]))
    if given.quick:
        print(table)
        return
    small = {"configuration": "int16", "seed": "int8", "epoch": "int16", "parameters": "int32"}
    floats = {name: "float32" for name in ("misfit", "epoch_misfit", *GOALS)}
    table = table.round({name: 5 for name in floats}).astype(small | floats)
    table.to_parquet(path.with_suffix(".parquet"), index=False, compression="zstd")
    size = path.with_suffix(".parquet").stat().st_size
    print(f"{table.configuration.nunique()} configurations, {len(table)} rows, {size} bytes")


if __name__ == "__main__":
    main()
