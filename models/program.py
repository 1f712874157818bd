"""A generator as one function of random numbers, which `torch.export` can take: no seeds, no streams, no `models`.

Notation: normal [rows, normals] and uniform [rows, uniforms], all that one row of a sample needs, in the order drawn.
"""

from collections.abc import Sequence
from typing import cast, final

import torch
from torch import Tensor, nn

from models.generator import Generator
from models.noise import Noise

LAWS = ("normal", "uniform")


@final
class Drawn:
    """Stands for a `Noise`, and keeps all that it draws."""

    def __init__(self, noise: Noise) -> None:
        self.rows, self.device, self.whole = noise.rows, noise.device, True
        self._noise = noise
        self._parts: dict[str, list[Tensor]] = {law: [] for law in LAWS}

    def normal(self, key: str, widths: Sequence[int]) -> Tensor:
        """As `Noise.normal`."""
        return self._kept("normal", self._noise.normal(key, widths))

    def uniform(self, key: str, widths: Sequence[int]) -> Tensor:
        """As `Noise.uniform`."""
        return self._kept("uniform", self._noise.uniform(key, widths))

    def inputs(self) -> tuple[Tensor, Tensor]:
        """Normal `[rows, normals]` and uniform `[rows, uniforms]` numbers drawn so far."""
        normal, uniform = (
            torch.cat([torch.empty(self.rows, 0), *(part.cpu() for part in self._parts[law])], 1) for law in LAWS
        )
        return normal, uniform

    def _kept(self, law: str, drawn: Tensor) -> Tensor:
        self._parts[law].append(drawn[0])
        return drawn


@final
class Given:
    """Stands for a `Noise` of one trial, and hands out the columns of its two inputs one after the other."""

    def __init__(self, normal: Tensor, uniform: Tensor) -> None:
        # Branches that depend on numbers can't be traced.
        self.rows, self.device, self.whole = normal.shape[0], normal.device, True
        self._left = {"normal": normal, "uniform": uniform}

    def normal(self, key: str, widths: Sequence[int]) -> Tensor:
        """Next `widths` normal columns, `[1, rows, width]`."""
        return self._next("normal", widths)

    def uniform(self, key: str, widths: Sequence[int]) -> Tensor:
        """Next `widths` uniform columns, `[1, rows, width]`."""
        return self._next("uniform", widths)

    def _next(self, law: str, widths: Sequence[int]) -> Tensor:
        taken, self._left[law] = self._left[law].tensor_split([max(widths)], dim=1)
        return taken.unsqueeze(0)


@final
class Program(nn.Module):
    """Rows `[rows, columns]` in the user's units, float64, of normal and uniform numbers, float32.

    Args:
        generator: a trained model (a pack of one) and its features.
    """

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.model, self.features = generator.model, generator.features

    def forward(self, normal: Tensor, uniform: Tensor) -> Tensor:
        """Rows of `normal` `[rows, normals]` and `uniform` `[rows, uniforms]`, of independent numbers."""
        rows = self.model.sample(cast(Noise, Given(normal, uniform)))[0]
        return self.features.inverse(rows.double())


def drawn(generator: Generator, rows: int, seed: int) -> tuple[Tensor, Tensor]:
    """Normal `[rows, normals]` and uniform `[rows, uniforms]` numbers that the model's streams draw for a sample."""
    noise = Drawn(Noise([seed], rows))
    with torch.no_grad():
        generator.model.sample(cast(Noise, noise))
    return noise.inputs()


def exported(generator: Generator) -> torch.export.ExportedProgram:
    """The generator's `Program`, of any number of rows.

    Raises:
        Exception: of `torch.export`, where it can't trace the model.
    """
    normal, uniform = drawn(generator, 3, 0)
    rows = torch.export.Dim("rows")
    program = torch.export.export(
        Program(generator).eval(), (normal, uniform), dynamic_shapes=({0: rows}, {0: rows}), strict=False
    )
    program.example_inputs = None  # the only part that would be written as a pickle
    return program
