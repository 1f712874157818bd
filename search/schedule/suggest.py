"""Suggest the next configuration: Optuna's samplers over the conditional space, and scrambled Sobol points.

Sources: Akiba et al. 2019, Optuna; Owen 1998, Scrambling Sobol' and Niederreiter-Xing points."""

import logging
import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, final

import numpy as np
import optuna
from optuna.trial import TrialState
from scipy.stats import qmc

from models import MODELS
from models.noise import hashed_seed
from objectives import OBJECTIVES
from search.log import hush
from search.study.configuration import Configuration, Training
from search.study.space import Choice, Domain, Fixed, Range, arguments_of
from search.study.study import Domains, Study, check_point

POPULATION = 20  # of the genetic algorithm; with Optuna's 50 most searches would end within the first generation
BEGUN = [state for state in TrialState if state != TrialState.WAITING]
STATES = {"finished": TrialState.COMPLETE, "stopped": TrialState.PRUNED}


@final
class Suggester:
    """Proposes configurations of a study, first its points, and learns from how they end.

    Args:
        study: what to search.
        seed: of the sampler.
    """

    def __init__(self, study: Study, seed: int) -> None:
        hush("optuna", below=logging.WARNING)
        self._study, self._seed = study, seed
        self._several = len(study.goals.rank) > 1
        directions = [optuna.study.StudyDirection.MINIMIZE for _ in study.goals.rank]
        self._optuna = optuna.create_study(directions=directions, sampler=_sampler(study.sampler, seed, 0))
        self._running: dict[int, optuna.Trial] = {}
        self._reached: dict[int, tuple[int, float]] = {}
        self._sequence = QuasiRandom(_all_keys(study), seed)
        for point in study.points:
            self._optuna.enqueue_trial(self._named(check_point(study, point)))

    def ask(self) -> tuple[int, Configuration]:
        """Number (0, 1, ...) and configuration of the next trial."""
        # A sampler for each: a proposal depends on its number and on what is known by then, not on a restart.
        number = len(self._optuna.get_trials(deepcopy=False, states=BEGUN))
        if self._study.sampler == "quasi-random" and not self._waiting():
            self._optuna.enqueue_trial(self._sequence.point(number))
        self._optuna.sampler = _sampler(self._study.sampler, self._seed, number)
        trial = self._optuna.ask()
        self._running[trial.number] = trial
        return trial.number, self._configuration(trial)

    def ask_again(self, configuration: Configuration) -> tuple[int, Configuration]:
        """Number and configuration of the next trial, which a search that goes on had proposed before."""
        if not self._waiting():
            self._optuna.enqueue_trial(self._named(configuration))
        return self.ask()

    def report(self, number: int, epoch: int, misfit: float) -> None:
        """Tell the misfit that a running trial has reached by `epoch`; a restarted trial tells its first again."""
        if epoch <= self._reached.get(number, (0, 0.0))[0]:
            return
        self._reached[number] = epoch, misfit
        if not self._several:  # Optuna takes no reports where there are several
            self._running[number].report(misfit, epoch)

    def tell(
        self, number: int, outcome: str, values: Sequence[float] = (), violations: Mapping[str, float] | None = None
    ) -> None:
        """Tell how a trial ended, with the value of each goal and what it exceeds bounds by.

        Neither finished nor stopped counts as failed, and teaches nothing but its end.
        """
        trial = self._running.pop(number, None)
        if trial is None:
            return
        state = STATES.get(outcome, TrialState.FAIL)
        if state != TrialState.FAIL:
            for name, over in (violations or {}).items():
                trial.set_constraint(name, over)
        if state == TrialState.PRUNED and self._several:
            trial.set_constraint("epochs", self._missing(number))
        self._optuna.tell(trial, values if state == TrialState.COMPLETE else None, state=state)

    def _missing(self, number: int) -> float:
        """Share of the budget that a stopped trial lacks; of those that lack as much, the worse lack a little more.

        Optuna ranks stopped trials by what they reported, which it takes for one goal alone. As a bound that they broke
        this ranks them alike for several.
        """
        epoch, misfit = self._reached[number]
        epochs = self._study.budget.epochs
        return (epochs - epoch + misfit / (1 + misfit)) / epochs

    def _waiting(self) -> bool:
        return bool(self._optuna.get_trials(deepcopy=False, states=[TrialState.WAITING]))

    def _configuration(self, trial: optuna.Trial) -> Configuration:
        pairs = self._study.pairs()
        model = _suggested(trial, "model", list(pairs))
        objective = _suggested(trial, f"{model}.objective", pairs[model])
        own = _values(trial, f"{model}.", MODELS[model], self._study.models[model])
        loss = _values(trial, f"{objective}.", OBJECTIVES[objective], self._study.objectives[objective])
        training = _values(trial, "", Training, self._study.training)
        return Configuration(
            model=model,
            objective=objective,
            model_arguments=own,
            objective_arguments=loss,
            training=Training(**training),
        )

    def _named(self, point: Configuration) -> dict[str, Any]:
        """Optuna's names and values of a point, of the keys that it will be asked for."""
        groups = (
            (f"{point.model}.", point.model_arguments, self._study.models[point.model]),
            (f"{point.objective}.", point.objective_arguments, self._study.objectives[point.objective]),
            ("", vars(point.training), self._study.training),
        )
        named = {
            prefix + key: values[key]
            for prefix, values, domains in groups
            for key, domain in domains.items()
            if not isinstance(domain, Fixed)
        }
        return {"model": point.model, f"{point.model}.objective": point.objective, **named}


