"""Searchers on a simulated clock: it counts the epochs that all trials have been trained for, whoever trains them.

Each searcher has `WORKERS` places. A place trains its trial to the next evaluation, reports, and goes on or takes
another. What a searcher would name as its best at a moment is noted each time that this changes.
"""

import heapq
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import optuna
from curves import SEEDS
from learning import Learning
from ray.tune.schedulers import ASHAScheduler, TrialScheduler
from ray.tune.search.optuna import OptunaSearch

from search.checkpoints import CheckpointStorage
from search.events.events import Report
from search.events.messages import TrainerStatus, TrialUpdate
from search.schedule.asha import Halving
from search.schedule.director import Director, Stopper
from search.schedule.families import Family, Sharing, even
from search.schedule.suggest import Suggester
from search.study.budget import Budget
from search.study.configuration import Configuration, stack_key
from search.study.goals import Goals

WORKERS = 4
CLOCK = 20  # budgets of a fully trained trial that a searcher may spend
SHOWN = 5  # trials of a family before rising bandits drop it, and the last ones that show how it improves
MOST = 5000  # trials, more than any clock has time for


class Searcher(Protocol):
    """What proposes configurations and stops trials."""

    def ask(self, place: int) -> tuple[int, Configuration] | None:
        """Number and configuration of a new trial for a place; None if every configuration was tried."""

    def report(self, place: int, number: int, at: int, value: float) -> bool:
        """Take in a trial's value at its evaluation of number `at`; whether it goes on."""


@dataclass
class Told:
    """A trial so far: its configuration, its evaluations, and the last value."""

    configuration: Configuration
    evaluations: int = 0
    value: float = 0.0
    seed: int = 0


@dataclass
class Run:
    """What a searcher named as its best, when: (epochs trained in all, configuration); and all of its trials."""

    named: list[tuple[float, Configuration]] = field(default_factory=list)
    trials: dict[int, Told] = field(default_factory=dict)


Best = Callable[[dict[int, Told]], Told]


def furthest(trials: dict[int, Told]) -> Told:
    """Best of those that came furthest: as a leaderboard shows that never mixes budgets."""
    return min(trials.values(), key=lambda told: (-told.evaluations, told.value))


def lowest(trials: dict[int, Told]) -> Told:
    """Lowest last value of all trials: as Tune's `get_best_result` names it."""
    return min((told for told in trials.values() if told.evaluations), key=lambda told: told.value)


def confirmed(trials: dict[int, Told], learning: Learning) -> Configuration:
    """Best finalist of a search, by the networks of the table's other seeds: those that it was not chosen by."""

    def fresh(told: Told) -> float:
        return sum(learning.curve(told.configuration, told.seed + other)[-1] for other in range(1, SEEDS))

    whole = [told for told in trials.values() if told.evaluations == len(learning.epochs)]
    finalists = sorted(whole, key=lambda told: told.value)[: Budget().finalists]
    return min(finalists, key=fresh).configuration


def simulate(
    searcher: Searcher, learning: Learning, budget: float, seed: int, best: Best, places: int = WORKERS
) -> Run:
    """Let a searcher train `budget` epochs in all, or until it has tried every configuration."""
    run, clock = Run(), 0.0
    epochs = learning.epochs
    queue: list[tuple[float, int, int]] = []
    order = itertools.count()
    at: dict[int, int] = {}

    def begin(place: int, now: float) -> None:
        asked = searcher.ask(place)
        if asked is None:
            return
        number, configuration = asked
        run.trials[number], at[place] = Told(configuration, seed=seed * MOST + number), number
        heapq.heappush(queue, (now + epochs[0], next(order), place))

    for place in range(places):
        begin(place, 0.0)
    while queue and clock < budget / places:
        clock, _, place = heapq.heappop(queue)
        number = at[place]
        told = run.trials[number]
        told.value = float(learning.curve(told.configuration, told.seed)[told.evaluations])
        told.evaluations += 1
        goes_on = searcher.report(place, number, told.evaluations - 1, told.value)
        chosen = best(run.trials).configuration
        if not run.named or run.named[-1][1] != chosen:
            run.named.append((clock * places, chosen))
        if goes_on:
            more = epochs[told.evaluations] - epochs[told.evaluations - 1]
            heapq.heappush(queue, (clock + more, next(order), place))
        else:
            begin(place, clock)
    return run


class Genseek:
    """genseek's own proposer, halving and director; each place is a trainer of one trial.

    Args:
        learning: the curves.
        seed: of the start and the samplers.
        sampler, halving, sharing: what proposes, what stops, and whose turn it is; None for genseek's own rule.
        places: trials at a time.
    """

    def __init__(
        self,
        learning: Learning,
        seed: int,
        *,
        sampler: Any = "tpe",
        halving: Callable[[Budget], Stopper] = Halving,
        sharing: Sharing | None = None,
        places: int = WORKERS,
    ) -> None:
        budget = replace(learning.study.budget, trials=MOST, epochs=learning.epochs[-1], grace=_grace(learning))
        points = [learning.configuration(flat).flat() for flat in learning.start(seed)]
        study = replace(learning.study, sampler=sampler, budget=budget, points=points)
        stopper: Stopper = halving(budget)
        proposer = Suggester(study, seed, sharing)
        self._director = Director(
            proposer,
            budget,
            range(MOST),
            CheckpointStorage("/nowhere"),
            max_open_trials=places,
            listeners=[],
            stopper=stopper,
            goals=study.goals,
        )
        self._learning, self._seed = learning, seed
        self._held: dict[int, Any] = {}

    def ask(self, place: int) -> tuple[int, Configuration] | None:
        """The trial that the place was handed with its last message, or by one without news."""
        if place not in self._held:
            self._say(place, [], None)
        each = self._held.get(place)
        return None if each is None else (each.trial, each.configuration)

    def report(self, place: int, number: int, at: int, value: float) -> bool:
        """Tell the director; a trial goes on unless it says to stop it."""
        each, known = self._held[place], {"misfit": value}
        if self._learning.architecture is not None:
            known = self._learning.architecture(each.configuration, self._seed * MOST + number)[at]
        architecture = {"parameters": known.pop("parameters", 0.0)}
        report = Report(epoch=self._learning.epochs[at], misfit=known["misfit"], scores=known)
        over = at == len(self._learning.epochs) - 1
        self._say(
            place, [TrialUpdate(trial=number, report=report, architecture=architecture)], None if over else number
        )
        return place in self._held and self._held[place].trial == number

    def _say(self, place: int, news: list[TrialUpdate], number: int | None) -> None:
        held = frozenset(() if number is None else {number})
        kinds = frozenset(() if number is None else {stack_key(self._held[place].configuration)})
        orders = self._director.hear(
            TrainerStatus(
                trainer=str(place),
                news=news,
                trials=held,
                kinds=kinds,
                room=1 - len(held),
                networks=len(held),
                busy=1.0,
            )
        )
        if number is None or number in orders.stop:
            self._held.pop(place, None)
        for each in orders.begin:
            self._held[place] = each


