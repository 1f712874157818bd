"""Finds which rows lie strictly below which, with bit sets: 64 comparisons a word.

The rows below a value in one column are a prefix of that column's order. With prefixes as bit sets, the rows below in
several columns are the bitwise AND of their words. Sets are `[words, rows]`, because sums and look-ups are fast along
the long axis.
"""

from functools import reduce
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from objectives.scores.score import Array
from objectives.scores.threads import one_thread

Sets: TypeAlias = NDArray[np.int64]

TILE = 2048


def dominated(rows: Array) -> NDArray[np.int64]:
    """Return for each row how many rows lie strictly below it in every column, `[n]` for rows `[n, d]`."""
    count = len(rows)
    order = np.argsort(rows[:, 0])
    columns = np.ascontiguousarray(rows[order].T)
    below = np.zeros(count, dtype=np.int64)
    for start in range(0, count, TILE):
        tile = columns[:, start : start + TILE]
        orders = [np.argsort(column) for column in tile]
        prefixes = [_prefixes(ascending) for ascending in orders]
        ascending = [column[its] for column, its in zip(tile, orders, strict=True)]
        # Blocks before the tile hold no row above it, since rows come in the order of the first column.
        for first in range(start, count, TILE):
            block = columns[:, first : first + TILE]
            ranks = (
                [_ranks(*pair) for pair in zip(ascending, orders, strict=True)]
                if first == start
                else [np.searchsorted(*pair) for pair in zip(ascending, block, strict=True)]
            )
            sets = (np.take(prefix, rank, axis=1) for prefix, rank in zip(prefixes, ranks, strict=True))
            below[first : first + TILE] += sizes(reduce(_both, sets))
    counts = np.empty_like(below)
    counts[order] = below
    return counts


def below_sets(values: Array) -> Sets:
    """Return sets `[words, n]` of the rows strictly below each of the values `[n]`."""
    order = np.argsort(values)
    return np.take(_prefixes(order), _ranks(values[order], order), axis=1)


def sizes(sets: Sets) -> NDArray[np.uint16]:
    """Return the size `[n]` of each of the sets `[words, n]`, of at most 65,535 rows."""
    # Unsigned words: bitwise_count takes the magnitude of negative ones.
    return np.asarray(np.bitwise_count(sets.view(np.uint64)).sum(axis=0, dtype=np.uint16))


def _prefixes(order: NDArray[np.int64]) -> Sets:
    """Return sets `[words, t + 1]` of an order of t rows; the set at place p holds the first p rows."""
    size = len(order)
    bits = np.zeros((-(-size // 64), size + 1), dtype=np.int64)
    bits[order // 64, np.arange(1, size + 1)] = np.int64(1) << (order % 64)
    # Each bit comes once, so that the sum is the union; torch's is five times as fast as any accumulation of numpy's.
    with one_thread():
        return np.asarray(torch.cumsum(torch.from_numpy(bits), dim=1).numpy())


def _ranks(ascending: Array, order: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many values lie strictly below each value, `[t]`, in their original order."""
    first = np.arange(len(order))
    first[1:] *= ascending[1:] > ascending[:-1]
    ranks = np.empty_like(first)
    ranks[order] = np.maximum.accumulate(first)
    return ranks


def _both(first: Sets, second: Sets) -> Sets:
    return np.bitwise_and(first, second, out=first)
