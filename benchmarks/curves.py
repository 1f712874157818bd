"""Real learning curves of our own families: every combination of curves.toml, trained whole with three seeds.

    python benchmarks/curves.py [--quick]

Writes curves.parquet beside it, which benchmarks/regret.py searches without training anything: a row for each
configuration (its place in the grid), seed and evaluation. `misfit` and the scores are those of the best checkpoint by
then, as a trial reports them, `epoch_misfit` is that of the epoch alone.
"""

import argparse
import tempfile
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
TABLE = HERE / "curves.parquet"
SEEDS = 3
REPORTED = (10, 20, 30, 60, 90, 120, 150, 180, 210, 240, 270)  # epochs kept: ASHA's rungs, and every thirtieth
GOALS = ("ad", "kendall", "mmd")
QUICK = 8  # configurations of a quick run


def space() -> Study:
    """Study of the grid; its points are all combinations."""
    return load_study(str(HERE / "curves.toml"))


def trained(study: Study) -> pd.DataFrame:
    """Curves of all points of a study, each with every seed."""
    count = len(study.points)
    listed = replace(study, points=study.points * SEEDS, sampler="points")
    budget = replace(study.budget, trials=count * SEEDS)
    task = replace(task_of(study, problem_of(study)), evaluations=REPORTED)
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
            print(f"{len(rows)} of {count * SEEDS * len(REPORTED)} evaluations", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        tune_trials(
            Suggester(listed, 0), task, budget, range(count * SEEDS), folder=Path(folder) / "curves", listeners=[listen]
        )
    return pd.DataFrame(rows).sort_values(["configuration", "seed", "epoch"], ignore_index=True)


def main() -> None:
    """Train and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} configurations, printed and not written")
    study = space()
    if parser.parse_args().quick:
        print(trained(replace(study, points=study.points[:QUICK])))
        return
    table = trained(study)
    small = {"configuration": "int16", "seed": "int8", "epoch": "int16", "parameters": "int32"}
    floats = {name: "float32" for name in ("misfit", "epoch_misfit", *GOALS)}
    table = table.round({name: 5 for name in floats}).astype(small | floats)
    table.to_parquet(TABLE, index=False, compression="zstd")
    print(f"{table.configuration.nunique()} configurations, {len(table)} rows, {TABLE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
