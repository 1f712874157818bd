"""What a search optimises: scores to rank by, bounds to keep, and the Pareto front of several scores."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np

WORST = 1e6  # stands for the misfit of what can't be judged: the scheduler and Optuna want a finite number
BREAKS = WORST / 10  # stands for the misfit of what breaks a bound
FACTS = ("parameters", "sample_seconds")  # of a network, besides its scores
# Names that no score can have: what the record, the leaderboard and a study's goals call other things.
RESERVED = (
    *("misfit", "low", "high", "p_value", "optimism", "violation", *FACTS),
    *("epoch", "best_epoch", "rung", "seconds"),
)
Points = Sequence[Sequence[float]]
Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class ObjectiveValues:
    """Where a trial stands: its `misfit` (high where it breaks bounds), `values` of all goals, and what it breaks."""

    misfit: float
    values: tuple[float, ...]
    violation: float


@dataclass(frozen=True)
class Goals:
    """What trials are ranked by, and what they must keep.

    Args:
        rank: what shall be small: "misfit", a score, "parameters", or "sample_seconds" that one network takes for 1,000
            rows; several of them make a Pareto front.
        bounds: the largest value allowed of scores, "parameters" and "sample_seconds".
    """

    rank: tuple[str, ...] = ("misfit",)
    bounds: Mapping[str, float] = field(default_factory=dict)

    @property
    def timed(self) -> bool:
        """Whether sampling must be timed."""
        return "sample_seconds" in (*self.rank, *self.bounds)

    def standing(
        self, misfit: float, scores: Mapping[str, float], architecture: Mapping[str, float]
    ) -> ObjectiveValues:
        """Where a trial stands of which this is known; what can't be judged has the worst value."""
        known = {**architecture, **scores, "misfit": misfit}
        finite = {name: WORST if math.isnan(value) else min(value, WORST) for name, value in known.items()}
        values = tuple(finite.get(name, WORST) for name in self.rank)
        violation = self.violation(scores, architecture)
        kept = finite["misfit"] if violation == 0 else min(WORST, BREAKS + violation)
        return ObjectiveValues(kept, values, violation)

    def violations(self, scores: Mapping[str, float], architecture: Mapping[str, float]) -> dict[str, float]:
        """How far each bound is exceeded, over the bound; at most 0 where it is kept."""
        known = {**architecture, **scores}
        over = {name: known.get(name, math.inf) / bound - 1 for name, bound in self.bounds.items()}
        return {name: value if value <= WORST else WORST for name, value in over.items()}  # nan is no number below it

    def violation(self, scores: Mapping[str, float], architecture: Mapping[str, float]) -> float:
        """Sum of what exceeds the bounds; 0 where all are kept."""
        return sum(max(0.0, value) for value in self.violations(scores, architecture).values())

    def infeasible(self, architecture: Mapping[str, float]) -> bool:
        """Whether a bound is broken by what training doesn't change."""
        bounds = {name: bound for name, bound in self.bounds.items() if name in FACTS}
        return any(architecture.get(name, 0.0) > bound for name, bound in bounds.items())


def front(points: Points) -> list[int]:
    """Places of the points that no other dominates: is nowhere larger than, and somewhere smaller."""
    if not len(points):
        return []
    given = np.asarray(points, dtype=np.float64)
    dominates = np.all(given[:, None] <= given[None], axis=-1) & np.any(given[:, None] < given[None], axis=-1)
    return [int(place) for place in np.flatnonzero(~dominates.any(0))]


@final
class Fronts:
    """Points in fronts: the first, that of what is left without it, and so on; kept up to date as points come.

    A set of points is a whole number, with a bit for each point in the order in which they came. A new point pushes
    those of its front that it dominates into the next one, where they do the same.
    """

    def __init__(self) -> None:
        self._points = np.empty((0, 0))
        self._count = 0
        self._worse: list[int] = []  # for each point, those that it dominates
        self._fronts: list[int] = []

    def __len__(self) -> int:
        return self._count

    def add(self, point: Sequence[float]) -> None:
        """Take in one more point."""
        new, bit = self._count, 1 << self._count
        if new == len(self._points):
            self._points = np.resize(self._points, (max(16, 2 * new), len(point)))
        known = self._points[:new]
        better = _bits(np.all(known <= point, axis=1) & np.any(known < point, axis=1))
        for place in _places(better):
            self._worse[place] |= bit
        self._worse.append(_bits(np.all(known >= point, axis=1) & np.any(known > point, axis=1)))
        self._points[new] = point
        self._count += 1
        coming, rank = bit, next((rank for rank, own in enumerate(self._fronts) if not own & better), len(self._fronts))
        while coming:
            if rank == len(self._fronts):
                self._fronts.append(0)
            own, worse = self._fronts[rank], 0
            for place in _places(coming):
                worse |= self._worse[place]
            self._fronts[rank] = own & ~worse | coming
            coming, rank = own & worse, rank + 1

    def ranks(self) -> list[int]:
        """Rank of each point: 0 for the first front, 1 for the next, and so on."""
        found = {place: rank for rank, own in enumerate(self._fronts) for place in _places(own)}
        return [found[place] for place in range(self._count)]

    def newest_among(self, most: float) -> bool:
        """Whether at most so many stand before the newest point: those of earlier fronts, and loners of its own."""
        newest = self._count - 1
        rank = next(rank for rank, own in enumerate(self._fronts) if own >> newest & 1)
        before, own = sum(each.bit_count() for each in self._fronts[:rank]), self._fronts[rank]
        if before > most or before + own.bit_count() - 1 <= most:
            return before <= most
        distance = crowding(self._points[_places(own)])
        return before + int(np.sum(distance[:-1] >= distance[-1])) <= most


def crowding(points: Array) -> Array:
    """How far each point of one front is from its neighbours there; infinite at its ends."""
    distance = np.zeros(len(points))
    for values in points.T:
        order = np.argsort(values, kind="stable")
        span = values[order[-1]] - values[order[0]]
        distance[order[[0, -1]]] = np.inf
        if span > 0:
            distance[order[1:-1]] += (values[order[2:]] - values[order[:-2]]) / span
    return distance


def _bits(chosen: Array) -> int:
    return int.from_bytes(np.packbits(chosen, bitorder="little").tobytes(), "little")


def _places(bits: int) -> list[int]:
    """Places of the bits that are set, ascending."""
    octets = np.frombuffer(bits.to_bytes((bits.bit_length() + 7) // 8, "little"), np.uint8)
    return [int(place) for place in np.flatnonzero(np.unpackbits(octets, bitorder="little"))]
