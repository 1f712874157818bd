"""The leading axis: select trials from a pack, and merge packs.

Every tensor of a module starts with the pack's axis, and so does every tuple that has one entry when a constructor has
built a single network, so that two functions serve all modules. A tuple of another length is a constant, which the
networks of a pack share. Hydro and HFTA stacked networks before (Wang et al. 2021, Horizontally Fused Training
Arrays); here a single network is a pack of one, and there is no second code path.
"""

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

Module = TypeVar("Module", bound=nn.Module)
CONSTANTS = (
    "_constants"  # attribute of a module that was selected or merged: names of its tuples that aren't by network
)


class Ragged(nn.Module, ABC):
    """A module whose networks may differ in shape; tensors are padded with zeros to the widest network in the pack."""

    @abstractmethod
    def repad(self) -> None:
        """Pad or crop all tensors to the widest network that is now in the pack."""


def keep(module: Module, indices: Sequence[int]) -> Module:
    """New module with the chosen networks only, cropped to the widest of them, in the order given."""
    kept = _skeleton(module)
    chosen = list(indices)
    for part in kept.modules():
        for name, tensor in _tensors(part):
            _replace(part, name, tensor.detach()[chosen])
        setattr(part, CONSTANTS, _constants(part))
        for name, values in _tuples(part):
            setattr(part, name, tuple(values[index] for index in chosen))
    _repad(kept)
    return kept


def join(modules: Sequence[Module]) -> Module:
    """New module with the networks of all `modules`, which must be of one class, padded to the widest of them.

    Raises:
        ValueError: they don't share a constant.
    """
    sizes = [pack_size(module) for module in modules]
    joined: Module = _join(modules, sizes)
    _repad(joined)
    return joined


def pack_size(module: nn.Module) -> int:
    """Number of networks in the pack (0 for a module without tensors)."""
    for part in module.modules():
        for _, tensor in _tensors(part):
            return tensor.shape[0]
    return 0


def resized(tensor: Tensor, shape: Sequence[int]) -> Tensor:
    """Copy of `tensor` cropped, or padded with zeros, at the end of each axis to `shape`."""
    result = tensor.new_zeros(*shape)
    corner = tuple(slice(0, min(have, want)) for have, want in zip(tensor.shape, shape, strict=True))
    result[corner] = tensor.detach()[corner]
    return result


def resize(module: nn.Module, name: str, shape: Sequence[int]) -> None:
    """Crop or pad the tensor `name` of `module` in place; a parameter becomes a new `nn.Parameter`."""
    tensor = getattr(module, name)
    if tuple(tensor.shape) != tuple(shape):
        _replace(module, name, resized(tensor, shape))


def _join(modules: Sequence[Any], sizes: Sequence[int]) -> Any:
    # A trial without this part (a shallower network has fewer layers) is None here and contributes zeros.
    present = [module for module in modules if module is not None]
    joined = _skeleton(present[0])
    for name, sample in _tensors(present[0]):
        tensors = [
            sample.new_zeros(size, *([1] * (sample.dim() - 1))) if module is None else getattr(module, name).detach()
            for module, size in zip(modules, sizes, strict=True)
        ]
        widest = [max(sizes) for sizes in zip(*(tensor.shape[1:] for tensor in tensors), strict=True)]
        _replace(joined, name, torch.cat([resized(tensor, (tensor.shape[0], *widest)) for tensor in tensors]))
    constants = frozenset[str]().union(*map(_constants, present))
    for name in constants:
        first, *others = (getattr(module, name) for module in present)
        for other in others:
            if other != first:
                raise ValueError(f"{type(joined).__name__}.{name} is {first} of one network and {other} of another")
    setattr(joined, CONSTANTS, constants)
    for name, _ in _tuples(joined):
        setattr(joined, name, tuple(value for module in present for value in getattr(module, name)))
    children = [dict(module.named_children()) if module is not None else {} for module in modules]
    for name in dict.fromkeys(name for parts in children for name in parts):
        joined.add_module(name, _join([parts.get(name) for parts in children], sizes))
    return joined


def _skeleton(module: Module) -> Module:
    """Copy whose tensors are still the original's own, to be replaced one by one."""
    return copy.deepcopy(module, {id(tensor): tensor for part in module.modules() for _, tensor in _tensors(part)})


def _repad(module: nn.Module) -> None:
    for part in module.modules():
        if isinstance(part, Ragged):
            part.repad()


def _tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from list(module.named_parameters(recurse=False))
    yield from list(module.named_buffers(recurse=False))


def _tuples(module: nn.Module) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Tuples with one entry a network."""
    constants = _constants(module)
    yield from [
        (name, value) for name, value in vars(module).items() if isinstance(value, tuple) and name not in constants
    ]


def _constants(module: nn.Module) -> frozenset[str]:
    """Names of the other tuples. Their length tells only while a module is a pack of one, so it is noted then."""
    single = (name for name, value in vars(module).items() if isinstance(value, tuple) and len(value) != 1)
    known: frozenset[str] | None = vars(module).get(CONSTANTS)
    return frozenset(single) if known is None else known


def _replace(module: nn.Module, name: str, value: Tensor) -> None:
    # A new Parameter: assigning data of another shape to the old one breaks the next backward.
    old = getattr(module, name)
    setattr(module, name, nn.Parameter(value, old.requires_grad) if isinstance(old, nn.Parameter) else value)
