"""The director: which trial is trained by which trainer, which ones stop, and when a search is over.

It knows nothing of Ray: trainers speak to it in messages and get orders. Every configuration is proposed by Optuna and
judged by ASHA on its own, whatever company it trains in.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, final

from search.budget import Budget
from search.configuration import Configuration
from search.errors import InputError
from search.events import Ended, Event, Listener, Outcome, Reported, Started, Trained
from search.fusing import Key, key_of
from search.goals import Goals, Standing
from search.orders import Assignment, Message, News, Orders
from search.proposer import Proposer
from search.storage import Storage
from search.trial import Report

SLOWER = 1.5  # times another device's step: trials wait for that one as long as there are others to train
LOSSES = 3  # trainers that a trial may lose before it counts as what kills them


@dataclass
class _Open:
    """A trial that has not ended: who trains it (nobody: ""), what it reported, and how many trainers it has lost."""

    configuration: Configuration
    trainer: str = ""
    report: Report = field(default_factory=Report)
    facts: dict[str, float] = field(default_factory=dict)
    lost: int = 0
    begun: bool = False


class Stopper(Protocol):
    """Decides which trials aren't worth more training."""

    def stops(self, number: int, epoch: int, standing: Standing) -> bool:
        """Whether a trial that stands there by this epoch ends here."""


