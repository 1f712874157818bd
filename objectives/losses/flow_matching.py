"""Flow matching: a velocity field learns the straight paths from draws of N(0, I) to rows of the data.

Source: Lipman et al. 2023, Flow Matching for Generative Modeling, equation 23 with sigma_min = 0; Tong et al. 2024,
Improving and Generalizing Flow-Based Generative Models with Minibatch Optimal Transport, section 3.2 (pairing).
Notation: rows x [pack, batch, features], start z [pack, batch, features], time t [pack, batch, 1].
"""

from typing import ClassVar, Literal, final, get_args

import torch
from torch import Tensor

from objectives.losses.objective import Objective
from objectives.losses.protocols import Noise, VectorField

Pairing = Literal["independent", "optimal"]


@final
class FlowMatching(Objective[VectorField]):
    """Mean over rows of |x - z - velocity((1 - t) z + t x, t)|^2, z ~ N(0, I), t uniform on [0, 1).

    Args:
        rows: training features `[n, features]`; not used.
        seed: not used.
        pairing: how z and x are paired: "independent", or "optimal" for the least sum of squared distances in a batch.
            Optimal paths hardly cross, so the solver needs fewer steps.

    Raises:
        ValueError: an argument is out of its range.
    """

    protocol: ClassVar[type] = VectorField

    def __init__(self, rows: Tensor, seed: int, *, pairing: Pairing = "independent") -> None:
        super().__init__()
        if pairing not in get_args(Pairing):
            raise ValueError(f"pairing must be one of {', '.join(get_args(Pairing))}, got {pairing!r}")
        self.pairing = (pairing,)

    def loss(self, model: VectorField, rows: Tensor, noise: Noise, train: bool = True) -> Tensor:
        """Return the loss `[pack]`, with one time and one draw of z a row."""
        pack, _, features = rows.shape
        time, start = noise.uniform("time", [1] * pack), noise.normal("start", [features] * pack)
        start = torch.stack(
            [
                z[optimal_order(z, x)] if pairing == "optimal" else z
                for pairing, z, x in zip(self.pairing, start, rows, strict=True)
            ]
        )
        predicted = model.velocity(torch.lerp(start, rows, time), time, noise if train else None)
        return (rows - start - predicted).square().sum(2).mean(1)


def optimal_order(start: Tensor, rows: Tensor) -> Tensor:
    """Return the order of `start` `[n, features]` in which its i-th row pairs with the i-th of `rows`, same shape."""
    from scipy.optimize import linear_sum_assignment

    # The squares themselves are the same for every pairing.
    cost = -rows.double() @ start.double().T
    return torch.from_numpy(linear_sum_assignment(cost.cpu().numpy())[1]).to(rows.device)
