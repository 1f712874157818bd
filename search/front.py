"""Pareto fronts: which of several points, all of whose coordinates shall be small, none other beats in all.

Source: Deb et al. 2002, A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II, sections III.A and III.B.
"""

from collections.abc import Sequence
from typing import Any, final

import numpy as np

Points = Sequence[Sequence[float]]
Array = np.ndarray[Any, np.dtype[Any]]


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
