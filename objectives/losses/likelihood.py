"""The likelihood of a density that is fitted by its own method before training.

Source: Bishop 2006, Pattern Recognition and Machine Learning, section 2.3.4 (maximum likelihood).
Notation: rows [pack, batch, features].
"""

from typing import ClassVar, final

from torch import Tensor

from objectives.losses.objective import Objective
from objectives.losses.protocols import Density, Noise


@final
class Likelihood(Objective[Density]):
    """Mean over rows of -log p(x), in nats a row; it has no gradient.

    Args:
        rows: training features `[n, features]`; not used.
        seed: seed of the fit.
    """

    protocol: ClassVar[type] = Density
    descends: ClassVar[bool] = False

    def __init__(self, rows: Tensor, seed: int) -> None:
        super().__init__()
        self.seed = (seed,)

    def setup(self, model: Density, rows: Tensor) -> None:
        """Fit the density to all training rows."""
        model.fit(rows, self.seed[0])

    def loss(self, model: Density, rows: Tensor, noise: Noise, train: bool = True) -> Tensor:
        """Return the loss `[pack]`, without gradient."""
        return -model.log_density(rows).mean(1)
