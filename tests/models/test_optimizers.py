"""The flat optimisers against torch's own, and the penalties against their definitions."""

from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from models import Model, Pushforward, Shape
from models.optimizers import OPTIMIZERS, Flat, clip, shrink, soften
from models.pack import join, keep
from objectives.losses import Objective
from objectives.losses.protocols import Pushforward as Protocol
from search.study.configuration import Training
from search.train.pack import Pack

SHAPE = Shape(features=2, source="normal", source_features=2)
RATES = [3e-3, 1e-2, 5e-2]
STEPS = 50


def networks() -> list[Pushforward]:
    sizes = [(4, 1), (7, 3), (5, 2)]
    return [
        Pushforward(SHAPE, trial, width=width, depth=depth, activation="tanh")
        for trial, (width, depth) in enumerate(sizes)
    ]


def fit(model: Model, trials: slice) -> Tensor:
    """Mean squared error `[pack]` of a regression problem, one a trial."""
    x = torch.randn(3, 20, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)[trials]
    y: Tensor = model.push(x) - x.square()  # type: ignore[operator]
    return y.square().mean((1, 2))


@pytest.mark.parametrize(("name", "reference"), [("adam", torch.optim.Adam), ("sgd", torch.optim.SGD)])
def test_equals_torch_with_a_learning_rate_a_trial(name: str, reference: Any) -> None:
    pack = join(networks()).double()
    flat, rate = Flat(pack, 3), torch.tensor(RATES, dtype=torch.float64).view(-1, 1)
    moments = [torch.zeros_like(flat.values) for _ in range(OPTIMIZERS[name].moments)]
    singles = [network.double() for network in networks()]
    optimizers = [reference(single.parameters(), lr=lr) for single, lr in zip(singles, RATES, strict=True)]
    for step in range(1, STEPS + 1):
        gradient = flat.gradient(fit(pack, slice(None)))
        with torch.no_grad():
            steps = torch.full((3, 1), float(step), dtype=torch.float64)
            OPTIMIZERS[name].update(flat.values, gradient, moments, steps, rate)
        for trial, (single, optimizer) in enumerate(zip(singles, optimizers, strict=True)):
            optimizer.zero_grad()
            fit(single, slice(trial, trial + 1)).sum().backward()
            optimizer.step()
    for trial, single in enumerate(singles):
        own = dict(keep(pack, [trial]).named_parameters())
        for key, value in single.named_parameters():
            torch.testing.assert_close(own[key], value, rtol=1e-9, atol=1e-11)


def adam_step(gradient: Tensor, rate: float) -> tuple[Tensor, list[Tensor]]:
    """Weights and moments after two steps from 1, under one gradient."""
    weights, moments = torch.ones_like(gradient), [torch.zeros_like(gradient) for _ in range(2)]
    for step in (1.0, 2.0):
        column = torch.ones(len(gradient), 1)
        OPTIMIZERS["adam"].update(weights, gradient.clone(), moments, step * column, rate * column)
    return weights, moments


def test_adam_does_not_depend_on_how_many_trials_it_steps_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    gradient = torch.randn(7, 5, generator=torch.Generator().manual_seed(2))
    whole, moments = adam_step(gradient, 0.1)
    for block in (1, 5, 14, 100):
        monkeypatch.setattr("models.optimizers.BLOCK", block)
        blocked, others = adam_step(gradient, 0.1)
        assert torch.equal(blocked, whole)
        assert all(torch.equal(one, other) for one, other in zip(moments, others, strict=True))


def test_adam_leaves_what_has_no_gradient_or_no_rate() -> None:
    gradient = torch.tensor([[0.0, 1e-3, -2.0]])
    stepped, _ = adam_step(gradient, 0.1)
    torch.testing.assert_close(stepped, 1 - 0.2 * gradient.sign())
    assert stepped[0, 0] == 1
    resting, moments = adam_step(gradient, 0.0)
    assert (resting == 1).all()
    assert all(moment.isfinite().all() for moment in moments)


class Regression(Objective[Protocol]):
    """Mean squared error of pushing the rows to their squares; no noise."""

    protocol: ClassVar[type] = Protocol

    def loss(self, model: Any, rows: Tensor, noise: Any, train: bool = True) -> Tensor:
        y: Tensor = model.push(rows) - rows.square()
        return y.square().mean((1, 2))


class Flatland(Objective[Protocol]):
    """A loss whose gradient is zero, so that only the penalties act."""

    protocol: ClassVar[type] = Protocol

    def loss(self, model: Any, rows: Tensor, noise: Any, train: bool = True) -> Tensor:
        y: Tensor = model.push(rows)
        return 0 * y.sum((1, 2))


def trainer(objective: Objective[Any], training: list[Training]) -> Pack:
    rows = torch.randn(20, 2, generator=torch.Generator().manual_seed(1))
    model = join([Pushforward(SHAPE, 3, width=8, activation="tanh") for _ in training])
    return Pack(model, objective, rows.expand(len(training), -1, -1), training, seeds=[0] * len(training), budget=10)


