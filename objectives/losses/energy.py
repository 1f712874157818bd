"""The energy distance between a batch of the data and a pushforward's samples.

Source: Szekely, Rizzo 2013, Energy statistics: a class of statistics based on distances, equation 5; its unbiased form
is a mean of the energy score of Gneiting, Raftery 2007, Strictly Proper Scoring Rules, equation 21, less a constant.
Notation: rows x [pack, batch, features], generated y [pack, batch, features].
"""

from typing import ClassVar, final

import torch
from torch import Tensor

from objectives.losses.objective import Objective
from objectives.losses.protocols import Noise, Pushforward

MOST_ROWS = 2000  # training rows for the real-real term, chosen by seed


@final
class Energy(Objective[Pushforward]):
    """Unbiased energy distance 2 E|x - y| - E|x - x'| - E|y - y'|; it has no bandwidth to choose.

    The real-real term has no gradient, so it is computed only once, on the training rows.

    Args:
        rows: training features `[n, features]`.
        seed: chooses the rows of the real-real term.
    """

    protocol: ClassVar[type] = Pushforward

    def __init__(self, rows: Tensor, seed: int) -> None:
        super().__init__()
        chosen = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))[:MOST_ROWS]
        self.real: Tensor
        self.register_buffer("real", _mean_within(rows[chosen].float().unsqueeze(0)))

    def loss(self, model: Pushforward, rows: Tensor, noise: Noise, train: bool = True) -> Tensor:
        """Return the unbiased energy distance `[pack]` between `rows` and as many samples; it may be negative."""
        y = model.push(model.draw(noise), noise if train else None)
        return 2 * _distances(rows, y).mean((1, 2)) - self.real - _mean_within(y)


def _distances(a: Tensor, b: Tensor) -> Tensor:
    """Return pairwise distances `[pack, n, m]`."""
    # From differences: the root of the expansion |a|^2 + |b|^2 - 2ab has no accurate gradient near 0.
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")


def _mean_within(rows: Tensor) -> Tensor:
    """Return the mean distance `[pack]` over the pairs i != j of `rows` `[pack, n, features]`."""
    n = rows.shape[1]
    return _distances(rows, rows).sum((1, 2)) / (n * max(n - 1, 1))
