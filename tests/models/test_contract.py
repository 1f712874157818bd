"""Every registered model with every objective that it serves: stacking, padding and interruption change nothing.

Notation: alone = one trial in a trainer of its own, company = the same trials in one pack.
"""

import inspect
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import cycle, islice
from typing import Any, Literal

import pytest
import torch
from safetensors.torch import load, save
from torch import Tensor, nn

import search.train.pack
from models import MODELS as REGISTERED
from models import Model, Noise, Shape
from models.adapter import pushforward_of
from models.pack import join, keep, pack_size
from objectives.losses import OBJECTIVES, Objective
from search.study.configuration import Training
from search.train.pack import Pack

SHAPE = Shape(features=3, source="normal", source_features=2)
ROWS, BATCH, BUDGET = 96, 32, 4
CLOSE = {"rtol": 1e-4, "atol": 2e-5}


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
        {"width": 9, "depth": 1, "steps": 11, "noise_schedule": "linear", "dropout": 0.3},
        {"width": 4, "depth": 4, "steps": 3, "activation": "tanh"},
        {"width": 6, "steps": 30, "noise_schedule": "linear", "activation": "relu", "dropout": 0.1},
        {"width": 1, "depth": 1, "steps": 2, "activation": "elu"},
    ],
    "flow_matching": [
        {"width": 5, "depth": 2, "steps": 4},
        {"width": 9, "depth": 1, "steps": 7, "solver": "euler", "dropout": 0.3},
        {"width": 4, "depth": 4, "steps": 1, "activation": "tanh"},
        {"width": 6, "steps": 12, "solver": "euler", "activation": "relu", "dropout": 0.1},
        {"width": 1, "depth": 1, "steps": 3, "activation": "elu"},
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
    "denoising": [{}],
    "flow_matching": [{"pairing": "optimal"}, {"pairing": "independent"}, {}],
    "likelihood": [{}],
}
TRAININGS = [
    Training(learning_rate=3e-3, batch=BATCH),
    Training(learning_rate=1e-2, batch=BATCH, l1=0.05, average=0.8),
    Training(learning_rate=5e-3, batch=BATCH, l2=0.5, schedule="cosine"),
]


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
families = pytest.mark.parametrize("model", MODELS)


def network(model: str, trial: int) -> Model:
    return MODELS[model](SHAPE, trial, **VARIANTS[model][trial])


def networks(model: str) -> list[Model]:
    return [network(model, trial) for trial in range(len(VARIANTS[model]))]


def data(trial: int) -> Tensor:
    generator = torch.Generator().manual_seed(100 + trial)
    return torch.randn(ROWS, 3, generator=generator) @ torch.tensor([[1.0, 0.5, 0], [0, 1, -1], [0.3, 0, 0.6]])


def criterion(objective: str, trial: int) -> Objective[Any]:
    return OBJECTIVES[objective](data(trial), trial, **LOSSES[objective][trial % len(LOSSES[objective])])


def prepared(model: str, objective: str, trial: int) -> tuple[Model, Objective[Any]]:
    single, loss = network(model, trial), criterion(objective, trial)
    loss.prepare(single, data(trial).unsqueeze(0))
    return single, loss


def alone(model: str, objective: str, trial: int, device: str = "cpu", **changes: Any) -> Pack:
    return Pack(
        *prepared(model, objective, trial),
        data(trial).unsqueeze(0).to(device),
        [replace(TRAININGS[trial % len(TRAININGS)], **changes)],
        [1000 + trial],
        BUDGET,
    )


def together(model: str, objective: str, trials: Sequence[int], device: str = "cpu") -> Pack:
    return Pack.join([alone(model, objective, trial, device) for trial in trials])


def everyone(model: str) -> range:
    return range(len(VARIANTS[model]))


def history(trainer: Pack, epochs: int) -> Tensor:
    return torch.stack([trainer.advance() for _ in range(epochs)])


def tensors(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach() for name, value in [*module.named_parameters(), *module.named_buffers()]}


def assert_equal(one: nn.Module, other: nn.Module) -> None:
    first, second = tensors(one), tensors(other)
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert value.shape == second[name].shape, name
        assert torch.equal(value, second[name]), name


def assert_same_trial(one: Pack, other: Pack) -> None:
    assert one.epochs == other.epochs
    first, second = one.state(), other.state()
    assert first.keys() == second.keys()
    for name, value in first.items():
        # Where a critic's gradient is zero but for rounding, Adam follows the rounding.
        close = {**CLOSE, "atol": 1e-3} if "critic" in name else CLOSE
        torch.testing.assert_close(value, second[name], **close, msg=lambda text, name=name: f"{name}: {text}")


