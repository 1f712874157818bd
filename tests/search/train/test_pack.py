"""The pack: schedules, batches, and families of models and objectives that it has never heard of."""

import math
from typing import Any, ClassVar, Protocol, final, runtime_checkable

import pytest
import torch
from torch import Tensor, nn

from models import Model, Noise, Pushforward, Shape
from models.layers import MLP
from models.pack import join, keep
from objectives.losses import MMD, Objective
from search.study.configuration import Training
from search.train.pack import Pack

CLOSE: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-5}


def data(trial: int, n: int = 64) -> Tensor:
    return (trial + 1) * torch.randn(n, 2, generator=torch.Generator().manual_seed(trial)) + trial


def history(trainer: Pack, epochs: int) -> Tensor:
    return torch.stack([trainer.advance() for _ in range(epochs)])


def weights(trainer: Pack) -> Tensor:
    return torch.cat([parameter.detach().flatten(1) for parameter in trainer.model.parameters()], 1)


def pushforward(trial: int = 0, n: int = 64, budget: int = 5, seed: int = 9, **training: Any) -> Pack:
    shape = Shape(features=2, source="normal", source_features=2)
    rows = data(trial, n)
    return Pack(
        Pushforward(shape, trial, width=8 + trial),
        MMD(rows, trial),
        rows.unsqueeze(0),
        [Training(**{"batch": 16, **training})],
        seeds=[seed + trial],
        budget=budget,
    )


def test_training_lowers_the_loss() -> None:
    trained = pushforward(learning_rate=1e-2)
    losses = history(trained, 30)[:, 0]
    assert losses[-5:].mean() < losses[:2].mean() / 5


def test_cosine_schedule_ends_at_rest() -> None:
    trained = pushforward(schedule="cosine", budget=4, optimizer="sgd", learning_rate=0.1)
    moves = []
    for _ in range(6):
        before = weights(trained).clone()
        trained.advance()
        moves.append((weights(trained) - before).norm().item())
    assert all(move > 0 for move in moves[:4])
    assert moves[4:] == [0, 0]


@pytest.mark.parametrize(("epoch", "share"), [(0, 1.0), (1, (1 + math.cos(math.pi / 4)) / 2), (2, 0.5)])
def test_cosine_schedule_scales_the_step(epoch: int, share: float) -> None:
    steps = []
    for schedule in ("cosine", "constant"):
        trained = pushforward(schedule=schedule, budget=4, optimizer="sgd", learning_rate=0.1, batch=64)
        trained.epochs = [epoch]
        before = weights(trained).clone()
        trained.advance()
        steps.append(weights(trained) - before)
    torch.testing.assert_close(steps[0], share * steps[1], rtol=1e-3, atol=1e-7)


def test_the_average_is_a_running_mean_of_the_weights() -> None:
    trainer = Pack.join([pushforward(0, average=0.9, batch=64), pushforward(1, batch=64)])
    mean = weights(trainer).clone()
    for step in range(1, 200):
        trainer.advance()
        decay = torch.tensor([[min(0.9, step / (step + 10))], [0.0]])
        mean = decay * mean + (1 - decay) * weights(trainer)
    averaged = torch.cat([parameter.detach().flatten(1) for parameter in trainer.averaged.parameters()], 1)
    torch.testing.assert_close(averaged, mean, rtol=1e-4, atol=1e-6)
    assert torch.equal(averaged[1], weights(trainer)[1])
    assert not torch.allclose(averaged[0], weights(trainer)[0])


def test_averaging_does_not_change_training_and_is_what_is_judged() -> None:
    plain, averaging = pushforward(), pushforward(average=0.9)
    assert torch.equal(history(plain, 3), history(averaging, 3))
    rows = data(5).unsqueeze(0)
    judged = averaging.objective.loss(averaging.averaged, rows, Noise([3], 64), train=False)
    assert torch.equal(averaging.loss(rows, [3]), judged)
    assert not torch.equal(plain.loss(rows, [3]), judged)


