"""The adapter of plain modules: the numbers of the module itself, alone and in company, whatever its code does."""

import inspect
from typing import Any, ClassVar, Literal

import pytest
import torch
from torch import Tensor, nn

from models import Model, Noise, Shape
from models.adapter import pushforward_of
from models.pack import join, keep
from objectives.losses import MMD
from objectives.losses.protocols import Pushforward
from search.study.configuration import Training
from search.study.space import arguments_of
from search.train.pack import Pack

SHAPE = Shape(features=3, source="normal", source_features=2)
CLOSE: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-5}
Norm = Literal["none", "layer", "batch"]
NORMS: dict[str, Any] = {"none": nn.Identity, "layer": nn.LayerNorm, "batch": nn.BatchNorm1d}


class Perceptron(nn.Module):
    """Layers of one width."""

    def __init__(
        self, inputs: int, outputs: int, width: int = 6, *, depth: int = 1, norm: Norm = "none", dropout: float = 0.0
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before in [inputs] + [width] * (depth - 1):
            layers += [nn.Linear(before, width), NORMS[norm](width), nn.Tanh(), nn.Dropout(dropout)]
        self.layers = nn.Sequential(*layers, nn.Linear(width, outputs))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return y


class Branching(Perceptron):
    """Another sign where the mean of a row block is negative."""

    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        return y if y.mean() > 0 else 2 - y


class Noisy(Perceptron):
    """Draws from torch's global generator, in training and in sampling."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + 0.1 * torch.randn(len(x), 1)


class Constant(Perceptron):
    """A frozen scale, a scalar that is learned, a counter, a mask, and a constant that isn't saved."""

    def __init__(self, inputs: int, outputs: int, *, width: int = 4) -> None:
        super().__init__(inputs, outputs, width)
        self.scale = nn.Parameter(torch.tensor(0.5))
        self.frozen = nn.Parameter(torch.full((outputs,), 2.0), requires_grad=False)
        self.register_buffer("calls", torch.tensor(2**53 - 9))
        self.register_buffer("mask", torch.arange(outputs) != 1)
        self.register_buffer("shift", torch.ones(outputs, dtype=torch.float64), persistent=False)
        self.calls: Tensor
        self.mask: Tensor
        self.shift: Tensor

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return (self.scale * super().forward(x) * self.frozen + self.shift.float()) * self.mask


def plain(network: type[nn.Module], seed: int, inputs: int = 2, **arguments: Any) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return network(inputs, 3, **arguments)


def adapted(network: type[nn.Module], seed: int, **arguments: Any) -> Any:
    return pushforward_of(network)(SHAPE, seed, **arguments)


def gradients(loss: Tensor, module: nn.Module) -> Tensor:
    """All gradients in one row, weights first."""
    named = sorted(module.named_parameters(), key=lambda entry: not entry[0].endswith("weight"))
    found = torch.autograd.grad(loss, [p for _, p in named if p.requires_grad])
    return torch.cat([gradient.flatten() for gradient in found])


VARIANTS: list[dict[str, Any]] = [{}, {"width": 9, "depth": 3}, {"norm": "layer"}, {"norm": "batch", "depth": 2}]
MIXED: list[tuple[type[nn.Module], list[dict[str, Any]]]] = [
    (Perceptron, [*VARIANTS, {"norm": "batch", "depth": 2}, {}, {"width": 1, "noise": 2}, {"dropout": 0.4}]),
    (Branching, [{}, {}, {"width": 3}]),
    (Noisy, [{}, {}, {"width": 3}]),
    (Constant, [{}, {}, {"width": 7, "noise": 1}]),
]


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize(
    ("network", "arguments"),
    [(Perceptron, entry) for entry in VARIANTS] + [(Branching, {}), (Constant, {"width": 5})],
)
def test_equals_the_plain_module(network: type[nn.Module], arguments: dict[str, Any], train: bool) -> None:
    model, module = adapted(network, 4, **arguments), plain(network, 4, **arguments).train(train)
    x = torch.randn(1, 20, 2, generator=torch.Generator().manual_seed(1))
    y, expected = model.push(x, Noise([1], 20) if train else None), module(x[0])
    torch.testing.assert_close(y[0], expected)
    torch.testing.assert_close(gradients(y.pow(2).sum(), model), gradients(expected.pow(2).sum(), module))


def test_training_mode_is_that_of_the_noise() -> None:
    model, x = adapted(Perceptron, 1, width=50, dropout=0.5), torch.ones(1, 8, 2)
    assert torch.equal(model.push(x), model.push(x))
    assert torch.equal(model.push(x), plain(Perceptron, 1, width=50, dropout=0.5).eval()(x[0])[None])
    first, again, other = (model.push(x, Noise([seed], 8)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    noise = Noise([1], 8)
    assert not torch.equal(model.push(x, noise), model.push(x, noise))


def test_random_numbers_in_sampling_are_those_of_the_noise() -> None:
    noisy, quiet = adapted(Noisy, 1), adapted(Perceptron, 1)
    added = [(noisy.sample(Noise([seed], 400)) - quiet.sample(Noise([seed], 400)))[0, :, 0] / 0.1 for seed in (1, 1, 2)]
    assert added[0].std().item() == pytest.approx(1, abs=0.15)
    assert torch.equal(added[0], added[1])
    assert not torch.allclose(added[0], added[2], atol=0.1)


def test_batch_statistics_are_each_trials_own() -> None:
    pack = join([adapted(Perceptron, seed, norm="batch", width=width) for seed, width in ((1, 4), (2, 4), (3, 6))])
    modules = [plain(Perceptron, seed, norm="batch", width=width) for seed, width in ((1, 4), (2, 4), (3, 6))]
    noise, generator = Noise([1, 2, 3], 16), torch.Generator().manual_seed(1)
    for _ in range(3):
        x = torch.randn(3, 16, 2, generator=generator)
        pack.push(x, noise)
        for module, own in zip(modules, x, strict=True):
            module(own)
    before = pack.network.state.clone()
    y = pack.push(x)
    for trial, module in enumerate(modules):
        torch.testing.assert_close(y[trial], module.eval()(x[trial]))
    assert torch.equal(pack.network.state, before)  # judging changes nothing


def test_counters_and_masks_are_kept_exactly() -> None:
    pack = join([adapted(Constant, 1), adapted(Constant, 2)])
    for _ in range(4):
        pack.push(torch.ones(2, 5, 2), Noise([1, 2], 5))
        keep(pack, [0]).push(torch.ones(1, 5, 2))
        pack.push(torch.ones(2, 5, 2))  # judging counts for nothing
    alone = keep(pack, [1])
    alone.push(torch.ones(1, 5, 2))
    assert torch.equal(alone.network.state[0], pack.network.state[1])
    own = pack.network._own([0, 1])
    assert own["calls"].tolist() == [2**53 - 5] * 2
    assert own["mask"].tolist() == [[True, False, True]] * 2
    assert pack.architecture() == [{"parameters": 3 * 4 + 5 * 3 + 1}] * 2


def trained(models: list[Model], seeds: list[int], epochs: int = 2) -> tuple[Pack, Tensor]:
    rows = torch.randn(96, 3, generator=torch.Generator().manual_seed(1))
    training = Training(learning_rate=1e-2, batch=32, l2=0.1)
    pack = len(models)
    trainer = Pack(
        join(models),
        join([MMD(rows, 0)] * pack),
        rows.expand(pack, -1, -1),
        [training] * pack,
        seeds=seeds,
        budget=epochs,
    )
    return trainer, torch.stack([trainer.advance() for _ in range(epochs)])


@pytest.mark.parametrize(("network", "variants"), MIXED)
def test_alone_equals_in_company(network: type[nn.Module], variants: list[dict[str, Any]]) -> None:
    seeds = list(range(len(variants)))
    company, losses = trained([adapted(network, seed, **variants[seed]) for seed in seeds], seeds)
    drawn = company.model.sample(Noise(seeds, 10))
    assert losses.isfinite().all()
    assert len(losses[-1].unique()) == len(seeds)
    for seed in seeds:
        alone, loss = trained([adapted(network, seed, **variants[seed])], [seed])
        torch.testing.assert_close(losses[:, seed], loss[:, 0], **CLOSE)
        kept = keep(company.model, [seed])
        for name, tensor in alone.model.state_dict().items():
            torch.testing.assert_close(kept.state_dict()[name], tensor, **CLOSE)
        torch.testing.assert_close(drawn[seed], alone.model.sample(Noise([seed], 10))[0], **CLOSE)


@pytest.mark.parametrize(("network", "variants"), MIXED)
def test_torchs_global_generator_is_left_alone(network: type[nn.Module], variants: list[dict[str, Any]]) -> None:
    runs = []
    for disturbance in (1, 2):
        torch.manual_seed(disturbance)
        before = torch.get_rng_state()
        trainer, losses = trained(
            [adapted(network, seed, **entry) for seed, entry in enumerate(variants)], [5] * len(variants)
        )
        runs.append((losses, trainer.model.sample(Noise([6] * len(variants), 10))))
        assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(runs[0][0], runs[1][0])
    assert torch.equal(runs[0][1], runs[1][1])


def test_equal_trials_go_through_the_code_once() -> None:
    calls = []

    class Counted(Perceptron):
        def forward(self, x: Tensor) -> Tensor:
            calls.append(x.shape)
            return super().forward(x)

    pack = join([adapted(Counted, seed, width=width) for seed, width in enumerate((4, 4, 5, 4))])
    calls.clear()
    y = pack.push(torch.ones(4, 7, 2), Noise([0] * 4, 7))
    assert len(calls) == 2
    for seed, width in enumerate((4, 4, 5, 4)):
        torch.testing.assert_close(y[seed], plain(Perceptron, seed, width=width)(torch.ones(7, 2)))


def test_schema_is_that_of_the_network() -> None:
    model = pushforward_of(Perceptron)
    arguments = arguments_of(model)
    assert list(arguments) == ["width", "depth", "norm", "dropout", "noise"]
    assert [arguments[name].default for name in arguments] == [6, 1, "none", 0.0, 0]
    assert arguments["norm"].words == ("none", "layer", "batch")
    assert list(inspect.signature(model).parameters)[:2] == ["shape", "seed"]
    assert (model.__name__, model.__doc__) == ("Perceptron", "Layers of one width.")
    assert issubclass(model, Pushforward)


def test_extra_noise_stands_beside_the_source() -> None:
    pack = join([adapted(Perceptron, 1, noise=2), adapted(Perceptron, 2)])
    inputs = pack.draw(Noise([1, 2], 2000))
    assert inputs.shape == (2, 2000, 4)
    assert (inputs[1, :, 2:] == 0).all()
    assert inputs[0].std(0).tolist() == pytest.approx([1] * 4, abs=0.1)
    model: Any = pushforward_of(Perceptron)(Shape(3, "uniform", 1), 0)
    uniform = model.draw(Noise([1], 500))
    assert uniform.min() >= 0 and uniform.max() < 1
    assert uniform.std().item() == pytest.approx(12**-0.5, abs=0.03)


def test_it_learns() -> None:
    model = adapted(Perceptron, 1, width=32, norm="layer", dropout=0.05)
    _, losses = trained([model], [1], epochs=40)
    assert losses[-5:].mean() < losses[0] / 4


class Wide(Perceptron):
    """Gives one column too many."""

    def __init__(self, inputs: int, outputs: int, *, width: int = 4) -> None:
        super().__init__(inputs, outputs + 1, width)


class Double(Perceptron):
    """Parameters of another type."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.extra = nn.Parameter(torch.zeros(1, dtype=torch.float64))


@pytest.mark.parametrize(
    ("network", "arguments", "message"),
    [
        (Perceptron, {"noise": -1}, "noise must be at least 0, got -1"),
        (Wide, {}, r"Wide must map \[2, 2\] to \[2, 3\], and gave \[2, 4\]"),
        (Double, {}, "Double has parameters of other types than float32"),
    ],
)
def test_refuses_what_cannot_be_stacked(network: type[nn.Module], arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        adapted(network, 0, **arguments)


def test_refuses_arguments_that_no_study_can_set() -> None:
    class Seeded(nn.Module):
        def __init__(self, inputs: int, outputs: int, seed: int = 0) -> None: ...

    class Untyped(nn.Module):
        def __init__(self, inputs: int, outputs: int, width=3) -> None: ...  # type: ignore[no-untyped-def]

    class Required(nn.Module):
        def __init__(self, inputs: int, outputs: int, *, width: int) -> None: ...

    for network, message in (
        (Seeded, "seed must have another name"),
        (Untyped, "width must have a type"),
        (Required, "and a default"),
    ):
        with pytest.raises(TypeError, match=message):
            pushforward_of(network)


def test_conditions_of_the_plain_class_are_the_models() -> None:
    class Conditional(Perceptron):
        """A perceptron whose dropout acts in deep ones."""

        conditions: ClassVar[Any] = {"dropout": {"depth": (2, 3)}}

    assert pushforward_of(Conditional).conditions == {"dropout": {"depth": (2, 3)}}
    assert pushforward_of(Perceptron).conditions == {}
