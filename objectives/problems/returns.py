"""Four non-negative, heavy-tailed columns with a known dependence, like absolute returns of four assets.

Demarta and McNeil (2005), The t copula and related copulas: Kendall's tau of a t copula is (2 / pi) arcsin(rho).
The generalised Pareto quantile is from Pickands (1975). Arrays are `[rows, 4]`.
"""

from typing import Literal, final, get_args

import numpy as np
from scipy import special

from objectives.problems.problem import Array, Problem, Rows, Source, checked_sizes, fresh_rows

Margins = Literal["half_t", "pareto"]

COPULA_DEGREES = 4.0
HALF_T_DEGREES = 3.0
PARETO_SHAPE = 0.3


@final
class Returns4D(Problem):
    """A t copula (4 degrees of freedom) with half-t (3 degrees) or generalised Pareto (shape 0.3) margins.

    The truth is in `tau` `[4, 4]`, the Kendall correlations, and `scales` `[4]`, those of the margins.

    Raises:
        ValueError: the margins are neither `half_t` nor `pareto`.
    """

    columns = ("r1", "r2", "r3", "r4")
    source = Source("normal", 4)

    def __init__(
        self, *, margins: Margins = "half_t", train: int = 720, validation: int = 720, test: int = 720
    ) -> None:
        self.sizes = checked_sizes(train, validation, test)
        if margins not in get_args(Margins):
            raise ValueError(f"margins = {margins!r}: expected one of {', '.join(get_args(Margins))}")
        self.margins = margins
        self.scales = np.array([0.6, 0.9, 1.3, 2.0])
        self.tau = np.array(
            [
                [1.00, 0.30, 0.32, 0.25],
                [0.30, 1.00, 0.39, 0.34],
                [0.32, 0.39, 1.00, 0.28],
                [0.25, 0.34, 0.28, 1.00],
            ]
        )
        self._root = np.linalg.cholesky(np.sin(np.pi * self.tau / 2))

    def draw(self, count: int, generator: np.random.Generator) -> Array:
        """Draw rows `[count, 4]`, all >= 0."""
        normal = generator.standard_normal((count, 4)) @ self._root.T
        shock = np.sqrt(generator.chisquare(COPULA_DEGREES, (count, 1)) / COPULA_DEGREES)
        # The survival probability, not the distribution function, keeps the digits of the upper tail.
        survival = special.stdtr(COPULA_DEGREES, -normal / shock)
        if self.margins == "pareto":
            return np.asarray(self.scales / PARETO_SHAPE * np.expm1(-PARETO_SHAPE * np.log(survival)))
        return np.asarray(-self.scales * special.stdtrit(HALF_T_DEGREES, survival / 2))

    def rows(self, seed: int) -> Rows:
        """Draw the three splits independently."""
        return fresh_rows(self.draw, self.sizes, seed)

    def pair(self, first: int, second: int, generator: np.random.Generator) -> tuple[Array, Array]:
        """Draw two independent samples."""
        return self.draw(first, generator), self.draw(second, generator)
