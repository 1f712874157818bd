"""t copula: the dependence of Student's t distribution, whose extremes come together, between empirical margins.

Source: Demarta, McNeil 2005, The t Copula and Related Copulas, sections 2.1 and 3.2 (Kendall's tau gives the
correlation, likelihood the degrees of freedom).
Notation: rows, scores and values [pack, batch, features]; scores are normal quantiles of shares, values t quantiles.
"""

import math
from typing import final

import torch
from torch import Tensor, nn

from models.margins import Margins, rank_shares
from models.mixture import Mixture, ridged
from models.model import Model, Shape
from models.noise import Noise

LEAST, MOST = 1.0, 100.0  # degrees of freedom; beyond the most it is a Gaussian copula
FARTHEST, STEPS = 8.0, 1024  # of the scores that a function is tabulated at, on either side of 0
FITTED = 5000  # most rows that the dependence is fitted to, chosen by seed
PAIRS, TOGETHER = 500_000, 20_000  # most pairs of rows that Kendall's tau is of, and of those at a time
SMALLEST = 1e-6  # eigenvalue of a correlation matrix


@final
class StudentScores(nn.Module):
    """Student's t and chi-squared quantiles as functions of a normal score, linear between tabulated points.

    Those of N(0, 1) until they are set.
    """

    def __init__(self) -> None:
        super().__init__()
        self.degrees: Tensor
        self.values: Tensor
        self.squares: Tensor
        self.register_buffer("degrees", torch.ones(1))
        self.register_buffer("values", torch.linspace(-FARTHEST, FARTHEST, 2 * STEPS + 1).asinh().unsqueeze(0))
        self.register_buffer("squares", torch.zeros(1, 2 * STEPS + 1))

    def set(self, degrees: float) -> None:
        """Tabulate the distributions of so many degrees of freedom; the pack must be of one."""
        from scipy import special  # a checkpoint samples without it

        scores = torch.linspace(-FARTHEST, FARTHEST, 2 * STEPS + 1, dtype=torch.float64)
        # Each half is computed from its tail, where shares keep their digits.
        tails = torch.special.ndtr(-scores.abs()).numpy()
        below = torch.from_numpy(special.stdtrit(degrees, tails[:STEPS]))
        values = torch.cat([below, below.new_zeros(1), -below.flip(0)])
        lower, upper = special.gammaincinv(degrees / 2, tails), special.gammainccinv(degrees / 2, tails)
        squares = 2 * torch.where(scores < 0, torch.from_numpy(lower), torch.from_numpy(upper))
        self.degrees.fill_(degrees)
        self.values[0] = values.asinh()
        self.squares[0] = squares.log()

    def value(self, scores: Tensor) -> Tensor:
        """The t quantiles of the shares that N(0, 1) has below `scores`."""
        return torch.sinh(_between(self.values, scores))

    def score(self, values: Tensor) -> Tensor:
        """The scores of t quantiles."""
        table = self.values.double()
        lines = torch.asinh(values.double()).flatten(1)
        high = torch.searchsorted(table, lines).clamp(1, table.shape[1] - 1)
        lower, upper = table.gather(1, high - 1), table.gather(1, high)
        part = ((lines - lower) / (upper - lower)).clamp(0, 1)
        scores: Tensor = (high - 1 + part) * (FARTHEST / STEPS) - FARTHEST
        return scores.view_as(values).to(values.dtype)

    def spread(self, noise: Noise) -> Tensor:
        """Draw `[pack, rows, 1]`: the factors that make normal rows those of a t distribution."""
        squares = torch.exp(_between(self.squares, noise.normal("spread", [1] * len(self.degrees))))
        return (self.degrees.view(-1, 1, 1) / squares).sqrt()