@final
class Watching(Objective[Any]):
    """Remembers the rows that it was shown; the first column numbers them."""

    protocol: ClassVar[type] = object

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[Tensor] = []

    def loss(self, model: Any, rows: Tensor, noise: Any, train: bool = True) -> Tensor:
        self.shown.append(rows[..., 0].clone())
        return rows[..., 0].mean(1)


def watched(n: int, batch: int, seeds: list[int]) -> Pack:
    rows = torch.arange(float(n)).unsqueeze(1).expand(len(seeds), n, 2)
    shape = Shape(features=2, source="normal", source_features=1)
    model = join([Pushforward(shape, 0, width=2) for _ in seeds])
    return Pack(model, Watching(), rows, [Training(batch=batch)] * len(seeds), seeds=seeds, budget=5)


def test_an_epoch_shows_every_row_once_in_an_order_of_its_own() -> None:
    trainer = watched(24, 8, [1, 2, 1])
    trainer.advance()
    trainer.advance()
    assert isinstance(trainer.objective, Watching)
    first, second = torch.cat(trainer.objective.shown[:3], 1), torch.cat(trainer.objective.shown[3:], 1)
    for epoch in (first, second):
        assert epoch.sort(1).values.tolist() == [list(range(24))] * 3
    assert torch.equal(first[0], first[2])
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first[0], second[0])
    assert not torch.equal(first[0], torch.arange(24.0))


def test_only_whole_batches_are_shown() -> None:
    trainer = watched(27, 10, [1])
    loss = trainer.advance()
    assert isinstance(trainer.objective, Watching)
    assert [shown.shape for shown in trainer.objective.shown] == [(1, 10), (1, 10)]
    assert loss.item() == pytest.approx(torch.cat(trainer.objective.shown, 1).mean().item())


def test_a_batch_is_at_most_the_table() -> None:
    trainer = watched(5, 256, [1])
    trainer.advance()
    assert isinstance(trainer.objective, Watching)
    assert [shown.shape for shown in trainer.objective.shown] == [(1, 5)]


def test_seeds_decide() -> None:
    losses = {seed: history(pushforward(seed=seed), 2) for seed in (1, 2)}
    assert not torch.equal(losses[1], losses[2])
    assert torch.equal(history(pushforward(seed=1), 2), losses[1])


def test_the_clock_and_torchs_own_seed_do_not_matter() -> None:
    torch.manual_seed(1)
    first = history(pushforward(), 2)
    torch.manual_seed(2)
    torch.rand(7)
    assert torch.equal(history(pushforward(), 2), first)


def test_evaluation_disturbs_nothing() -> None:
    plain, evaluated = pushforward(), pushforward()
    history(plain, 1)
    history(evaluated, 1)
    before = weights(evaluated).clone()
    losses = [evaluated.loss(data(5).unsqueeze(0), [3]) for _ in range(2)]
    assert torch.equal(*losses)
    assert not losses[0].requires_grad
    assert torch.equal(weights(evaluated), before)
    assert torch.equal(history(evaluated, 2), history(plain, 2))


def test_networks_of_one_pack_share_batch_rows_and_budget() -> None:
    for changes, said in (
        ({"batch": 8}, "must share batch and number of rows"),
        ({"n": 48}, "must share batch and number of rows"),
        ({"budget": 6}, "must share budget"),
    ):
        with pytest.raises(ValueError, match=said):
            Pack.join([pushforward(), pushforward(1, **changes)])


def test_adam_and_plain_descent_stack() -> None:
    several: list[dict[str, Any]] = [
        {"optimizer": name, "learning_rate": 0.05} for name in ("sgd", "adam", "adam", "sgd")
    ]
    packs = [pushforward(trial, **each) for trial, each in enumerate(several)]
    alone = torch.cat([history(pushforward(trial, **each), 4) for trial, each in enumerate(several)], 1)
    company = Pack.join(packs)
    torch.testing.assert_close(history(company, 2), alone[:2], **CLOSE)
    apart = [company.keep([place]) for place in (3, 1)]  # one forgets the moments that it never had
    torch.testing.assert_close(history(Pack.join(apart), 2), alone[2:, [3, 1]], **CLOSE)


