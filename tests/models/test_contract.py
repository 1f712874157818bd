"""Every registered model with every objective that it serves keeps the contract of search/testing.py."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from itertools import cycle, islice
from typing import Any, Literal

import pytest
import torch
from torch import Tensor, nn

from models import MODELS as REGISTERED, Noise
from models.adapter import pushforward_of
from models.pack import join, keep
from objectives.losses import OBJECTIVES
from search.testing import (
    NETWORKS,
    PAIRINGS,
    SHAPE,
    Losses,
    Networks,
    Pairing,
    arguments_vary,
    history,
    keep_gives_back_losses,
    poisoned,
)


class Plain(nn.Module):
    """A module without leading axis."""

    def __init__(
        self, inputs: int, outputs: int, *, width: int = 6, norm: Literal["none", "layer", "batch"] = "none"
    ) -> None:
        super().__init__()
        norms: dict[str, Any] = {"none": nn.Identity, "layer": nn.LayerNorm, "batch": nn.BatchNorm1d}
        # No bias before batch normalisation, which takes it away again: Adam would follow the rounding of its gradient.
        first = nn.Linear(inputs, width, bias=norm != "batch")
        self.layers = nn.Sequential(first, norms[norm](width), nn.SiLU(), nn.Linear(width, outputs))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return y


MODELS = {**REGISTERED, "adapted": pushforward_of(Plain)}

# A new model or objective joins these tests with one entry here; every keyword argument must take two values at least.
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "pushforward": [
        {"width": 5, "depth": 2, "activation": "tanh"},
        {"width": 9, "depth": 1, "activation": "relu", "noise": 3, "dropout": 0.3},
        {"width": 4, "depth": 4, "activation": "silu", "noise": 1},
        {"width": 6, "depth": 3, "activation": "sigmoid", "output": "sigmoid", "dropout": 0.1},
        {"width": 1, "depth": 1, "activation": "elu", "noise": 2},
        {"width": 7, "depth": 2, "activation": "leaky_relu"},
    ],
    "chained": [
        {"width": 5, "depth": 2},
        {"width": 9, "depth": 1, "activation": "relu", "noise": 3, "dropout": 0.3},
        {"width": 4, "depth": 3, "activation": "elu", "noise": 1},
        {"width": 8, "depth": 1, "output": "sigmoid", "dropout": 0.1},
        {"width": 1, "depth": 1, "activation": "elu", "noise": 2},
        {"width": 7, "depth": 2, "activation": "leaky_relu"},
    ],
    "stochastic": [
        {"width": 5, "depth": 2, "activation": "tanh"},
        {"width": 9, "depth": 1, "noise": 3, "dropout": 0.3},
        {"width": 8, "depth": 4, "activation": "silu", "noise": 1, "taper": 0.5},
        {"width": 6, "depth": 3, "activation": "sigmoid", "taper": 0.7, "dropout": 0.1},
        {"width": 1, "depth": 1, "activation": "elu", "noise": 2},
        {"width": 7, "depth": 2, "activation": "leaky_relu"},
    ],
    "vae": [
        {"latent": 2, "encoder_width": 5, "encoder_depth": 1, "decoder_width": 8, "decoder_depth": 2, "sigma": 0.7},
        {"latent": 5, "encoder_width": 9, "encoder_depth": 3, "decoder_width": 3, "decoder_depth": 1, "dropout": 0.3},
        {"latent": 1, "encoder_width": 4, "encoder_depth": 2, "decoder_width": 6, "decoder_depth": 4,
         "activation": "sigmoid", "output": "sigmoid"},
        {"latent": 3, "encoder_width": 6, "decoder_width": 5, "activation": "tanh", "learn_sigma": True},
        {"latent": 2, "encoder_width": 7, "decoder_width": 7, "activation": "silu", "dropout": 0.1},
        {"latent": 4, "encoder_width": 1, "decoder_width": 1, "activation": "elu", "learn_sigma": True},
    ],
    "adapted": [
        {"width": 5},
        {"width": 9, "noise": 2, "norm": "batch"},
        {"width": 7, "norm": "layer"},
        {"width": 5, "noise": 1},
        {"width": 5},
        {"width": 3, "norm": "batch"},
    ],
    "ae": [
        {"latent": 2, "encoder_width": 5, "encoder_depth": 1, "decoder_width": 8, "decoder_depth": 2, "sigma": 0.7},
        {"latent": 4, "encoder_width": 9, "encoder_depth": 3, "decoder_width": 3, "decoder_depth": 1, "dropout": 0.3},
        {"latent": 1, "encoder_width": 4, "encoder_depth": 2, "decoder_width": 6, "decoder_depth": 4,
         "activation": "sigmoid", "output": "sigmoid"},
        {"latent": 3, "encoder_width": 6, "decoder_width": 5, "activation": "tanh", "learn_sigma": True},
        {"latent": 2, "encoder_width": 7, "decoder_width": 7, "activation": "silu", "dropout": 0.1},
    ],
    "lars_vae": [
        {"latent": 2, "encoder_width": 5, "encoder_depth": 1, "decoder_width": 8, "sigma": 0.7, "acceptance_width": 6},
        {"latent": 4, "encoder_width": 9, "decoder_width": 3, "decoder_depth": 1, "dropout": 0.3, "truncation": 3,
         "acceptance_width": 3, "acceptance_depth": 1},
        {"latent": 1, "encoder_width": 4, "decoder_width": 6, "activation": "sigmoid", "output": "sigmoid",
         "acceptance_depth": 3, "acceptance_width": 4},
        {"latent": 3, "encoder_width": 6, "decoder_width": 5, "activation": "tanh", "learn_sigma": True},
        {"latent": 2, "encoder_width": 7, "decoder_width": 7, "truncation": 2, "acceptance_width": 8},
    ],
    "diffusion": [
        {"width": 5, "depth": 2, "steps": 6},
        {"width": 9, "depth": 1, "steps": 11, "dropout": 0.3},
        {"width": 4, "depth": 4, "steps": 3, "activation": "tanh"},
        {"width": 6, "activation": "relu", "dropout": 0.1},
        {"width": 1, "depth": 1, "steps": 2, "activation": "elu"},
    ],
    "flow_matching": [
        {"width": 5, "depth": 2, "steps": 4},
        {"width": 9, "depth": 1, "steps": 7, "solver": "euler", "dropout": 0.3},
        {"width": 4, "depth": 4, "steps": 1, "activation": "tanh"},
        {"width": 6, "steps": 12, "solver": "euler", "activation": "relu", "dropout": 0.1},
        {"width": 1, "depth": 1, "steps": 3, "activation": "elu"},
    ],
    "spline_flow": [
        {"width": 5, "depth": 2, "bins": 4},
        {"width": 9, "depth": 1, "bins": 7, "dropout": 0.3},
        {"width": 4, "depth": 4, "bins": 2, "activation": "tanh"},
        {"width": 6, "activation": "sigmoid", "dropout": 0.1},
        {"width": 1, "depth": 1, "bins": 10, "activation": "elu"},
    ],
    "gaussian": [{}] * 5,
    "kde": [
        {"centres": 10},
        {"bandwidth": 0.5},
        {"bandwidth": 2.0, "centres": 96},
        {"centres": 500},
        {"bandwidth": 0.1, "centres": 2},
    ],
    "gmm": [
        {"components": 2},
        {"components": 4, "covariance": "tied"},
        {"components": 1, "covariance": "spherical"},
        {"components": 3, "covariance": "diag"},
        {"components": 3, "select": "bic"},
    ],
    "gaussian_copula": [
        {"quantiles": 50},
        {"quantiles": 96},
        {"quantiles": 2},
        {"quantiles": 300},
        {},
    ],
    "vine": [
        {"quantiles": 50},
        {"quantiles": 96, "pairs": "parametric"},
        {"quantiles": 2},
        {"quantiles": 300},
        {},
    ],
    "t_copula": [
        {"quantiles": 50},
        {"quantiles": 96},
        {"quantiles": 2},
        {"quantiles": 300},
        {},
    ],
}  # fmt: skip
LOSSES: dict[str, list[dict[str, Any]]] = {
    "mmd": [{"kernel": "fixed"}, {"bandwidth": 0.5}, {"kernel": "fixed", "bandwidth": 2.0}, {}],
    "energy": [{}],
    "sliced_wasserstein": [{"projections": 5}, {"projections": 40}, {"projections": 1}],
    "gan": [
        {"critic_width": 5, "critic_depth": 1},
        {"critic_width": 8, "critic_depth": 3, "critic_steps": 3, "critic_rate": 3e-3},
        {"critic_width": 3, "critic_steps": 2},
    ],
    "wgan_gp": [
        {"critic_width": 5, "critic_depth": 1, "critic_steps": 2, "critic_rate": 1e-4},
        {"critic_width": 8, "critic_depth": 3, "critic_steps": 3, "gradient_penalty": 10.0},
        {"critic_width": 3, "critic_steps": 1, "critic_rate": 1e-4, "gradient_penalty": 0.1},
    ],
    "moment_kl": [{}],
    "elbo": [{"beta": 0.5}, {"ramp": "warm_up", "ramp_steps": 5}, {"beta": 2.0, "ramp": "adaptive", "ramp_steps": 2}],
    "reconstruction": [{}],
    "w2_vae": [{"lam": 0.5}, {"ramp": "warm_up", "ramp_steps": 7}, {"ramp": "adaptive", "ramp_steps": 1}],
    "wae_mmd": [{"lam": 0.5}, {"ramp": "warm_up", "ramp_steps": 5}, {"ramp": "adaptive", "ramp_steps": 2}],
    "wae_gan": [
        {"lam": 0.5, "critic_width": 4, "critic_depth": 1},
        {"ramp": "warm_up", "ramp_steps": 5, "critic_width": 7},
        {"ramp": "adaptive", "ramp_steps": 2, "critic_width": 3, "critic_depth": 3, "critic_rate": 1e-2},
    ],
    "lars_vae": [{"lam": 0.5}, {"ramp": "warm_up", "ramp_steps": 5}, {"ramp": "adaptive", "ramp_steps": 2}],
    "denoising": [{}, {"noise_mean": 0.0}, {"noise_deviation": 0.5}],
    "flow_matching": [{"pairing": "optimal"}, {"pairing": "independent"}, {}],
    "likelihood": [{}],
    "nll": [{}],
}


def protocol_met(model: str, objective: str) -> bool:
    return isinstance(MODELS[model](SHAPE, 0), OBJECTIVES[objective].protocol)


PAIRS = [(model, objective) for model in MODELS for objective in OBJECTIVES if protocol_met(model, objective)]


def covering() -> set[tuple[str, str]]:
    """Pairs in which every model and every objective stands; all pairs take minutes, and are for `-m slow`."""
    served: dict[type, tuple[dict[str, None], dict[str, None]]] = defaultdict(lambda: ({}, {}))
    for model, objective in PAIRS:
        models, objectives = served[OBJECTIVES[objective].protocol]
        models[model] = objectives[objective] = None
    return {
        pair
        for models, objectives in served.values()
        for pair in islice(zip(cycle(models), cycle(objectives), strict=False), max(len(models), len(objectives)))
    }


COVERING = covering()
pairs = pytest.mark.parametrize(
    ("model", "objective"),
    [pytest.param(*pair, marks=() if pair in COVERING else pytest.mark.slow) for pair in PAIRS],
)
# A closed form is fitted alone, in a loop over the pack: what says that is quick, the rest is for `-m slow`.
FITTED = ("alone_equals_in_company", "restored_training_equals_uninterrupted_training")
IN_FULL = [
    pytest.param(*pair, clause, marks=() if quick else pytest.mark.slow, id=f"{'-'.join(pair)}-{clause.__name__}")
    for pair in PAIRS
    for clause in PAIRINGS
    for quick in [pair in COVERING and (pair[1] != "likelihood" or clause.__name__ in FITTED)]
]


def still(name: str, arguments: Mapping[str, Any]) -> bool:
    """Whether no gradient reaches a parameter by design: a sigma that isn't learned."""
    return name.endswith("log_sigma") and not arguments.get("learn_sigma", False)


