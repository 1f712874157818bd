"""The director: which trial is trained by which trainer, which ones stop, and when a search is over.

It knows nothing of Ray: trainers speak to it in messages and get orders. Every configuration is proposed by Optuna and
judged by ASHA on its own, whatever company it trains in.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, final

from search.checkpoints import CheckpointStorage
from search.errors import StudyError
from search.events.events import Ended, Event, Listener, Outcome, Report, Reported, Started, TrainerHeartbeat, Troubled
from search.events.messages import Assignment, Commands, Death, TrainerStatus, TrialUpdate
from search.schedule.suggest import Suggester
from search.study.budget import Budget
from search.study.configuration import Configuration, StackKey, stack_key
from search.study.goals import WORST, Goals, ObjectiveValues
from search.study.study import descends

SLOWER = 1.5  # times another device's step: trials wait for that one as long as there are others to train
LOSSES = 3  # trainers that a trial may lose before it counts as what kills them
GUILTY = 4  # trials that must have killed trainers, and one of each model, to end a search where none has trained
MOST_GUILTY = 8  # the same, whatever models are left
MOST_DEAD = 5  # times that each trainer may die while no trial gets on or ends
LATE = 60  # messages of a trainer after which orders that it doesn't know of are lost
UNKNOWN = Death("an unknown error")


@dataclass(kw_only=True)
class _Open:
    """A trial that has not ended: who trains it (nobody: ""), what it reported, and how many trainers it has lost.

    `unheard` are messages of its trainer that don't know of it; `guilt` says how it kills trainers; `due` that it is
    to be handed in.
    """

    configuration: Configuration
    trainer: str = ""
    report: Report = field(default_factory=Report)
    architecture: dict[str, float] = field(default_factory=dict)
    lost: int = 0
    begun: bool = False
    unheard: int = 0
    guilt: str = ""
    due: bool = False


@dataclass(frozen=True)
class Limits:
    """Until when trials are proposed and trained, and what then becomes of the rest; in seconds since 1970.

    Until `hands_in`, trainers hand in what is still open, and that counts as far as it is trained; as long as nothing
    was trained whole or could be handed in, all of them train on. What is open after that has the outcome `rest`.
    """

    proposes: float = math.inf
    trains: float = math.inf
    hands_in: float = -math.inf
    rest: Outcome = "stopped"


UNLIMITED = Limits()


class Stopper(Protocol):
    """Decides which trials aren't worth more training."""

    def stops(self, number: int, epoch: int, standing: ObjectiveValues) -> bool:
        """Whether a trial that stands there by this epoch ends here."""


