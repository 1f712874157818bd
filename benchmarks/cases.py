"""What the benchmarks train: studies of genseek, their tasks, and the same configurations for the plain side."""

from dataclasses import replace
from typing import Any

import numpy as np

from search.run.prepare import task_of
from search.study.configuration import Configuration
from search.study.parse import parse_study, problem_of
from search.study.study import Study, check_point
from search.train.context import TrialContext
from search.train.pack import Pack
from search.train.trial import Trial

F1 = """
[problem]
name = "gaussian_to_uniform"
[training]
learning_rate = { low = 1e-4, high = 1e-2, log = true }
batch = 64
[models.pushforward]
width = 64
depth = 2
[objectives.mmd]
kernel = "fixed"
"""
MIXTURE = F1.replace('kernel = "fixed"', "")
WIDE = F1.replace("batch = 64", "batch = 100").replace("width = 64", "width = 125")
VAE = """
[problem]
name = "returns_4d"
[training]
features = "log1p"
learning_rate = { low = 1e-4, high = 1e-2, log = true }
batch = 64
[models.vae]
latent = 2
encoder_width = 32
encoder_depth = 2
decoder_width = 32
decoder_depth = 2
[objectives.elbo]
"""
STUDIES = {"f1": F1, "f1, mixture": MIXTURE, "f1, 125 wide": WIDE, "VAE": VAE}
TITLES = {
    "f1": "f1: 2-64-64-2, MMD with one kernel, batch 64",
    "f1, mixture": "f1 with a mixture of five kernels",
    "f1, 125 wide": "f1, wide: 2-125-125-2, one kernel, batch 100",
    "VAE": "VAE: 4-32-32-2-32-32-4, ELBO, batch 64",
}


def listed(case: str, trials: int, epochs: int) -> Study:
    """Study of `trials` learning rates, a fixed list: no trial stops early, and all are judged once, at the end."""
    study = parse_study(STUDIES[case], case, case)
    points = [{"learning_rate": float(rate)} for rate in np.geomspace(1e-4, 1e-2, trials)]
    budget = replace(study.budget, trials=trials, epochs=epochs, grace=epochs, evaluations=1, device="cpu")
    return replace(study, points=points, sampler="points", budget=budget)


def configurations(study: Study) -> list[Configuration]:
    """Configuration of every point."""
    return [check_point(study, point) for point in study.points]


def task(study: Study) -> TrialContext:
    """Rows and judge of a study."""
    return task_of(study, problem_of(study))


def packed(task: TrialContext, chosen: list[Configuration]) -> Pack:
    """Untrained networks of the configurations, stacked."""
    return Pack.join([Trial(each, task, seed).untrained() for seed, each in enumerate(chosen)])


def plainly(configuration: Configuration) -> dict[str, Any]:
    """A configuration as the plain side reads it."""
    flat = configuration.flat()
    return flat | {"width": flat.get("width", flat.get("encoder_width")), "depth": flat.get("depth", 2)}


def products(pack: Pack) -> int:
    """Multiplications of a step of one network: batch times weights, once forwards and twice backwards."""
    weights = sum(value[0].numel() for name, value in pack.model.named_parameters() if name.endswith("weight"))
    return 3 * pack.training[0].batch * weights
