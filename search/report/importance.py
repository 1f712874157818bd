"""What mattered: Optuna's parameter importances and slices, of each family that has enough trials.

Source: Watanabe, Bansal, Hutter 2023, PED-ANOVA: Efficiently Quantifying Hyperparameter Importance in Arbitrary
Subspaces. Fits after different epochs can't be compared, so all trials of a family count at one epoch.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import optuna
import plotly.graph_objects as go
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from search.report.contents import Contents, History
from search.study.configuration import Configuration
from search.study.goals import WORST
from search.study.space import Choice, Domain, Fixed
from search.study.study import Study

optuna.logging.set_verbosity(optuna.logging.WARNING)

LEAST = 12  # trials of a family: importances of fewer are noise


@dataclass(frozen=True)
class Rebuilt:
    """Trials of a family as an Optuna study of their fits after `epoch` epochs; `count` of `all` trials got there."""

    family: str
    epoch: int
    count: int
    all: int
    study: optuna.Study


def rebuilt(contents: Contents) -> list[Rebuilt]:
    """An Optuna study of each family of which enough trials got equally far; at full budget, if they did."""
    study = contents.study
    if study is None:
        return []
    families = []
    for family in study.models:
        own = [each for each in contents.histories.values() if each.configuration.model == family]
        reached = sorted({epoch for history in own for epoch in _fits(history)}, reverse=True)
        epoch = next((each for each in reached if sum(each in _fits(one) for one in own) >= LEAST), None)
        if epoch is None:
            continue
        counted = [history for history in own if epoch in _fits(history)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            again = optuna.create_study(direction="minimize")
            for history in counted:
                again.add_trial(_trial(study, history.configuration, _fits(history)[epoch]))
        families.append(Rebuilt(family, epoch, len(counted), len(own), again))
    return families


def importances(family: Rebuilt) -> dict[str, float]:
    """Share of each key, most important first; they sum to 1, and are empty where nothing varied."""
    varied = _varied(family)
    return dict(optuna.importance.get_param_importances(family.study, params=varied)) if varied else {}


def importance_figure(family: Rebuilt) -> go.Figure:
    """Optuna's bars of the importances."""
    return optuna.visualization.plot_param_importances(family.study, params=_varied(family))


def slice_figure(family: Rebuilt, key: str) -> go.Figure:
    """Optuna's scatter plot of the fits over one key."""
    return optuna.visualization.plot_slice(family.study, params=[key], target_name="fit")


def _fits(history: History) -> Mapping[int, float]:
    return {each.report.epoch: each.report.fit for each in history.reports if each.report.fit < WORST}


def _varied(family: Rebuilt) -> list[str]:
    seen: dict[str, set[Any]] = {}
    for trial in family.study.get_trials(deepcopy=False):
        for key, value in trial.params.items():
            seen.setdefault(key, set()).add(value)
    return [key for key, values in seen.items() if len(values) > 1]


def _trial(study: Study, configuration: Configuration, fit: float) -> optuna.trial.FrozenTrial:
    domains = study.models[configuration.model] | study.objectives[configuration.objective] | study.training
    spread = {key: _distribution(domain) for key, domain in domains.items() if not isinstance(domain, Fixed)}
    objectives = study.pairs()[configuration.model]
    if len(objectives) > 1:
        spread["objective"] = CategoricalDistribution(objectives)
    chosen = configuration.flat()
    return optuna.trial.create_trial(params={key: chosen[key] for key in spread}, distributions=spread, value=fit)


def _distribution(domain: Domain) -> BaseDistribution:
    assert not isinstance(domain, Fixed)
    if isinstance(domain, Choice):
        return CategoricalDistribution(domain.values)
    if isinstance(domain.low, int):
        return IntDistribution(domain.low, domain.high, log=domain.log, step=domain.step or 1)
    return FloatDistribution(domain.low, domain.high, log=domain.log, step=domain.step)