def networks(model: str) -> Networks:
    return Networks(MODELS[model], VARIANTS.get(model, []))


def losses(objective: str) -> Losses:
    return Losses(OBJECTIVES[objective], LOSSES.get(objective, []))


def pairing(model: str, objective: str) -> Pairing:
    return Pairing(networks(model), losses(objective), still)


def test_every_model_and_objective_is_served() -> None:
    assert set(PAIRS) >= COVERING
    assert {model for model, _ in COVERING} == set(MODELS)
    assert {objective for _, objective in COVERING} == set(OBJECTIVES)


@pytest.mark.parametrize(
    "subject",
    [pytest.param(networks(name), id=name) for name in MODELS]
    + [pytest.param(losses(name), id=name) for name in OBJECTIVES],
)
def test_variants_vary_every_argument(subject: Networks | Losses) -> None:
    arguments_vary(subject)


@pytest.mark.parametrize(("model", "objective", "clause"), IN_FULL)
def test_models_with_objectives(model: str, objective: str, clause: Callable[[Pairing], None]) -> None:
    clause(pairing(model, objective))


@pytest.mark.parametrize("clause", NETWORKS, ids=lambda clause: clause.__name__)
@pytest.mark.parametrize("model", MODELS)
def test_models(model: str, clause: Callable[[Networks], None]) -> None:
    clause(networks(model))


