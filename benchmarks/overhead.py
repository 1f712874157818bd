"""How many results a second a search's driver takes in: plain Ray Tune, without and with MLflow, and genseek likewise.

    python benchmarks/overhead.py [--results 4000] [--rounds 3]

A result is one judged epoch of one trial. Plain Tune's trials report numbers that cost nothing, one epoch a step;
genseek's train a network of a dozen weights on 50 rows, one step an epoch, and are judged after every epoch, so that
its rate is that of the whole engine. Counted from the first result until the run, and its record, have ended. The ways
take turns, each in a process and a Ray of its own.
"""

import argparse
import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray
from page import table, write
from ray import tune

# Nothing of genseek is imported up here: it changes what Ray reads when it starts.

WAYS = {
    "plain Ray Tune": 1.0,
    "plain Ray Tune with MLflow callback": 0.025,  # of the results: it is that much slower
    "genseek": 1.0,
    "genseek with MLflow record": 1.0,
}
EPOCHS = 20
STUDY = """
scores = ["ad"]
eval_samples = 1
[problem]
name = "gaussian_1d"
train = 50
validation = 50
test = 50
[training]
learning_rate = { low = 1e-4, high = 1e-1, log = true }
batch = 50
[models.pushforward]
width = 2
depth = 1
[objectives.energy]
"""


class Nothing(tune.Trainable):
    """Reports what a trial of genseek would, and does nothing else."""

    def setup(self, config: dict[str, Any]) -> None:
        """Begin at the first epoch."""
        self._epoch = 0

    def step(self) -> dict[str, Any]:
        """Report an epoch."""
        self._epoch += 1
        report = {"loss": 0.0, "validation_loss": 0.0, "misfit": 1.0, "ad": 2.0, "epoch_misfit": 1.0, "epoch_ad": 2.0}
        return {**report, "epoch": self._epoch, "best_epoch": 1, "zeros": 0.0, "done": self._epoch == EPOCHS}

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Reuse is free."""
        self._epoch = 0
        return True

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing to keep."""


class First(tune.Callback):
    """Notes when the first result came."""

    at = 0.0

    def on_trial_result(self, *args: Any, **info: Any) -> None:
        """Note the time."""
        self.at = self.at or time.perf_counter()


def plain(trials: int, folder: Path, mlflow: bool) -> float:
    """Seconds of a Tune run with random search."""
    from ray.air.integrations.mlflow import MLflowLoggerCallback

    first = First()
    recorded = [MLflowLoggerCallback(f"sqlite:///{folder}/mlflow.db", experiment_name="plain")] if mlflow else []
    tuner = tune.Tuner(
        tune.with_resources(Nothing, {"cpu": 1}),
        param_space={"learning_rate": tune.loguniform(1e-4, 1e-1)},
        tune_config=tune.TuneConfig(num_samples=trials, reuse_actors=True, metric="misfit", mode="min"),
        run_config=tune.RunConfig(
            name="plain",
            storage_path=str(folder),
            verbose=0,
            callbacks=[first, *recorded],
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        ),
    )
    tuner.fit()
    return time.perf_counter() - first.at


def ours(trials: int, folder: Path, mlflow: bool) -> float:
    """Seconds of a search of genseek."""
    from search.events.events import Event, Reported
    from search.record.recorder import Recorder
    from search.record.store import Store
    from search.run.prepare import task_of
    from search.schedule.suggest import Suggester
    from search.study.parse import parse_study, problem_of
    from search.tune.run import tune_trials

    times: list[float] = []

    def note(event: Event) -> None:
        if isinstance(event, Reported):
            times.append(time.perf_counter())

    budget = f"trials = {trials}\nepochs = {EPOCHS}\ngrace = {EPOCHS}\nevaluations = {EPOCHS}"
    study = parse_study(budget + STUDY, "ceiling", "ceiling.toml")
    task = task_of(study, problem_of(study))
    store = Store(folder / "store") if mlflow else None
    recorder = Recorder(store, store.begin("ceiling", {}, {})) if store else None
    listeners: list[Callable[[Event], None]] = [note, *([recorder] if recorder else [])]
    tune_trials(Suggester(study, 0), task, study.budget, range(trials), folder=folder / "ray", listeners=listeners)
    if recorder and recorder.close():
        raise SystemExit("the record is not whole")
    if len(times) != trials * EPOCHS:
        raise SystemExit(f"{len(times)} results, expected {trials * EPOCHS}")
    return time.perf_counter() - times[0]


def measure(way: str, trials: int) -> float:
    """Results a second, in this process."""
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
    ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR, num_cpus=os.cpu_count())
    with tempfile.TemporaryDirectory() as name:
        run = plain if way.startswith("plain") else ours
        seconds = run(trials, Path(name), mlflow="MLflow" in way)
    ray.shutdown()
    return trials * EPOCHS / seconds


def main() -> None:
    """Take turns, and print medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=int, default=4000, help="results a run (fewer with the MLflow callback)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--way", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    trials = max(2, arguments.results // EPOCHS)
    if arguments.way:
        print(json.dumps(measure(arguments.way, trials)))
        return
    rates: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(arguments.rounds):
        for way, share in WAYS.items():
            count = str(max(2, round(trials * share)) * EPOCHS)
            command = [sys.executable, __file__, "--way", way, "--results", count]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            rates[way].append(float(done.stdout.splitlines()[-1]))
    base = statistics.median(rates[next(iter(WAYS))])
    rows = [
        [way, *(f"{each:.0f}" for each in (middle, min(own), max(own))), f"{middle / base:.2f}"]
        for way, own in rates.items()
        for middle in [statistics.median(own)]
    ]
    heads = ["way", "results a second", "least", "most", "times plain Ray Tune's"]
    write("ceiling", table(heads, rows), f"medians of {arguments.rounds} rounds")


if __name__ == "__main__":
    main()
