"""Flow matching: a network gives the velocity that carries noise along straight paths to the data.

Source: Lipman et al. 2023, Flow Matching for Generative Modeling, equations 1 and 23; Liu, Gong, Liu 2023, Flow
Straight and Fast, algorithm 1.
Notation: x [pack, batch, features]; time in [0, 1], [pack, batch, 1] or [pack, 1, 1]: noise at 0, data at 1.
"""

from typing import Literal, cast, final, get_args

import torch
from torch import Tensor

from models.layers import Activation
from models.model import Model, Shape
from models.noise import Noise
from models.time_embedding import TimeMLP

Solver = Literal["euler", "rk4"]


@final
class FlowMatching(Model):
    """dx/dt = velocity(x, t) from x ~ N(0, I) at t = 0.

    Args:
        shape: columns of the data (its source isn't used: the flow starts from noise in the data's dimension).
        seed: of the initial weights.
        width, depth: units of a hidden layer, and the number of hidden layers.
        activation: of the hidden layers.
        dropout: share of hidden units dropped in training.
        steps: of the solver, all of one size.
        solver: "euler" (one evaluation of the network a step) or "rk4" (four, Runge-Kutta of fourth order).

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        shape: Shape,
        seed: int,
        *,
        width: int = 64,
        depth: int = 3,
        activation: Activation = "silu",
        dropout: float = 0.0,
        steps: int = 10,
        solver: Solver = "rk4",
    ) -> None:
        super().__init__()
        if steps < 1:
            raise ValueError(f"steps must be at least 1, got {steps}")
        if solver not in get_args(Solver):
            raise ValueError(f"solver must be one of {', '.join(get_args(Solver))}, got {solver!r}")
        self.shape = shape
        self.network = TimeMLP(
            shape.features, width=width, depth=depth, activation=activation, dropout=dropout, seed=seed
        )
        self.steps, self.solver = (steps,), (solver,)

    def velocity(self, x: Tensor, time: Tensor, noise: Noise | None = None) -> Tensor:
        """Velocity `[pack, batch, features]` at `x` and `time`; `noise` is given in training only, for dropout."""
        return cast(Tensor, self.network(x, time, noise))

    def sample(self, noise: Noise) -> Tensor:
        """Rows `[pack, noise.rows, features]` at time 1, all trials abreast; one of fewer steps waits there."""
        x = noise.normal("start", [self.shape.features] * len(self.steps))
        steps = torch.tensor(self.steps, device=x.device).view(-1, 1, 1)
        for step in range(max(self.steps)):
            x = x + (step < steps) / steps * self._slope(x, (step / steps).clamp_max(1), 1 / steps)
        return x

    def architecture(self) -> list[dict[str, float]]:
        """`parameters` of each trial."""
        return [{"parameters": count} for count in self.network.parameter_counts()]

    def _slope(self, x: Tensor, time: Tensor, size: Tensor) -> Tensor:
        first = self.velocity(x, time)
        if "rk4" not in self.solver:
            return first
        second = self.velocity(x + size / 2 * first, time + size / 2)
        third = self.velocity(x + size / 2 * second, time + size / 2)
        fourth = self.velocity(x + size * third, time + size)
        higher = torch.tensor([solver == "rk4" for solver in self.solver], device=x.device).view(-1, 1, 1)
        return torch.where(higher, (first + 2 * second + 2 * third + fourth) / 6, first)
