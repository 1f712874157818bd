"""Densities of two columns of a sample, as contours of pictures show them."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.stats import gaussian_kde

Array: TypeAlias = NDArray[np.float64]
Limits: TypeAlias = tuple[float, float]

MOST_POINTS, GRID = 2000, 60
LINE = 0.995  # columns whose correlation is larger lie on a line, and have no density to draw


def limits(values: Array) -> Limits:
    """Where almost all of the real values lie, with a margin: a heavy tail would squeeze the rest into a corner."""
    low, high = np.quantile(values, [0.002, 0.99 if values.min() >= 0 else 0.998])
    margin = 0.08 * (high - low) or 1.0
    return float(low - margin), float(high + margin)


def density(
    x: Array, y: Array, x_limits: Limits, y_limits: Limits, most: int = MOST_POINTS, size: int = GRID
) -> tuple[Array, Array, Array] | None:
    """Kernel estimate `[size, size]` from the first `most` points within limits, and its axes; None of a line or point.

    Rows of the estimate run along y.
    """
    inside = (x >= x_limits[0]) & (x <= x_limits[1]) & (y >= y_limits[0]) & (y <= y_limits[1])
    points = np.stack([x[inside], y[inside]])[:, :most]
    if points.shape[1] < 10:
        return None
    with np.errstate(invalid="ignore", divide="ignore"):  # a constant column has no correlation
        if not abs(np.asarray(np.corrcoef(points))[0, 1]) <= LINE:
            return None
    across, up = np.linspace(*x_limits, size), np.linspace(*y_limits, size)
    grid = np.stack(np.meshgrid(across, up)).reshape(2, -1)
    return across, up, np.asarray(gaussian_kde(points)(grid)).reshape(size, size)
