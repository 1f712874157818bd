"""One trial: a configuration, what its last judgement said, and its best checkpoint so far."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, final

import torch
from torch import Tensor

from models import MODELS, Model
from models.generator import FORMAT, Generator, build
from models.noise import hashed_seed
from models.pack import keep
from objectives import Evaluation
from search.events.events import Report
from search.study.configuration import Configuration
from search.study.goals import WORST
from search.train.context import TrialContext, sample_seconds
from search.train.pack import Pack


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One replica at an evaluation: its evaluation, losses, and the share of zeros and the deviation of its weights."""

    evaluation: Evaluation
    loss: float
    validation_loss: float
    zeros: float
    deviation: float


@final
class Trial:
    """One configuration, from its untrained networks to the checkpoint that judged best on validation rows.

    Args:
        configuration: what to train.
        task: what it is trained and judged on.
        seed: of initial weights, order of rows and noise of its first replica; the others' follow from it.
        device: where to train.

    Raises:
        ValueError: the data can't take these features, or an argument is out of its range.
    """

    def __init__(self, configuration: Configuration, task: TrialContext, seed: int, device: str = "cpu") -> None:
        self.configuration, self.task, self.seed, self.device = configuration, task, seed, device
        others = (hashed_seed(seed, "replica", number) for number in range(1, task.replicas))
        self.seeds = (seed, *others)
        self.featured = task.featured(configuration.training.features, device)
        self.reports: list[Report] = []  # at each evaluation so far
        self.architecture: dict[str, float] = {}
        self.weights = 0
        self._best: dict[str, Tensor] = {}

    @property
    def report(self) -> Report:
        """The last one, or one that says nothing."""
        return self.reports[-1] if self.reports else Report()

    def untrained(self) -> Pack:
        """Its networks before the first epoch, one a replica; now its `architecture` and number of `weights` are known.

        Raises:
            ValueError: an argument is out of its range.
        """
        packs = [self._built(seed) for seed in self.seeds]
        model = packs[0].model
        known, self.architecture = self.architecture, model.architecture()[0]
        if self.task.goals.timed:
            # Measured once, or a trial that goes on elsewhere would have to do with what that place is like.
            seconds = known.get("sample_seconds") or sample_seconds(model, self.featured.features, self.seed)
            self.architecture["sample_seconds"] = seconds
        self.weights = sum(value.numel() for name, value in model.named_parameters() if name.endswith("weight"))
        return packs[0] if len(packs) == 1 else Pack.join(packs)

    def judged(self, epoch: int, replicas: Sequence[Judged], models: Model, places: Sequence[int]) -> bool:
        """Take in a judgement of all replicas, which stand at `places` of `models`; whether it is the best so far."""
        misfits = [each.evaluation.misfit if math.isfinite(each.evaluation.misfit) else WORST for each in replicas]
        scores = {
            name: fmean(each.evaluation.values[name] for each in replicas) for name in replicas[0].evaluation.values
        }
        best, misfit = self.report, fmean(misfits)
        better = self._rank(misfit, scores) < self._rank(best.misfit, best.scores)
        if better:
            # Of several replicas the one that judged best is kept.
            place = places[misfits.index(min(misfits))]
            self._best = Generator(keep(models, [place]), self.featured.features, self.task.columns).tensors()
        spread = {"misfit": _deviation(misfits)} | {
            name: _deviation([each.evaluation.values[name] for each in replicas]) for name in scores
        }
        report = Report(
            epoch=epoch,
            loss=fmean(each.loss for each in replicas),
            validation_loss=fmean(each.validation_loss for each in replicas),
            misfit=misfit if better else best.misfit,
            scores=scores if better else best.scores,
            epoch_misfit=misfit,
            epoch_scores=scores,
            best_epoch=epoch if better else best.best_epoch,
            diverged=False,
            zeros=fmean(each.zeros for each in replicas),
            deviation=fmean(each.deviation for each in replicas),
            spread=(spread if better else best.spread) if len(replicas) > 1 else {},
        )
        self.reports.append(report)
        return better

    def diverged(self, epoch: int, loss: float) -> None:
        """Take in that a replica's loss is no number any more."""
        best = self.report
        report = Report(
            epoch=epoch,
            loss=loss,
            misfit=best.misfit,
            scores=best.scores,
            best_epoch=best.best_epoch,
            diverged=True,
            zeros=best.zeros,
            deviation=best.deviation,
            spread=best.spread,
        )
        self.reports.append(report)

    def to_dict(self) -> dict[str, Any]:
        """What, with the tensors, makes the best generator again; JSON."""
        plugin = {"plugin": True} if self.configuration.model in self.task.sources else {}
        return {
            "format": FORMAT,
            "model": self.configuration.model,
            "arguments": self.configuration.model_arguments,
            "shape": vars(self.task.shape),
            "features": self.configuration.training.features,
            "columns": list(self.task.columns),
            **plugin,
        }

    def best(self) -> dict[str, Tensor]:
        """Tensors of the best checkpoint so far, on the CPU; none before the first judgement."""
        return {name: value.cpu() for name, value in self._best.items()}

    def restore(self, reports: Sequence[Report], best: dict[str, Tensor]) -> None:
        """Go on from what a checkpoint holds."""
        self.reports, self._best = [*reports], best

    def _rank(self, misfit: float, scores: dict[str, float]) -> tuple[float, float]:
        """Of two checkpoints that one counts which keeps the bounds, or else breaks them less, and then fits better."""
        return self.task.goals.violation(scores, self.architecture) if misfit < WORST else math.inf, misfit

    def _built(self, seed: int) -> Pack:
        chosen, train = self.configuration, self.featured.train
        model = self.task.models[chosen.model](self.task.shape, hashed_seed(seed, "model"), **chosen.model_arguments)
        # Losses look at their rows once, on the CPU, where that's the same on every machine.
        rows = train.cpu()
        objective = self.task.objectives[chosen.objective](
            rows, hashed_seed(seed, "objective"), **chosen.objective_arguments
        )
        most = self.task.epoch_rows
        objective.setup(model, rows[:most].unsqueeze(0))
        budget = self.task.horizon or self.task.epochs
        return Pack(model, objective, [train], [chosen.training], seeds=[seed], budget=budget, epoch_rows=most)


def _deviation(values: Sequence[float]) -> float:
    # pstdev of the standard library refuses what isn't finite, and a score may be.
    return float(torch.tensor(values, dtype=torch.float64).std(correction=0))


def rebuilt(described: dict[str, Any], tensors: dict[str, Tensor]) -> Generator:
    """Generator of what `Trial.described` and `Trial.best` returned."""
    return build(described, tensors, MODELS)