@pytest.mark.parametrize(
    ("name", "reference"), [("sgd", torch.optim.SGD), ("adam", torch.optim.AdamW), ("adam", torch.optim.Adam)]
)
def test_trainer_equals_torch_and_l2_is_its_weight_decay(name: Any, reference: Any) -> None:
    strengths = [0.0] if reference is torch.optim.Adam else [0.0, 0.3, 2.0]
    ours = trainer(Regression(), [Training(optimizer=name, learning_rate=0.02, batch=20, l2=l2) for l2 in strengths])
    for _ in range(STEPS):
        ours.advance()
    rows = torch.stack(ours.rows[:1])
    for trial, strength in enumerate(strengths):
        single = Pushforward(SHAPE, 3, width=8, activation="tanh")
        weights = [p for key, p in single.named_parameters() if key.endswith("weight")]
        others = [p for key, p in single.named_parameters() if not key.endswith("weight")]
        groups = [{"params": weights, "weight_decay": strength}, {"params": others, "weight_decay": 0.0}]
        optimizer = reference(groups, lr=0.02)
        for _ in range(STEPS):
            optimizer.zero_grad()
            (single.push(rows) - rows.square()).square().mean().backward()
            optimizer.step()
        own = dict(keep(ours.model, [trial]).named_parameters())
        for key, value in single.named_parameters():
            torch.testing.assert_close(own[key], value, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_penalties_act_on_weights_by_definition_and_leave_biases_alone(optimizer: Any) -> None:
    rate, l1, l2 = 0.1, 0.3, 0.5
    settings: list[dict[str, Any]] = [{}, {"l1": l1}, {"l2": l2}]
    ours = trainer(
        Flatland(), [Training(optimizer=optimizer, learning_rate=rate, batch=20, **setting) for setting in settings]
    )
    before = {name: value.detach().clone() for name, value in ours.model.named_parameters()}
    for _ in range(4):
        ours.advance()
    for name, value in ours.model.named_parameters():
        start = before[name]
        assert torch.equal(value[0], start[0])
        if name.endswith("weight"):
            torch.testing.assert_close(value[1], start[1].sign() * (start[1].abs() - 4 * rate * l1).clamp_min(0))
            torch.testing.assert_close(value[2], start[2] * (1 - rate * l2) ** 4)
        else:
            assert torch.equal(value, start)


def weights(model: nn.Module, trial: int) -> Tensor:
    return torch.cat([p[trial].detach().flatten() for key, p in model.named_parameters() if key.endswith("weight")])


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_l1_reaches_exact_zeros_and_more_with_strength(optimizer: Any) -> None:
    strengths = [0.0, 0.2, 0.5, 2.0]
    ours = trainer(
        Regression(), [Training(optimizer=optimizer, learning_rate=0.02, batch=20, l1=l1) for l1 in strengths]
    )
    for _ in range(40):
        ours.advance()
    shares = [(weights(ours.model, trial) == 0).float().mean().item() for trial in range(4)]
    assert shares[0] == 0
    assert shares == sorted(set(shares)), shares
    assert shares[-1] > 0.5


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_l2_narrows_the_weights(optimizer: Any) -> None:
    strengths = [0.0, 0.1, 1.0]
    ours = trainer(
        Regression(), [Training(optimizer=optimizer, learning_rate=0.02, batch=20, l2=l2) for l2 in strengths]
    )
    for _ in range(40):
        ours.advance()
    deviations = [weights(ours.model, trial).std().item() for trial in range(3)]
    assert deviations[0] > deviations[1] > deviations[2]
    assert (weights(ours.model, 2) != 0).all()


def test_flat_parameters_are_views_of_one_tensor() -> None:
    pack = join(networks())
    before = {name: value.detach().clone() for name, value in pack.named_parameters()}
    flat = Flat(pack, 3)
    assert flat.values.shape == (3, sum(value[0].numel() for value in before.values()))
    for name, value in pack.named_parameters():
        assert torch.equal(value, before[name])
    flat.values[1] = 7
    for name, value in pack.named_parameters():
        assert (value[1] == 7).all()
        assert torch.equal(value[[0, 2]], before[name][[0, 2]])
    assert flat.is_weight.sum() == sum(v[0].numel() for name, v in before.items() if name.endswith("weight"))


def test_flat_of_a_module_without_parameters_is_empty() -> None:
    assert Flat(nn.Identity(), 4).values.shape == (4, 0)


def test_gradient_of_a_parameter_that_the_loss_does_not_use_is_zero() -> None:
    pack = join(networks())
    flat = Flat(pack, 3)
    gradient = flat.gradient(pack.network.output.bias.sum((1, 2)))
    assert gradient.sum(1).tolist() == [2, 2, 2]
    assert gradient.shape == flat.values.shape


def test_steps_of_the_penalties() -> None:
    values = torch.tensor([[-2.0, -0.1, 0.0, 0.3, 5.0]])
    softened, shrunk = values.clone(), values.clone()
    soften(softened, torch.tensor([[0.25]]))
    shrink(shrunk, torch.tensor([[0.25]]))
    torch.testing.assert_close(softened, torch.tensor([[-1.75, 0, 0, 0.05, 4.75]]))
    torch.testing.assert_close(shrunk, 0.75 * values)


def test_clipping_shortens_what_is_too_long_and_leaves_the_rest() -> None:
    gradient = torch.tensor([[3.0, 4.0], [3.0, 4.0], [3.0, 4.0], [0.0, 0.0]])
    clip(gradient, torch.tensor([[1.0], [10.0], [0.0], [1.0]]))
    torch.testing.assert_close(gradient, torch.tensor([[0.6, 0.8], [3.0, 4.0], [3.0, 4.0], [0.0, 0.0]]))
