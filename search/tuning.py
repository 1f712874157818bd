"""The search itself, on Ray Tune: one long-lived Tune trial for each trainer, which trains many trials of ours.

Source: Liaw et al. 2018, Tune. Tune places trainers on nodes, starts and restarts them, and carries their messages to
the director; orders go back over the desk.
"""

import pickle
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import ray
from ray import tune
from ray.tune.search import Searcher

from search.budget import Budget
from search.cluster import cluster, slots
from search.desk import new_desk
from search.director import Director
from search.errors import InputError
from search.events import Event, Listener
from search.halving import Halving
from search.proposer import Proposer
from search.storage import Storage
from search.survey import nodes
from search.task import Task
from search.worker import TuneTrainer

RESTARTS = 3  # of one trainer
MOST_DEAD = 3  # trainers that may die for good before a search gives up
POLL = 1.0  # seconds between looks at what the cluster has


class _Fleet(Searcher):
    """Suggests a trainer for every set of cores that the cluster has, as nodes come and go."""

    def __init__(self, director: Director, budget: Budget) -> None:
        super().__init__()
        self._director, self._budget = director, budget
        self._alive: dict[str, str] = {}
        self._looked, self._slots = 0.0, {"gpu": 0, "cpu": 0}

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune snapshots it; the director's listeners hold threads and consoles

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """Configuration of one more trainer; None while there is no room for one."""
        if self._director.done:
            return cast(dict[str, Any], Searcher.FINISHED)
        if time.monotonic() - self._looked > POLL:
            self._looked, self._slots = time.monotonic(), slots(self._budget)
        wanted, room = self._budget.trainers, sum(self._slots.values())
        most = min(wanted or room, self._director.left)
        self._director.trainers = max(1, min(room, most))
        devices = list(self._alive.values())
        if len(devices) >= most:
            return None
        # One for which there is no room waits, so that a cluster that grows sees what is wanted.
        fallback = ("gpu" if self._budget.device == "gpu" else "cpu") if wanted else None
        device = next((name for name, count in self._slots.items() if devices.count(name) < count), fallback)
        if device is None:
            return None
        self._alive[trial_id] = device
        return {"device": device}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """A trainer that could not be restarted makes room for another."""
        self._alive.pop(trial_id, None)

    def save(self, checkpoint_path: str) -> None:
        """Trainers have no state worth keeping."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing was saved."""


class _Post(tune.Callback):
    """Carries the trainers' messages to the director, and its orders to the desk."""

    def __init__(self, director: Director, desk: Any) -> None:
        self._director, self._desk = director, desk
        self._names: dict[str, tuple[str, str]] = {}  # trainer and node of each of Tune's trials
        self._dead = 0

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        message, self._dead = result["message"], 0
        now = (message.trainer, message.node)
        if self._names.get(trial.trial_id, now) != now:
            self._lose(trial)
        self._names[trial.trial_id] = now
        orders = self._director.hear(message)
        if orders.begin or orders.stop:
            self._desk.put.remote(message.trainer, pickle.dumps(orders))

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._lose(trial)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._lose(trial)
        self._dead += 1
        if self._dead >= MOST_DEAD or not self._director.heard:
            self._director.abandon(_error_of(trial))

    def _lose(self, trial: Any) -> None:
        name, node = self._names.pop(trial.trial_id, ("", ""))
        if name:
            self._director.lose(name, node in [each["NodeManagerAddress"] for each in nodes()])


def _error_of(trial: Any) -> str:
    """What a worker raised: read here, since Tune's own `get_error` reads a copy in the storage that comes later."""
    path = trial.error_file
    return (Path(path).read_text().strip() if path and Path(path).exists() else "") or "unknown error"


class _Interrupt(tune.Stopper):
    """Ends it all when every trial has ended, or Ctrl-C, SIGTERM or SIGHUP was noticed; a second ends the process."""

    def __init__(self) -> None:
        self.noticed = False
        self.director: Director | None = None

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return self.noticed or (self.director is not None and self.director.done)

    def __getstate__(self) -> dict[str, Any]:
        return {}

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
    most: int | None = None,
    ahead: int | None = None,
    past: Sequence[Event] = (),
    storage: Storage | None = None,
) -> bool:
    """Run the trials of a search; False if it was interrupted.

    Args:
        proposer: of configurations.
        task: what all trials share.
        budget: trials, resources, and ASHA's parameters.
        seeds: one a trial.
        folder: for Tune's own files, of the driver alone.
        listeners: told of each event, in the driver's thread; they must return at once.
        most: trials that train stacked, or None to let their measured steps decide.
        ahead: trials that may be proposed before earlier ones have ended; None for all of them.
        past: events of this search before it was cut off; it goes on from there.
        storage: for the trials' checkpoints, the folder if None; every node must see it.

    Raises:
        InputError: the cluster can't give what one trainer takes, or the study has changed.
    """
    storage, halving = storage or Storage(str(folder.resolve())), Halving(budget, len(task.goals.rank))
    director = Director(proposer, budget, seeds, storage, ahead or budget.trials, listeners, halving, task.goals)
    director.recall(past)
    if director.done:
        return True
    interrupt = _Interrupt()
    interrupt.director = director
    with _signals(interrupt), cluster(budget, storage):
        desk = new_desk()
        shared = {
            "task": task,
            "desk": desk,
            "most": most,
            "cpus": budget.cpus,
            "storage": storage,
            "every": budget.checkpoint_seconds,
        }
        tuner = tune.Tuner(
            tune.with_resources(tune.with_parameters(TuneTrainer, **shared), lambda config: _resources(config, budget)),
            tune_config=tune.TuneConfig(
                search_alg=_Fleet(director, budget),
                num_samples=-1,
                trial_dirname_creator=lambda trial: f"trainer-{trial.trial_id}",
            ),
            run_config=tune.RunConfig(
                name=folder.name,
                storage_path=str(folder.parent),
                verbose=0,
                callbacks=[_Post(director, desk)],
                stop=interrupt,
                failure_config=tune.FailureConfig(max_failures=RESTARTS),
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        )
        if not interrupt.noticed:  # it may be, by the time that the cluster is up
            tuner.fit()
        ray.kill(desk)
        director.close()
        if director.error and not director.heard:
            raise InputError(f"no trainer can start: {director.error.splitlines()[-1]}")
        return not interrupt.noticed


def _resources(config: dict[str, Any], budget: Budget) -> tune.PlacementGroupFactory:
    gpu = {"GPU": budget.gpus} if config["device"] == "gpu" else {}
    return tune.PlacementGroupFactory([{"CPU": budget.cpus, **gpu}])


@contextmanager
def _signals(interrupt: _Interrupt) -> Iterator[None]:
    main = threading.current_thread() is threading.main_thread()  # only there may handlers be set
    hangup = [] if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else [signal.SIGHUP]  # as nohup has it
    numbers = (signal.SIGINT, signal.SIGTERM, *hangup) if main else ()
    old = {number: signal.signal(number, interrupt.notice) for number in numbers}
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
