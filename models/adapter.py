"""Adapter: plain modules, written without the leading axis, as models that do have it.

Source: Horace He, Richard Zou 2022, functorch (torch.func), model ensembling.
Notation: x [pack, batch, inputs]; weight and bias [pack, numbers], state [pack, numbers]: each trial's own tensors,
flattened, one behind the other.
"""

import inspect
import typing
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from models.model import Model, Shape
from models.noise import Noise
from models.pack import Ragged, resize
from models.source import draw_inputs


@final
class Stack(Ragged):
    """Stacked plain modules `[pack, batch, inputs] -> [pack, batch, outputs]`, of whatever architectures.

    Trials of equal arguments go through `torch.func.vmap` at once, if their code allows it: no buffers that training
    changes, no random numbers, no branch on values. All others go one by one.

    Args:
        network: class of the plain module, `network(inputs, outputs, **arguments)`.
        inputs, outputs: columns in and out.
        arguments: keyword arguments of the network.
        seed: of the initial weights, which may come from torch's global generator.

    Raises:
        ValueError: the network doesn't map `[batch, inputs]` to `[batch, outputs]`, or has parameters not of float32.
    """

    def __init__(
        self, network: type[nn.Module], inputs: int, outputs: int, arguments: dict[str, Any], seed: int
    ) -> None:
        super().__init__()
        with _seeded(seed, torch.device("cpu")):
            plain = network(inputs, outputs, **arguments)
        weights, biases, states = _named_tensors(plain)
        if {tensor.dtype for tensor in [*weights.values(), *biases.values()]} - {torch.float32}:
            raise ValueError(f"{network.__name__} has parameters of other types than float32")
        self.weight = nn.Parameter(_row(weights.values()))
        self.bias = nn.Parameter(_row(biases.values()))
        self.state: Tensor
        # As float64, which holds the numbers of every real type exactly, counters and masks too.
        self.register_buffer("state", _row(states.values(), torch.float64))
        self.inputs = (inputs,)
        self.arguments = (tuple(arguments.items()),)
        # On the meta device a module is its code and the shapes of its tensors: the numbers are those above.
        self.plain = (plain.to("meta"),)
        with torch.no_grad():
            y = self._single(0, torch.zeros(2, inputs), seed, False)
        if not isinstance(y, Tensor) or y.shape != (2, outputs):
            found = list(y.shape) if isinstance(y, Tensor) else type(y).__name__
            raise ValueError(f"{network.__name__} must map [2, {inputs}] to [2, {outputs}], and gave {found}")

    def forward(self, x: Tensor, seeds: Sequence[int], train: bool) -> Tensor:
        """Output for `x` `[pack, batch, inputs]`; `seeds`, one a trial, are for modules that draw random numbers."""
        groups: dict[Any, list[int]] = {}
        for trial, own in enumerate(zip(self.inputs, self.arguments, strict=True)):
            groups.setdefault(own, []).append(trial)
        rows: dict[int, Tensor] = {}
        for trials in groups.values():
            rows |= zip(trials, self._group(trials, x, seeds, train), strict=True)
        return torch.stack([rows[trial] for trial in range(len(seeds))])

    def repad(self) -> None:
        """Crop or pad every trial's numbers to the longest in the pack."""
        for place, name in enumerate(("weight", "bias", "state")):
            own = [_named_tensors(plain)[place].values() for plain in self.plain]
            resize(self, name, (len(own), max(sum(tensor.numel() for tensor in tensors) for tensors in own)))

    def parameter_counts(self) -> list[int]:
        """Trained parameters of each trial's own network, `pack` of them."""
        parts = [_named_tensors(plain)[:2] for plain in self.plain]
        return [sum(tensor.numel() for part in own for tensor in part.values()) for own in parts]

    def _group(self, trials: list[int], x: Tensor, seeds: Sequence[int], train: bool) -> list[Tensor]:
        stateless = not _named_tensors(self.plain[trials[0]])[2]
        if len(trials) > 1 and (stateless or not train):
            plain, inputs = self.plain[trials[0]].train(train), self.inputs[trials[0]]
            stacked = vmap(lambda own, x: functional_call(plain, own, (x,)))
            try:
                return list(stacked(self._own(trials), x[trials, :, :inputs]))
            except RuntimeError:
                pass  # vmap refuses such code; what is wrong with the code itself shows below
        return [self._single(trial, x[trial], seeds[trial], train) for trial in trials]

    def _single(self, trial: int, x: Tensor, seed: int, train: bool) -> Tensor:
        own = {name: tensor[0] for name, tensor in self._own([trial]).items()}
        with _seeded(seed, x.device):
            y: Tensor = functional_call(self.plain[trial].train(train), own, (x[:, : self.inputs[trial]],))
        states = _named_tensors(self.plain[trial])[2]
        if train and states:
            changed = _row((own[name] for name in states), torch.float64)[0]
            self.state[trial, : len(changed)] = changed
        return y

    def _own(self, trials: list[int]) -> dict[str, Tensor]:
        """Tensors by name, `[trials, ...]`, of trials that share their architecture."""
        own: dict[str, Tensor] = {}
        named_tensors = _named_tensors(self.plain[trials[0]])
        for stacked, named in zip((self.weight, self.bias, self.state), named_tensors, strict=True):
            sizes = [tensor.numel() for tensor in named.values()]
            parts = torch.split(stacked[trials, : sum(sizes)], sizes, dim=1)
            for (name, like), part in zip(named.items(), parts, strict=True):
                own[name] = part.view(len(trials), *like.shape).to(like.dtype)
        return own


