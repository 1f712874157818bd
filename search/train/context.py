"""What all trials of a search share: rows, features and judge; and the samples that trials are judged by."""

import pickle
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, SupportsIndex

import numpy as np
import torch
from torch import Tensor

from models import MODELS, Model, Noise, Shape
from models.features import FEATURES, FeatureName, Features
from models.noise import hashed_seed
from objectives import OBJECTIVES, Judge, Rows
from objectives.losses import Objective
from search.study.budget import Budget
from search.study.goals import Goals
from search.study.plugins import pickled_by_value

ROWS = 1000  # whose sampling is timed
EPOCH_ROWS = Budget().epoch_rows
TIMES = 5


@dataclass(frozen=True)
class Featured:
    """Training and validation rows as networks see them, `[n, features]` float32, and the map that made them."""

    features: Features
    train: Tensor
    validation: Tensor


@dataclass(frozen=True, kw_only=True)
class TrialContext:
    """What every trial of a search shares, sent to the workers once.

    Args:
        rows: training, validation and test rows in the user's units.
        columns: their names.
        shape: what the problem asks of a model.
        judge: of the validation rows.
        epochs: full budget.
        evaluations: epochs at which a trial is judged, ascending; the last is the full budget.
        eval_samples: samples a judgement takes the median of.
        horizon: epochs over which a learning rate falls; `epochs`, unless training is known to end before.
        models, objectives: the classes to choose from by name; a worker's own registries may lack them.
        sources: for each model that is a plug-in, the text of its module, or "" where there is none.
        replicas: networks of each trial, of different seeds.
        epoch_rows: most training rows of an epoch, and of a closed-form fit.
        goals: of the search.
    """

    rows: Rows
    columns: tuple[str, ...]
    shape: Shape
    judge: Judge
    epochs: int
    evaluations: Sequence[int]
    eval_samples: int
    horizon: int = 0
    models: Mapping[str, type[Model]] = field(default_factory=lambda: MODELS)
    objectives: Mapping[str, type[Objective[Any]]] = field(default_factory=lambda: OBJECTIVES)
    sources: Mapping[str, str] = field(default_factory=dict)
    replicas: int = 1
    epoch_rows: int = EPOCH_ROWS
    goals: Goals = field(default_factory=Goals)
    _featured: dict[tuple[str, str], Featured] = field(default_factory=dict, init=False, repr=False, compare=False)

    def featured(self, name: FeatureName, device: str) -> Featured:
        """Rows in the features `name` on a device; made once, and shared by all trials of this process.

        Raises:
            ValueError: the data can't take these features.
        """
        if (name, device) not in self._featured:
            train, validation = torch.from_numpy(self.rows.train), torch.from_numpy(self.rows.validation)
            features = FEATURES[name](train)
            self._featured[name, device] = Featured(
                features, features(train).float().to(device), features(validation).float().to(device)
            )
        return self._featured[name, device]

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[Callable[..., "TrialContext"], tuple[Any, ...]]:
        # Plug-ins travel by value, and rows in buffers of their own, which Ray's workers of one machine share.
        buffers: list[pickle.PickleBuffer] = []
        content = {name: value for name, value in vars(self).items() if name != "_featured"}
        return _unpacked, (pickled_by_value(content, buffers.append if int(protocol) >= 5 else None), buffers)


def _unpacked(content: bytes, buffers: Sequence[Any]) -> TrialContext:
    return TrialContext(**pickle.loads(content, buffers=buffers))


def sample_seconds(model: Model, features: Features, seed: int) -> float:
    """Seconds that one network takes to sample 1,000 rows in the user's units: the least of several times.

    On a core it's processor time of this thread, which others that want the core don't lengthen.
    """
    on_core = next((tensor.device.type == "cpu" for tensor in model.state_dict().values()), True)
    clock, seconds = time.thread_time if on_core else time.perf_counter, []
    for number in range(TIMES):
        began = clock()
        draw_samples(model, [features], 1, ROWS, seeds=[hashed_seed(seed, "timing", number)])
        seconds.append(clock() - began)
    return min(seconds)


def draw_samples(
    model: Model, features: Sequence[Features], count: int, rows: int, *, seeds: Sequence[int]
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
