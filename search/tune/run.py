"""Runs the search on Ray Tune: each Tune trial is one long-lived trainer, which trains many of the search's trials.

Source: Liaw et al. 2018, Tune. Tune places trainers on nodes, starts and restarts them, and carries their messages to
the director; orders go back through the mailbox.
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
from ray.exceptions import RayError
from ray.tune.search import Searcher
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from search.checkpoints import CheckpointStorage
from search.errors import TrainingError
from search.events.events import Event, Listener
from search.events.messages import Commands, Death, death_of, read_words
from search.schedule.asha import Halving
from search.schedule.director import UNLIMITED, Director, Limits
from search.schedule.suggest import Suggester
from search.study.budget import Budget
from search.train.context import TrialContext
from search.tune.cluster import cluster, slots
from search.tune.preflight import nodes
from search.tune.trainable import TuneTrainer, new_mailbox

RESTARTS = 3  # of one trainer
MUTE = 4  # trainers in a row that may die before their first message
ASKED = 10.0  # seconds for a node to say how a trainer died
POLL = 1.0  # seconds between checks of the cluster's resources


class _TrainerSearcher(Searcher):
    """Suggests trainers for the cores that the cluster has, as nodes join and leave."""

    def __init__(self, director: Director, budget: Budget) -> None:
        super().__init__()
        self._director, self._budget = director, budget
        self._alive: dict[str, str] = {}
        self._looked, self._slots = 0.0, {"gpu": 0, "cpu": 0}

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles it, but the director's listeners hold threads and consoles

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """Return the configuration of one more trainer; None while there is no room for one."""
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
        # A trainer without room waits, so that a growing cluster sees the demand.
        fallback = ("gpu" if self._budget.device == "gpu" else "cpu") if wanted else None
        device = next((name for name, count in self._slots.items() if devices.count(name) < count), fallback)
        if device is None:
            return None
        self._alive[trial_id] = device
        return {"device": device}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Make room for another trainer when one could not be restarted."""
        self._alive.pop(trial_id, None)

    def save(self, checkpoint_path: str) -> None:
        """Do nothing: trainers have no state to save."""

    def restore(self, checkpoint_path: str) -> None:
        """Do nothing: nothing was saved."""


class _DirectorCallback(tune.Callback):
    """Carries the trainers' messages to the director, and its orders to the mailbox."""

    def __init__(self, director: Director, mailbox: Any) -> None:
        self._director, self._mailbox = director, mailbox
        self._names: dict[str, tuple[str, str]] = {}  # trainer and node of each Tune trial
        self._mute = 0
        self._sent: dict[Any, tuple[str, Commands]] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        message, self._mute = result["message"], 0
        now = (message.trainer, message.node)
        if self._names.get(trial.trial_id, now) != now:
            self._lose(trial)
        self._names[trial.trial_id] = now
        self._check_sent()
        orders = self._director.hear(message)
        if orders != Commands():
            sent = self._mailbox.put.remote(message.trainer, pickle.dumps(orders))
            self._sent[sent] = message.trainer, orders

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._lose(trial)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._lose(trial)

    def _lose(self, trial: Any) -> None:
        death, (name, node) = death_of(_said(trial), _left), self._names.pop(trial.trial_id, ("", ""))
        if name:
            self._director.lose(name, node in [each["NodeManagerAddress"] for each in nodes()], death)
            return
        self._mute += 1
        if self._mute >= MUTE:
            self._director.abandon(death.cause)

    def _check_sent(self) -> None:
        """Tell the director about orders that could not be put into the mailbox."""
        done, _ = ray.wait([*self._sent], num_returns=len(self._sent), timeout=0) if self._sent else ([], [])
        for sent in done:
            trainer, orders = self._sent.pop(sent)
            try:
                ray.get(sent)
            except RayError:
                self._director.unsent(trainer, orders)


def _said(trial: Any) -> str:
    """Return the error that ended a trainer. Tune's own `get_error` reads a copy in the storage, which comes later."""
    path = trial.error_file
    return Path(path).read_text() if path and Path(path).exists() else ""


