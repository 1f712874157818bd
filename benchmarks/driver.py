"""What the driver costs: the real director, sampler and recorder, fed by trainers that only say that they train."""

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from search.checkpoints import CheckpointStorage
from search.events.events import Listener, Report
from search.events.messages import Assignment, TrainerStatus, TrialUpdate
from search.record.recorder import Recorder
from search.record.store import Store
from search.schedule.asha import Halving
from search.schedule.director import Director
from search.schedule.suggest import Suggester
from search.study.configuration import stack_key
from search.study.parse import parse_study

STUDY = """
epochs = 27
grace = 3
evaluations = 1
[problem]
name = "gaussian_2d"
[training]
learning_rate = { low = 1e-4, high = 1e-1, log = true }
schedule = ["constant", "cosine"]
[models.pushforward]
width = [16, 32, 64]
depth = { low = 1, high = 3 }
[objectives.mmd]
"""
SCORES = ("ad", "kendall", "mmd", "overfit")
PLACES = 16  # trials that a trainer takes


class ScriptedTrainer:
    """A trainer that reaches the next evaluation of all its trials with each message, and trains nothing."""

    def __init__(self, name: str, evaluations: Sequence[int], folder: Path) -> None:
        self.name, self.evaluations, self.folder = name, evaluations, folder
        self.held: dict[int, Assignment] = {}
        self.reached: dict[int, int] = {}

    def message(self) -> TrainerStatus:
        """What it says next."""
        news = [self._news(number) for number in list(self.held)]
        numbers, kinds = frozenset(self.held), frozenset(stack_key(own.configuration) for own in self.held.values())
        return TrainerStatus(
            trainer=self.name,
            news=news,
            trials=numbers,
            kinds=kinds,
            room=PLACES - len(numbers),
            networks=len(numbers),
            busy=1.0,
        )

    def obey(self, begin: Sequence[Assignment], stop: Sequence[int]) -> None:
        """Begin and stop trials."""
        for number in stop:
            self.held.pop(number, None)
        self.held |= {each.trial: each for each in begin}

    def _news(self, number: int) -> TrialUpdate:
        place = self.reached.get(number, 0)
        epoch = self.evaluations[place]
        self.reached[number] = place + 1
        misfit = 1.0 + float(np.random.default_rng(number).exponential()) + 1.0 / epoch
        scores = dict.fromkeys(SCORES, misfit)
        if place + 1 == len(self.evaluations):
            del self.held[number]
            best = self.folder / f"{number:05d}"
            best.mkdir(parents=True)
            (best / "model.json").write_text(json.dumps({"number": number}))
        return TrialUpdate(
            trial=number,
            report=Report(
                epoch=epoch,
                loss=misfit,
                validation_loss=misfit,
                misfit=misfit,
                scores=scores,
                epoch_misfit=misfit,
                epoch_scores=scores,
                best_epoch=epoch,
            ),
            architecture={"parameters": 1.0},
        )


def driver_costs(trials: int, folder: Path, trainers: int = 2) -> dict[str, float]:
    """Processor milliseconds: of the director and sampler a trial and a message, of the recorder a trial.

    Raises:
        RuntimeError: the record is not whole.
    """
    study = parse_study(STUDY, "driver", "driver")
    budget = replace(study.budget, trials=trials)
    store = Store(folder / "store")
    recorder = Recorder(store, store.begin("driver", {}, {}))
    listeners: list[Listener] = [recorder]
    max_open_trials = max(1, trials // 2)
    director = Director(
        Suggester(study, 0),
        budget,
        list(range(trials)),
        CheckpointStorage(str(folder / "best")),
        max_open_trials=max_open_trials,
        listeners=listeners,
        stopper=Halving(budget),
        goals=study.goals,
    )
    fleet = [ScriptedTrainer(f"{number}", budget.evaluation_epochs(), folder / "best") for number in range(trainers)]
    every, heard, messages = time.process_time(), 0.0, 0
    while not director.done:
        for trainer in fleet:
            message = trainer.message()
            began = time.thread_time()
            orders = director.hear(message)
            heard, messages = heard + time.thread_time() - began, messages + 1
            trainer.obey(orders.begin, orders.stop)
    own = time.thread_time()
    error = recorder.close()
    if error:
        raise RuntimeError(error)
    written = time.process_time() - every - heard - (time.thread_time() - own)
    return {"heard": 1e3 * heard / trials, "message": 1e3 * heard / messages, "written": 1e3 * written / trials}
