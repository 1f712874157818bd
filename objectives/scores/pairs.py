"""Sums over all pairs of rows, tile by tile, without a matrix of all pairs."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from objectives.scores.score import Array

TileSum: TypeAlias = Callable[[Array, Array, Array], float]  # rows [a, d], rows [b, d], buffer for their pairs [a, b]

TILE = 256


def pair_sum(first: Array, second: Array, tile_sum: TileSum) -> float:
    """Return the sum over all pairs of a row of `first` `[n, d]` and one of `second` `[m, d]`."""
    room = np.empty(TILE * TILE)
    return sum(
        _tile(first, row, second, column, tile_sum=tile_sum, room=room)
        for row in range(0, len(first), TILE)
        for column in range(0, len(second), TILE)
    )


def pair_sum_within(rows: Array, tile_sum: TileSum) -> float:
    """Return the sum of a symmetric `tile_sum` over all ordered pairs of rows `[n, d]`, each with itself included."""
    room = np.empty(TILE * TILE)
    return sum(
        (1.0 if row == column else 2.0) * _tile(rows, row, rows, column, tile_sum=tile_sum, room=room)
        for row in range(0, len(rows), TILE)
        for column in range(row, len(rows), TILE)
    )


def _tile(first: Array, row: int, second: Array, column: int, *, tile_sum: TileSum, room: Array) -> float:
    a, b = first[row : row + TILE], second[column : column + TILE]
    return tile_sum(a, b, room[: len(a) * len(b)].reshape(len(a), len(b)))
