"""Configurations trained with several seeds at once, stacked in one group, and judged on test rows of their own.

Each seed has its own data, initial weights and noise, so that a spread over seeds is one over whole experiments.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import torch

from models import MODELS
from models.generator import Generator
from models.noise import hashed_seed
from objectives import OBJECTIVES, Evaluation, Judge
from search.events.events import Report
from search.run.prepare import judge_of, task_of
from search.study.configuration import Configuration, stack_key
from search.study.parse import problem_of
from search.study.study import Study
from search.train.context import TrialContext, draw_samples
from search.train.group import Group
from search.train.pack import Pack
from search.train.trial import Trial, rebuilt

_PREPARED: dict[tuple[Any, ...], tuple[TrialContext, Judge]] = {}


@dataclass(frozen=True)
class Replica:
    """How one seed of a configuration ended.

    `evaluation` is on test rows; `curve` is what each evaluation reported, `test_losses` the loss on test rows then.
    """

    configuration: Configuration
    seed: int
    evaluation: Evaluation
    described: dict[str, Any]
    tensors: dict[str, torch.Tensor]
    curve: list[Report]
    test_losses: list[float]

    def generator(self) -> Generator:
        """Generator of the weights that were judged."""
        return rebuilt(self.described, self.tensors)


def prepared(study: Study, seed: int) -> tuple[TrialContext, Judge]:
    """Task, with the data of `seed`, and judge of its test rows; kept for the next time, as floors take seconds."""
    key = (study.problem, repr(study.problem_arguments), study.scores, seed)
    if key not in _PREPARED:
        seeded = replace(study, budget=replace(study.budget, seed=seed))
        problem = problem_of(seeded)
        task = task_of(seeded, problem)
        _PREPARED[key] = task, judge_of(seeded, problem, task.rows, task.rows.test)
    task, judge = _PREPARED[key]
    budget = study.budget
    task = replace(
        task, epochs=budget.epochs, evaluations=budget.evaluation_epochs(), eval_samples=budget.eval_samples, replicas=1
    )
    models = {name: MODELS[name] for name in study.models}
    return replace(task, models=models, objectives={name: OBJECTIVES[name] for name in study.objectives}), judge


def replicated(
    study: Study, configurations: Sequence[Configuration], seeds: Sequence[int], keep_best: bool
) -> list[Replica]:
    """Replicas of every configuration, seed by seed: the best checkpoint on validation rows is judged, or the last."""
    torch.set_num_threads(1)
    replicas = []
    for _, alike in groupby(sorted(configurations, key=stack_key), key=stack_key):
        wanted = [(configuration, seed) for configuration in alike for seed in seeds]
        trials = [
            Trial(configuration, prepared(study, seed)[0], hashed_seed(seed, "replica"))
            for configuration, seed in wanted
        ]
        group = Group.join([Group.of(trial) for trial in trials])
        curves: dict[Trial, list[Report]] = {trial: [] for trial in trials}
        losses: dict[Trial, list[float]] = {trial: [] for trial in trials}
        while min(map(group.epoch, trials)) < study.budget.epochs:
            for trial in group.advance():
                if group.epoch(trial) in trial.task.evaluations:  # one that has diverged tells so after every epoch
                    curves[trial].append(trial.report)
                    losses[trial].append(_test_loss(group, trial))
        for (configuration, seed), trial in zip(wanted, trials, strict=True):
            task, judge = prepared(study, seed)
            tensors = trial.best() if keep_best else _last(group, trial).tensors()
            generator = rebuilt(trial.to_dict(), tensors)
            drawn = draw_samples(
                generator.model, [generator.features], task.eval_samples, len(task.rows.test), seeds=[trial.seed]
            )
            curve, loss = curves[trial], losses[trial]
            replicas.append(Replica(configuration, seed, judge(drawn[0]), trial.to_dict(), tensors, curve, loss))
    return sorted(replicas, key=lambda replica: (configurations.index(replica.configuration), replica.seed))


def _alone(group: Group, trial: Trial) -> Pack:
    """A trial's own network as it is now, ready to be judged."""
    pack = group.keep([trial]).pack
    pack.finalize()
    return pack


def _last(group: Group, trial: Trial) -> Generator:
    return Generator(_alone(group, trial).averaged, trial.featured.features, trial.task.columns)


def _test_loss(group: Group, trial: Trial) -> float:
    features = trial.featured.features(torch.from_numpy(trial.task.rows.test)).float().unsqueeze(0)
    return float(_alone(group, trial).loss(features, [hashed_seed(trial.seed, "test")])[0])