def pushforward_of(network: type[nn.Module]) -> type[Model]:
    """Model class, a pushforward, of a plain module class.

    Args:
        network: `network(inputs, outputs, *, width=64, ...)` whose `forward` maps `[batch, inputs]` to
            `[batch, outputs]`. Its keyword arguments, typed and defaulted, become the model's, beside `noise`: standard
            normal inputs beside the source. What it keeps between calls must be parameters and buffers. A dict
            `conditions` of the class says when keys act, as that of a `Model`.

    Raises:
        TypeError: an argument has no type or no default, or is named as one of the model's own.
    """
    parameters = list(inspect.signature(network).parameters.values())[2:]
    hints = typing.get_type_hints(network.__init__)
    for parameter in parameters:
        if parameter.name in ("shape", "seed", "noise"):
            raise TypeError(
                f"{network.__name__}: argument {parameter.name} must have another name, the model has its own"
            )
        if parameter.name not in hints or parameter.default is inspect.Parameter.empty:
            raise TypeError(f"{network.__name__}: argument {parameter.name} must have a type and a default")

    @final
    class Adapted(Model):
        conditions = getattr(network, "conditions", {})

        def __init__(self, shape: Shape, seed: int, *, noise: int = 0, **arguments: Any) -> None:
            super().__init__()
            if noise < 0:
                raise ValueError(f"noise must be at least 0, got {noise}")
            self.shape = shape
            self.noise = (noise,)
            self.network = Stack(network, shape.source_features + noise, shape.features, arguments, seed)

        def draw(self, noise: Noise) -> Tensor:
            """Inputs `[pack, noise.rows, source + noise]`: fresh rows of the source, then of the extra noise."""
            return draw_inputs(self.shape, self.noise, noise)

        def push(self, inputs: Tensor, noise: Noise | None = None) -> Tensor:
            """Rows `[pack, batch, features]` that `inputs` map to; `noise` is given in training only."""
            seeds = [0] * len(inputs) if noise is None else _seeds(noise, len(inputs))
            rows: Tensor = self.network(inputs, seeds, noise is not None)
            return rows

        def sample(self, noise: Noise) -> Tensor:
            """Rows `[pack, noise.rows, features]` pushed from fresh inputs."""
            inputs = self.draw(noise)
            rows: Tensor = self.network(inputs, _seeds(noise, len(inputs)), False)
            return rows

        def architecture(self) -> list[dict[str, float]]:
            """`parameters` of each trial."""
            return [{"parameters": count} for count in self.network.parameter_counts()]

    extra = inspect.Parameter("noise", inspect.Parameter.KEYWORD_ONLY, default=0, annotation=int)
    own = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters]
    constructor = inspect.signature(Adapted.__init__)
    leading = list(constructor.parameters.values())[:3]
    Adapted.__init__.__dict__["__signature__"] = constructor.replace(parameters=[*leading, *own, extra])
    Adapted.__init__.__annotations__.update({parameter.name: hints[parameter.name] for parameter in own})
    Adapted.__name__, Adapted.__qualname__ = network.__name__, network.__qualname__
    Adapted.__module__, Adapted.__doc__ = network.__module__, network.__doc__
    return Adapted


def _named_tensors(plain: nn.Module) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]:
    """Trained weights, all other trained parameters, and what isn't trained: frozen parameters and buffers."""
    named: tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]] = {}, {}, {}
    for name, parameter in plain.named_parameters():
        named[2 if not parameter.requires_grad else 0 if name.endswith("weight") else 1][name] = parameter
    named[2].update(plain.named_buffers())
    return named


def _row(tensors: Iterable[Tensor], dtype: torch.dtype = torch.float32) -> Tensor:
    rows = [tensor.detach().to(dtype).reshape(1, -1) for tensor in tensors]
    return torch.cat(rows, dim=1) if rows else torch.empty(1, 0, dtype=dtype)


def _seeds(noise: Noise, pack: int) -> list[int]:
    draws = (noise.uniform("module", [2] * pack)[:, 0].double() * 2**24).long()
    return [high << 24 | low for high, low in draws.tolist()]


@contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Torch's global generators set to `seed`, and put back at the end."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            torch.cuda.manual_seed(seed)
        yield