@pytest.mark.parametrize("model", MODELS)
def test_what_is_kept_is_cropped_and_samples_bit_for_bit(model: str) -> None:
    originals = networks(model).all()
    pack = join(originals)
    for trial, original in enumerate(originals):
        alike = keep(pack, [trial])
        shapes = [{name: value.shape for name, value in module.state_dict().items()} for module in (alike, original)]
        assert shapes[0] == shapes[1]
        assert torch.equal(*(module.sample(Noise([trial], 9)) for module in (alike, original)))


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_keep_gives_back_objectives_too(objective: str) -> None:
    keep_gives_back_losses(losses(objective))


@pairs
def test_what_harms_no_other_is_harmed_itself(model: str, objective: str) -> None:
    diverging = pairing(model, objective).alone(1, learning_rate=1e38)
    assert not history(diverging, 3)[-1].isfinite().any() or diverging.closed_form
    for poison in (float("nan"), float("inf")):
        company = poisoned(pairing(model, objective), poison)
        assert not history(company, 2)[:, 1].isfinite().any() or not list(company.model.parameters())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pairs
def test_gpu_gives_the_numbers_of_the_cpu(model: str, objective: str) -> None:
    tried = pairing(model, objective)
    on_cpu, on_gpu = tried.together(), tried.together(device="cuda")
    torch.testing.assert_close(history(on_gpu, 2).cpu(), history(on_cpu, 2), rtol=1e-3, atol=1e-4)
    seeds = list(tried.trials)
    rows = on_gpu.model.sample(Noise(seeds, 50, "cuda"))
    torch.testing.assert_close(rows.cpu(), on_cpu.model.sample(Noise(seeds, 50)), rtol=1e-2, atol=1e-2)
    again = tried.together(device="cuda")
    again.restore(on_gpu.state())
    torch.testing.assert_close(history(again, 1), history(on_gpu.keep(seeds), 1), rtol=1e-4, atol=1e-5)
