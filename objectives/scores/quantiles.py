"""Compares the quantile functions of two samples, also of different sizes, and projects rows on a line.

Both functions are steps, with jumps at multiples of 1 / n and 1 / m. Notation: n real, m generated values.
"""

import numpy as np
from numpy.typing import NDArray

from objectives.scores.score import Array


def quantile_cells(n: int, m: int) -> tuple[NDArray[np.int64], NDArray[np.int64], Array]:
    """Return cells of (0, 1] where both functions are constant: rank among n, rank among m, width, `[cells]` each."""
    levels = np.union1d(np.arange(1, n + 1) * m, np.arange(1, m + 1) * n)
    return (levels - 1) // m, (levels - 1) // n, np.diff(levels, prepend=0) / (n * m)


def quantile_distance(real: Array, generated: Array) -> Array:
    """Return Wasserstein-1 distances `[members]` of sorted values `[members, m]` from sorted real ones `[n]`."""
    rank, other, widths = quantile_cells(len(real), generated.shape[1])
    # Neither a matrix product nor plain indexing, whose memory order follows the group: the last bit of a member's sum
    # must not depend on how many others share its group.
    gaps = np.abs(np.take(real, rank) - np.take(generated, other, axis=1))
    return np.asarray((gaps * widths).sum(axis=1))


def projection(rows: Array, direction: Array) -> Array:
    """Return the inner products `[...]` of rows `[..., d]` with a direction `[d]`."""
    # Not a matrix product: its last bit depends on the number of members in the group.
    total = np.zeros(rows.shape[:-1])
    for column, weight in enumerate(direction):
        total += rows[..., column] * weight
    return total
