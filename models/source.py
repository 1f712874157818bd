"""What a pushforward is fed: the problem's source, and extra noise beside it.

Notation: inputs [pack, rows, source + noise].
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from models.model import Shape
from models.noise import Noise


def draw_inputs(shape: Shape, extra: Sequence[int], noise: Noise) -> Tensor:
    """Fresh rows of the source, then `extra` standard normal columns of each trial: `[pack, noise.rows, inputs]`."""
    draw = noise.normal if shape.source == "normal" else noise.uniform
    source = draw("source", [shape.source_features] * len(extra))
    return torch.cat([source, noise.normal("noise", extra)], dim=2) if any(extra) else source
