"""Random numbers of a pack: slice i of every draw depends on trial i's own seed alone.

Notation: pack = trials stacked on the leading axis, rows = rows of one draw, width = a trial's own number of columns.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import final

import torch
from torch import Tensor

BLOCK = 2048  # rows drawn at a time: fixed, because the numbers themselves depend on how a stream is cut


def hashed_seed(*parts: int | str) -> int:
    """Seed in [0, 2^63) that mixes all `parts`; neighbouring parts give unrelated seeds."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


@final
class Noise:
    """Named streams of random numbers for the trials of a pack.

    Every (trial, key) pair is a stream of its own, and each call takes the next `rows` rows of it, so that what one
    trial or one layer draws never shifts what another one gets. Numbers are drawn on the CPU, many steps at a time,
    and are the same on every device.

    Args:
        seeds: one seed a trial, `pack` of them.
        rows: rows of each draw (the batch size in training, the sample size in sampling).
        device: where the draws are wanted.
    """

    def __init__(self, seeds: Sequence[int], rows: int, device: torch.device | str = "cpu") -> None:
        self.seeds = tuple(seeds)
        self.rows = rows
        self.device = torch.device(device)
        self.whole = False  # whether a model that may stop drawing early goes on all the same
        self._steps = max(1, BLOCK // rows)
        self._generators: dict[str, list[torch.Generator]] = {}
        self._blocks: dict[str, Tensor] = {}
        self._used: dict[str, int] = {}

    def normal(self, key: str, widths: Sequence[int]) -> Tensor:
        """Standard normal `[pack, rows, max(widths)]`, zero beyond each trial's own width."""
        return self._next(key, torch.randn, widths)

    def uniform(self, key: str, widths: Sequence[int]) -> Tensor:
        """Uniform on [0, 1) `[pack, rows, max(widths)]`, zero beyond each trial's own width."""
        return self._next(key, torch.rand, widths)

    def dropout(self, key: str, widths: Sequence[int], rates: Sequence[float]) -> Tensor | None:
        """Multipliers `[pack, rows, max(widths)]`: 0 with chance `rate`, else 1 / (1 - rate); None without rates."""
        if not any(rates):
            return None
        rate = torch.tensor(rates, device=self.device).view(-1, 1, 1)
        return (self._next(key, torch.rand, widths) >= rate) / (1 - rate)

    def _next(self, key: str, draw: Callable[..., Tensor], widths: Sequence[int]) -> Tensor:
        step = self._used.get(key, 0) % self._steps
        if step == 0:
            self._blocks[key] = self._draw(key, draw, widths)
        self._used[key] = self._used.get(key, 0) + 1
        return self._blocks[key][:, step]

    def _draw(self, key: str, draw: Callable[..., Tensor], widths: Sequence[int]) -> Tensor:
        if key not in self._generators:
            self._generators[key] = [torch.Generator().manual_seed(hashed_seed(seed, key)) for seed in self.seeds]
        block = torch.zeros(len(self.seeds), self._steps, self.rows, max(widths))
        for trial, (generator, width) in enumerate(zip(self._generators[key], widths, strict=True)):
            block[trial, :, :, :width] = draw(self._steps, self.rows, width, generator=generator)
        return block.to(self.device)