def test_join_and_keep_leave_their_sources_untouched() -> None:
    one, two, alike = pushforward(0), pushforward(1), pushforward(0)
    history(Pack.join([one, two]), 2)
    history(one.keep([0]), 2)
    assert torch.equal(history(one, 2), history(alike, 2))


def test_sgd_trials_stack_too() -> None:
    several: list[dict[str, Any]] = [
        {"optimizer": "sgd", "learning_rate": rate, "l1": 0.01} for rate in (0.1, 0.5, 1.0)
    ]
    company = history(Pack.join([pushforward(trial, **each) for trial, each in enumerate(several)]), 3)
    for trial, each in enumerate(several):
        torch.testing.assert_close(history(pushforward(trial, **each), 3)[:, 0], company[:, trial], **CLOSE)


@runtime_checkable
class Fittable(Protocol):
    """A model with a closed form."""

    def fit(self, rows: Tensor) -> Tensor:
        """Fit to `rows` `[pack, batch, features]`; mean negative log-likelihood `[pack]`."""

    def surprise(self, rows: Tensor) -> Tensor:
        """Mean negative log-likelihood `[pack]` of `rows`."""


@final
class Gaussian(Model):
    """A normal distribution fitted by maximum likelihood: all of its state are buffers."""

    def __init__(self, shape: Shape, seed: int, *, floor: float = 1e-6) -> None:
        super().__init__()
        self.mean: Tensor
        self.covariance: Tensor
        self.floor: Tensor
        self.register_buffer("mean", torch.zeros(1, shape.features))
        self.register_buffer("covariance", torch.eye(shape.features).unsqueeze(0))
        self.register_buffer("floor", torch.full((1, 1, 1), floor))

    def fit(self, rows: Tensor) -> Tensor:
        self.mean = rows.mean(1)
        centred = rows - self.mean.unsqueeze(1)
        noise = self.floor * torch.eye(rows.shape[2])
        self.covariance = centred.transpose(1, 2) @ centred / rows.shape[1] + noise
        return self.surprise(rows)

    def surprise(self, rows: Tensor) -> Tensor:
        density = torch.distributions.MultivariateNormal(self.mean.unsqueeze(1), self.covariance.unsqueeze(1))
        surprise: Tensor = -density.log_prob(rows).mean(1)
        return surprise

    def sample(self, noise: Noise) -> Tensor:
        eps = noise.normal("sample", [self.mean.shape[1]] * len(self.mean))
        rows: Tensor = self.mean.unsqueeze(1) + eps @ torch.linalg.cholesky(self.covariance).transpose(1, 2)
        return rows

    def architecture(self) -> list[dict[str, float]]:
        return [{"parameters": 5}] * len(self.mean)


@final
class Likelihood(Objective[Fittable]):
    """Fits in its loss, which has no gradient."""

    protocol: ClassVar[type] = Fittable

    def __init__(self, rows: Tensor, seed: int) -> None:
        super().__init__()

    def loss(self, model: Fittable, rows: Tensor, noise: Any, train: bool = True) -> Tensor:
        return model.fit(rows) if train else model.surprise(rows)


def gaussian(trial: int, average: float = 0.0) -> Pack:
    shape, rows = Shape(features=2, source="normal", source_features=2), data(trial)
    floor = 10.0**-trial
    model = Gaussian(shape, trial, floor=floor)
    return Pack(
        model,
        Likelihood(rows, trial),
        rows.unsqueeze(0),
        [Training(batch=64, average=average)],
        seeds=[trial],
        budget=3,
    )


