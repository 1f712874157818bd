"""The error of value at risk and expected shortfall over 100 portfolios: the losses that a sum of columns can bring.

Acerbi and Tasche (2002), On the coherence of expected shortfall. For a portfolio w with values p = w . z, z the columns
in deviations of the training rows, and k = ceil(a n) lowest of n values, a = 5 % and 1 %:

    VaR_a = -p_(k),    ES_a = -(p_(1) + ... + p_(k)) / k

The score is the mean absolute error of these four figures over portfolios, each over the standard deviation of the
portfolio on real rows. Half of the portfolios are long-only, uniform on the simplex; the others have random signs and
sum |w| = 1. In deviations no column's unit decides a portfolio; a weight is a share of risk rather than of capital.
"""

from typing import ClassVar, final

import numpy as np
from numpy.typing import ArrayLike

from objectives.scores.quantiles import projection
from objectives.scores.score import Array, Measure, Reference, Score, real_rows, score_members

PORTFOLIOS = 100
SHARES = (0.05, 0.01)


@final
class VarEs(Score):
    """Error of value at risk and expected shortfall of fixed portfolios against the held rows."""

    ranking: ClassVar[bool] = False
    limit: ClassVar[float] = 0.0
    decay: ClassVar[float] = 0.5
    repeats: ClassVar[int] = 100

    def __init__(self, reference: Reference) -> None:
        self._scale = reference.scale
        real = self._scale(real_rows(reference.held))
        self._features = real.shape[1]
        self._known = _known(real)

    @classmethod
    def serves(cls, real: Array) -> bool:
        """Return True: any number of columns is served."""
        return True

    def __call__(self, generated: Array) -> Measure:
        """Return the error of each member `[pack]`, in deviations of a portfolio."""
        value = score_members(generated, self._features, lambda members: _errors(*self._known, self._scale(members)))
        return Measure(value, value)


def var_es(real: ArrayLike, generated: ArrayLike) -> Array:
    """Return the error of value at risk and shortfall `[*pack]` of samples `[*pack, m, d]` from real rows `[n, d]`.

    Columns aren't rescaled. Needs O(n d) time for each of 100 portfolios, and memory for one of them.

    Raises:
        ValueError: shapes don't match, fewer than two rows, or real rows that are not finite.
    """
    rows = real_rows(real)
    figures, deviations = _known(rows)
    return score_members(generated, rows.shape[1], lambda members: _errors(figures, deviations, members))


def portfolios(features: int) -> Array:
    """Return the weights `[portfolios, d]`, the same for every problem of d columns."""
    dice = np.random.default_rng(0)
    sizes = dice.dirichlet(np.ones(features), PORTFOLIOS)
    signs = np.where(np.arange(PORTFOLIOS)[:, np.newaxis] % 2, dice.choice([-1.0, 1.0], sizes.shape), 1.0)
    return np.asarray(sizes * signs)


def _known(real: Array) -> tuple[Array, Array]:
    """Return the figures of real rows `[portfolios, 4]`, and the deviation `[portfolios]` of each portfolio."""
    values = [projection(real, weights) for weights in portfolios(real.shape[1])]
    deviations = np.array([own.std() if own.min() < own.max() else 1.0 for own in values])
    return np.array([_risks(own) for own in values]), deviations


def _risks(values: Array) -> list[float]:
    """Return value at risk and expected shortfall of `values` `[n]`, at each share in turn."""
    counts = [max(1, int(np.ceil(share * len(values) - 1e-9))) for share in SHARES]
    lowest = np.sort(np.partition(values, counts[0] - 1)[: counts[0]])
    return [figure for count in counts for figure in (-float(lowest[count - 1]), -float(lowest[:count].mean()))]


def _errors(figures: Array, deviations: Array, generated: Array) -> Array:
    """Return the errors `[members]` of samples `[members, m, d]`."""
    weights = portfolios(generated.shape[2])
    made = np.array([[_risks(projection(sample, own)) for own in weights] for sample in generated])
    made = made.reshape(len(generated), *figures.shape)
    return np.asarray((np.abs(made - figures).mean(axis=-1) / deviations).mean(axis=-1))
