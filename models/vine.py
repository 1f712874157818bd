"""Vine copula: a dependence of any shape, built of pairs of columns along trees, between empirical margins.

Source: Dissmann et al. 2013, Selecting and Estimating Regular Vine Copulae and Application to Financial Returns (fit);
Czado 2019, Analyzing Dependent Data with Vine Copulas, section 6.2 (sampling by inverse h-functions). The fit is that
of the library pyvinecopulib; what it finds is kept on grids of normal scores, from which torch alone samples.
Notation: rows [pack, batch, features]; scores [pack, batch] of one column; edges are counted tree by tree, and edge k
of a tree joins column k and its `partner`, in the vine's own order; grids [pack, edges, GRID, GRID].
"""

import itertools
from typing import Any, ClassVar, Literal, final, get_args

import torch
from torch import Tensor

from models.margins import Margins, rank_shares
from models.model import Model, Shape
from models.noise import Noise

Pairs = Literal["all", "parametric"]

FITTED = 2000  # most rows that the dependence is fitted to, chosen by seed
FARTHEST, GRID = 5.0, 65  # normal scores on either side of 0, and points of a grid
WIDE = 100  # columns beyond which kernel estimates and likelihood would take minutes
LEAST = 1e-30  # density of a pair
MOST_EDGES = 300  # pairs that are fitted; those of later trees, given all before them, are taken as independent


@final
class Vine(Model):
    """x_j = F_j^-1(u_j), u of a regular vine copula, with empirical margins F_j.

    Args:
        shape: columns of the data.
        seed: not used.
        pairs: copulas that each pair chooses from by its BIC: "all", kernel estimates included, by likelihood, or
            "parametric" ones alone, from Kendall's tau, in a tenth of the time; so are those of more than 100 columns.
        quantiles: of each margin that are kept.

    Raises:
        ValueError: an argument is out of its range.
    """

    needs: ClassVar[str] = "pyvinecopulib"

    def __init__(self, shape: Shape, seed: int, *, pairs: Pairs = "all", quantiles: int = 2000) -> None:
        super().__init__()
        if pairs not in get_args(Pairs):
            raise ValueError(f"pairs must be one of {', '.join(get_args(Pairs))}, got {pairs!r}")
        if quantiles < 2:
            raise ValueError(f"quantiles must be at least 2, got {quantiles}")
        self.margins = Margins(shape.features, quantiles)
        self.pairs = (pairs,)
        edges = len(self._edges())
        scores = torch.linspace(-FARTHEST, FARTHEST, GRID)
        own, given = (grid.repeat(1, edges, 1, 1) for grid in torch.meshgrid(scores, scores, indexing="ij"))
        self.order: Tensor
        self.partner: Tensor
        self.direct: Tensor
        self.inverse: Tensor
        self.first: Tensor
        self.second: Tensor
        self.log_pairs: Tensor
        self.count: Tensor
        self.register_buffer("order", torch.arange(shape.features).unsqueeze(0))
        self.register_buffer("partner", torch.tensor([[shape.features - 1] * edges], dtype=torch.long))
        self.register_buffer("direct", torch.ones(1, edges, dtype=torch.long))
        self.register_buffer("inverse", own)  # scores of the own column at shares given the partner's, and back:
        self.register_buffer("second", own.clone())  # shares, as scores, of the own column given the partner
        self.register_buffer("first", given)  # and of the partner given the own column
        self.register_buffer("log_pairs", torch.zeros_like(own))
        self.register_buffer("count", torch.zeros(1))

    def fit(self, rows: Tensor, seed: int) -> None:
        """Take the margins of `rows` `[1, n, features]`, and the vine that pyvinecopulib selects.

        Raises:
            ValueError: pyvinecopulib isn't installed.
        """
        self.margins.fit(rows)
        if rows.shape[2] == 1:
            return
        vine = _selected(rows[0].double().cpu(), seed, self.pairs[0], self._trees())
        structure = vine.structure
        self.order[0] = torch.tensor(structure.order) - 1
        self.count[0] = vine.npars
        shares = torch.special.ndtr(torch.linspace(-FARTHEST, FARTHEST, GRID, dtype=torch.float64))
        points = torch.cartesian_prod(shares, shares).numpy()
        for place, (tree, edge) in enumerate(self._edges()):
            pair = vine.get_pair_copula(tree, edge)
            partner = structure.min_array(tree, edge)
            self.partner[0, place] = partner - 1
            self.direct[0, place] = partner == structure.struct_array(tree, edge, True)
            if not pair.npars:  # independent, as the grids are before a fit
                continue
            for grid, values in (
                (self.inverse, _scores(pair.hinv2(points))),
                (self.first, _scores(pair.hfunc1(points))),
                (self.second, _scores(pair.hfunc2(points))),
                (self.log_pairs, torch.from_numpy(pair.pdf(points)).clamp_min(LEAST).log()),
            ):
                grid[0, place] = values.view(GRID, GRID)

    def log_density(self, rows: Tensor) -> Tensor:
        """Log-density `[pack, batch]` of the copula alone, at the mid-ranks of `rows`: the margins have none."""
        scores = self._ordered(self.margins.scores(rows))
        total = torch.zeros_like(rows[..., 0])
        second, first = scores, torch.zeros_like(scores)
        for tree in range(self._trees()):
            next_second, next_first = torch.zeros_like(scores), torch.zeros_like(scores)
            for edge in range(scores.shape[1] - tree - 1):
                place = self._place(tree, edge)
                own, given = second[:, edge], self._given(place, second, first)
                total = total + _read(self.log_pairs[:, place], own, given)
                next_second[:, edge] = _read(self.second[:, place], own, given)
                next_first[:, edge] = _read(self.first[:, place], own, given)
            second, first = next_second, next_first
        return total

    def sample(self, noise: Noise) -> Tensor:
        """Rows `[pack, noise.rows, features]`, within the range of the training rows."""
        pack, features = self.order.shape
        drawn = self._ordered(noise.normal("vine", [features] * pack))
        trees = self._trees()
        second = [torch.zeros_like(drawn) for _ in range(trees + 1)]
        first = [torch.zeros_like(drawn) for _ in range(trees + 1)]
        for column in reversed(range(features)):
            begin = min(trees, features - column - 1)
            second[begin][:, column] = drawn[:, column]
            for tree in reversed(range(begin)):
                place = self._place(tree, column)
                given = self._given(place, second[tree], first[tree])
                own = _read(self.inverse[:, place], second[tree + 1][:, column], given)
                second[tree][:, column] = own
                first[tree + 1][:, column] = _read(self.first[:, place], own, given)
            first[0][:, column] = second[0][:, column]
        back = self.order.argsort(1).unsqueeze(2).expand_as(drawn)
        return self.margins.values(second[0].gather(1, back).mT)

    def architecture(self) -> list[dict[str, float]]:
        """`parameters`: those of the pair copulas, and quantiles, of each trial."""
        features = self.order.shape[1]
        return [
            {"parameters": float(count) + kept * features}
            for count, kept in zip(self.count, self.margins.quantiles, strict=True)
        ]

    def _trees(self) -> int:
        """Trees of the vine; those that would hold more than `MOST_EDGES` edges together are left out."""
        features = self.margins.table.shape[2]
        sizes = itertools.accumulate(range(features - 1, 0, -1))
        return min(features - 1, max(1, sum(size <= MOST_EDGES for size in sizes)))

    def _edges(self) -> list[tuple[int, int]]:
        """Tree and number of each edge."""
        features = self.margins.table.shape[2]
        return [(tree, edge) for tree in range(self._trees()) for edge in range(features - tree - 1)]

    def _place(self, tree: int, edge: int) -> int:
        """Place of an edge among all."""
        features = self.margins.table.shape[2]
        return tree * (features - 1) - tree * (tree - 1) // 2 + edge

    def _ordered(self, scores: Tensor) -> Tensor:
        """Columns in the vine's order, `[pack, features, batch]`."""
        columns = scores.mT
        return columns.gather(1, self.order.unsqueeze(2).expand_as(columns))

    def _given(self, place: int, second: Tensor, first: Tensor) -> Tensor:
        """Scores `[pack, batch]` of an edge's partner, given what both columns depend on."""
        trial = torch.arange(len(self.order), device=second.device)
        partner = self.partner[:, place]
        return torch.where(self.direct[:, place, None] > 0, second[trial, partner], first[trial, partner])


