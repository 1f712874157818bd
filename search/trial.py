"""One trial in training: a configuration, its features, its trainer, and its best checkpoint so far."""

import math
import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, SupportsIndex, final

import numpy as np
import torch
from torch import Tensor

from models import MODELS, Model, Shape
from models.features import FEATURES
from models.generator import Generator, build
from models.noise import hashed_seed
from objectives import OBJECTIVES, Judge, Rows
from objectives.losses import Objective
from search.configuration import Configuration
from search.plugins import packed
from search.trainer import Trainer

WORST = 1e6  # stands for the fit of what can't be judged: Ray's scheduler and Optuna want a finite number


@dataclass(frozen=True)
class Task:
    """What every trial of a search shares, sent to the workers once.

    Args:
        rows: training, validation and test rows in the user's units.
        columns: their names.
        shape: what the problem asks of a model.
        judge: of the validation rows.
        epochs: full budget.
        evaluations: epochs at which a trial is judged, ascending; the last is the full budget.
        draws: samples a judgement takes the median of.
        models, objectives: the classes to choose from by name; a worker's own registries may lack them.
        sources: for each model that is a plug-in, the text of its module, or "" where there is none.
    """

    rows: Rows
    columns: tuple[str, ...]
    shape: Shape
    judge: Judge
    epochs: int
    evaluations: Sequence[int]
    draws: int
    models: Mapping[str, type[Model]] = field(default_factory=lambda: MODELS)
    objectives: Mapping[str, type[Objective[Any]]] = field(default_factory=lambda: OBJECTIVES)
    sources: Mapping[str, str] = field(default_factory=dict)

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[Callable[..., "Task"], tuple[Any, ...]]:
        # Plug-ins travel by value, and rows in buffers of their own, which Ray's workers of one machine share.
        buffers: list[pickle.PickleBuffer] = []
        content = packed(vars(self), buffers.append if int(protocol) >= 5 else None)
        return _unpacked, (content, buffers)


def _unpacked(content: bytes, buffers: Sequence[Any]) -> Task:
    return Task(**pickle.loads(content, buffers=buffers))


@dataclass(frozen=True)
class Report:
    """What a trial has reached at an evaluation.

    `fit` and `scores` are those of the best checkpoint so far, `epoch_fit` and `epoch_scores` those of this epoch;
    losses are in the objective's own units. `zeros` is the share of weights that are exactly zero, `deviation` the
    standard deviation of all weights.
    """

    epoch: int
    loss: float
    validation_loss: float
    fit: float
    scores: dict[str, float]
    epoch_fit: float
    epoch_scores: dict[str, float]
    best_epoch: int
    diverged: bool
    zeros: float
    deviation: float


