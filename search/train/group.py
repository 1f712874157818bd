"""Trials that train in one pack, judged together, and the checkpoint that a trial leaves."""

import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate, groupby
from typing import final

import numpy as np
import torch
from safetensors.torch import load, save
from torch import Tensor

from models import Model
from models.noise import hashed_seed
from search.checkpoints import CheckpointStorage
from search.events.events import Report
from search.formats import FORMAT, check_format, json_text, spelled, unspelled
from search.train.context import draw_samples
from search.train.pack import Pack
from search.train.trial import Judged, Trial

JUDGED_PAIRS = 2**24  # validation rows squared, over the networks judged at once: what bounds a judgement's memory
WEIGHTS, DESCRIPTION, PLUGIN = "weights.safetensors", "model.json", "plugin.py"
STATE, BEST, TOLD = "state/", "best/", "told"


@final
class Group:
    """Trials that share model family, objective and batch size, stacked.

    Args:
        trials: in the order of their places in the pack.
        pack: their networks.
    """

    def __init__(self, trials: Sequence[Trial], pack: Pack) -> None:
        self.trials, self.pack = list(trials), pack
        self.seconds = 0.0  # that a step of training has taken lately; 0 before the first

    @staticmethod
    def of(trial: Trial) -> "Group":
        """Group of one trial, untrained.

        Raises:
            ValueError: an argument of its configuration is out of its range.
        """
        return Group([trial], trial.untrained())

    @staticmethod
    def join(groups: Sequence["Group"]) -> "Group":
        """Group of all trials of `groups`, each at the epoch that it had reached; those most alike stand together."""
        if len(groups) == 1:
            return groups[0]
        joined = Group(
            [trial for group in groups for trial in group.trials], Pack.join([group.pack for group in groups])
        )
        return joined.keep(sorted(joined.trials, key=_names))

    def keep(self, trials: Sequence[Trial]) -> "Group":
        """Group of some of its trials, which go on as if nothing had happened."""
        if list(trials) == self.trials:
            return self
        kept = Group(trials, self.pack.keep([place for trial in trials for place in self.places(trial)]))
        kept.seconds = self.seconds * len(trials) / len(self.trials)
        return kept

    def epoch(self, trial: Trial) -> int:
        """Epochs that a trial has been trained for."""
        return self.pack.epochs[self.places(trial)[0]]

    def places(self, trial: Trial) -> range:
        """Where in the pack a trial's replicas stand."""
        starts = [0, *accumulate(len(each.seeds) for each in self.trials)]
        start = starts[self.trials.index(trial)]
        return range(start, start + len(trial.seeds))

    def advance(self) -> list[Trial]:
        """Train for one epoch; the trials that have a new report, since they were judged or have diverged."""
        began = time.perf_counter()
        means = self.pack.advance().tolist()
        seconds = (time.perf_counter() - began) / self.pack.steps
        self.seconds = (self.seconds + seconds) / 2 if self.seconds else seconds
        if self.pack.closed_form:  # more epochs would change nothing
            self.pack.epochs = [trial.task.epochs for trial in self.trials for _ in trial.seeds]
        losses = {id(trial): [means[place] for place in self.places(trial)] for trial in self.trials}
        lost = [trial for trial in self.trials if not all(map(math.isfinite, losses[id(trial)]))]
        for trial in lost:
            trial.diverged(self.epoch(trial), next(loss for loss in losses[id(trial)] if not math.isfinite(loss)))
        due = [trial for trial in self.trials if trial not in lost and self.epoch(trial) in trial.task.evaluations]
        for some in _batches(due):
            self.keep(some)._judge([loss for trial in some for loss in losses[id(trial)]])
        return lost + due

    def _judge(self, losses: Sequence[float]) -> None:
        """Judge all trials of this group, whose last epoch had these mean losses."""
        pack, task = self.pack, self.trials[0].task
        pack.finalize()
        rows = len(task.rows.validation)
        owners = [trial for trial in self.trials for _ in trial.seeds]
        features = [trial.featured.features for trial in owners]
        drawn = draw_samples(pack.averaged, features, task.eval_samples, rows, seeds=pack.seeds)
        evaluations = [
            evaluation
            for judge, own in groupby(zip(owners, drawn, strict=True), key=lambda pair: pair[0].task.judge)
            for evaluation in judge.each(np.stack([each for _, each in own]))
        ]
        validation = torch.stack([trial.featured.validation for trial in owners])
        held = pack.loss(validation, [hashed_seed(seed, "validation") for seed in pack.seeds]).tolist()
        weights = _weights(pack.model, [trial.weights for trial in owners])
        judged = [
            Judged(evaluation=evaluation, loss=loss, validation_loss=validation_loss, zeros=zeros, deviation=deviation)
            for evaluation, loss, validation_loss, (zeros, deviation) in zip(
                evaluations, losses, held, weights, strict=True
            )
        ]
        for trial in self.trials:
            places = self.places(trial)
            trial.judged(self.epoch(trial), [judged[place] for place in places], pack.averaged, places)


