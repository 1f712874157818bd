"""Selecting trials from a pack and merging packs."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from models.layers import MLP
from models.pack import join, keep, pack_size, resize, resized


def mlp(seed: int, width: int = 4, depth: int = 1, inputs: int = 2) -> MLP:
    arguments: dict[str, Any] = {"activation": "tanh", "dropout": 0.0, "output": "linear", "name": "net"}
    generator = torch.Generator().manual_seed(seed)
    return MLP(inputs, 1, width=width, depth=depth, generator=generator, **arguments)


class Labelled(nn.Module):
    """A module with one of each kind of thing that belongs to a trial."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.rate: Tensor
        self.scratch: Tensor
        self.weight = nn.Parameter(torch.full((1, 2), value))
        self.register_buffer("rate", torch.full((1, 1, 1), value))
        self.register_buffer("scratch", torch.full((1,), value), persistent=False)
        self.names: tuple[str, ...] = (f"trial {value}",)
        self.inner = nn.Linear(1, 1)
        del self.inner.weight, self.inner.bias


def test_buffers_parameters_and_tuples_follow_their_trial() -> None:
    pack = join([Labelled(0.0), Labelled(1.0), Labelled(2.0)])
    chosen = keep(pack, [2, 0, 2])
    assert chosen.weight.tolist() == [[2, 2], [0, 0], [2, 2]]
    assert chosen.rate.flatten().tolist() == [2, 0, 2]
    assert chosen.scratch.tolist() == [2, 0, 2]
    assert chosen.names == ("trial 2.0", "trial 0.0", "trial 2.0")
    assert isinstance(chosen.weight, nn.Parameter)
    assert chosen.weight.requires_grad
    assert set(chosen.state_dict()) == {"weight", "rate"}


class Constant(Labelled):
    """A module with tuples that are the same for all trials."""

    def __init__(self, value: float, kernel: tuple[int, ...] = (3, 3)) -> None:
        super().__init__(value)
        self.kernel, self.none = kernel, ()


def test_a_tuple_that_is_not_by_trial_stays_as_it_is() -> None:
    pack = join([join([Constant(0.0), Constant(1.0)]), Constant(2.0)])
    for each in (
        pack,
        keep(pack, [1, 0]),
        keep(keep(pack, [2, 1]), [0]),
        keep(Constant(5.0), [0, 0]),
        join([pack, pack]),
    ):
        assert (each.kernel, each.none) == ((3, 3), ())
    assert keep(pack, [2, 0]).names == ("trial 2.0", "trial 0.0")


@pytest.mark.parametrize("other", [(3, 5), (3,), (3, 3, 3)])
def test_a_constant_that_networks_do_not_share_keeps_them_apart(other: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"^Constant\.kernel is \(3, 3\) of one network and \(3,.*\) of another$"):
        join([Constant(0.0), Constant(1.0), Constant(2.0, other)])


def test_pack_size() -> None:
    assert pack_size(mlp(1)) == 1
    assert pack_size(join([join([mlp(1), mlp(2)]), mlp(3)])) == 3
    assert pack_size(nn.Identity()) == 0


def test_results_share_no_memory_with_what_they_were_made_of() -> None:
    original = join([mlp(1), mlp(2)])
    before = {name: value.clone() for name, value in original.state_dict().items()}
    for made in (keep(original, [0, 1]), join([original])):
        with torch.no_grad():
            for value in made.state_dict().values():
                value.add_(1)
        for name, value in original.state_dict().items():
            assert torch.equal(value, before[name])


def test_backward_works_after_every_change_of_shape() -> None:
    pack, x = join([mlp(1, width=3), mlp(2, width=8, depth=3)]), torch.ones(1, 5, 2)
    pack(x.expand(2, -1, -1)).sum().backward()
    for changed in (keep(pack, [0]), join([pack, mlp(3, width=9)]), keep(join([pack, mlp(3)]), [2, 1, 0])):
        assert all(parameter.grad is None and parameter.is_leaf for parameter in changed.parameters())
        changed(x.expand(pack_size(changed), -1, -1)).sum().backward()
        for parameter in changed.parameters():
            assert parameter.grad is not None
            assert parameter.grad.shape == parameter.shape


def test_ragged_inputs_read_their_own_columns() -> None:
    narrow, wide = mlp(1, inputs=1), mlp(2, inputs=4)
    x = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(0))
    y = join([narrow, wide])(x)
    torch.testing.assert_close(y[0], narrow(x[:1, :, :1])[0])
    torch.testing.assert_close(y[1], wide(x[1:])[0])


@pytest.mark.parametrize("shape", [(2, 3), (4, 5), (1, 2), (5, 1), (2, 5)])
def test_resized_crops_and_pads_with_zeros(shape: tuple[int, int]) -> None:
    tensor = torch.arange(1.0, 7).reshape(2, 3)
    result = resized(tensor, shape)
    expected = torch.zeros(shape)
    for row in range(min(2, shape[0])):
        for column in range(min(3, shape[1])):
            expected[row, column] = tensor[row, column]
    assert torch.equal(result, expected)


def test_resize_keeps_parameters_parameters_and_spares_what_fits() -> None:
    module = Labelled(1.0)
    before: Tensor = module.weight
    resize(module, "weight", (1, 2))
    assert module.weight is before
    resize(module, "weight", (1, 3))
    resize(module, "rate", (1, 2, 1))
    assert isinstance(module.weight, nn.Parameter)
    assert module.weight.tolist() == [[1, 1, 0]]
    assert dict(module.named_buffers())["rate"].flatten().tolist() == [1, 0]
