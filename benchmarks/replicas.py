"""Configurations trained with several seeds at once, stacked in one trainer, and judged on test rows of their own.

Each seed has its own data, initial weights and noise, so that a spread over seeds is one over whole experiments.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import torch

from models import MODELS
from models.generator import Generator
from models.noise import hashed_seed
from objectives import OBJECTIVES, Judge, Verdict
from search.configuration import Configuration
from search.preparation import judge_of, problem_of, task_of
from search.study import Study
from search.trainer import Trainer
from search.trial import Report, Task, Trial, draws, rebuilt

_PREPARED: dict[tuple[Any, ...], tuple[Task, Judge]] = {}


@dataclass(frozen=True)
class Replica:
    """How one seed of a configuration ended.

    `verdict` is on test rows; `curve` is what each evaluation reported, and `test_losses` the loss on test rows then.
    """

    configuration: Configuration
    seed: int
    verdict: Verdict
    described: dict[str, Any]
    tensors: dict[str, torch.Tensor]
    curve: list[Report]
    test_losses: list[float]

    def generator(self) -> Generator:
        """Generator of the weights that were judged."""
        return rebuilt(self.described, self.tensors)


def prepared(study: Study, seed: int) -> tuple[Task, Judge]:
    """Task, with the data of `seed`, and judge of its test rows; kept for the next time, as floors take seconds."""
    key = (study.problem, repr(study.problem_arguments), study.scores, seed)
    if key not in _PREPARED:
        seeded = replace(study, budget=replace(study.budget, seed=seed))
        problem = problem_of(seeded)
        task = task_of(seeded, problem)
        _PREPARED[key] = task, judge_of(seeded, problem, task.rows, task.rows.test)
    task, judge = _PREPARED[key]
    budget = study.budget
    task = replace(task, epochs=budget.epochs, evaluations=budget.evaluations(), draws=budget.draws)
    models = {name: MODELS[name] for name in study.models}
    return replace(task, models=models, objectives={name: OBJECTIVES[name] for name in study.objectives}), judge


def replicated(
    study: Study, configurations: Sequence[Configuration], seeds: Sequence[int], keep_best: bool
) -> list[Replica]:
    """Replicas of every configuration, seed by seed: the best checkpoint on validation rows is judged, or the last."""
    torch.set_num_threads(1)
    replicas = []
    for _, alike in groupby(sorted(configurations, key=_group), key=_group):
        wanted = [(configuration, seed) for configuration in alike for seed in seeds]
        trials = [
            Trial(configuration, prepared(study, seed)[0], hashed_seed(seed, "replica"))
            for configuration, seed in wanted
        ]
        curves: list[list[Report]] = [[] for _ in trials]
        losses: list[list[float]] = [[] for _ in trials]
        for _ in _trained(trials):
            for trial, curve, loss in zip(trials, curves, losses, strict=True):
                curve.append(trial.report)
                loss.append(_test_loss(trial))
        for (configuration, seed), trial, curve, loss in zip(wanted, trials, curves, losses, strict=True):
            task, judge = prepared(study, seed)
            tensors = trial.best() if keep_best else trial.generator().tensors()
            drawn = draws(rebuilt(trial.described(), tensors), task.draws, len(task.rows.test), trial.seed)
            replicas.append(Replica(configuration, seed, judge(drawn), trial.described(), tensors, curve, loss))
    return sorted(replicas, key=lambda replica: (configurations.index(replica.configuration), replica.seed))


def _trained(trials: Sequence[Trial]) -> Iterator[int]:
    """Train `trials` stacked, and judge them at each of their evaluations; yields the epoch."""
    trainer = Trainer.join([trial.trainer for trial in trials])
    for until in trials[0].task.evaluations:
        losses = trainer.advance()
        while trainer.epochs[0] < until and not trainer.closed_form:
            losses = trainer.advance()
        for place, trial in enumerate(trials):
            trial.trainer = trainer.keep([place])
            trial.judge(float(losses[place]))
        yield until
        if trainer.closed_form:
            return


def _group(configuration: Configuration) -> tuple[str, ...]:
    training = configuration.training
    return configuration.model, configuration.objective, training.optimizer, str(training.batch)


def _test_loss(trial: Trial) -> float:
    features = trial.generator().features(torch.from_numpy(trial.task.rows.test)).float().unsqueeze(0)
    return float(trial.trainer.loss(features, [hashed_seed(trial.seed, "test")])[0])