@final
class Director:
    """Runs the trials of a search on whatever trainers there are.

    Args:
        proposer: of configurations.
        budget: trials and epochs.
        seeds: one a trial.
        storage: where trainers leave the best checkpoint of finished trials.
        max_open_trials: trials that may be proposed before earlier ones have ended.
        listeners: told of each event; they must return at once.
        stopper: of trials that aren't worth more training.
        goals: what trials are ranked by, and the bounds that they must keep.
        limits: when it ends though there are trials left.
    """

    def __init__(
        self,
        proposer: Suggester,
        budget: Budget,
        seeds: Sequence[int],
        storage: CheckpointStorage,
        *,
        max_open_trials: int,
        listeners: Sequence[Listener],
        stopper: Stopper,
        goals: Goals,
        limits: Limits = UNLIMITED,
    ) -> None:
        self._proposer, self._budget, self._seeds, self._storage = proposer, budget, seeds, storage
        self._max_open_trials, self._listeners = max_open_trials, listeners
        self._stopper, self._goals, self._limits = stopper, goals, limits
        self._open: dict[int, _Open] = {}
        self._kinds: dict[str, frozenset[StackKey]] = {}
        self._seconds: dict[tuple[str, StackKey], float] = {}  # that a step of one network takes, by device and kind
        self._asked, self._given_up = 0, False
        self._finished = False  # whether a trial that could be judged has
        self._trained, self._deaths = False, 0  # whether a trial has got on; deaths since one has, or has ended
        self._cause = ""  # of the last death
        self._troubles: set[str] = set()
        self.error = ""  # that ends all trainers
        self.heard = False  # whether a trainer has ever spoken
        self.trainers = 1  # how many there are, or will soon be

    @property
    def done(self) -> bool:
        """Whether every trial has ended, or the time for them."""
        if time.time() > self._limits.trains and not self._given_up:
            self._time_is_up()
        return not (self._open or self._proposable())

    @property
    def left(self) -> int:
        """Trials that have not ended, those included that have not been proposed."""
        return len(self._open) + (self._budget.trials - self._asked if self._proposable() else 0)

    def _proposable(self) -> bool:
        """Whether there are trials to propose."""
        if self._given_up or self._asked >= self._budget.trials or time.time() > self._limits.proposes:
            return False
        if self._proposer.used_up:
            self._say(f"all {self._asked} configurations of the study were tried, so that no more are proposed")
            return False
        return True

    def _time_is_up(self) -> None:
        """Have handed in what can be, and end the rest for good."""
        waits = time.time() < self._limits.hands_in
        if waits and not any(trial.due for trial in self._open.values()):
            able = {number for number, trial in self._open.items() if trial.trainer and trial.report.misfit < WORST}
            if self._open and not (able or self._finished):
                return
            self._tell_time(len(able))
            for number, trial in list(self._open.items()):
                trial.due = number in able
                if not trial.due:
                    self._end(number, self._limits.rest)
        if not (waits and self._open):
            self._given_up = True
            self._tell_time(0)
            for number in list(self._open):
                self._end(number, self._limits.rest)

    def _tell_time(self, able: int) -> None:
        if self._open:
            said = f"time was up for {len(self._open)} of {self._asked} trials before they were trained or stopped"
            self._say(said + (f"; {able} of them count as far as they were" if able else ""))

    def recall(self, events: Sequence[Event]) -> None:
        """Take in what happened before the search was cut off; what was decided and not yet told is told now.

        Raises:
            StudyError: the study proposes something else than it did.
        """
        outcomes: dict[int, Outcome | None] = {}
        for event in events:
            if isinstance(event, Started):
                number, configuration = self._proposer.ask_again(event.configuration)
                if (number, configuration) != (event.trial, event.configuration):
                    raise StudyError(f"trial {event.trial} is not in this study's space any more")
                self._asked += 1
                self._open[number] = _Open(configuration=configuration, begun=True)
            elif isinstance(event, Reported):
                self._open[event.trial].report, self._open[event.trial].architecture = event.report, event.architecture
                outcomes[event.trial] = self._judged(event.trial)
            elif isinstance(event, Ended):
                outcomes.pop(event.trial, None)
                self._teach(event.trial, event.outcome)
        for number, outcome in outcomes.items():
            if outcome is not None:
                self._end(number, outcome)

    def hear(self, message: TrainerStatus) -> Commands:
        """Take in what a trainer says; what it shall do."""
        self.heard = True
        for news in message.news:
            self._take(news, message.node)
        if self._all_fatal():
            self.abandon(f"trainers keep dying of {self._cause}")
        self._kinds[message.trainer] = message.kinds
        self._seconds.update({(message.device, key): seconds for key, seconds in message.seconds.items()})
        held = {number for number, trial in self._open.items() if trial.trainer == message.trainer}
        for number in list(held):
            trial = self._open[number]
            trial.unheard = 0 if number in message.trials else trial.unheard + 1
            if trial.unheard > LATE:
                held.remove(number)
                trial.trainer, trial.unheard = "", 0
        room = message.room - len(held - message.trials)  # some may still be on their way to it
        # No trainer takes more than its share: at the end of a search the others would have nothing left to do.
        room = min(room, math.ceil(self.left / self.trainers) - len(held))
        due = {number: self._open[number].report.epoch for number in sorted(held) if self._open[number].due}
        orders = Commands(self._handed(message, held, room), sorted(message.trials - held), due)
        if message.trouble:
            self._say(message.trouble)
        self._tell(
            TrainerHeartbeat(trainer=message.trainer, networks=message.networks, busy=message.busy, time=time.time())
        )
        return orders

    def lose(self, trainer: str, alone: bool = True, death: Death = UNKNOWN) -> None:
        """Take in that a trainer is gone, `alone` or with its node: others go on with its trials."""
        self._kinds.pop(trainer, None)
        self._deaths += alone
        for number, trial in list(self._open.items()):
            if trial.trainer == trainer:
                trial.trainer, trial.unheard, trial.lost = "", 0, trial.lost + alone
                if death.crashed:  # of its own doing: what it trained is trained alone from now on
                    trial.lost = max(trial.lost, LOSSES - 1)
                if trial.lost >= LOSSES:
                    self._accuse(number, f"its trainers died of {death.cause}")
        self._cause = death.cause
        if self._deaths >= MOST_DEAD * self.trainers or self._all_fatal():
            self.abandon(f"trainers keep dying of {self._cause}")

    def unsent(self, trainer: str, orders: Commands) -> None:
        """Take in that a trainer doesn't get its orders."""
        for each in orders.begin:
            if (trial := self._open.get(each.trial)) is not None and trial.trainer == trainer:
                trial.trainer = ""

    def _accuse(self, number: int, guilt: str) -> None:
        """End a trial that kills trainers; as long as none has trained, it may be no fault of this one."""
        if self._trained:
            self._end(number, "failed", error=guilt)
        else:
            self._open[number].guilt = guilt
            self._deaths = 0

    def _all_fatal(self) -> bool:
        """Whether all that was tried kills trainers."""
        guilty = [trial for trial in self._open.values() if trial.guilt]
        others = [trial for trial in self._open.values() if not trial.guilt]
        models = {trial.configuration.model for trial in guilty}
        more = self._proposable() and len(self._open) < self._max_open_trials
        untried = any(trial.configuration.model not in models for trial in others)
        enough = len(guilty) >= MOST_GUILTY or (len(guilty) >= GUILTY and not untried)
        return bool(guilty) and (enough or not (others or more))

    def abandon(self, error: str) -> None:
        """End the search, whose trainers die of this error; its trials may go on another time."""
        self.error, self._given_up = error, True
        self.close()

    def close(self) -> None:
        """End what is still open."""
        for number in list(self._open):
            self._end(number, "interrupted")

    def _take(self, news: TrialUpdate, node: str) -> None:
        trial, number, report = self._open.get(news.trial), news.trial, news.report
        if trial is None:
            return  # it has trained on past the rung where it was stopped
        if news.error:
            self._end(number, "failed", error=news.error)
            return
        if news.handed_in:
            self._end(number, "finished")
            return
        if report.epoch <= trial.report.epoch:
            return  # it says again what it said before its trainer was lost
        trial.report, trial.architecture, trial.lost = report, news.architecture, 0
        self._trained, self._deaths = True, 0
        self._tell(Reported(trial=number, report=report, architecture=news.architecture, time=time.time(), node=node))
        outcome = self._judged(number)
        if outcome is not None:
            self._end(number, outcome)
        for other, guilty in list(self._open.items()):
            if guilty.guilt:
                self._end(other, "failed", error=guilty.guilt)

    def _judged(self, number: int) -> Outcome | None:
        """How a trial ends with its last report; None if it goes on."""
        report, architecture = self._open[number].report, self._open[number].architecture
        if report.diverged:
            return "diverged"
        standing = self._goals.standing(report.misfit, report.scores, architecture)
        self._proposer.report(number, report.epoch, standing.misfit)
        # A closed form has its full budget at once: beside it no network would look worth more training.
        stops = descends(self._open[number].configuration) and self._stopper.stops(number, report.epoch, standing)
        if report.epoch >= self._budget.epochs:
            return "finished"
        return "stopped" if stops or self._goals.infeasible(architecture) else None

    def _handed(self, message: TrainerStatus, held: set[int], room: int) -> list[Assignment]:
        """Trials that a trainer gets: rather such as no other device is faster at, and of kinds that it has already."""
        if any(self._open[number].lost > 1 for number in held):
            return []  # it shall be alone with what may be killing trainers
        waiting = self._waiting()
        suspects = sorted((number for number in waiting if self._open[number].lost > 1), key=self._doubt)
        if suspects:
            chosen = suspects[:1] if not held and room > 0 else []
        else:
            theirs = frozenset[StackKey]().union(
                *(kinds for name, kinds in self._kinds.items() if name != message.trainer)
            )
            chosen = sorted(waiting, key=lambda number: self._preference(number, message, theirs))
            chosen = chosen[: max(0, room)]
        handed = [(number, self._open[number]) for number in chosen]
        self._kinds[message.trainer] = message.kinds | {stack_key(trial.configuration) for _, trial in handed}
        orders = [
            Assignment(trial=number, configuration=each.configuration, seed=self._seeds[number], begun=each.begun)
            for number, each in handed
        ]
        for _, trial in handed:
            trial.trainer, trial.begun = message.trainer, True
        return orders

    def _waiting(self) -> list[int]:
        """Numbers of the trials that nobody trains; as many are proposed as may be open."""
        while len(self._open) < self._max_open_trials and self._proposable():
            number, configuration = self._proposer.ask()
            self._asked += 1
            self._open[number] = _Open(configuration=configuration)
            self._tell(Started(trial=number, configuration=configuration, seed=self._seeds[number], time=time.time()))
        return [number for number, trial in self._open.items() if not trial.trainer and not trial.guilt]

    def _doubt(self, number: int) -> int:
        """How many suspects of a suspect's model are tried or found guilty: rather another one is tried next."""
        model = self._open[number].configuration.model
        return sum(
            trial.configuration.model == model and bool(trial.guilt or (trial.trainer and trial.lost > 1))
            for trial in self._open.values()
        )

    def _preference(self, number: int, message: TrainerStatus, theirs: frozenset[StackKey]) -> tuple[bool, int]:
        key = stack_key(self._open[number].configuration)
        mine = self._seconds.get((message.device, key), 0.0)
        others = [seconds for (device, kind), seconds in self._seconds.items() if kind == key]
        slow = bool(others) and mine > SLOWER * min(others)
        return slow, 0 if key in message.kinds else 1 if key not in theirs else 2

    def _end(self, number: int, outcome: Outcome, error: str = "") -> None:
        self._deaths = 0
        checkpoint = self._storage.at(f"{number:05d}") if outcome == "finished" else None
        self._teach(number, outcome)
        self._tell(Ended(trial=number, outcome=outcome, time=time.time(), checkpoint=checkpoint, error=error))

    def _teach(self, number: int, outcome: Outcome) -> None:
        """Let the sampler learn from a trial that has ended."""
        trial = self._open.pop(number)
        misfit, scores = trial.report.misfit, trial.report.scores
        self._finished |= outcome == "finished" and misfit < WORST
        values = self._goals.standing(misfit, scores, trial.architecture).values
        self._proposer.tell(number, outcome, values, self._goals.violations(scores, trial.architecture))

    def _say(self, trouble: str) -> None:
        """Tell once what the user should know of."""
        if trouble not in self._troubles:
            self._troubles.add(trouble)
            self._tell(Troubled(trouble, time.time()))

    def _tell(self, event: Event) -> None:
        for listener in self._listeners:
            listener(event)
