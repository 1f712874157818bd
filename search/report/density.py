"""Densities of two columns of a sample, for the contours in pictures."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.stats import gaussian_kde

Array: TypeAlias = NDArray[np.float64]
Limits: TypeAlias = tuple[float, float]
MOST_POINTS, GRID = 2000, 60
LINE = 0.995  # columns with a larger correlation lie on a line, and have no density to draw
LARGEST = 1e300  # limit of a picture's axes, whose own arithmetic would overflow
FINEST = 1e-6  # least width of an axis relative to its largest value; its ticks would look the same below


def limits(values: Array) -> Limits:
    """Return an interval with almost all of the real values and a margin, not widened by a heavy tail."""
    known = np.clip(values[np.isfinite(values)], -LARGEST, LARGEST)
    if not len(known):
        return -1.0, 1.0
    low, high = np.quantile(known, [0.002, 0.99 if known.min() >= 0 else 0.998])
    margin = max(0.08 * (high - low), FINEST * max(abs(low), abs(high))) or 1.0
    return float(low - margin), float(high + margin)


def density(
    x: Array, y: Array, x_limits: Limits, y_limits: Limits, *, most: int = MOST_POINTS, size: int = GRID
) -> tuple[Array, Array, Array] | None:
    """Return axes and a kernel estimate `[size, size]` of the first `most` points within limits; None for a line.

    Rows of the estimate run along y. Heights are per unit square of the limits, so that no unit is too large.
    """
    inside = (x >= x_limits[0]) & (x <= x_limits[1]) & (y >= y_limits[0]) & (y <= y_limits[1])
    points = np.stack([_shares(x[inside], x_limits), _shares(y[inside], y_limits)])[:, :most]
    if points.shape[1] < 10:
        return None
    with np.errstate(invalid="ignore", divide="ignore"):  # a constant column has no correlation
        if not abs(np.asarray(np.corrcoef(points))[0, 1]) <= LINE:
            return None
    shares = np.linspace(0.0, 1.0, size)
    grid = np.stack(np.meshgrid(shares, shares)).reshape(2, -1)
    try:
        heights = np.asarray(gaussian_kde(points)(grid)).reshape(size, size)
    except np.linalg.LinAlgError:  # almost all points coincide
        return None
    return (np.linspace(*x_limits, size), np.linspace(*y_limits, size), heights) if heights.max() > 0 else None


def _shares(values: Array, within: Limits) -> Array:
    return (values - within[0]) / (within[1] - within[0])
