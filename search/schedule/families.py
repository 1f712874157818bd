"""Families of a search: what proposes the settings of each, and how trials are shared among them.

Choosing a family and its settings at once is harder than either (CASH), and what one family's settings teach says
nothing of another's. So each family has a sampler of its own, and a rule says whose turn it is.
Sources: Thornton et al. 2013, Auto-WEKA (CASH); Thompson 1933; Eckles, Kaptein 2014, Thompson sampling with the online
bootstrap; Akiba et al. 2019, Optuna; Owen 1998, Scrambling Sobol' and Niederreiter-Xing points.
"""

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, final

import numpy as np
import optuna
from optuna.trial import TrialState
from scipy.stats import qmc

from models.noise import hashed_seed
from objectives import OBJECTIVES
from search.study.configuration import Configuration
from search.study.fields import LEARNING
from search.study.goals import WORST
from search.study.space import Choice, Domain, Fixed, Range
from search.study.study import PairSpace, Study

POPULATION = 20  # of the genetic algorithm; with Optuna's 50 most searches would end within the first generation
CHANCE, LEAST = 10, 3  # trials by chance before TPE learns, shared among the families; of each at least so many
TRIES = 10  # proposals that were tried before, after which one is drawn from those that were not
CANDIDATES = 24  # that TPE picks the best of, as by Optuna's default; half as many after each that was tried before
LISTED = 10_000  # most configurations of a space that are listed to find those that were not tried
STATES = {"finished": TrialState.COMPLETE, "stopped": TrialState.PRUNED}


