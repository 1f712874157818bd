"""What a step of one network costs in processor time, plain and stacked, and the share of the core's peak it reaches.

Peak is the best that `torch.baddbmm` reached on this core, over several shapes of matrices that suit it.
"""

import time
from collections.abc import Callable, Sequence

import torch
from cases import TITLES, configurations, listed, packed, plainly, products, task
from page import table
from plain import Training

STACKED = 32
SHAPES = ((1, 512, 512), (4, 256, 256), (16, 128, 128), (64, 64, 64))


def step_table(quick: bool) -> str:
    """Microseconds of a network's step and share of peak, by case: plain, plain with a fused Adam, genseek."""
    torch.set_num_threads(1)
    best = peak()
    rows = []
    for case, title in TITLES.items():
        study = listed(case, STACKED, 1)
        shared, chosen = task(study), configurations(study)
        train = shared.featured(chosen[0].training.features, "cpu").train
        pack, single = packed(shared, chosen), packed(shared, chosen[:1])
        plain, fused = (Training(plainly(chosen[0]), train, epochs=1, seed=0, fused=fused) for fused in (False, True))
        calls = (plain.epoch, fused.epoch, single.advance, pack.advance)
        networks = (1, 1, 1, len(chosen))
        epochs = least(calls, 2 if quick else 7)
        seconds = [each / plain.steps / count for each, count in zip(epochs, networks, strict=True)]
        rows.append(
            [
                title,
                *(f"{1e6 * each:.0f} ({2 * products(single) / each / best:.1%})" for each in seconds),
                f"{seconds[0] / seconds[-1]:.1f}",
            ]
        )
    heads = ["µs a network-step (share of peak)", "plain", "plain, fused Adam", "genseek, 1", f"genseek, {STACKED}"]
    return f"{table([*heads, 'plain / stacked'], rows)}\nPeak: {best / 1e9:.0f} GFLOP/s a core with `torch.baddbmm`.\n"


def peak() -> float:
    """Floating-point operations a second of one core, at best."""
    rates = []
    for pack, inner, outer in SHAPES:
        x, weight, bias = torch.ones(pack, inner, inner), torch.ones(pack, inner, outer), torch.ones(pack, 1, outer)
        again = max(1, 2**28 // (pack * inner * inner * outer))

        def multiplied(x: torch.Tensor = x, w: torch.Tensor = weight, b: torch.Tensor = bias, n: int = again) -> None:
            for _ in range(n):
                torch.baddbmm(b, x, w)

        rates.append(2 * again * pack * inner * inner * outer / least([multiplied], 7)[0])
    return max(rates)


def least(calls: Sequence[Callable[[], object]], rounds: int) -> list[float]:
    """Least processor seconds of each call, which take turns, after a first one that doesn't count."""
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds + 1):
        for own, call in zip(times, calls, strict=True):
            began = time.thread_time()
            call()
            own.append(time.thread_time() - began)
    return [min(own[1:]) for own in times]