@final
class Director:
    """Runs the trials of a search on whatever trainers there are.

    Args:
        proposer: of configurations.
        budget: trials and epochs.
        seeds: one a trial.
        storage: where trainers leave the best checkpoint of finished trials.
        ahead: trials that may be proposed before earlier ones have ended.
        listeners: told of each event; they must return at once.
        stopper: of trials that aren't worth more training.
        goals: what trials are ranked by, and the bounds that they must keep.
    """

    def __init__(
        self,
        proposer: Proposer,
        budget: Budget,
        seeds: Sequence[int],
        storage: Storage,
        ahead: int,
        listeners: Sequence[Listener],
        stopper: Stopper,
        goals: Goals,
    ) -> None:
        self._proposer, self._budget, self._seeds, self._storage = proposer, budget, seeds, storage
        self._ahead, self._listeners = ahead, listeners
        self._stopper, self._goals = stopper, goals
        self._open: dict[int, _Open] = {}
        self._kinds: dict[str, frozenset[Key]] = {}
        self._seconds: dict[tuple[str, Key], float] = {}  # that a step of one network takes, by device and kind
        self._asked, self._given_up = 0, False
        self.error = ""  # that ended all trainers
        self.heard = False  # whether a trainer has ever spoken
        self.trainers = 1  # how many there are, or will soon be

    @property
    def done(self) -> bool:
        """Whether every trial has ended."""
        return (self._given_up or self._asked >= self._budget.trials) and not self._open

    @property
    def left(self) -> int:
        """Trials that have not ended, those included that have not been proposed."""
        return len(self._open) if self._given_up else self._budget.trials - self._asked + len(self._open)

    def recall(self, events: Sequence[Event]) -> None:
        """Take in what happened before the search was cut off; what was decided and not yet told is told now.

        Raises:
            InputError: the study proposes something else than it did.
        """
        outcomes: dict[int, Outcome | None] = {}
        for event in events:
            if isinstance(event, Started):
                number, configuration = self._proposer.ask_again(event.configuration)
                if (number, configuration) != (event.trial, event.configuration):
                    raise InputError(f"trial {event.trial} is not in this study's space any more")
                self._asked += 1
                self._open[number] = _Open(configuration, begun=True)
            elif isinstance(event, Reported):
                self._open[event.trial].report, self._open[event.trial].facts = event.report, event.facts
                outcomes[event.trial] = self._judged(event.trial)
            elif isinstance(event, Ended):
                outcomes.pop(event.trial, None)
                self._teach(event.trial, event.outcome)
        for number, outcome in outcomes.items():
            if outcome is not None:
                self._end(number, outcome)

    def hear(self, message: Message) -> Orders:
        """Take in what a trainer says; what it shall do."""
        self.heard = True
        for news in message.news:
            self._take(news, message.node)
        self._kinds[message.trainer] = message.kinds
        self._seconds.update({(message.device, key): seconds for key, seconds in message.seconds.items()})
        self._tell(Trained(message.trainer, message.networks, message.busy, time.time()))
        held = {number for number, trial in self._open.items() if trial.trainer == message.trainer}
        room = message.room - len(held - message.numbers)  # some may still be on their way to it
        # No trainer takes more than its share: at the end of a search the others would have nothing left to do.
        room = min(room, math.ceil(self.left / self.trainers) - len(held))
        return Orders(self._handed(message, held, room), sorted(message.numbers - held))

    def lose(self, trainer: str, alone: bool = True) -> None:
        """Take in that a trainer is gone, `alone` or with its node: others go on with its trials."""
        self._kinds.pop(trainer, None)
        for number, trial in list(self._open.items()):
            if trial.trainer == trainer:
                trial.trainer, trial.lost = "", trial.lost + alone
                if trial.lost >= LOSSES:
                    self._end(number, "failed", error=f"{trial.lost} trainers died while they trained it")

    def abandon(self, error: str) -> None:
        """End the search: there are no trainers, and new ones die of this error."""
        self.error = error
        for number in list(self._open):
            self._end(number, "failed", error=f"no trainer is left: {error}")
        self._given_up = True

    def close(self) -> None:
        """End what is still open."""
        for number in list(self._open):
            self._end(number, "interrupted")

    def _take(self, news: News, node: str) -> None:
        trial, number, report = self._open.get(news.number), news.number, news.report
        if trial is None:
            return  # it has trained on past the rung where it was stopped
        if news.error:
            self._end(number, "failed", error=news.error)
            return
        if report.epoch <= trial.report.epoch:
            return  # it says again what it said before its trainer was lost
        trial.report, trial.facts, trial.lost = report, news.facts, 0
        self._tell(Reported(number, report, news.facts, time.time(), node))
        outcome = self._judged(number)
        if outcome is not None:
            self._end(number, outcome)

    def _judged(self, number: int) -> Outcome | None:
        """How a trial ends with its last report; None if it goes on."""
        report, facts = self._open[number].report, self._open[number].facts
        if report.diverged:
            return "diverged"
        standing = self._goals.standing(report.fit, report.scores, facts)
        self._proposer.report(number, report.epoch, standing.fit)
        stops = self._stopper.stops(number, report.epoch, standing)
        if report.epoch >= self._budget.epochs:
            return "finished"
        return "stopped" if stops or self._goals.hopeless(facts) else None

    def _handed(self, message: Message, held: set[int], room: int) -> list[Assignment]:
        """Trials that a trainer gets: rather such as no other device is faster at, and of kinds that it has already."""
        if any(self._open[number].lost > 1 for number in held):
            return []  # it shall be alone with what may be killing trainers
        waiting = self._waiting()
        suspects = [number for number in waiting if self._open[number].lost > 1]
        if suspects:
            chosen = suspects[:1] if not held and room > 0 else []
        else:
            theirs = frozenset[Key]().union(*(kinds for name, kinds in self._kinds.items() if name != message.trainer))
            chosen = sorted(waiting, key=lambda number: self._preference(number, message, theirs))
            chosen = chosen[: max(0, room)]
        handed = [(number, self._open[number]) for number in chosen]
        self._kinds[message.trainer] = message.kinds | {key_of(trial.configuration) for _, trial in handed}
        orders = [Assignment(number, each.configuration, self._seeds[number], each.begun) for number, each in handed]
        for _, trial in handed:
            trial.trainer, trial.begun = message.trainer, True
        return orders

    def _waiting(self) -> list[int]:
        """Numbers of the trials that nobody trains; as many are proposed as may be open."""
        while not self._given_up and self._asked < self._budget.trials and len(self._open) < self._ahead:
            number, configuration = self._proposer.ask()
            self._asked += 1
            self._open[number] = _Open(configuration)
            self._tell(Started(number, configuration, self._seeds[number], time.time()))
        return [number for number, trial in self._open.items() if not trial.trainer]

    def _preference(self, number: int, message: Message, theirs: frozenset[Key]) -> tuple[bool, int]:
        key = key_of(self._open[number].configuration)
        mine = self._seconds.get((message.device, key), 0.0)
        others = [seconds for (device, kind), seconds in self._seconds.items() if kind == key]
        slow = bool(others) and mine > SLOWER * min(others)
        return slow, 0 if key in message.kinds else 1 if key not in theirs else 2

    def _end(self, number: int, outcome: Outcome, error: str = "") -> None:
        checkpoint = self._storage.at(f"{number:05d}") if outcome == "finished" else None
        self._teach(number, outcome)
        self._tell(Ended(number, outcome, time.time(), checkpoint, error))

    def _teach(self, number: int, outcome: Outcome) -> None:
        """Let the sampler learn from a trial that has ended."""
        trial = self._open.pop(number)
        fit, scores = trial.report.fit, trial.report.scores
        values = self._goals.standing(fit, scores, trial.facts).values
        self._proposer.tell(number, outcome, values, self._goals.excess(scores, trial.facts))

    def _tell(self, event: Event) -> None:
        for listener in self._listeners:
            listener(event)