def rising(families: Sequence[Family], trials: int) -> Family:
    """The family that was proposed least, of those that may still become the best by so many trials: rising bandits.

    A family is dropped if, should it improve until then as it did over its last trials, it would still be worse than
    another is now. Source: Li et al. 2020, Efficient Automatic CASH via Rising Bandits.
    """
    left = max(0, trials - sum(family.proposed for family in families))
    tried = [family for family in families if len(family.misfits) >= SHOWN]
    lowest = min((min(family.misfits) for family in tried), default=math.inf)

    def hopeful(family: Family) -> bool:
        own = min(family.misfits)
        slope = (min(family.misfits[: 1 - SHOWN]) - own) / (SHOWN - 1)
        return own - slope * left <= lowest

    return even([family for family in families if family not in tried or hopeful(family)])


def expected_trials(learning: Learning) -> int:
    """Trials of a search by the clock, if halving keeps just its share at each rung."""
    budget = replace(learning.study.budget, epochs=learning.epochs[-1], grace=_grace(learning))
    steps = itertools.pairwise([0, *budget.rungs(), budget.epochs])
    each = sum((rung - before) / float(budget.reduction) ** number for number, (before, rung) in enumerate(steps))
    return round(CLOCK * budget.epochs / each)


class PlainRay:
    """Ray Tune's OptunaSearch and ASHAScheduler, called as its controller calls them."""

    def __init__(self, learning: Learning, seed: int) -> None:
        self._search = OptunaSearch(
            learning.suggest, metric="value", mode="min", points_to_evaluate=learning.start(seed), seed=seed
        )
        self._asha: Any = ASHAScheduler("epoch", "value", "min", learning.epochs[-1], _grace(learning), 3)
        self._learning, self._count = learning, itertools.count()
        self._trials: dict[int, Any] = {}

    def ask(self, place: int) -> tuple[int, Configuration]:
        """Next suggestion."""
        number = next(self._count)
        flat = self._search.suggest(str(number))
        self._trials[number] = _Named(str(number))
        self._asha.on_trial_add(None, self._trials[number])
        return number, self._learning.configuration(flat or {})

    def report(self, place: int, number: int, at: int, value: float) -> bool:
        """Results go to the scheduler and the search algorithm; a trial that is stopped is told as complete."""
        result = {"epoch": self._learning.epochs[at], "value": value, "training_iteration": at + 1}
        decision = self._asha.on_trial_result(None, self._trials[number], result)
        over = at == len(self._learning.epochs) - 1
        if decision == TrialScheduler.STOP or over:
            self._asha.on_trial_complete(None, self._trials[number], result)
            self._search.on_trial_complete(str(number), result)
            return False
        self._search.on_trial_result(str(number), result)
        return True


@dataclass(frozen=True)
class _Named:
    trial_id: str


class Alone:
    """Optuna alone: its TPE sampler, or chance, and its own successive halving or none."""

    def __init__(self, learning: Learning, seed: int, chance: bool = False, grouped: bool = False) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        samplers, pruners = optuna.samplers, optuna.pruners
        halving = pruners.SuccessiveHalvingPruner(min_resource=_grace(learning), reduction_factor=3)
        tpe = samplers.TPESampler(seed=seed, multivariate=grouped, group=grouped, constant_liar=grouped)
        self._study = optuna.create_study(
            sampler=samplers.RandomSampler(seed) if chance else tpe,
            pruner=pruners.NopPruner() if chance else halving,
        )
        for flat in learning.start(seed):
            self._study.enqueue_trial(flat)
        self._learning = learning
        self._trials: dict[int, optuna.Trial] = {}

    def ask(self, place: int) -> tuple[int, Configuration]:
        """Next suggestion."""
        trial = self._study.ask()
        constants = self._learning.suggest(trial)
        self._trials[trial.number] = trial
        return trial.number, self._learning.configuration(trial.params | constants)

    def report(self, place: int, number: int, at: int, value: float) -> bool:
        """Report, and ask whether to prune."""
        trial = self._trials[number]
        trial.report(value, self._learning.epochs[at])
        if at == len(self._learning.epochs) - 1:
            self._study.tell(trial, value)
            return False
        if trial.should_prune():
            self._study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            return False
        return True


def _grace(learning: Learning) -> int:
    return learning.epochs[0]


def with_goals(learning: Learning, *rank: str) -> Learning:
    """The same curves with several goals."""
    return replace(learning, study=replace(learning.study, goals=Goals(rank)))