def _all_keys(study: Study) -> dict[str, Domain]:
    """Optuna's names and domains of all that a configuration may be asked for."""
    pairs = study.pairs()
    keyed: dict[str, Domain] = {"model": Choice(tuple(pairs))} if len(pairs) > 1 else {}
    keyed |= {f"{model}.objective": Choice(tuple(names)) for model, names in pairs.items() if len(names) > 1}
    for own in (study.models, study.objectives):
        keyed |= {f"{name}.{key}": domain for name, domains in own.items() for key, domain in domains.items()}
    return keyed | study.training


def _sampler(name: str, seed: int, number: int) -> optuna.samplers.BaseSampler:
    samplers, own = optuna.samplers, hashed_seed(seed, "proposal", number) % 2**32
    by_chance = samplers.RandomSampler(seed=own)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        if name == "tpe":
            return samplers.TPESampler(seed=own, multivariate=True, group=True, constant_liar=True)
        if name == "gp":
            return samplers.GPSampler(seed=own, independent_sampler=by_chance, warn_independent_sampling=False)
        if name == "nsga2":
            return samplers.NSGAIISampler(seed=own, population_size=POPULATION)
        if name == "cmaes":  # takes its state from the trials, but not from those that ask_again asked for
            return samplers.CmaEsSampler(seed=own, independent_sampler=by_chance, warn_independent_sampling=False)
    return by_chance  # of a list of points, none is left to chance, nor of a sequence


def _values(trial: optuna.Trial, prefix: str, constructor: Any, domains: Domains) -> dict[str, Any]:
    defaults = {key: argument.default for key, argument in arguments_of(constructor).items()}
    return defaults | {key: _value(trial, prefix + key, domain) for key, domain in domains.items()}


def _value(trial: optuna.Trial, name: str, domain: Domain) -> Any:
    if isinstance(domain, Fixed):
        return domain.value
    if isinstance(domain, Choice):
        return trial.suggest_categorical(name, domain.values)
    if isinstance(domain.low, int):
        return trial.suggest_int(name, domain.low, domain.high, log=domain.log, step=domain.step or 1)
    return trial.suggest_float(name, domain.low, domain.high, log=domain.log, step=domain.step)


def _suggested(trial: optuna.Trial, name: str, names: list[str]) -> str:
    return names[0] if len(names) == 1 else str(trial.suggest_categorical(name, names))


@final
class QuasiRandom:
    """A sequence of points, of which the first n fill the space evenly.

    Args:
        domains: of all keys, those included that a point's other values leave without a meaning.
        seed: of the scrambling.
    """

    def __init__(self, domains: Mapping[str, Domain], seed: int) -> None:
        self._domains = {key: domain for key, domain in domains.items() if not isinstance(domain, Fixed)}
        self._seed = seed

    def point(self, number: int) -> dict[str, Any]:
        """Value of every key that isn't fixed at place `number` (0, 1, ...) of the sequence."""
        if not self._domains:
            return {}
        sequence = qmc.Sobol(len(self._domains), seed=np.random.default_rng(self._seed))
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