@final
class Trial:
    """Trains one configuration and keeps the checkpoint that judged best on validation rows.

    Args:
        configuration: what to train.
        task: what it is trained and judged on.
        seed: of initial weights, order of rows and noise.
        device: where to train.

    Raises:
        ValueError: the data can't take these features, or an argument is out of its range.
    """

    def __init__(self, configuration: Configuration, task: Task, seed: int, device: str = "cpu") -> None:
        self.configuration, self.task, self.seed = configuration, task, seed
        self._features = FEATURES[configuration.training.features](torch.from_numpy(task.rows.train))
        train = self._features(torch.from_numpy(task.rows.train)).float()
        self._validation = self._features(torch.from_numpy(task.rows.validation)).float().unsqueeze(0).to(device)
        model = task.models[configuration.model](
            task.shape, hashed_seed(seed, "model"), **configuration.model_arguments
        )
        objective = task.objectives[configuration.objective](
            train, hashed_seed(seed, "objective"), **configuration.objective_arguments
        )
        rows = train.unsqueeze(0).to(device)
        objective.prepare(model, train.unsqueeze(0))
        self.trainer = Trainer(model, objective, rows, [configuration.training], [seed], task.epochs)
        self.facts = model.facts()[0]
        self._best: dict[str, Tensor] = self.generator().tensors()
        self._report = Report(0, math.nan, math.nan, WORST, {}, WORST, {}, 0, False, 0.0, 0.0)

    @property
    def epoch(self) -> int:
        """Epochs trained so far."""
        return self.trainer.epochs[0]

    @property
    def report(self) -> Report:
        """What the last judgement said."""
        return self._report

    def advance(self) -> Report:
        """Train to the next evaluation and judge; a diverged trial is judged no more."""
        until = next(epoch for epoch in self.task.evaluations if epoch > self.epoch)
        loss = float(self.trainer.advance()[0])
        while self.epoch < until and math.isfinite(loss) and not self.trainer.closed_form:
            loss = float(self.trainer.advance()[0])
        return self.judge(loss)

    def judge(self, loss: float) -> Report:
        """Judge the present weights, whose last epoch had this mean training loss, and keep them if they are best."""
        if not math.isfinite(loss):
            return self._diverged(loss)
        if self.trainer.closed_form:  # more epochs would change nothing
            self.trainer.epochs = [self.task.epochs]
        self.trainer.conclude()
        verdict = self.task.judge(self.draw(self.generator()))
        fit = verdict.fit if math.isfinite(verdict.fit) else WORST
        best = self._report
        if fit < best.fit:
            self._best = {name: value.clone() for name, value in self.generator().tensors().items()}
        better = fit < best.fit
        self._report = Report(
            self.epoch,
            loss,
            float(self.trainer.loss(self._validation, [hashed_seed(self.seed, "validation")])[0]),
            fit if better else best.fit,
            verdict.values if better else best.scores,
            fit,
            verdict.values,
            self.epoch if better else best.best_epoch,
            False,
            *self._weights(),
        )
        return self._report

    def generator(self) -> Generator:
        """Generator of the present (averaged) weights."""
        return Generator(self.trainer.averaged, self._features, self.task.columns)

    def draw(self, generator: Generator) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Samples `[draws, m, columns]` in the user's units, m = validation rows."""
        return draws(generator, self.task.draws, len(self.task.rows.validation), self.seed)

    def described(self) -> dict[str, Any]:
        """What, with the tensors, makes the best generator again; JSON."""
        plugin = {"plugin": True} if self.configuration.model in self.task.sources else {}
        return {
            "model": self.configuration.model,
            "arguments": self.configuration.model_arguments,
            "shape": vars(self.task.shape),
            "features": self.configuration.training.features,
            "columns": list(self.task.columns),
            **plugin,
        }

    def best(self) -> dict[str, Tensor]:
        """Tensors of the best checkpoint so far."""
        return {name: value.cpu() for name, value in self._best.items()}

    def _weights(self) -> tuple[float, float]:
        """Share of exact zeros among the weights, and their standard deviation; 0 where there are none."""
        named = self.trainer.model.named_parameters()
        weights = [value.detach().flatten() for name, value in named if name.endswith("weight")]
        if not weights:
            return 0.0, 0.0
        every = torch.cat(weights)
        return float((every == 0).float().mean()), float(every.std(correction=0))

    def _diverged(self, loss: float) -> Report:
        best = self._report
        self._report = Report(
            self.epoch,
            loss,
            math.nan,
            best.fit,
            best.scores,
            WORST,
            {},
            best.best_epoch,
            True,
            best.zeros,
            best.deviation,
        )
        return self._report


def draws(generator: Generator, count: int, rows: int, seed: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """`count` samples `[count, rows, columns]` of a generator; the same for the same seed."""
    return generator.sample(count * rows, hashed_seed(seed, "draws")).numpy().reshape(count, rows, -1)


def rebuilt(described: dict[str, Any], tensors: dict[str, Tensor]) -> Generator:
    """Generator of what `Trial.described` and `Trial.best` returned."""
    return build(described, tensors, MODELS)
