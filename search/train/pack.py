"""The pack: stacked stochastic gradient training of networks, epoch by epoch.

A network's result depends on its configuration and seed alone: the order of rows and all noise of an epoch come from
(seed, epoch), not from its company in the pack, a restart or the clock.

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
from search.study.configuration import Training
from search.train.context import EPOCH_ROWS


@final
class Pack:
    """Trains networks that share model family, objective and batch size.

    Args:
        model, objective: the pack's, joined along the leading axis.
        rows: training features `[n, features]` of each network, float32; several may share one tensor.
        training: how each network is trained.
        seeds: one a network.
        budget: epochs at which a cosine schedule ends.
        epoch_rows: most rows of an epoch. Of more rows it takes the next ones in their order, which it shuffles.

    Raises:
        ValueError: batch sizes, or numbers of rows, differ.
    """

    def __init__(
        self,
        model: Model,
        objective: Objective[Any],
        rows: Tensor | Sequence[Tensor],
        training: Sequence[Training],
        *,
        seeds: Sequence[int],
        budget: int,
        epoch_rows: int = EPOCH_ROWS,
    ) -> None:
        self.rows = list(rows)
        if len({(len(own), entry.batch) for own, entry in zip(self.rows, training, strict=True)}) != 1:
            raise ValueError("networks of one pack must share batch and number of rows")
        self.device = self.rows[0].device
        self.model, self.objective = model.to(self.device), objective.to(self.device)
        self.training, self.seeds, self.budget = tuple(training), tuple(seeds), budget
        self.epoch_rows = min(epoch_rows, len(self.rows[0]))
        self.epochs = [0] * len(training)
        self.closed_form = False  # known after the first step: a loss without gradient has nothing to descend
        self._moments: list[nn.Module] = [zeros_like(model) for _ in range(_moments(training))]
        # What is judged and exported: a running mean of the model, or the model itself where no trial wants a mean.
        self.averaged: Model = copy.deepcopy(model) if any(entry.average for entry in training) else model
        self._steps = torch.zeros(len(training), 1, device=self.device)
        self._flatten()

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return max(1, self.epoch_rows // self.training[0].batch)

    def advance(self) -> Tensor:
        """Train every network for one epoch; mean training loss `[pack]`, NaN or inf where one diverged."""
        pack, n = len(self.rows), self.epoch_rows
        batch = min(self.training[0].batch, n)
        seeds = [hashed_seed(seed, epoch) for seed, epoch in zip(self.seeds, self.epochs, strict=True)]
        noise = Noise(seeds, batch, self.device)
        shuffled = torch.stack(
            [
                _next(rows, epoch, n)[_order(seed, n).to(self.device)]
                for seed, epoch, rows in zip(seeds, self.epochs, self.rows, strict=True)
            ]
        )
        rate = self._column([self._rate(trial) for trial in range(pack)])
        total = torch.zeros(pack, device=self.device)
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

    def finalize(self) -> None:
        """Fit what is not descended but estimated from the trained weights, such as a normaliser, before judging."""
        seeds = [hashed_seed(seed, epoch, "conclude") for seed, epoch in zip(self.seeds, self.epochs, strict=True)]
        rows = torch.stack([own[: self.epoch_rows] for own in self.rows])
        with torch.no_grad():
            self.objective.finalize(self.averaged, rows, Noise(seeds, rows.shape[1], self.device))

    def loss(self, rows: Tensor, seeds: Sequence[int]) -> Tensor:
        """Loss `[pack]` on other rows `[pack, n, features]`, as in evaluation; `seeds` are those of its noise."""
        with torch.no_grad():
            return self.objective.loss(self.averaged, rows, Noise(seeds, rows.shape[1], rows.device), train=False)

    def keep(self, trials: Sequence[int]) -> "Pack":
        """Pack of the chosen networks only, which go on as if nothing had happened."""
        kept = Pack(
            keep(self.model, trials),
            keep(self.objective, trials),
            [self.rows[trial] for trial in trials],
            [self.training[trial] for trial in trials],
            seeds=[self.seeds[trial] for trial in trials],
            budget=self.budget,
            epoch_rows=self.epoch_rows,
        )
        kept._resume(
            keep(self.averaged, trials) if self.averaged is not self.model else kept.model,
            [keep(moment, trials) for moment in self._moments[: _moments(kept.training)]],
            self._steps[list(trials)],
            [self.epochs[trial] for trial in trials],
        )
        kept.closed_form = self.closed_form
        return kept

    @staticmethod
    def join(packs: Sequence["Pack"]) -> "Pack":
        """Pack of all networks of `packs`, each from the epoch that it had reached.

        Raises:
            ValueError: their budgets, batch sizes or numbers of rows differ.
        """
        if len({pack.budget for pack in packs}) != 1:
            raise ValueError("networks of one pack must share budget")
        training = [entry for pack in packs for entry in pack.training]
        joined = Pack(
            join([pack.model for pack in packs]),
            join([pack.objective for pack in packs]),
            [rows for pack in packs for rows in pack.rows],
            training,
            seeds=[seed for pack in packs for seed in pack.seeds],
            budget=packs[0].budget,
            epoch_rows=packs[0].epoch_rows,
        )
        # A pack of plain descent remembers no moments; beside Adam it is given zeros, which nothing reads.
        moments = [
            join([pack._moments[each] if each < len(pack._moments) else zeros_like(pack.model) for pack in packs])
            for each in range(_moments(training))
        ]
        joined._resume(
            join([pack.averaged for pack in packs]) if any(entry.average for entry in training) else joined.model,
            moments,
            torch.cat([pack._steps for pack in packs]),
            [epoch for pack in packs for epoch in pack.epochs],
        )
        return joined

    def state(self) -> dict[str, Tensor]:
        """Everything that training goes on from, by name; contiguous tensors on the CPU."""
        tensors = {f"{name}.{key}": value for name, part in self._parts() for key, value in part.state_dict().items()}
        tensors["steps"] = self._steps
        tensors["epochs"] = torch.tensor(self.epochs)
        return {name: value.detach().cpu().clone().contiguous() for name, value in tensors.items()}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go on from what `state` returned, in a pack of the same networks."""
        for name, part in self._parts():
            own = {key.removeprefix(f"{name}."): value for key, value in state.items() if key.startswith(f"{name}.")}
            part.load_state_dict(own)
        self._steps = state["steps"].to(self.device, copy=True)
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
        names = [entry.optimizer for entry in self.training]
        starts = [place for place in range(pack) if place == 0 or names[place] != names[place - 1]]
        # Neighbours of one optimiser are updated together.
        self._runs = [
            (OPTIMIZERS[names[start]], slice(start, stop))
            for start, stop in zip(starts, [*starts[1:], pack], strict=True)
        ]
        self._l1, self._l2, self._clip = (
            self._column(values) if any(values) else None
            for values in zip(*((entry.l1, entry.l2, entry.clip) for entry in self.training), strict=True)
        )
        self._average = self._column([entry.average for entry in self.training])

    def _step(self, gradient: Tensor, rate: Tensor) -> None:
        with torch.no_grad():
            flat = self._flat
            self._steps += 1
            if self._clip is not None:
                clip(gradient, self._clip)
            if self._l2 is not None:
                shrink(flat.values, rate * self._l2 * flat.is_weight)
            for optimizer, run in self._runs:
                moments = [moment[run] for moment in self._flat_moments[: optimizer.moments]]
                optimizer.update(flat.values[run], gradient[run], moments, self._steps[run], rate[run])
            if self._l1 is not None:
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

    def _column(self, values: Sequence[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.float32, device=self.device).view(-1, 1)


def _next(rows: Tensor, epoch: int, count: int) -> Tensor:
    """Rows of an epoch, `[count, features]`: those after the epoch before's, and after the last the first again."""
    start = epoch * count % len(rows)
    chosen = rows[start : start + count]
    return chosen if len(chosen) == count else torch.cat([chosen, rows[: count - len(chosen)]])


def _order(seed: int, n: int) -> Tensor:
    return torch.randperm(n, generator=torch.Generator().manual_seed(hashed_seed(seed, "order")))


def _moments(training: Sequence[Training]) -> int:
    return max(OPTIMIZERS[entry.optimizer].moments for entry in training)
