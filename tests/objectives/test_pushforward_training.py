"""Short trainings: every objective of a pushforward brings its samples closer to the data, by another score."""

from typing import Any

import numpy as np
import pytest
import torch

from models import MODELS, Noise, Shape
from objectives.losses import OBJECTIVES
from objectives.scores.mmd import mmd
from search.study.configuration import Training
from search.train.pack import Pack

ROWS = 500
MIXING = np.array([[0.7, 0.4], [0.0, 0.3]])
CASES = [
    ("pushforward", "mmd"),
    ("pushforward", "energy"),
    ("pushforward", "sliced_wasserstein"),
    ("pushforward", "moment_kl"),
    ("pushforward", "gan"),
    ("pushforward", "wgan_gp"),
    ("stochastic", "energy"),
    ("stochastic", "moment_kl"),
    ("chained", "energy"),
]


def rows(seed: int) -> Any:
    """A correlated Gaussian off the origin `[n, 2]`."""
    return np.random.default_rng(seed).standard_normal((ROWS, 2)) @ MIXING + [1.0, -0.5]


@pytest.mark.parametrize(("model", "objective"), CASES)
def test_training_brings_samples_closer(model: str, objective: str) -> None:
    train, held = torch.from_numpy(rows(1)).float(), rows(2)
    squared_bandwidth = float(torch.pdist(train).square().median())
    trainer = Pack(
        MODELS[model](Shape(features=2, source="normal", source_features=2), 0, width=24),
        OBJECTIVES[objective](train, 0),
        train.unsqueeze(0),
        [Training(learning_rate=5e-3, batch=125, average=0.9)],
        seeds=[0],
        budget=100,
    )

    def distance() -> float:
        with torch.no_grad():
            sample = trainer.averaged.sample(Noise([3], ROWS))
        return float(mmd(held, sample[0].double().numpy(), squared_bandwidth))

    before = distance()
    for _ in range(40):
        trainer.advance()
    assert before > 0.1
    assert distance() < 0.2 * before