def _selected(rows: Tensor, seed: int, pairs: Pairs, trees: int) -> Any:
    """The vine of rows `[n, features]`."""
    try:
        import pyvinecopulib  # a checkpoint samples without it
    except ImportError as error:
        raise ValueError("fitting a vine takes pyvinecopulib: pip install pyvinecopulib") from error

    dice = torch.Generator().manual_seed(seed)
    kept = rows[torch.randperm(len(rows), generator=dice)[:FITTED]]
    shares = rank_shares(kept)
    for column in torch.nonzero(kept.amax(0) == kept.amin(0)).flatten().tolist():  # has no dependence, and no ranks
        shares[:, column] = (torch.randperm(len(kept), generator=dice) + 0.5) / len(kept)
    # Families of two parameters and more take most of the time of a fit to all, and held rows aren't likelier by them.
    families, method = list(pyvinecopulib.families.itau), "itau"
    if pairs == "all" and rows.shape[1] <= WIDE:
        families, method = [*families, *pyvinecopulib.families.nonparametric], "mle"
    controls = pyvinecopulib.FitControlsVinecop(
        family_set=families, parametric_method=method, trunc_lvl=trees, num_threads=1
    )
    return pyvinecopulib.Vinecop.from_data(shares.numpy(), controls=controls)


def _scores(shares: Any) -> Tensor:
    """Normal scores of an array of shares, none farther than a grid goes."""
    scores: Tensor = torch.special.ndtri(torch.from_numpy(shares)).clamp(-FARTHEST, FARTHEST)
    return scores


def _read(grid: Tensor, own: Tensor, given: Tensor) -> Tensor:
    """Values `[pack, batch]` of a grid `[pack, GRID, GRID]` at two scores, linear between its points in either."""
    scale = (GRID - 1) / (2 * FARTHEST)
    places = [((scores + FARTHEST) * scale).clamp(0, GRID - 1) for scores in (own, given)]
    lows = [place.long().clamp_max(GRID - 2) for place in places]
    across, along = (place - low for place, low in zip(places, lows, strict=True))
    flat, corner = grid.flatten(1), lows[0] * GRID + lows[1]
    near = torch.lerp(flat.gather(1, corner), flat.gather(1, corner + 1), along)
    far = torch.lerp(flat.gather(1, corner + GRID), flat.gather(1, corner + GRID + 1), along)
    return torch.lerp(near, far, across)
