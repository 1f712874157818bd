"""The same fixed list of trials, trained and judged alike, in three ways; and what one step of a network costs.

    python benchmarks/throughput.py [--rounds 3] [--quick]

Each way starts its own Ray or processes, which counts; data and judge are made before the clock starts. All sides
have one process a core and one thread a process. The tables go into docs/performance.md.
"""

import argparse
import json
import logging
import multiprocessing
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import optuna
import ray
import torch
from cases import TITLES, configurations, listed, plainly, task
from optuna.storages.journal import JournalFileBackend
from page import cores, table, write
from plain import Training
from plain_trial import PlainTrial
from ray import tune
from steps import step_table
from turns import median, ratios, spread, take_turns

from search.schedule.suggest import Suggester
from search.study.study import Study
from search.train.context import TrialContext
from search.tune.run import tune_trials

TRIALS = 96
EPOCHS = {"f1": 60, "VAE": 160}
QUICK = 8  # a quick run has so many times fewer epochs and trials
PLAIN, OPTUNA, FUSED = "plain Ray Tune", "Optuna, processes", "genseek"


def with_ray_tune(study: Study, shared: TrialContext, folder: Path) -> list[float]:
    """Misfit of every trial, by Tune's own reused actors."""
    ray.init("local", num_cpus=cores(), include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    chosen = [plainly(each) | {"seed": seed} for seed, each in enumerate(configurations(study))]
    tuner = tune.Tuner(
        tune.with_resources(tune.with_parameters(PlainTrial, task=shared), {"cpu": 1}),
        param_space=tune.grid_search(chosen),
        tune_config=tune.TuneConfig(metric="misfit", mode="min", reuse_actors=True),
        run_config=tune.RunConfig(
            name="plain",
            storage_path=str(folder),
            verbose=0,
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        ),
    )
    results: Any = tuner.fit()  # iterable by its indices alone
    misfits = [result.metrics["misfit"] for result in results]
    ray.shutdown()
    return misfits


def with_optuna(study: Study, shared: TrialContext, folder: Path) -> list[float]:
    """Misfit of every trial, by one process a core on a study in a journal file."""
    storage = str(folder / "journal")
    ours = optuna.create_study(storage=_journal(storage), study_name="plain")
    chosen = [plainly(each) for each in configurations(study)]
    for number in range(len(chosen)):
        ours.enqueue_trial({"number": number})
    context = multiprocessing.get_context("spawn")
    shares = [len(range(start, len(chosen), cores())) for start in range(cores())]
    processes = [context.Process(target=_optimize, args=(storage, share, chosen, shared)) for share in shares]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return [trial.value for trial in ours.trials if trial.value is not None]


def with_genseek(study: Study, shared: TrialContext, folder: Path) -> list[float]:
    """Misfit of every trial, by genseek without a record."""
    ray.init("local", num_cpus=cores(), include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    misfits: dict[int, float] = {}

    def listen(event: Any) -> None:
        if type(event).__name__ == "Reported":
            misfits[event.trial] = event.report.misfit

    tune_trials(
        Suggester(study, 0), shared, study.budget, range(study.budget.trials), folder=folder / "ray", listeners=[listen]
    )
    ray.shutdown()
    return list(misfits.values())


WAYS = {
    PLAIN: with_ray_tune,
    OPTUNA: with_optuna,
    FUSED: with_genseek,
}


def measure(way: str, case: str, quick: bool) -> dict[str, float]:
    """Seconds of a way, network-steps a second, and the median misfit, which should be alike for all."""
    study = _study(case, quick)
    shared = task(study)
    steps = len(shared.rows.train) // configurations(study)[0].training.batch * study.budget.epochs
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        misfits = WAYS[way](study, shared, Path(folder))
        seconds = time.perf_counter() - began
    if len(misfits) != study.budget.trials:
        raise SystemExit(f"{way}: {len(misfits)} of {study.budget.trials} trials ended well")
    return {"seconds": seconds, "steps": steps * len(misfits) / seconds, "misfit": statistics.median(misfits)}


def main() -> None:
    """Take turns, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one round of a small list, to see that all works")
    parser.add_argument("--way", help=argparse.SUPPRESS)
    parser.add_argument("--case", default="f1", help=argparse.SUPPRESS)
    parser.add_argument("--round", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.way:
        print(json.dumps(measure(given.way, given.case, given.quick)))
        return
    rounds = 1 if given.quick else given.rounds
    parts = []
    for case in EPOCHS:
        budget = _study(case, given.quick).budget
        found = take_turns(__file__, list(WAYS), rounds, ["--case", case, *["--quick"] * given.quick])
        rows = [
            [
                way,
                f"{median(own, 'seconds'):.1f}",
                spread(ratios(own, found[PLAIN], "seconds")),
                f"{median(own, 'steps'):,.0f}",
                f"{median(own, 'misfit'):.2f}",
            ]
            for way, own in found.items()
        ]
        heads = ["way", "seconds", "times as fast as plain Ray Tune", "network-steps a second", "median misfit"]
        parts.append(f"{TITLES[case]}; {budget.trials} trials of {budget.epochs} epochs:\n\n{table(heads, rows)}")
    quick = ", `--quick`: too small to read anything from" if given.quick else ""
    write("throughput", "\n".join(parts), f"medians of {rounds} rounds{quick}")
    write("steps", step_table(given.quick), f"one core, least of several epochs{quick}")


def _study(case: str, quick: bool) -> Study:
    return listed(case, TRIALS // QUICK, EPOCHS[case] // QUICK) if quick else listed(case, TRIALS, EPOCHS[case])


def _journal(path: str) -> optuna.storages.JournalStorage:
    return optuna.storages.JournalStorage(JournalFileBackend(path))


def _optimize(storage: str, trials: int, chosen: list[dict[str, Any]], shared: TrialContext) -> None:
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.WARNING)

    def objective(trial: optuna.Trial) -> float:
        number = trial.suggest_int("number", 0, len(chosen) - 1)
        featured = shared.featured(chosen[number]["features"], "cpu")
        training = Training(chosen[number], featured.train, shared.epochs, seed=number)
        for _ in range(shared.epochs):
            training.epoch()
        return shared.judge(training.draws(featured.features, shared.eval_samples, len(shared.rows.validation))).misfit

    optuna.load_study(storage=_journal(storage), study_name="plain").optimize(objective, n_trials=trials)


if __name__ == "__main__":
    main()