def test_every_model_and_objective_is_served() -> None:
    assert set(PAIRS) >= COVERING
    assert {model for model, _ in COVERING} == set(MODELS)
    assert {objective for _, objective in COVERING} == set(OBJECTIVES)


@pytest.mark.parametrize(
    ("registered", "arguments"),
    [pytest.param(MODELS[name], VARIANTS.get(name, []), id=name) for name in MODELS]
    + [pytest.param(OBJECTIVES[name], LOSSES.get(name, []), id=name) for name in OBJECTIVES],
)
def test_variants_vary_every_argument(registered: type, arguments: list[dict[str, Any]]) -> None:
    schema = {
        name: parameter.default
        for name, parameter in inspect.signature(registered).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    for name, default in schema.items():
        assert default is not inspect.Parameter.empty, f"{name} has no default"
        assert len({entry.get(name, default) for entry in arguments}) > 1, f"no variant changes {name}"


@pairs
def test_alone_equals_in_company(model: str, objective: str) -> None:
    company = together(model, objective, everyone(model))
    losses = history(company, 3)
    assert losses.isfinite().all()
    for trial in everyone(model):
        single = alone(model, objective, trial)
        torch.testing.assert_close(history(single, 3)[:, 0], losses[:, trial], **CLOSE)
        assert_same_trial(company.keep([trial]), single)


@pairs
def test_loss_on_other_rows_equals_in_company(model: str, objective: str) -> None:
    rows = torch.randn(len(everyone(model)), 40, 3, generator=torch.Generator().manual_seed(1))
    seeds = [50 + trial for trial in everyone(model)]
    losses = together(model, objective, everyone(model)).loss(rows, seeds)
    for trial in everyone(model):
        single = alone(model, objective, trial).loss(rows[[trial]], [seeds[trial]])
        torch.testing.assert_close(single[0], losses[trial], **CLOSE)


@pairs
def test_concluded_in_company_equals_concluded_alone(model: str, objective: str) -> None:
    company = together(model, objective, everyone(model))
    history(company, 1)
    company.conclude()
    with torch.no_grad():
        rows = company.averaged.sample(Noise([50 + trial for trial in everyone(model)], 20))
    for trial in everyone(model):
        single = alone(model, objective, trial)
        history(single, 1)
        single.conclude()
        for name, value in tensors(keep(company.averaged, [trial])).items():
            torch.testing.assert_close(value, tensors(single.averaged)[name], **CLOSE)
        with torch.no_grad():
            torch.testing.assert_close(rows[trial], single.averaged.sample(Noise([50 + trial], 20))[0], **CLOSE)


class Recorder:
    """Noise that notes each draw with the widths it was asked for."""

    def __init__(self, noise: Noise, notes: dict[tuple[str, str], list[tuple[Sequence[int], Tensor]]]) -> None:
        self.noise, self.notes, self.rows = noise, notes, noise.rows

    def normal(self, key: str, widths: Sequence[int]) -> Tensor:
        return self._note("normal", key, widths, self.noise.normal(key, widths))

    def uniform(self, key: str, widths: Sequence[int]) -> Tensor:
        return self._note("uniform", key, widths, self.noise.uniform(key, widths))

    def dropout(self, key: str, widths: Sequence[int], rates: Sequence[float]) -> Tensor | None:
        drawn = self.noise.dropout(key, widths, rates)
        return None if drawn is None else self._note("dropout", key, widths, drawn)

    def _note(self, kind: str, key: str, widths: Sequence[int], drawn: Tensor) -> Tensor:
        self.notes[kind, key].append((widths, drawn.clone()))
        return drawn


@pairs
def test_noise_in_company_is_the_same_bit_for_bit(model: str, objective: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def recorded(trainer: Pack) -> dict[tuple[str, str], list[tuple[Sequence[int], Tensor]]]:
        notes: dict[tuple[str, str], list[tuple[Sequence[int], Tensor]]] = defaultdict(list)
        monkeypatch.setattr(search.train.pack, "Noise", lambda *arguments: Recorder(Noise(*arguments), notes))
        history(trainer, 2)
        return notes

    company = recorded(together(model, objective, everyone(model)))
    for trial in everyone(model):
        for stream, draws in recorded(alone(model, objective, trial)).items():
            assert len(draws) == len(company[stream])
            for (widths, drawn), (company_widths, company_drawn) in zip(draws, company[stream], strict=True):
                assert widths == (company_widths[trial],) or list(widths) == [company_widths[trial]]
                assert torch.equal(drawn[0], company_drawn[trial, :, : widths[0]]), stream


@pairs
def test_padded_equals_unpadded_in_value_and_gradient(model: str, objective: str) -> None:
    def differentiated(network: Model, loss: Objective[Any], trials: Sequence[int]) -> tuple[Tensor, dict[str, Tensor]]:
        noise = Noise([70 + trial for trial in trials], ROWS)
        value = loss.loss(network, torch.stack([data(trial) for trial in trials]), noise)
        named = dict(network.named_parameters())
        if not value.requires_grad:
            assert not named
            return value, {}
        found = torch.autograd.grad(value.sum(), list(named.values()), allow_unused=True, materialize_grads=True)
        return value.detach(), dict(zip(named, found, strict=True))

    trials = everyone(model)
    singles, losses = zip(*(prepared(model, objective, trial) for trial in trials), strict=True)
    padded = differentiated(join(singles), join(losses), trials)
    for trial in trials:
        value, gradients = differentiated(*prepared(model, objective, trial), [trial])
        torch.testing.assert_close(value[0], padded[0][trial], **CLOSE)
        assert gradients.keys() <= padded[1].keys()
        for name, gradient in padded[1].items():
            rest = gradient[[trial]].clone()
            if name in gradients:
                corner = tuple(slice(0, size) for size in gradients[name].shape)
                torch.testing.assert_close(rest[corner], gradients[name], **CLOSE)
                rest[corner] = 0
            assert (rest == 0).all(), f"{name} of trial {trial} has a gradient in its padding"


@pairs
def test_padding_stays_zero_in_training(model: str, objective: str) -> None:
    company = together(model, objective, everyone(model))
    history(company, 2)
    for trial in everyone(model):
        own = tensors(network(model, trial))
        for name, parameter in company.model.named_parameters():
            rest = parameter.detach()[[trial]].clone()
            if name in own:
                rest[tuple(slice(0, size) for size in own[name].shape)] = 0
            assert (rest == 0).all(), name


@pairs
def test_gradients_reach_every_parameter(model: str, objective: str) -> None:
    for trial in everyone(model):
        (single, own_loss), arguments = prepared(model, objective, trial), VARIANTS[model][trial]
        loss = own_loss.loss(single, data(trial).unsqueeze(0), Noise([trial], ROWS))
        for name, parameter in single.named_parameters():
            (gradient,) = torch.autograd.grad(loss.sum(), [parameter], retain_graph=True, materialize_grads=True)
            reached = not name.endswith("log_sigma") or arguments.get("learn_sigma", False)
            assert bool((gradient != 0).any()) is reached, f"{name} of variant {trial}"


@families
def test_keep_gives_back_what_join_was_given(model: str) -> None:
    originals = networks(model)
    pack = join(originals)
    assert pack_size(pack) == len(originals)
    for trial, original in enumerate(originals):
        alike = keep(pack, [trial])
        assert_equal(alike, original)
        assert alike.facts() == original.facts() == [pack.facts()[trial]]
        noise = [Noise([trial], 9) for _ in range(2)]
        assert torch.equal(alike.sample(noise[0]), original.sample(noise[1]))


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_keep_gives_back_objectives_too(objective: str) -> None:
    originals = [criterion(objective, trial) for trial in range(len(LOSSES[objective]))]
    pack = join(originals)
    for trial, original in enumerate(originals):
        assert_equal(keep(pack, [trial]), original)


@families
def test_join_of_packs_of_different_sizes(model: str) -> None:
    several = networks(model)
    assert_equal(join([join(several[:1]), join(several[1:4]), join(several[4:])]), join(several))
    assert_equal(keep(join(several), [3, 1]), join([several[3], several[1]]))


@families
def test_parameters_counted_as_of_the_unpadded_network(model: str) -> None:
    facts = join(networks(model)).facts()
    for trial, original in enumerate(networks(model)):
        own = [p.numel() for name, p in original.named_parameters() if name.endswith(("weight", "bias"))]
        if own:  # a closed form counts its own
            assert facts[trial]["parameters"] == sum(own)
        assert facts[trial]["parameters"] > 0


@families
@pytest.mark.parametrize("source", ["normal", "uniform"])
def test_samples(model: str, source: Any) -> None:
    shape = Shape(features=4, source=source, source_features=1)
    singles = [MODELS[model](shape, trial, **arguments) for trial, arguments in enumerate(VARIANTS[model])]
    pack, seeds = join(singles), [7 + trial for trial in range(len(singles))]
    rows = pack.sample(Noise(seeds, 11))
    assert rows.shape == (len(singles), 11, 4)
    assert rows.isfinite().all()
    assert rows.std(1).min() > 0
    for trial, single in enumerate(singles):
        torch.testing.assert_close(single.sample(Noise([seeds[trial]], 11))[0], rows[trial], **CLOSE)


@pairs
def test_order_of_trials_is_irrelevant(model: str, objective: str) -> None:
    order = list(reversed(everyone(model)))
    losses = history(together(model, objective, everyone(model)), 2)
    torch.testing.assert_close(history(together(model, objective, order), 2), losses[:, order], **CLOSE)


@pairs
def test_joining_in_the_middle_equals_uninterrupted_training(model: str, objective: str) -> None:
    early, late = together(model, objective, [1, 2]), together(model, objective, [0, 3])
    history(early, 2)
    history(late, 1)
    merged = Pack.join([early, late])
    losses = history(merged, 2)
    for place, (trial, before) in enumerate([(1, 2), (2, 2), (0, 1), (3, 1)]):
        single = alone(model, objective, trial)
        torch.testing.assert_close(history(single, before + 2)[before:, 0], losses[:, place], **CLOSE)
        assert_same_trial(merged.keep([place]), single)


@pairs
def test_leaving_in_the_middle_equals_uninterrupted_training(model: str, objective: str) -> None:
    company = together(model, objective, everyone(model))
    history(company, 1)
    pair = company.keep([4, 0])
    untouched = history(company, 2)[:, [4, 0]]
    torch.testing.assert_close(history(pair, 2), untouched, **CLOSE)
    assert_same_trial(pair, company.keep([4, 0]))


@pairs
def test_restored_training_equals_uninterrupted_training(model: str, objective: str) -> None:
    company = together(model, objective, everyone(model))
    history(company, 2)
    state = company.state()
    frozen = {name: value.clone() for name, value in state.items()}
    expected = history(company, 2)
    for stored in (state, load(save(state))):
        again = together(model, objective, everyone(model))
        again.restore(stored)
        assert again.epochs == [2] * len(again.seeds)
        assert torch.equal(history(again, 2), expected)
        assert_same_trial(again, company)
        assert_equal(again.averaged, company.averaged)
    for name, value in state.items():
        assert torch.equal(value, frozen[name]), f"{name} of the state changed as training went on"


@pairs
def test_a_diverged_trial_harms_no_other(model: str, objective: str) -> None:
    others = [0, 2, 3]
    company = Pack.join(
        [alone(model, objective, 1, learning_rate=1e38), *(alone(model, objective, trial) for trial in others)]
    )
    losses = history(company, 3)
    assert not losses[-1, 0].isfinite() or company.closed_form
    assert losses[:, 1:].isfinite().all()
    torch.testing.assert_close(losses[:, 1:], history(together(model, objective, others), 3), **CLOSE)


@pairs
@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_poisoned_weights_harm_no_other(model: str, objective: str, poison: float) -> None:
    company = together(model, objective, everyone(model))
    with torch.no_grad():
        for parameter in company.model.parameters():
            parameter[1] = poison
    losses = history(company, 2)
    others = [trial for trial in everyone(model) if trial != 1]
    torch.testing.assert_close(losses[:, others], history(together(model, objective, others), 2), **CLOSE)
    assert not losses[:, 1].isfinite().any() or not list(company.model.parameters())


@pairs
def test_same_seed_same_training(model: str, objective: str) -> None:
    runs = [alone(model, objective, 1) for _ in range(2)]
    assert torch.equal(history(runs[0], 2), history(runs[1], 2))
    assert_equal(runs[0].model, runs[1].model)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pairs
def test_gpu_gives_the_numbers_of_the_cpu(model: str, objective: str) -> None:
    on_cpu = together(model, objective, everyone(model))
    on_gpu = together(model, objective, everyone(model), device="cuda")
    torch.testing.assert_close(history(on_gpu, 2).cpu(), history(on_cpu, 2), rtol=1e-3, atol=1e-4)
    seeds = list(everyone(model))
    rows = on_gpu.model.sample(Noise(seeds, 50, "cuda"))
    torch.testing.assert_close(rows.cpu(), on_cpu.model.sample(Noise(seeds, 50)), rtol=1e-2, atol=1e-2)
    again = together(model, objective, everyone(model), device="cuda")
    again.restore(on_gpu.state())
    torch.testing.assert_close(history(again, 1), history(on_gpu.keep(seeds), 1), rtol=1e-4, atol=1e-5)
