"""Samples that trials are judged by."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from models import Model, Noise
from models.features import Features
from models.noise import hashed_seed

ROWS = 1000  # whose sampling is timed
TIMES = 5


def sample_seconds(model: Model, features: Features, seed: int) -> float:
    """Seconds that one network takes to sample 1,000 rows in the user's units: the least of several times.

    On a core it's processor time of this thread, which others that want the core don't lengthen.
    """
    on_core = next((tensor.device.type == "cpu" for tensor in model.state_dict().values()), True)
    clock, seconds = time.thread_time if on_core else time.perf_counter, []
    for number in range(TIMES):
        began = clock()
        draws(model, [features], 1, ROWS, [hashed_seed(seed, "timing", number)])
        seconds.append(clock() - began)
    return min(seconds)


def draws(
    model: Model, features: Sequence[Features], count: int, rows: int, seeds: Sequence[int]
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """`[pack, count, rows, columns]` in the user's units: `count` samples of each network, the same for its seed."""
    device = next((tensor.device for tensor in model.state_dict().values()), torch.device("cpu"))
    with torch.no_grad():
        samples = [
            model.sample(Noise([hashed_seed(seed, "draws", number) for seed in seeds], rows, device)).cpu().double()
            for number in range(count)
        ]
    drawn = torch.stack(samples, 1).flatten(1, 2)
    units = [own.inverse(each).numpy() for own, each in zip(features, drawn, strict=True)]
    return np.stack(units).reshape(len(units), count, rows, -1)
