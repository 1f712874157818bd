"""What a trial of nothing costs, in milliseconds of wall time: plain Ray Tune, genseek, and genseek with its record.

    python benchmarks/overhead.py [--trials 200] [--rounds 3]

Every way runs the same trial: an actor that imports torch and reports once. The ways take turns, each in a process and
a Ray of its own; the ratios of the medians are what counts, since the times depend on the machine and its load.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import ray
from ray import tune

# Nothing of genseek is imported up here: it turns Ray's own loggers off, and plain Ray Tune has them on.

REUSE = "plain Ray Tune, reuse_actors"
WAYS = ("plain Ray Tune", REUSE, f"{REUSE}, no loggers", "genseek", "genseek with MLflow record")
STUDY = """
[problem]
name = "gaussian_1d"
[training]
learning_rate = { low = 1e-4, high = 1e-1, log = true }
[models.pushforward]
width = [16, 32, 64]
[objectives.mmd]
"""


class Nothing(tune.Trainable):
    """Reports once what a trial of genseek would."""

    def setup(self, config: dict[str, Any], **shared: Any) -> None:
        """Import torch, as every trial that trains must."""
        import torch

        torch.set_num_threads(1)

    def step(self) -> dict[str, Any]:
        """Report, and be done."""
        scores = {"ad": 2.0, "kendall": 0.1, "mmd": 0.0}
        report = {"epoch": 1, "loss": 0.0, "validation_loss": 0.0, "fit": 1.0, "scores": scores, "epoch_fit": 1.0}
        report |= {"epoch_scores": scores, "best_epoch": 1, "diverged": False, "zeros": 0.0}
        return {"epoch": 1, "fit": 1.0, "diverged": False, "report": report, "facts": {}, "done": True}

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Reuse is free."""
        return True

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing to keep."""


def plain(trials: int, folder: Path, reuse: bool) -> float:
    """Seconds of a Tune run with random search and nothing else."""
    tuner = tune.Tuner(
        tune.with_resources(Nothing, {"cpu": 1}),
        param_space={"learning_rate": tune.loguniform(1e-4, 1e-1), "width": tune.choice([16, 32, 64])},
        tune_config=tune.TuneConfig(num_samples=trials, reuse_actors=reuse, metric="fit", mode="min"),
        run_config=tune.RunConfig(
            name="plain",
            storage_path=str(folder),
            verbose=0,
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        ),
    )
    began = time.perf_counter()
    tuner.fit()
    return time.perf_counter() - began


def ours(trials: int, folder: Path, record: bool) -> float:
    """Seconds of a search of genseek; with its record, until the last of it is written."""
    from models import Shape
    from objectives import Rows
    from search.budget import Budget
    from search.proposer import Proposer
    from search.recorder import Recorder
    from search.store import Store
    from search.study import parse_study
    from search.trial import Task
    from search.tuning import tune_trials

    study = parse_study(STUDY, "nothing", "nothing")
    budget = Budget(trials=trials, epochs=1)
    nothing = Rows(*[np.zeros((1, 1))] * 3)
    task = Task(nothing, ("x",), Shape(1, "normal", 1), None, 1, (1,), 1)  # type: ignore[arg-type]
    store = Store(folder / "store") if record else None
    began = time.perf_counter()
    recorder = Recorder(store, store.begin("nothing", {}, {}), "nothing") if store else None
    listeners = [recorder] if recorder else []
    tune_trials(Proposer(study, 0), task, budget, list(range(trials)), folder / "ray", listeners, Nothing)
    if recorder and recorder.close():
        raise SystemExit("the record is not whole")
    return time.perf_counter() - began


def measure(way: str, trials: int) -> float:
    """Milliseconds a trial, in this process."""
    if "no loggers" in way:
        os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
    ray.init(include_dashboard=False, log_to_driver=False, logging_level="ERROR", num_cpus=os.cpu_count())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if way.startswith("plain"):
            seconds = plain(trials, folder, reuse="reuse" in way)
        else:
            seconds = ours(trials, folder, record="record" in way)
    ray.shutdown()
    return 1000 * seconds / trials


def main() -> None:
    """Take turns, and print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=200, help="trials a run (a tenth without reuse)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--way", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way:
        print(json.dumps(measure(arguments.way, arguments.trials)))
        return
    times: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(arguments.rounds):
        for way in WAYS:
            count = max(10, arguments.trials // 10) if way == WAYS[0] else arguments.trials
            command = [sys.executable, __file__, "--way", way, "--trials", str(count)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            times[way].append(float(done.stdout.splitlines()[-1]))
    base = statistics.median(times[REUSE])
    print(f"{'milliseconds a trial':42s} {'median':>8s} {'least':>8s} {'most':>8s} {'to reuse':>9s}")
    for way, own in times.items():
        middle = statistics.median(own)
        print(f"{way:42s} {middle:8.1f} {min(own):8.1f} {max(own):8.1f} {middle / base:9.2f}")


if __name__ == "__main__":
    main()