@final
class TCopula(Model):
    """x_j = F_j^-1(T(t_j)), t a Student t vector of correlation sin(pi tau / 2), with empirical margins F_j.

    Args:
        shape: columns of the data.
        seed: not used.
        quantiles: of each margin that are kept.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(self, shape: Shape, seed: int, *, quantiles: int = 2000) -> None:
        super().__init__()
        if quantiles < 2:
            raise ValueError(f"quantiles must be at least 2, got {quantiles}")
        self.margins = Margins(shape.features, quantiles)
        self.dependence = Mixture(shape.features, 1)
        self.student = StudentScores()

    def fit(self, rows: Tensor, seed: int) -> None:
        """Take margins and correlation of `rows` `[1, n, features]`, and the likeliest degrees of freedom."""
        from scipy import optimize  # a checkpoint samples without it

        self.margins.fit(rows)
        dice = torch.Generator().manual_seed(seed)
        kept = rows[0, torch.randperm(rows.shape[1], generator=dice)[:FITTED]].double().cpu()
        features = kept.shape[1]
        tau = _kendall(kept, dice)
        correlation = ridged(_correlation(tau))
        scores = torch.special.ndtri(rank_shares(kept)).unsqueeze(0)
        self.dependence.set(correlation.new_ones(1), correlation.new_zeros(1, features), correlation.unsqueeze(0))
        factor = torch.linalg.cholesky(correlation).unsqueeze(0)

        def cost(log_degrees: float) -> float:
            self.student.set(math.exp(log_degrees))
            degrees = torch.tensor([math.exp(log_degrees)], dtype=torch.float64)
            return -float(_log_copula(self.student.value(scores), factor, degrees).mean())

        likeliest = optimize.minimize_scalar(cost, bounds=(math.log(LEAST), math.log(MOST)), method="bounded")
        self.student.set(math.exp(float(likeliest.x)) if features > 1 else MOST)

    def log_density(self, rows: Tensor) -> Tensor:
        """Log-density `[pack, batch]` of the copula alone, at the mid-ranks of `rows`: the margins have none."""
        values = self.student.value(self.margins.scores(rows))
        return _log_copula(values, self.dependence.factor[:, 0], self.student.degrees)

    def sample(self, noise: Noise) -> Tensor:
        """Rows `[pack, noise.rows, features]`, within the range of the training rows."""
        values = self.dependence.draw(noise) * self.student.spread(noise)
        return self.margins.values(self.student.score(values))

    def architecture(self) -> list[dict[str, float]]:
        """`degrees` of freedom, and `parameters`: these, correlations and quantiles, of each trial."""
        features = self.dependence.means.shape[2]
        pairs = features * (features - 1) // 2
        return [
            {"parameters": 1 + pairs + count * features, "degrees": float(degrees)}
            for count, degrees in zip(self.margins.quantiles, self.student.degrees, strict=True)
        ]


def _kendall(rows: Tensor, dice: torch.Generator) -> Tensor:
    """Kendall's tau-b `[features, features]` of rows `[n, features]`: of all pairs of rows, or of `PAIRS` by chance."""
    n = len(rows)
    if n * (n - 1) // 2 <= PAIRS:
        first, second = torch.triu_indices(n, n, 1)
    else:
        first, second = torch.randint(n, (2, PAIRS), generator=dice)
    agreed = rows.new_zeros(rows.shape[1], rows.shape[1])
    for one, other in zip(first.split(TOGETHER), second.split(TOGETHER), strict=True):
        signs = (rows[one] - rows[other]).sign()
        agreed += signs.mT @ signs
    untied = agreed.diagonal().clamp_min(1).sqrt()
    return (agreed / untied / untied.unsqueeze(1)).fill_diagonal_(1)


def _correlation(tau: Tensor) -> Tensor:
    """sin(pi tau / 2), its eigenvalues raised to `SMALLEST` where pairs together are no correlation matrix."""
    values, vectors = torch.linalg.eigh(torch.sin(math.pi / 2 * tau))
    near: Tensor = (vectors * values.clamp_min(SMALLEST)) @ vectors.mT
    deviations = near.diagonal().sqrt()
    return near / deviations / deviations.unsqueeze(1)


def _between(table: Tensor, scores: Tensor) -> Tensor:
    """Values of a `table` `[pack, 2 STEPS + 1]` at `scores` `[pack, ...]`."""
    place = ((scores + FARTHEST) * (STEPS / FARTHEST)).clamp(0, table.shape[1] - 1).flatten(1)
    low = place.long().clamp_max(table.shape[1] - 2)
    lower, upper = table.gather(1, low), table.gather(1, low + 1)
    return (lower + (place - low) * (upper - lower)).view_as(scores)


def _log_copula(values: Tensor, factor: Tensor, degrees: Tensor) -> Tensor:
    """Log-density `[pack, batch]` of the t copula at t quantiles; `factor` `[pack, features, features]`."""
    features, v = values.shape[2], degrees.view(-1, 1)
    standard = torch.linalg.solve_triangular(factor.to(values.dtype), values.mT, upper=False)
    log_volume = factor.diagonal(dim1=1, dim2=2).log().sum(1, keepdim=True)
    joint = -(v + features) / 2 * torch.log1p(standard.square().sum(1) / v) - log_volume
    alone = (-(v.unsqueeze(2) + 1) / 2 * torch.log1p(values.square() / v.unsqueeze(2))).sum(2)
    constant = torch.lgamma((v + features) / 2) + (features - 1) * torch.lgamma(v / 2)
    return constant - features * torch.lgamma((v + 1) / 2) + joint - alone
