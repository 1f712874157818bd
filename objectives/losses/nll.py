"""Negative log-likelihood of a density that is trained by its gradient.

Source: Papamakarios et al. 2021, Normalizing Flows for Probabilistic Modeling and Inference, equation 15.
Notation: rows [pack, batch, features].
"""

from typing import ClassVar, final

from torch import Tensor

from objectives.losses.objective import Objective
from objectives.losses.protocols import Flow, Noise


@final
class NLL(Objective[Flow]):
    """Mean over rows of -log p(x), in nats a row.

    Args:
        rows: training features `[n, features]`; not used.
        seed: not used.
    """

    protocol: ClassVar[type] = Flow

    def __init__(self, rows: Tensor, seed: int) -> None:
        super().__init__()

    def loss(self, model: Flow, rows: Tensor, noise: Noise, train: bool = True) -> Tensor:
        """Return the loss `[pack]`."""
        return -model.log_prob(rows, noise if train else None).mean(1)
