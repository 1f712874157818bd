"""The trainer: stacked stochastic gradient training of a pack of trials, epoch by epoch.

A trial's result depends on its configuration and seed alone: the order of rows and all noise of an epoch come from
(seed, epoch), not from the trial's company in the pack, a restart or the clock.

Notation: rows [pack, n, features], loss [pack].
"""

import copy
import math
from collections.abc import Sequence
from typing import Any, final

import torch
from torch import Tensor, nn

from models.model import Model
from models.noise import Noise, hashed_seed
from models.optimizers import OPTIMIZERS, Flat, clip, shrink, soften, zeros_like
from models.pack import join, keep
from objectives.losses.objective import Objective
from search.configuration import Training


@final
class Trainer:
    """Trains a pack of trials that share model family, objective, optimiser and batch size.

    Args:
        model, objective: the pack's, joined along the leading axis.
        rows: training features of each trial, `[pack, n, features]`, float32.
        training: how each trial is trained.
        seeds: one a trial.
        budget: epochs at which a cosine schedule ends.
    """

    def __init__(
        self,
        model: Model,
        objective: Objective[Any],
        rows: Tensor,
        training: Sequence[Training],
        seeds: Sequence[int],
        budget: int,
    ) -> None:
        if len({(entry.optimizer, entry.batch) for entry in training}) != 1:
            raise ValueError("trials of one pack must share optimizer and batch")
        device = rows.device
        self.model, self.objective, self.rows = model.to(device), objective.to(device), rows
        self.training, self.seeds, self.budget = tuple(training), tuple(seeds), budget
        self.epochs = [0] * len(training)
        self.closed_form = False  # known after the first step: a loss without gradient has nothing to descend
        self.optimizer = OPTIMIZERS[training[0].optimizer]
        self._moments: list[nn.Module] = [zeros_like(model) for _ in range(self.optimizer.moments)]
        # What is judged and exported: a running mean of the model, or the model itself where no trial wants a mean.
        self.averaged: Model = copy.deepcopy(model) if any(entry.average for entry in training) else model
        self._steps = torch.zeros(len(training), 1, device=device)
        self._flatten()

    def advance(self) -> Tensor:
        """Train every trial of the pack for one epoch; mean training loss `[pack]`, NaN or inf where one diverged."""
        pack, n = self.rows.shape[:2]
        batch = min(self.training[0].batch, n)
        seeds = [hashed_seed(seed, epoch) for seed, epoch in zip(self.seeds, self.epochs, strict=True)]
        noise = Noise(seeds, batch, self.rows.device)
        shuffled = self.rows[torch.arange(pack, device=self.rows.device).unsqueeze(1), self._order(seeds, n)]
        rate = self._column([self._rate(trial) for trial in range(pack)])
        total = torch.zeros(pack, device=self.rows.device)
        starts = range(0, n - batch + 1, batch)
        for start in starts:
            loss = self.objective.loss(self.model, shuffled[:, start : start + batch], noise)
            self.closed_form = not loss.requires_grad
            if loss.requires_grad:
                self._step(self._flat.gradient(loss), rate)
            total += loss.detach()
        for mean, buffer in zip(self.averaged.buffers(), self.model.buffers(), strict=True):
            mean.copy_(buffer)
        self.epochs = [epoch + 1 for epoch in self.epochs]
        return total / len(starts)

    def conclude(self) -> None:
        """Fit what is not descended but estimated from the trained weights, such as a normaliser, before judging."""
        seeds = [hashed_seed(seed, epoch, "conclude") for seed, epoch in zip(self.seeds, self.epochs, strict=True)]
        with torch.no_grad():
            self.objective.conclude(self.averaged, self.rows, Noise(seeds, self.rows.shape[1], self.rows.device))

    def loss(self, rows: Tensor, seeds: Sequence[int]) -> Tensor:
        """Loss `[pack]` on other rows `[pack, n, features]`, as in evaluation; `seeds` are those of its noise."""
        with torch.no_grad():
            return self.objective.loss(self.averaged, rows, Noise(seeds, rows.shape[1], rows.device), train=False)

    def keep(self, trials: Sequence[int]) -> "Trainer":
        """Trainer of the chosen trials only, which go on as if nothing had happened."""
        kept = Trainer(
            keep(self.model, trials),
            keep(self.objective, trials),
            self.rows[list(trials)],
            [self.training[trial] for trial in trials],
            [self.seeds[trial] for trial in trials],
            self.budget,
        )
        kept._resume(
            keep(self.averaged, trials),
            [keep(moment, trials) for moment in self._moments],
            self._steps[list(trials)],
            [self.epochs[trial] for trial in trials],
        )
        kept.closed_form = self.closed_form
        return kept

    @staticmethod
    def join(trainers: Sequence["Trainer"]) -> "Trainer":
        """Trainer of all trials of `trainers`, each from the epoch that it had reached; their budgets must agree."""
        if len({trainer.budget for trainer in trainers}) != 1:
            raise ValueError("trials of one pack must share budget")
        joined = Trainer(
            join([trainer.model for trainer in trainers]),
            join([trainer.objective for trainer in trainers]),
            torch.cat([trainer.rows for trainer in trainers]),
            [entry for trainer in trainers for entry in trainer.training],
            [seed for trainer in trainers for seed in trainer.seeds],
            trainers[0].budget,
        )
        moments = zip(*(trainer._moments for trainer in trainers), strict=True)
        joined._resume(
            join([trainer.averaged for trainer in trainers]),
            [join(parts) for parts in moments],
            torch.cat([trainer._steps for trainer in trainers]),
            [epoch for trainer in trainers for epoch in trainer.epochs],
        )
        return joined

    def state(self) -> dict[str, Tensor]:
        """Everything that training goes on from, by name; contiguous tensors on the CPU."""
        tensors = {f"{name}.{key}": value for name, part in self._parts() for key, value in part.state_dict().items()}
        tensors["steps"] = self._steps
        tensors["epochs"] = torch.tensor(self.epochs)
        return {name: value.detach().cpu().clone().contiguous() for name, value in tensors.items()}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go on from what `state` returned, in a trainer of the same trials."""
        for name, part in self._parts():
            own = {key.removeprefix(f"{name}."): value for key, value in state.items() if key.startswith(f"{name}.")}
            part.load_state_dict(own)
        self._steps = state["steps"].to(self.rows.device, copy=True)
        self.epochs = [int(epoch) for epoch in state["epochs"]]

    def _parts(self) -> list[tuple[str, nn.Module]]:
        moments = [(f"moment{number}", moment) for number, moment in enumerate(self._moments)]
        return [("model", self.model), ("averaged", self.averaged), ("objective", self.objective), *moments]

    def _resume(self, averaged: Model, moments: Sequence[nn.Module], steps: Tensor, epochs: Sequence[int]) -> None:
        self.averaged = averaged if any(entry.average for entry in self.training) else self.model
        self._moments = list(moments)
        self._steps, self.epochs = steps.clone(), list(epochs)
        self._flatten()

    def _flatten(self) -> None:
        pack = len(self.training)
        self._flat = Flat(self.model, pack)
        self._flat_averaged = self._flat.values if self.averaged is self.model else Flat(self.averaged, pack).values
        self._flat_moments = [Flat(moment, pack).values for moment in self._moments]
        self._l1 = self._column([entry.l1 for entry in self.training])
        self._l2 = self._column([entry.l2 for entry in self.training])
        self._clip = self._column([entry.clip for entry in self.training])
        self._average = self._column([entry.average for entry in self.training])

    def _step(self, gradient: Tensor, rate: Tensor) -> None:
        with torch.no_grad():
            flat = self._flat
            self._steps += 1
            if any(entry.clip for entry in self.training):
                clip(gradient, self._clip)
            if any(entry.l2 for entry in self.training):
                shrink(flat.values, rate * self._l2 * flat.is_weight)
            self.optimizer.update(flat.values, gradient, self._flat_moments, self._steps, rate)
            if any(entry.l1 for entry in self.training):
                soften(flat.values, rate * self._l1 * flat.is_weight)
            if self.averaged is not self.model:
                # The decay grows with the steps taken, so that the mean soon forgets the initial weights.
                decay = torch.minimum(self._average, self._steps / (self._steps + 10))
                self._flat_averaged.lerp_(flat.values, 1 - decay)

    def _rate(self, trial: int) -> float:
        entry = self.training[trial]
        if entry.schedule == "constant":
            return entry.learning_rate
        return entry.learning_rate * (1 + math.cos(math.pi * min(self.epochs[trial] / self.budget, 1))) / 2

    def _order(self, seeds: Sequence[int], n: int) -> Tensor:
        generators = [torch.Generator().manual_seed(hashed_seed(seed, "order")) for seed in seeds]
        return torch.stack([torch.randperm(n, generator=generator) for generator in generators]).to(self.rows.device)

    def _column(self, values: Sequence[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.float32, device=self.rows.device).view(-1, 1)