def test_a_closed_form_density_trains_untouched() -> None:
    trainer = Pack.join([gaussian(trial) for trial in range(3)])
    losses = history(trainer, 2)
    torch.testing.assert_close(losses[0], losses[1])
    assert isinstance(trainer.model, Gaussian)
    for trial in range(3):
        rows = data(trial)
        torch.testing.assert_close(trainer.model.mean[trial], rows.mean(0))
        covariance = torch.cov(rows.T, correction=0) + 10.0**-trial * torch.eye(2)
        torch.testing.assert_close(trainer.model.covariance[trial], covariance)
        torch.testing.assert_close(history(gaussian(trial), 1)[0, 0], losses[0, trial])


def test_a_closed_form_density_is_kept_joined_and_restored() -> None:
    trainer = Pack.join([gaussian(trial) for trial in range(3)])
    history(trainer, 1)
    again = Pack.join([gaussian(trial) for trial in range(3)])
    again.restore(trainer.state())
    seeds = [1, 2, 3]
    samples = trainer.model.sample(Noise(seeds, 9))
    assert torch.equal(again.model.sample(Noise(seeds, 9)), samples)
    torch.testing.assert_close(trainer.keep([2]).model.sample(Noise([3], 9))[0], samples[2])
    other = torch.stack([data(7)] * 3)
    torch.testing.assert_close(again.loss(other, seeds), trainer.loss(other, seeds))
    assert torch.equal(again.model.sample(Noise(seeds, 9)), samples)
    merged = Pack.join([trainer, gaussian(1)])
    assert merged.epochs == [1, 1, 1, 0]
    assert history(merged, 1).isfinite().all()


def test_a_closed_form_density_has_nothing_to_average() -> None:
    trainer = Pack.join([gaussian(0, average=0.9), gaussian(1)])
    trainer.advance()
    noise = [Noise([1, 2], 5) for _ in range(2)]
    assert torch.equal(trainer.averaged.sample(noise[0]), trainer.model.sample(noise[1]))


@final
class Critic(Objective[Any]):
    """Wasserstein loss with a critic network of its own, clipped and trained by its own descent with momentum."""

    protocol: ClassVar[type] = Pushforward

    def __init__(self, rows: Tensor, seed: int, *, width: int = 6, rate: float = 0.02) -> None:
        super().__init__()
        self.critic, self.momentum = self._network(rows, seed, width), self._network(rows, seed, width)
        for parameter in self.momentum.parameters():
            nn.init.zeros_(parameter)
        self.rate: Tensor
        self.register_buffer("rate", torch.full((1, 1, 1), rate))

    def loss(self, model: Any, rows: Tensor, noise: Any, train: bool = True) -> Tensor:
        made = model.push(model.draw(noise), noise if train else None)
        if train:
            self._learn(rows, made.detach())
        gap: Tensor = (self.critic(rows) - self.critic(made)).mean((1, 2))
        return gap

    def _learn(self, rows: Tensor, made: Tensor) -> None:
        parameters = list(self.critic.parameters())
        gap = (self.critic(made) - self.critic(rows)).mean((1, 2))
        gradients = torch.autograd.grad(gap.sum(), parameters)
        with torch.no_grad():
            for parameter, momentum, gradient in zip(parameters, self.momentum.parameters(), gradients, strict=True):
                momentum.mul_(0.5).add_(gradient)
                parameter.sub_(self.rate * momentum).clamp_(-0.3, 0.3)

    @staticmethod
    def _network(rows: Tensor, seed: int, width: int) -> MLP:
        return MLP(
            rows.shape[1], 1, width=width, depth=2, activation="leaky_relu", dropout=0.0, output="linear",
            generator=torch.Generator().manual_seed(seed), name="critic",
        )  # fmt: skip


def adversarial(trial: int, offset: float = 0.0) -> Pack:
    shape, rows = Shape(features=2, source="normal", source_features=2), data(trial) + offset
    return Pack(
        Pushforward(shape, trial, width=5 + trial, depth=1 + trial % 2),
        Critic(rows, trial, width=4 + 2 * trial, rate=0.02 + 0.01 * trial),
        rows.unsqueeze(0),
        [Training(batch=16, learning_rate=2e-3)],
        seeds=[trial],
        budget=20,
    )