@final
class Family:
    """Proposes configurations of one model, none twice, and learns from how they end.

    Args:
        study: what to search.
        model: one of its models.
        seed: of the sampler.
    """

    def __init__(self, study: Study, model: str, seed: int) -> None:
        self.model, self.seed, self._study = model, seed, study
        self.startup = max(LEAST, CHANCE // len(study.models))
        self._spaces = {name: PairSpace(study, model, name) for name in study.pairs()[model]}
        self.closed_form = not any(OBJECTIVES[name].descends for name in self._spaces)
        self.count = sum(space.count() for space in self._spaces.values())
        self.proposed = 0
        self.misfits: list[float] = []  # logarithm of each trial's that has ended with one
        self._known: set[str] = set()
        self._several = len(study.goals.rank) > 1
        directions = [optuna.study.StudyDirection.MINIMIZE for _ in study.goals.rank]
        self._optuna = optuna.create_study(directions=directions, sampler=_sampler("random", seed))
        self._sequence = QuasiRandom(self._all_keys(), seed)

    @property
    def used_up(self) -> bool:
        """Whether every configuration was tried."""
        return len(self._known) >= self.count

    def everything(self, most: int) -> list[Configuration]:
        """All configurations or, if there are more than `most`, that many of a quasi-random sequence."""
        if self.count <= most:
            return [configuration for space in self._spaces.values() for configuration in space.grid()]
        found: dict[str, Configuration] = {}
        for number in range(2 * TRIES * most):
            configuration = self._chosen(self._sequence.point(number))
            found.setdefault(configuration.identity, configuration)
            if len(found) == most:
                break
        return list(found.values())

    def propose(self, number: int) -> tuple[optuna.Trial, Configuration]:
        """Propose a configuration that was not tried; `number` is that of the trial in the search.

        A family that is used up has none.
        """
        sampler = self._study.sampler
        for attempt in range(TRIES):
            if sampler == "quasi-random":
                self._optuna.enqueue_trial(self._sequence.point(self.proposed + attempt))
            # A sampler for each: a proposal depends on its number and on what is known by then, not on a restart.
            own = sampler if attempt < TRIES // 2 else "random"
            dice = hashed_seed(self.seed, "proposal", number, attempt) % 2**32
            self._optuna.sampler = _sampler(own, dice, self.startup, max(1, CANDIDATES >> attempt))
            trial = self._optuna.ask()
            configuration = self._configuration(trial)
            if configuration.identity not in self._known:
                return self._taken(trial, configuration)
            self._optuna.tell(trial, state=TrialState.FAIL)
        left = [each for each in self.everything(LISTED) if each.identity not in self._known]
        return self.take(left[hashed_seed(self.seed, "left", number) % len(left)])

    def take(self, configuration: Configuration) -> tuple[optuna.Trial, Configuration]:
        """Propose this configuration."""
        space = self._spaces[configuration.objective]
        chosen = {
            self._name(space, key): value
            for key, value in configuration.flat().items()
            if not isinstance(space.domains.get(key, Fixed(None)), Fixed)
        }
        self._optuna.enqueue_trial({"objective": configuration.objective} | chosen)
        trial = self._optuna.ask()
        return self._taken(trial, self._configuration(trial))

    def tell(
        self,
        trial: optuna.Trial,
        outcome: str,
        values: Sequence[float],
        violations: Mapping[str, float],
        reached: tuple[int, float],
    ) -> None:
        """Tell how a trial ended, with the epoch and misfit that it has reached."""
        state = STATES.get(outcome, TrialState.FAIL)
        if state != TrialState.FAIL:
            for name, over in violations.items():
                trial.set_constraint(name, over)
            self.misfits.append(math.log(min(max(reached[1], 1 / WORST), WORST)))
        if state == TrialState.PRUNED and self._several:
            trial.set_constraint("epochs", self._missing(*reached))
        self._optuna.tell(trial, values if state == TrialState.COMPLETE else None, state=state)

    def _taken(self, trial: optuna.Trial, configuration: Configuration) -> tuple[optuna.Trial, Configuration]:
        self._known.add(configuration.identity)
        self.proposed += 1
        return trial, configuration

    def _missing(self, epoch: int, misfit: float) -> float:
        """Share of the budget that a stopped trial lacks; of those that lack as much, the worse lack a little more.

        Optuna ranks stopped trials by what they reported, which it takes for one goal alone. As a bound that they broke
        this ranks them alike for several.
        """
        epochs = self._study.budget.epochs
        return (epochs - epoch + misfit / (1 + misfit)) / epochs

    def _configuration(self, trial: optuna.Trial) -> Configuration:
        names = list(self._spaces)
        objective = names[0] if len(names) == 1 else str(trial.suggest_categorical("objective", names))
        space = self._spaces[objective]
        return space.choose(lambda key, domain: _suggested(trial, self._name(space, key), domain))

    def _chosen(self, point: Mapping[str, Any]) -> Configuration:
        """The configuration of values of all keys, of which some don't act."""
        space = self._spaces[point.get("objective", next(iter(self._spaces)))]
        return space.choose(lambda key, domain: point[self._name(space, key)])

    def _name(self, space: PairSpace, key: str) -> str:
        """Optuna's name of a key; two objectives may have different keys of one name."""
        return f"{space.objective}.{key}" if key in self._study.objectives[space.objective] else key

    def _all_keys(self) -> dict[str, Domain]:
        """Optuna's names and domains of all that a configuration may be asked for."""
        names = tuple(self._spaces)
        keyed: dict[str, Domain] = {"objective": Choice(names)} if len(names) > 1 else {}
        for space in self._spaces.values():
            acting = (key for key in space.domains if key in space.possible())
            keyed |= {self._name(space, key): space.domains[key] for key in acting}
        return keyed


Sharing: TypeAlias = Callable[[Sequence[Family]], Family]
"""A rule that says whose turn it is, of families that are not used up."""


def even(families: Sequence[Family]) -> Family:
    """The family that was proposed least."""
    return min(families, key=lambda family: family.proposed)


def thompson(families: Sequence[Family]) -> Family:
    """The family that is most likely to hold the best: the one with the lowest misfit, once each draws its own again.

    Each draws as many of its misfits as it has, with repetition; a family with too few to learn from goes first. So
    where families are close all go on, and none is dropped for good.
    """
    new = [family for family in families if len(family.misfits) < family.startup]
    if new:
        return even(new)
    asked = sum(family.proposed for family in families)
    dice = np.random.default_rng(hashed_seed(families[0].seed, "sharing", asked))
    return min(families, key=lambda family: dice.choice(family.misfits, len(family.misfits)).min())


def sharing_of(study: Study) -> Sharing:
    """The rule for a study: a sampler that doesn't learn tries all families alike."""
    return thompson if study.sampler in LEARNING else even


def _sampler(name: str, seed: int, startup: int = CHANCE, candidates: int = CANDIDATES) -> optuna.samplers.BaseSampler:
    samplers, by_chance = optuna.samplers, optuna.samplers.RandomSampler(seed=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        if name == "tpe":
            return samplers.TPESampler(
                seed=seed,
                n_startup_trials=startup,
                n_ei_candidates=candidates,
                multivariate=True,
                group=True,
                constant_liar=True,
            )
        if name == "gp":
            return samplers.GPSampler(seed=seed, independent_sampler=by_chance, warn_independent_sampling=False)
        if name == "nsga2":
            return samplers.NSGAIISampler(seed=seed, population_size=POPULATION)
        if name == "cmaes":  # takes its state from the trials, but not from those that were proposed before a restart
            return samplers.CmaEsSampler(seed=seed, independent_sampler=by_chance, warn_independent_sampling=False)
    return by_chance


def _suggested(trial: optuna.Trial, name: str, domain: Domain) -> Any:
    assert not isinstance(domain, Fixed)
    if isinstance(domain, Choice):
        return trial.suggest_categorical(name, domain.values)
    if isinstance(domain.low, int):
        return trial.suggest_int(name, domain.low, domain.high, log=domain.log, step=domain.step or 1)
    return trial.suggest_float(name, domain.low, domain.high, log=domain.log, step=domain.step)


@final
class QuasiRandom:
    """A sequence of points, of which the first n fill the space evenly.

    Args:
        domains: of all keys, those included that a point's other values leave without a meaning.
        seed: of the scrambling.
    """

    def __init__(self, domains: Mapping[str, Domain], seed: int) -> None:
        self._domains = {key: domain for key, domain in domains.items() if not isinstance(domain, Fixed)}
        self.seed = seed

    def point(self, number: int) -> dict[str, Any]:
        """Value of every key that isn't fixed at place `number` (0, 1, ...) of the sequence."""
        if not self._domains:
            return {}
        sequence = qmc.Sobol(len(self._domains), seed=np.random.default_rng(self.seed))
        if number:
            sequence.fast_forward(number)
        place = sequence.random(1)[0]
        return {key: _value_at(domain, float(u)) for (key, domain), u in zip(self._domains.items(), place, strict=True)}


def _value_at(domain: Domain, u: float) -> Any:
    """Value of a domain at `u` in [0, 1)."""
    if isinstance(domain, Choice):
        return domain.values[int(u * len(domain.values))]
    assert isinstance(domain, Range)
    low, high = domain.low, domain.high
    whole = isinstance(low, int)
    if domain.step is not None or (whole and not domain.log):
        step = domain.step or 1
        return min(low + int(u * (round((high - low) / step) + 1)) * step, high)
    if not domain.log:
        return float(low + u * (high - low))
    ends = (low - 0.5, high + 0.5) if whole else (low, high)  # whole numbers are rounded, the ends as often as others
    value = math.exp(math.log(ends[0]) + u * math.log(ends[1] / ends[0]))
    return min(max(round(value) if whole else value, low), high)
