"""A trainer as a Tune trial, with a training thread, and the mailbox by which the driver reaches it."""

import asyncio
import math
import os
import pickle
import threading
import time
import traceback
import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, final

import ray
import torch
from ray import tune
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from search.checkpoints import CheckpointStorage
from search.events.events import Report
from search.events.messages import Commands, TrainerStatus, TrialUpdate, leave_words, words_of
from search.study.configuration import StackKey, stack_key
from search.train.context import TrialContext
from search.train.group import Checkpoint, save_best
from search.train.stacking import Machine, Stacking
from search.train.trainer import Trainer
from search.train.trial import Trial

HEARTBEAT = 1.0  # seconds after which a trainer sends a message without news
PATIENCE = (1.0, 3.0, 9.0)  # seconds between attempts to read or write a trial's checkpoint
PAUSE = 0.1  # seconds of silence after each message
STATES = "states"


class TuneTrainer(tune.Trainable):
    """Trains the trials in its orders in a thread that never waits for Tune; each Tune step is one message.

    `setup` takes the configuration (its `device`, "cpu" or "gpu") and what all trainers share: the task, the mailbox of
    their orders, trials of a pack (`pack_size`: see `Stacking`), cores, the storage of checkpoints, and the seconds
    between checkpoints of trials in training.
    """

    def setup(
        self,
        config: dict[str, Any],
        task: TrialContext | None = None,
        mailbox: Any = None,
        pack_size: int | None = None,
        cpus: float = 1,
        storage: CheckpointStorage | None = None,
        every: float = 20.0,
    ) -> None:
        """Start the threads that listen for orders and train."""
        assert task is not None and storage is not None
        self._task, self._mailbox, self._place = task, mailbox, storage
        self._kind = config["device"]  # a logical GPU, as in a test, has no CUDA
        self._device = "cuda" if self._kind == "gpu" and torch.cuda.is_available() else "cpu"
        self._cpus, self._pack_size, self._every = max(1, int(cpus)), pack_size, every
        self._name, self._node = uuid.uuid4().hex, ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]
        self._orders: list[Commands] = []
        self._news: list[TrialUpdate] = []
        self._changed = threading.Condition()
        self._room, self._networks, self._busy = 0, 0, 0.0
        self._coming: frozenset[int] = frozenset()  # trials that it was ordered to begin
        self._kinds: dict[int, StackKey] = {}
        self._paces: dict[StackKey, float] = {}
        self._spoken, self._said_room, self._error, self._trouble = 0.0, 0, "", ""
        for work in (self._listen, self._train):
            threading.Thread(target=work, daemon=True).start()

    def step(self) -> dict[str, Any]:
        """Return the next message: at once if there is news, otherwise after a second."""
        time.sleep(max(0.0, self._spoken + PAUSE - time.monotonic()))
        with self._changed:
            new = lambda: bool(self._news or self._error or self._room > self._said_room)  # noqa: E731
            self._changed.wait_for(new, HEARTBEAT)
            if self._error:
                raise RuntimeError(self._error)
            news, self._news = self._news, []
            self._spoken, self._said_room = time.monotonic(), self._room
            numbers, kinds = self._coming | set(self._kinds), frozenset(self._kinds.values())
            room = self._room - len(self._coming - set(self._kinds))
            message = TrainerStatus(
                trainer=self._name,
                news=news,
                trials=numbers,
                kinds=kinds,
                room=room,
                networks=self._networks,
                busy=self._busy,
                device=self._kind,
                seconds=self._paces,
                node=self._node,
                trouble=self._trouble,
            )
        return {"message": message}

    def cleanup(self) -> None:
        """Remove the file that is needed only if the process dies."""
        words_of(os.getpid()).unlink(missing_ok=True)

    def _listen(self) -> None:
        with self._telling():
            while True:
                orders = pickle.loads(ray.get(self._mailbox.take.remote(self._name)))
                with self._changed:
                    self._orders.append(orders)
                    self._coming |= {each.trial for each in orders.begin}
                    self._changed.notify_all()

    def _train(self) -> None:
        with self._telling():
            leave_words()
            torch.set_num_threads(self._cpus)  # it holds for the calling thread
            self._serve(Trainer(Stacking(Machine.measured(self._device), self._pack_size)))

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Let an error that ends a thread end the trainer: the next step raises it."""
        try:
            yield
        except BaseException as error:
            with self._changed:
                self._error = f"{type(error).__name__}: {error}"
                self._changed.notify_all()

    def _serve(self, trainer: Trainer) -> None:
        saved, saving = time.monotonic(), threading.Thread()
        with self._changed:
            self._room = trainer.room
            self._changed.notify_all()
        while True:
            began = time.monotonic()
            with self._changed:
                self._changed.wait_for(lambda: self._orders or trainer.trials)
                orders, self._orders = self._orders, []
            worked = trainer.seconds
            news = [each for order in orders for each in self._obey(trainer, order)]
            news += self._advance(trainer)
            if time.monotonic() - saved > self._every and not saving.is_alive():
                # A remote storage is slow, and training doesn't wait for it.
                saving = threading.Thread(target=self._save, args=(trainer.checkpoints(),), name="saving", daemon=True)
                saving.start()
                saved = time.monotonic()
            with self._changed:
                self._news += news
                share = (trainer.seconds - worked) / (time.monotonic() - began)
                self._room, self._networks, self._busy = trainer.room, trainer.training, (self._busy + share) / 2
                self._paces = trainer.seconds_a_network()
                self._kinds = {number: stack_key(trial.configuration) for number, trial in trainer.trials.items()}
                self._coming = frozenset(each.trial for order in self._orders for each in order.begin)
                self._changed.notify_all()

    def _obey(self, trainer: Trainer, orders: Commands) -> list[TrialUpdate]:
        """Begin, stop and hand in trials; return errors, the reports in checkpoints, and what was handed in."""
        trainer.remove(orders.stop)
        news = self._hand_in(trainer, orders.hand_in)
        for each in orders.begin:
            if each.trial in trainer.trials:
                continue  # orders that seemed lost have arrived after all
            try:
                trial = Trial(each.configuration, self._task, each.seed, self._device)
                checkpoint = self._left(each.trial) if each.begun else None
                trainer.add(each.trial, trial, checkpoint)
                if checkpoint is not None:
                    news += [
                        TrialUpdate(trial=each.trial, report=report, architecture=dict(checkpoint.architecture))
                        for report in checkpoint.reports
                    ]
            except Exception as error:
                traceback.print_exc()  # as in `Trainer`
                news.append(
                    TrialUpdate(
                        trial=each.trial, report=Report(), architecture={}, error=f"{type(error).__name__}: {error}"
                    )
                )
        return news

    def _advance(self, trainer: Trainer) -> list[TrialUpdate]:
        """Train for an epoch, and keep the best checkpoint of each finished trial; return updates."""
        trials, news, over = trainer.trials, [], []
        for update in trainer.advance():
            report = update.report
            if not update.error and (report.diverged or report.epoch >= self._task.epochs):
                over.append(update.trial)
                if not report.diverged:
                    update = replace(update, error=self._keep(update.trial, trials[update.trial]))
            news.append(update)
        trainer.remove(over)
        return news

    def _hand_in(self, trainer: Trainer, due: Mapping[int, int]) -> list[TrialUpdate]:
        """Keep the best checkpoints of trials that have come to the epoch that they are known for; they end with it."""
        over = {
            number: trial for number, trial in trainer.trials.items() if trial.report.epoch >= due.get(number, math.inf)
        }
        trainer.remove([*over])
        return [
            TrialUpdate(
                trial=number,
                report=trial.report,
                architecture=trial.architecture,
                error=self._keep(number, trial),
                handed_in=True,
            )
            for number, trial in over.items()
        ]

    def _keep(self, number: int, trial: Trial) -> str:
        """Keep a finished trial's best checkpoint; return an error, or an empty string."""
        said = ""
        for pause in (*PATIENCE, 0.0):
            try:
                save_best(trial, self._place.at(f"{number:05d}"))
                return ""
            except OSError as error:
                said = f"its checkpoint can't be kept: {error.strerror or error}"
            except Exception as error:  # tensors or arguments of a plug-in may not be serialisable
                traceback.print_exc()
                return f"its checkpoint can't be kept: {type(error).__name__}: {' '.join(str(error).split())}"
            time.sleep(pause)
        return said

    def _save(self, checkpoints: Mapping[int, Checkpoint]) -> None:
        for number, checkpoint in checkpoints.items():
            try:
                checkpoint.save(self._state(number))
            except Exception as error:  # without a checkpoint the trial restarts from its beginning if its trainer dies
                traceback.print_exc()
                said = " ".join(str(error).split()) or type(error).__name__
                with self._changed:
                    self._trouble = (
                        f"trials in training leave no checkpoints, and begin anew if their trainer dies: {said}"
                    )

    def _left(self, number: int) -> Checkpoint | None:
        """Return the checkpoint that another trainer left; None if it can't be read, and the trial starts again."""
        for pause in (*PATIENCE, 0.0):
            try:
                return Checkpoint.load(self._state(number))
            except OSError:
                time.sleep(pause)
            except Exception:  # a trainer died while writing it
                return None
        return None

    def _state(self, number: int) -> CheckpointStorage:
        return self._place.at(STATES).at(f"{number:05d}")


@final
class Mailbox:
    """Queues of orders, one for each trainer, as a Ray actor whose calls wait without blocking each other."""

    def __init__(self) -> None:
        self._orders: dict[str, asyncio.Queue[bytes]] = defaultdict(asyncio.Queue)

    async def put(self, trainer: str, orders: bytes) -> None:
        """Put orders into a trainer's queue."""
        await self._orders[trainer].put(orders)

    async def take(self, trainer: str) -> bytes:
        """Return a trainer's next orders, as soon as there are any."""
        return await self._orders[trainer].get()


def new_mailbox() -> Any:
    """Return the handle of a mailbox on the driver's own node; it takes none of the trainers' cores.

    If the mailbox dies, Ray restarts it empty. Trainers wait there again, and the director misses the lost orders.
    """
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    lasting = {"max_restarts": -1, "max_task_retries": -1}
    return ray.remote(Mailbox).options(num_cpus=0, scheduling_strategy=here, **lasting).remote()