def _names(trial: Trial) -> list[str]:
    """Activation, optimiser, kernel and so on: neighbours of one name are computed at once."""
    return [value for value in trial.configuration.flat().values() if isinstance(value, str)]


def _batches(trials: Sequence[Trial]) -> Iterator[Sequence[Trial]]:
    """Runs of trials, each small enough to be judged at once."""
    if not trials:
        return
    together = JUDGED_PAIRS // (len(trials[0].task.rows.validation) ** 2 * len(trials[0].seeds))
    for start in range(0, len(trials), max(1, together)):
        yield trials[start : start + max(1, together)]


def _weights(model: Model, counts: Sequence[int]) -> list[tuple[float, float]]:
    """Share of exact zeros and standard deviation of the weights of each network, which has so many of them."""
    weights = [value.detach().flatten(1) for name, value in model.named_parameters() if name.endswith("weight")]
    if not weights:
        return [(0.0, 0.0)] * len(counts)
    every = torch.cat(weights, 1).double()
    count = torch.tensor(counts, device=every.device)
    padded = every.shape[1] - count  # zeros that stand for what a wider or deeper neighbour has
    zeros = ((every == 0).sum(1) - padded) / count
    mean = every.sum(1) / count
    deviation = (every.square().sum(1) / count - mean.square()).clamp_min(0).sqrt()
    return list(zip(zeros.tolist(), deviation.tolist(), strict=True))


@final
@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A trial between two epochs: what training goes on from, its best tensors, and what it has told or was about to.

    The reports tell whoever goes on with it what a trainer that died, or was cut off, could not tell any more.
    """

    state: dict[str, Tensor]
    best: dict[str, Tensor]
    reports: Sequence[Report]
    architecture: Mapping[str, float]

    @classmethod
    def of(cls, group: Group, trial: Trial) -> "Checkpoint":
        """Checkpoint of a trial in training."""
        return cls(
            state=group.keep([trial]).pack.state(),
            best=trial.best(),
            reports=tuple(trial.reports),
            architecture=dict(trial.architecture),
        )

    def resumed(self, trial: Trial) -> Group:
        """Group of the trial, where this checkpoint left it."""
        trial.architecture = dict(self.architecture)
        pack = trial.untrained()
        pack.restore(self.state)
        trial.restore(self.reports, self.best)
        return Group([trial], pack)

    def save(self, place: CheckpointStorage) -> None:
        """Write it as one file, so that no reader meets half of it."""
        groups = ((STATE, self.state), (BEST, self.best))
        tensors = {prefix + name: tensor for prefix, group in groups for name, tensor in group.items()}
        told = {"reports": [asdict(report) for report in self.reports], "architecture": dict(self.architecture)}
        place.write(save(tensors, {TOLD: json.dumps({"format": FORMAT} | spelled(told), allow_nan=False)}))

    @classmethod
    def load(cls, place: CheckpointStorage) -> "Checkpoint | None":
        """Checkpoint of a file, if there is one."""
        content = place.read()
        if content is None:
            return None
        tensors = load(content)
        state, best = (
            {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
            for prefix in (STATE, BEST)
        )
        told = unspelled(json.loads(_metadata(content)[TOLD]))
        check_format(told, f"the checkpoint {place.uri}", "search anew")
        return cls(
            state=state,
            best=best,
            reports=[Report(**report) for report in told["reports"]],
            architecture=told["architecture"],
        )


def save_best(trial: Trial, place: CheckpointStorage) -> None:
    """Write the generator of a trial's best checkpoint: tensors, what makes it of them, and the code of a plug-in."""
    place.at(WEIGHTS).write(save(trial.best()))
    place.at(DESCRIPTION).write(json_text(trial.to_dict()).encode())
    source = trial.task.sources.get(trial.configuration.model)
    if source:
        place.at(PLUGIN).write(source.encode())


def _metadata(content: bytes) -> dict[str, str]:
    """Text that stands beside the tensors: in the JSON header, whose length the first eight bytes are."""
    length = int.from_bytes(content[:8], "little")
    metadata: dict[str, str] = json.loads(content[8 : 8 + length])["__metadata__"]
    return metadata
