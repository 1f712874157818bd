"""The search itself: Ray Tune runs the trials that Optuna proposes, and ASHA stops the hopeless ones.

Source: Li et al. 2020, A System for Massively Parallel Hyperparameter Tuning (ASHA); Liaw et al. 2018 (Tune).
One trial of ours is one Tune trial. Time is counted in epochs, and the metric is `fit`, that of the best checkpoint.
"""

import logging
import os
import pickle
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search import Searcher

from search.budget import Budget
from search.configuration import Configuration
from search.errors import InputError
from search.events import Ended, Event, Listener, Outcome, Reported, Started
from search.proposer import Proposer
from search.trial import WORST, Report, Task
from search.worker import TuneTrial

STAGED = 2  # trials kept waiting beyond those that run, so that an actor that ends one is reused for the next


class OptunaSearcher(Searcher):
    """Ray's side of a `Proposer`: asks it for configurations, and tells it every judged epoch and how trials end."""

    def __init__(self, proposer: Proposer, seeds: Sequence[int], epochs: int) -> None:
        super().__init__(metric="fit", mode="min")
        self._proposer, self._seeds, self._epochs = proposer, seeds, epochs
        self._numbers: dict[str, int] = {}

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """Configuration of Tune's trial `trial_id`."""
        number, configuration = self._proposer.ask()
        self._numbers[trial_id] = number
        return {"number": number, "seed": self._seeds[number], "configuration": configuration.nested()}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Tell an intermediate fit."""
        self._proposer.report(self._numbers[trial_id], result["epoch"], result["fit"])

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Tell the end, with the last fit as an intermediate one: it's the one that ASHA stopped at."""
        number = self._numbers.pop(trial_id, None)
        if number is None:
            return
        if result is None or "epoch" not in result or error:
            self._proposer.tell(number, "failed", WORST)
            return
        outcome = _outcome(result["epoch"], result["diverged"], self._epochs)
        if outcome == "stopped":
            self._proposer.report(number, result["epoch"], result["fit"])
        self._proposer.tell(number, outcome, result["fit"])

    def save(self, checkpoint_path: str) -> None:
        """Write all state, for Tune's own snapshots."""
        with Path(checkpoint_path).open("wb") as file:
            pickle.dump(self.__dict__, file)

    def restore(self, checkpoint_path: str) -> None:
        """Read the state that `save` wrote."""
        with Path(checkpoint_path).open("rb") as file:
            self.__dict__.update(pickle.load(file))


class _Events(tune.Callback):
    """Turns Tune's callbacks into events."""

    def __init__(self, listeners: Sequence[Listener], epochs: int, interrupt: "_Interrupt") -> None:
        self._listeners, self._epochs, self._interrupt = listeners, epochs, interrupt
        self._open: dict[int, Report | None] = {}

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_listeners": ()}  # Tune snapshots its callbacks; listeners hold threads and consoles

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._begin(trial.config)

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        report = Report(**result["report"])
        self._open[trial.config["number"]] = report
        self._tell(Reported(trial.config["number"], report, result["facts"], time.time()))

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        number, report = trial.config["number"], self._open.get(trial.config["number"])
        if report is None:
            return
        outcome = _outcome(report.epoch, report.diverged, self._epochs)
        if outcome == "stopped" and self._interrupt.noticed:
            outcome = "interrupted"
        folder = Path(trial.checkpoint.path) if trial.checkpoint and outcome == "finished" else None
        self._end(number, outcome, folder)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._begin(trial.config)  # one that can't be built fails before it starts
        self._end(trial.config["number"], "failed", error=_error_of(trial))

    def close(self) -> None:
        """End what is still open."""
        for number in list(self._open):
            self._end(number, "interrupted")

    def _begin(self, config: dict[str, Any]) -> None:
        if config["number"] not in self._open:
            self._open[config["number"]] = None
            configuration = Configuration.from_nested(config["configuration"])
            self._tell(Started(config["number"], configuration, config["seed"], time.time()))

    def _end(self, number: int, outcome: Outcome, checkpoint: Path | None = None, error: str = "") -> None:
        del self._open[number]
        self._tell(Ended(number, outcome, time.time(), checkpoint, error))

    def _tell(self, event: Event) -> None:
        for listener in self._listeners:
            listener(event)