def _left(address: str, pid: int) -> Death | None:
    """Return why a process of a node died, from the file that it left there."""
    if address == ray.util.get_node_ip_address():  # type: ignore[no-untyped-call]
        return read_words(pid)
    there = next((each["NodeID"] for each in nodes() if each["NodeManagerAddress"] == address), None)
    if there is None:
        return Death("the end of its node")
    strategy = NodeAffinitySchedulingStrategy(there, soft=False)
    asked = ray.remote(read_words).options(num_cpus=0, max_retries=0, scheduling_strategy=strategy).remote(pid)
    try:
        return ray.get(asked, timeout=ASKED)
    except RayError:
        return None


class _Interrupt(tune.Stopper):
    """Stops Tune when every trial has ended or Ctrl-C, SIGTERM or SIGHUP came; a second signal ends the process."""

    def __init__(self, director: Director) -> None:
        self._director, self.noticed = director, False

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return self.noticed or self._director.done

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def notice(self, number: int, frame: Any) -> None:
        if self.noticed:
            raise KeyboardInterrupt
        self.noticed = True


def tune_trials(
    proposer: Suggester,
    task: TrialContext,
    budget: Budget,
    seeds: Sequence[int],
    *,
    folder: Path,
    listeners: Sequence[Listener],
    pack_size: int | None = None,
    max_open_trials: int | None = None,
    past: Sequence[Event] = (),
    storage: CheckpointStorage | None = None,
    limits: Limits = UNLIMITED,
) -> bool:
    """Run the trials of a search; return False if it was interrupted.

    Args:
        proposer: proposes configurations.
        task: what all trials share.
        budget: trials, resources, and ASHA's parameters.
        seeds: one for each trial.
        folder: folder for Tune's own files; only the driver uses it.
        listeners: receive each event in the driver's thread; they must return at once.
        pack_size: trials that train stacked, or None to choose by measured step times.
        max_open_trials: trials that may be proposed before earlier ones have ended; None for all of them.
        past: events of this search before an interruption, from which it resumes.
        storage: storage of the trials' checkpoints, which every node must see; `folder` if None.
        limits: when it ends though there are trials left.

    Raises:
        ClusterError: the cluster lacks what one trainer needs.
        StudyError: the study has changed.
        TrainingError: trainers die whatever they train, or before they can.
    """
    storage, halving = storage or CheckpointStorage(str(folder.resolve())), Halving(budget, len(task.goals.rank))
    director = Director(
        proposer,
        budget,
        seeds,
        storage,
        max_open_trials=max_open_trials or budget.trials,
        listeners=listeners,
        stopper=halving,
        goals=task.goals,
        limits=limits,
    )
    director.recall(past)
    if director.done:
        return True
    interrupt = _Interrupt(director)
    with _signals(interrupt), cluster(budget, storage):
        mailbox = new_mailbox()
        shared = {
            "task": task,
            "mailbox": mailbox,
            "pack_size": pack_size,
            "cpus": budget.cpus,
            "storage": storage,
            "every": budget.checkpoint_seconds,
        }
        tuner = tune.Tuner(
            tune.with_resources(tune.with_parameters(TuneTrainer, **shared), lambda config: _resources(config, budget)),
            tune_config=tune.TuneConfig(
                search_alg=_TrainerSearcher(director, budget),
                num_samples=-1,
                trial_dirname_creator=lambda trial: f"trainer-{trial.trial_id}",
            ),
            run_config=tune.RunConfig(
                name=folder.name,
                storage_path=str(folder.parent),
                verbose=0,
                callbacks=[_DirectorCallback(director, mailbox)],
                stop=interrupt,
                failure_config=tune.FailureConfig(max_failures=RESTARTS),
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        )
        if not interrupt.noticed:  # the interrupt may come while the cluster starts
            tuner.fit()
        ray.kill(mailbox)
        director.close()
        if director.error:
            raise TrainingError(director.error if director.heard else f"no trainer can start: {director.error}")
        return not interrupt.noticed


def _resources(config: dict[str, Any], budget: Budget) -> tune.PlacementGroupFactory:
    gpu = {"GPU": budget.gpus} if config["device"] == "gpu" else {}
    return tune.PlacementGroupFactory([{"CPU": budget.cpus, **gpu}])


@contextmanager
def _signals(interrupt: _Interrupt) -> Iterator[None]:
    main = threading.current_thread() is threading.main_thread()  # only the main thread may set handlers
    hangup = [] if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else [signal.SIGHUP]  # nohup ignores SIGHUP
    numbers = (signal.SIGINT, signal.SIGTERM, *hangup) if main else ()
    old = {number: signal.signal(number, interrupt.notice) for number in numbers}
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
