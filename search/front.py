"""Pareto fronts: which of several points, all of whose coordinates shall be small, none other beats in all.

Source: Deb et al. 2002, A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II, sections III.A and III.B.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

Points = Sequence[Sequence[float]]
Array = np.ndarray[Any, np.dtype[Any]]


def front(points: Points) -> list[int]:
    """Places of the points that no other dominates: is nowhere larger than, and somewhere smaller."""
    return [place for place, rank in enumerate(ranks(points)) if rank == 0]


def ranks(points: Points) -> list[int]:
    """Rank of each point: 0 for the front, 1 for the front of what is left without it, and so on."""
    if not len(points):
        return []
    given = np.asarray(points, dtype=np.float64)
    dominates = np.all(given[:, None] <= given[None], axis=-1) & np.any(given[:, None] < given[None], axis=-1)
    found, left, rank = np.zeros(len(given), dtype=int), np.ones(len(given), dtype=bool), 0
    while left.any():
        first = left & ~dominates[left].any(0)
        found[first], rank = rank, rank + 1
        left &= ~first
    return [int(each) for each in found]


def best_first(points: Points) -> list[int]:
    """Places of the points by rank, and those of one rank by how far they are from their neighbours, loners first."""
    given, rank = np.asarray(points, dtype=np.float64), np.asarray(ranks(points))
    distance = np.zeros(len(given))
    for each in set(rank.tolist()):
        same = np.flatnonzero(rank == each)
        distance[same] = _crowding(given[same])
    return [int(place) for place in np.lexsort((-distance, rank))]


def _crowding(points: Array) -> Array:
    """Crowding distance of the points of one front; infinite at its ends."""
    distance = np.zeros(len(points))
    for values in points.T:
        order = np.argsort(values, kind="stable")
        span = values[order[-1]] - values[order[0]]
        distance[order[[0, -1]]] = np.inf
        if span > 0:
            distance[order[1:-1]] += (values[order[2:]] - values[order[:-2]]) / span
    return distance