def critics(trainer: Pack) -> dict[str, Tensor]:
    return {name: value for name, value in trainer.state().items() if name.startswith("objective.")}


def assert_same_critics(one: Pack, other: Pack) -> None:
    first, second = critics(one), critics(other)
    assert first.keys() == second.keys()
    for name, value in first.items():
        torch.testing.assert_close(value, second[name], **CLOSE)


def test_an_objective_with_a_critic_trains_alone_as_in_company() -> None:
    company = Pack.join([adversarial(trial) for trial in range(3)])
    before = {name: value.clone() for name, value in critics(company).items()}
    losses = history(company, 3)
    assert all(
        not torch.equal(value, before[name]) for name, value in critics(company).items() if name.endswith("weight")
    )
    for trial in range(3):
        single = adversarial(trial)
        torch.testing.assert_close(history(single, 3)[:, 0], losses[:, trial], **CLOSE)
        assert_same_critics(company.keep([trial]), single)


def test_an_objective_with_a_critic_is_kept_joined_and_restored() -> None:
    company = Pack.join([adversarial(0), adversarial(1)])
    history(company, 2)
    again = Pack.join([adversarial(0), adversarial(1)])
    again.restore(company.state())
    merged = Pack.join([adversarial(2), company.keep([1])])
    expected = history(company, 2)
    assert torch.equal(history(again, 2), expected)
    torch.testing.assert_close(history(merged, 2)[:, 1], expected[:, 1], **CLOSE)
    assert_same_critics(merged.keep([1]), company.keep([1]))


def test_a_critic_pulls_its_generator_to_the_data() -> None:
    trainer = adversarial(2, offset=10.0)
    distances = []
    for _ in range(3):
        with torch.no_grad():
            made = trainer.model.sample(Noise([5], 2000))[0]
        distances.append((made.mean(0) - data(2).mean(0) - 10).norm().item())
        history(trainer, 15)
    assert distances[0] > distances[1] > distances[2]


def test_evaluation_does_not_train_the_critic() -> None:
    trainer = adversarial(0)
    before = {name: value.clone() for name, value in critics(trainer).items()}
    trainer.loss(data(3).unsqueeze(0), [1])
    assert all(torch.equal(value, before[name]) for name, value in critics(trainer).items())


def test_frozen_copies() -> None:
    trainer = adversarial(1)
    objective: Any = trainer.objective
    copy = keep(objective, [0])
    history(trainer, 1)
    assert not torch.equal(copy.critic.output.weight, objective.critic.output.weight)


@final
class Seen(Objective[Pushforward]):
    """Keeps the rows that it is given; its loss teaches nothing of them."""

    protocol: ClassVar[type] = Pushforward

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[list[float]] = []

    def loss(self, model: Pushforward, rows: Tensor, noise: Any, train: bool = True) -> Tensor:
        self.steps.append(rows[0, :, 0].tolist())
        return model.sample(noise).square().mean((1, 2))


def test_an_epoch_takes_the_next_rows_and_no_more_than_it_may() -> None:
    shape, seen = Shape(features=2, source="normal", source_features=2), Seen()
    rows = torch.arange(10.0).unsqueeze(1).expand(10, 2)
    trained = Pack(Pushforward(shape, 0), seen, [rows], [Training(batch=2)], seeds=[1], budget=9, epoch_rows=4)
    assert trained.steps == 2
    history(trained, 5)
    epochs = [sorted([*seen.steps[start], *seen.steps[start + 1]]) for start in range(0, 10, 2)]
    assert epochs == [[0, 1, 2, 3], [4, 5, 6, 7], [0, 1, 8, 9], [2, 3, 4, 5], [6, 7, 8, 9]]
    assert any(step != sorted(step) for step in seen.steps)