def _error_of(trial: Any) -> str:
    """What a worker raised: read here, since Tune's own `get_error` reads a copy in the storage that comes later."""
    path = trial.error_file
    return Path(path).read_text().strip() if path and Path(path).exists() else "unknown error"


class _Interrupt(tune.Stopper):
    """Ends the search when Ctrl-C (or SIGTERM) has been noticed; a second Ctrl-C ends the process at once."""

    def __init__(self) -> None:
        self.noticed = False

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return self.noticed

    def notice(self, number: int, frame: Any) -> None:
        if self.noticed:
            raise KeyboardInterrupt
        self.noticed = True


def tune_trials(
    proposer: Proposer,
    task: Task,
    budget: Budget,
    seeds: Sequence[int],
    folder: Path,
    listeners: Sequence[Listener],
    trainable: type[tune.Trainable] = TuneTrial,
) -> bool:
    """Run the trials of a search; False if it was interrupted.

    Args:
        proposer: of configurations.
        task: what all trials share.
        budget: trials, resources, and ASHA's parameters.
        seeds: one a trial.
        folder: for Tune's own files; every node must see it.
        listeners: told of each event, in the driver's thread; they must return at once.
        trainable: what runs a trial; it must report what `TuneTrial` does.

    Raises:
        InputError: the cluster can't give what one trial takes.
    """
    interrupt = _Interrupt()
    with _signals(interrupt), _cluster(budget) as slots:
        events = _Events(listeners, task.epochs, interrupt)
        equipped = tune.with_resources(
            tune.with_parameters(trainable, task=task, cpus=budget.cpus, gpus=budget.gpus),
            {"cpu": budget.cpus, "gpu": budget.gpus},
        )
        tuner = tune.Tuner(
            equipped,
            tune_config=tune.TuneConfig(
                search_alg=OptunaSearcher(proposer, seeds, task.epochs),
                scheduler=_asha(budget),
                num_samples=budget.trials,
                max_concurrent_trials=slots + STAGED,
                reuse_actors=True,
                trial_dirname_creator=lambda trial: f"{trial.config['number']:05d}",
            ),
            run_config=tune.RunConfig(
                name=folder.name,
                storage_path=str(folder.parent),
                verbose=0,
                callbacks=[events],
                stop=interrupt,
                failure_config=tune.FailureConfig(max_failures=1),
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        )
        if not interrupt.noticed:  # it may be, by the time that the cluster is up
            tuner.fit()
        events.close()
        return not interrupt.noticed


def _asha(budget: Budget) -> ASHAScheduler:
    # The pick of a bracket uses numpy's global generator; with one bracket there is nothing to pick.
    return ASHAScheduler(
        time_attr="epoch",
        metric="fit",
        mode="min",
        max_t=budget.epochs,
        grace_period=min(budget.grace, budget.epochs),
        reduction_factor=budget.reduction,
        brackets=1,
    )


def _outcome(epoch: int, diverged: bool, epochs: int) -> Outcome:
    if diverged:
        return "diverged"
    return "finished" if epoch >= epochs else "stopped"


@contextmanager
def _cluster(budget: Budget) -> Iterator[int]:
    """A Ray cluster: the one that RAY_ADDRESS names, or one on this machine; yields the trials it can run at once."""
    own = not ray.is_initialized()
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # a failing trial is told in one line at the end
    if own:
        local: dict[str, Any] = {"include_dashboard": False, "object_store_memory": 2**28}
        ray.init(log_to_driver=False, logging_level=logging.ERROR, **({} if os.environ.get("RAY_ADDRESS") else local))
    try:
        have: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        for name, key, wanted in (("CPU", "cpus", budget.cpus), ("GPU", "gpus", budget.gpus)):
            if wanted > have.get(name, 0):
                raise InputError(
                    f"{key} = {wanted:g}: one trial wants more than the cluster has ({have.get(name, 0):g} {name})"
                )
        slots = int(have["CPU"] // budget.cpus)
        yield min(slots, int(have["GPU"] // budget.gpus)) if budget.gpus else slots
    finally:
        if own:
            ray.shutdown()


@contextmanager
def _signals(interrupt: _Interrupt) -> Iterator[None]:
    main = threading.current_thread() is threading.main_thread()  # only there may handlers be set
    numbers = (signal.SIGINT, signal.SIGTERM) if main else ()
    old = {number: signal.signal(number, interrupt.notice) for number in numbers}
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
