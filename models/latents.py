"""Rows from given latents: the numbers that a model maps to the data, chosen rather than drawn.

Notation: latents [rows, latents], standard normal, or uniform where a problem's source is; all else is drawn by seed.
"""

from collections.abc import Sequence
from typing import cast, final

import torch
from torch import Tensor

from models.generator import Generator
from models.lars_vae import LarsVAE
from models.model import Model
from models.noise import Noise, hashed_seed

STREAMS = ("latent", "source", "noise", "start")  # what the families call the numbers that they map to rows


@final
class Fixed:
    """Stands for a `Noise` of one trial: gives latents where they are drawn, and fresh numbers for the rest.

    Args:
        noise: for the rest.
        latents: `[rows, latents]`, or None to draw these too and find out `widths`, their columns by stream.
    """

    def __init__(self, noise: Noise, latents: Tensor | None = None) -> None:
        self.rows, self.device, self.whole = noise.rows, noise.device, noise.whole
        self.widths: dict[str, int] = {}
        self._noise, self._left = noise, latents

    def normal(self, key: str, widths: Sequence[int]) -> Tensor:
        """Latents of this stream, or as `Noise.normal`."""
        return self._taken(key, widths) if self._given(key, widths) else self._noise.normal(key, widths)

    def uniform(self, key: str, widths: Sequence[int]) -> Tensor:
        """Latents of this stream, or as `Noise.uniform`."""
        return self._taken(key, widths) if self._given(key, widths) else self._noise.uniform(key, widths)

    def _given(self, key: str, widths: Sequence[int]) -> bool:
        if key in STREAMS:
            self.widths[key] = max(widths)
        return key in STREAMS and self._left is not None

    def _taken(self, key: str, widths: Sequence[int]) -> Tensor:
        taken, self._left = cast(Tensor, self._left).tensor_split([max(widths)], dim=1)
        return taken.unsqueeze(0)


def latent_columns(generator: Generator) -> int:
    """Columns of the latents that rows can be sampled from; 0 for a model that has none."""
    noise = Fixed(Noise([0], 1))
    with torch.no_grad():
        _mapped(generator).sample(cast(Noise, noise))
    return sum(noise.widths.values())


def sample_latents(generator: Generator, latents: Tensor, seed: int = 0) -> Tensor:
    """Rows `[rows, columns]` in the user's own units, float64, of `latents` `[rows, latents]`.

    What a model adds to the map, such as a decoder's noise, is drawn by `seed`. A learned prior is passed by.
    """
    noise = Fixed(Noise([hashed_seed(seed, "latents")], len(latents)), latents.float())
    with torch.no_grad():
        return generator.features.inverse(_mapped(generator).sample(cast(Noise, noise))[0].double())


def _mapped(generator: Generator) -> Model:
    """The model that maps latents to rows: of a learned prior, what is behind it."""
    return generator.model.autoencoder if isinstance(generator.model, LarsVAE) else generator.model
