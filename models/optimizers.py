"""Adam and SGD over one flat tensor a pack, so that a step is a handful of kernels however many layers there are.

Source: Kingma, Ba 2015, Adam, algorithm 1; Loshchilov, Hutter 2019 for decoupled decay; Parikh, Boyd 2014, Proximal
Algorithms, section 6.5.2, for the L1 step.
Notation: weights, gradient and moments [pack, P]; rate, l1, l2 and steps [pack, 1].
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar, final

import torch
from torch import Tensor, nn

BETAS = (0.9, 0.999)
EPSILON = 1e-8
TINY = 1e-30  # the root of an exact zero is ten times as slow as that of any other number
BLOCK = 2**15  # parameters stepped at a time on a CPU, so that they stay in its cache from one pass to the next

Module = TypeVar("Module", bound=nn.Module)


@final
class Flat:
    """The parameters of a module as one tensor, of which the parameters are views.

    `values` is `[pack, P]`, and `is_weight` `[1, P]` is 1 for the entries of weight matrices, which penalties act on,
    and 0 for biases and scales.
    """

    def __init__(self, module: nn.Module, pack: int) -> None:
        named = list(module.named_parameters())
        device = named[0][1].device if named else None
        self.values = torch.cat([p.detach().reshape(pack, -1) for _, p in named] or [torch.zeros(pack, 0)], dim=1)
        self.is_weight = torch.zeros(1, self.values.shape[1], device=device)
        start = 0
        for name, parameter in named:
            stop = start + parameter[0].numel()
            parameter.data = self.values[:, start:stop].view(parameter.shape)
            self.is_weight[:, start:stop] = float(name.endswith("weight"))
            start = stop
        self._parameters = [parameter for _, parameter in named]

    def gradient(self, loss: Tensor) -> Tensor:
        """Gradient `[pack, P]` of `loss` `[pack]`: row i is that of loss i, as no parameter serves two trials."""
        parts = torch.autograd.grad(loss.sum(), self._parameters, allow_unused=True, materialize_grads=True)
        return torch.cat([part.reshape(len(loss), -1) for part in parts], dim=1)


@dataclass(frozen=True)
class Optimizer:
    """An update rule, and how many moments of the gradient it remembers."""

    update: Callable[[Tensor, Tensor, Sequence[Tensor], Tensor, Tensor], None]
    moments: int


def zeros_like(module: Module) -> Module:
    """Copy of `module` with zeros for parameters: a moment that `keep` and `join` treat as they treat the module."""
    zeros = copy.deepcopy(module)
    for parameter in zeros.parameters():
        parameter.data.zero_()
    return zeros


def adam(
    weights: Tensor,
    gradient: Tensor,
    moments: Sequence[Tensor],
    steps: Tensor,
    rate: Tensor,
    betas: tuple[float, float] = BETAS,
) -> None:
    """One step of Adam in place; `steps` counts this one, and `gradient` is used up."""
    root = (1 - betas[1] ** steps).sqrt()
    epsilon, scale = EPSILON * root, -rate * root / (1 - betas[0] ** steps)
    trials = max(1, BLOCK // max(1, weights[0].numel())) if weights.device.type == "cpu" else len(weights)
    for start in range(0, len(weights), trials):
        block = slice(start, start + trials)
        slope, first, second = gradient[block], moments[0][block], moments[1][block]
        first.lerp_(slope, 1 - betas[0])
        second.mul_(betas[1]).addcmul_(slope, slope, value=1 - betas[1])
        torch.add(second, TINY, out=slope).sqrt_().add_(epsilon[block])
        weights[block].addcmul_(torch.div(first, slope, out=slope), scale[block])


def clip(gradient: Tensor, norm: Tensor) -> None:
    """Scale each row of `gradient` in place to a length of at most `norm`; 0 leaves it as it is."""
    length = gradient.norm(dim=1, keepdim=True)
    gradient.mul_(torch.where(norm > 0, (norm / length).clamp_max(1), 1))


def sgd(weights: Tensor, gradient: Tensor, moments: Sequence[Tensor], steps: Tensor, rate: Tensor) -> None:
    """One step of gradient descent in place."""
    weights.addcmul_(gradient, -rate)


OPTIMIZERS = {"adam": Optimizer(adam, 2), "sgd": Optimizer(sgd, 0)}


def shrink(weights: Tensor, amount: Tensor) -> None:
    """Decoupled L2 step in place: weights * (1 - amount), `amount` = rate * l2 where it applies."""
    weights.mul_(1 - amount)


def soften(weights: Tensor, amount: Tensor) -> None:
    """Proximal L1 step in place: towards zero by `amount` = rate * l1, and exactly zero where less is left."""
    weights.copy_(weights.sign() * (weights.abs() - amount).clamp_min(0))
