"""Critics and the losses that train them: Adam against torch's own, known slopes, and what a step leaves alone."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from models import Noise, Pushforward, Shape
from models.pack import join
from objectives.losses import GAN, WGANGP
from objectives.losses.critic import Critic

LOSSES: dict[str, Any] = {"gan": GAN, "wgan_gp": WGANGP}
adversarial = pytest.mark.parametrize("name", LOSSES)


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


class Fixed:
    """A pushforward whose rows are known."""

    def __init__(self, rows: Tensor) -> None:
        self.rows = rows

    def draw(self, noise: Any) -> Tensor:
        return self.rows

    def push(self, inputs: Tensor, noise: Any = None) -> Tensor:
        return inputs


class Known(nn.Module):
    """A critic that is a known function, and notes what it is asked to descend."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function, self.losses, self.resting = function, list[Tensor](), list[Sequence[int]]()

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)

    def step(self, loss: Tensor, resting: Sequence[int] = ()) -> None:
        self.losses.append(loss.detach())
        self.resting.append(list(resting))


def critic(seed: int = 0, **changes: Any) -> Critic:
    return Critic(2, **{"width": 5, "depth": 2, "rate": 0.01, "betas": (0.5, 0.9), "seed": seed, **changes})


def state(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def unchanged(module: nn.Module, before: dict[str, Tensor]) -> bool:
    return all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


@pytest.mark.parametrize("betas", [(0.5, 0.9), (0.5, 0.999)])
def test_critic_steps_equal_torch_adam(betas: tuple[float, float]) -> None:
    own, other, x = critic(betas=betas), critic(betas=betas), normal(1, 20, 2, seed=1)
    optimizer = torch.optim.Adam(other.network.parameters(), lr=0.01, betas=betas)
    for _ in range(20):
        own.step((own(x) - x.sum(2)).square().mean(1))
        optimizer.zero_grad()
        (other(x) - x.sum(2)).square().mean().backward()
        optimizer.step()
    for mine, theirs in zip(own.network.parameters(), other.network.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-6)
    assert own.steps.item() == 20


def test_resting_trials_stay_as_they_are() -> None:
    several = [critic(1, width=3), critic(2, width=6, depth=1), critic(3)]
    pack, others, x = join(several), join([several[0], several[2]]), normal(3, 20, 2, seed=1)

    def step(network: Critic, x: Tensor, resting: Sequence[int] = ()) -> None:
        network.step((network(x) - 1).square().mean(1), resting)

    step(pack, x)
    step(others, x[[0, 2]])
    before = state(pack)
    step(pack, x, [1])
    step(others, x[[0, 2]])
    for name, value in pack.state_dict().items():
        assert torch.equal(value[1], before[name][1]), name
    torch.testing.assert_close(pack(x)[[0, 2]], others(x[[0, 2]]))
    assert pack.steps.flatten().tolist() == [2, 1, 2]


def test_critic_refuses_a_rate_of_zero() -> None:
    with pytest.raises(ValueError, match="critic_rate must be above 0, got 0"):
        critic(rate=0.0)


def test_gan_of_an_undecided_discriminator_is_log_2() -> None:
    objective, x = GAN(normal(9, 2, seed=0), 0), normal(1, 12, 2, seed=1)
    known = Known(lambda rows: 0 * rows.sum(2))
    objective.critic = known  # type: ignore[assignment]
    assert objective.loss(Fixed(x + 1), x, Noise([1], 12)).item() == pytest.approx(math.log(2))
    assert [loss.item() for loss in known.losses] == pytest.approx([2 * math.log(2)] * 3)


def test_gan_losses_are_those_of_its_probabilities() -> None:
    x, y = normal(2, 15, 2, seed=1), normal(2, 15, 2, seed=2)
    objective = join([GAN(x[0], 0, critic_steps=1), GAN(x[1], 0, critic_steps=3)])
    known = Known(lambda rows: rows[..., 0] - 0.3 * rows[..., 1])
    objective.critic = known  # type: ignore[assignment]
    loss = objective.loss(Fixed(y), x, Noise([1, 2], 15))
    real, made = torch.sigmoid(known(x)), torch.sigmoid(known(y))
    torch.testing.assert_close(loss, -made.log().mean(1))
    torch.testing.assert_close(known.losses, [-real.log().mean(1) - (1 - made).log().mean(1)] * 3)
    assert known.resting == [[], [0], [0]]


def test_gan_discriminator_learns_the_ratio_of_densities() -> None:
    # D = p / (p + q): of rows at 0 and 1 with p = (3/4, 1/4) and q = (1/4, 3/4), the logit is log 3 and -log 3.
    x = torch.tensor([0.0, 0, 0, 1]).view(1, 4, 1)
    objective = GAN(x[0], 0, critic_rate=0.01, critic_width=8)
    for _ in range(300):
        objective.loss(Fixed(1 - x), x, Noise([1], 4))
    logits = objective.critic(torch.tensor([[[0.0], [1.0]]]))
    assert logits.flatten().tolist() == pytest.approx([math.log(3), -math.log(3)], abs=0.02)


@pytest.mark.parametrize(("gap", "penalty"), [(1.0, 1.0), (1.0, 10.0), (3.0, 100.0)])
def test_wgan_critic_between_two_points_has_the_slope_of_its_penalty(gap: float, penalty: float) -> None:
    # Of slope s, its steps descend -s gap + penalty (s - 1)^2.
    x = torch.full((1, 16, 1), gap)
    objective = WGANGP(x[0], 0, critic_width=8, critic_rate=0.01, gradient_penalty=penalty)
    noise = Noise([1], 16)
    for _ in range(80):
        loss = objective.loss(Fixed(0 * x), x, noise)
    assert loss.item() / gap == pytest.approx(1 + gap / (2 * penalty), rel=0.03)


def test_wgan_penalises_the_slope_at_each_row_of_each_trial() -> None:
    x, y = 2 * normal(2, 15, 3, seed=1), normal(2, 15, 3, seed=2)
    steps, penalties = [3, 1], torch.tensor([0.1, 10.0])
    objective = join(
        [WGANGP(x[trial], 0, critic_steps=steps[trial], gradient_penalty=penalties[trial].item()) for trial in range(2)]
    )
    known = Known(lambda rows: rows.square().sum(2) / 2)  # its gradient is the row itself
    objective.critic = known  # type: ignore[assignment]
    loss = objective.loss(Fixed(y), x, Noise([1, 2], 15))
    torch.testing.assert_close(loss, (known(x) - known(y)).mean(1))
    for step in range(3):
        for trial in range(2):
            if step >= steps[trial]:
                continue
            share = Noise([1 + trial], 15).uniform("between", steps[trial : trial + 1])[0, :, step : step + 1]
            between = share * x[trial] + (1 - share) * y[trial]
            penalty = penalties[trial] * (between.norm(dim=1) - 1).square().mean()
            expected = penalty - loss[trial]
            assert known.losses[step][trial].item() == pytest.approx(expected.item(), rel=1e-4)
    assert known.resting == [[], [1], [1]]


def test_wgan_between_lies_between() -> None:
    x, seen = torch.ones(1, 500, 1), list[Tensor]()

    def watched(rows: Tensor) -> Tensor:
        seen.append(rows.detach())
        return rows.sum(2)

    objective = WGANGP(x[0], 0, critic_steps=1)
    objective.critic = Known(watched)  # type: ignore[assignment]
    objective.loss(Fixed(0 * x), x, Noise([1], 500))
    between = seen[0].flatten()
    assert 0 < between.min() < 0.05
    assert 0.95 < between.max() < 1
    assert between.mean().item() == pytest.approx(0.5, abs=5 / (12 * 500) ** 0.5)


@adversarial
def test_critic_steps_leave_the_model_alone(name: str) -> None:
    x, shape = normal(1, 20, 3, seed=1), Shape(features=3, source="normal", source_features=2)
    model, objective = Pushforward(shape, 1, dropout=0.2), LOSSES[name](x[0], 0)
    before, critic_before = state(model), state(objective)
    parameters = list(model.parameters())
    loss = objective.loss(model, x, Noise([1], 20))
    assert unchanged(model, before)
    assert not unchanged(objective, critic_before)
    assert all(parameter.grad is None for parameter in [*parameters, *objective.parameters()])
    after = state(objective)
    gradients = torch.autograd.grad(loss.sum(), parameters)
    assert all((gradient != 0).any() for gradient in gradients)
    assert unchanged(objective, after)
    noise = Noise([1], 20)
    y = model.push(model.draw(noise), noise)
    again = softplus(-objective.critic(y)) if name == "gan" else objective.critic(x) - objective.critic(y)
    torch.testing.assert_close(gradients, torch.autograd.grad(again.mean(), parameters))


@adversarial
def test_evaluation_changes_and_drops_nothing(name: str) -> None:
    x, shape = normal(1, 20, 3, seed=1), Shape(features=3, source="normal", source_features=2)
    objective = LOSSES[name](x[0], 0)
    before = state(objective)
    with torch.no_grad():
        losses = [
            objective.loss(model, x, Noise([1], 20), train=False)
            for model in (Pushforward(shape, 1, dropout=0.5), Pushforward(shape, 1))
        ]
    assert torch.equal(losses[0], losses[1])
    assert unchanged(objective, before)


@adversarial
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"critic_steps": 0}, "critic_steps must be at least 1, got 0"),
        ({"critic_rate": -1.0}, "critic_rate must be above 0, got -1"),
        ({"critic_width": 0}, "width and depth must be at least 1, got width 0"),
    ],
)
def test_refuses_arguments_out_of_range(name: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LOSSES[name](normal(9, 2, seed=0), 0, **arguments)


@pytest.mark.parametrize("penalty", [-1.0, float("nan"), float("inf")])
def test_wgan_refuses_a_penalty_out_of_range(penalty: float) -> None:
    with pytest.raises(ValueError, match=f"gradient_penalty must be at least 0, got {penalty}"):
        WGANGP(normal(9, 2, seed=0), 0, gradient_penalty=penalty)
