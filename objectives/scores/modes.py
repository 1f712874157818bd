"""The difference in the number of modes, which shows whether a generator merges or invents peaks of the density.

Silverman (1981), Using kernel density estimates to investigate multimodality. The density is a histogram over the
range of the real rows, smoothed by a Gaussian whose width in each column is 1.2 n^(-1/(d+4)) standard deviations of the
real rows. A mode is a cell of at least 5 % of the highest density that no cell within 1.5 widths, column by column,
exceeds. Generated rows are counted on the grid of the real rows. From 1,000 rows on this finds the 4 modes of a mixture
whose components lie 5 of their deviations apart, and 1 in a normal sample.
"""

from typing import ClassVar, final

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage

from objectives.scores.score import Array, Measure, Reference, Score, real_rows, score_members

CELLS = {1: 256, 2: 96, 3: 40}  # of each column, by the number of columns
WIDTH = 1.2
DISTANCE = 1.5
HEIGHT = 0.05


@final
class Modes(Score):
    """Difference in the number of modes between generated and held rows.

    Its `decay` is 0: a count doesn't shrink with the sample.
    """

    ranking: ClassVar[bool] = False
    limit: ClassVar[float] = 0.0
    decay: ClassVar[float] = 0.0
    repeats: ClassVar[int] = 100

    def __init__(self, reference: Reference) -> None:
        self._real = real_rows(reference.held)
        self._count = count_modes(self._real, self._real)

    @classmethod
    def serves(cls, real: Array) -> bool:
        """Return whether there are at most three columns; a grid of more is almost empty."""
        return real.shape[1] in CELLS

    def __call__(self, generated: Array) -> Measure:
        """Return the difference of each member `[pack]`."""
        value = score_members(
            generated, self._real.shape[1], lambda members: _differences(self._real, self._count, members)
        )
        return Measure(value, value)


def modes(real: ArrayLike, generated: ArrayLike) -> Array:
    """Return the absolute difference `[*pack]` between the modes of samples `[*pack, m, d]` and of real rows `[n, d]`.

    Raises:
        ValueError: shapes don't match, fewer than two rows, more than three columns, or real rows that are not finite.
    """
    rows = real_rows(real)
    if not Modes.serves(rows):
        raise ValueError(f"{rows.shape[1]} columns: expected at most {max(CELLS)}")
    count = count_modes(rows, rows)
    return score_members(generated, rows.shape[1], lambda members: _differences(rows, count, members))


def count_modes(rows: Array, real: Array) -> int:
    """Return the number of modes of `rows` `[m, d]`, on the grid and with the smoothing of the `real` rows `[n, d]`."""
    n, columns = real.shape
    cells = CELLS[columns]
    low, high = real.min(axis=0), real.max(axis=0)
    step = np.where(high > low, high - low, 1.0) / cells
    width = WIDTH * n ** (-1.0 / (columns + 4)) * real.std(axis=0) / step
    counts, _ = np.histogramdd(rows, bins=cells, range=list(zip(low, high, strict=True)))
    density = ndimage.gaussian_filter(counts, width, mode="constant")
    reach = 2 * np.maximum(np.round(DISTANCE * width), 1.0).astype(int) + 1
    peaks = (density == ndimage.maximum_filter(density, size=tuple(reach))) & (density > HEIGHT * density.max())
    # Neighbouring cells of exactly the same density are one mode.
    return int(ndimage.label(peaks, structure=np.ones((3,) * columns))[1])


def _differences(real: Array, count: int, generated: Array) -> Array:
    return np.array([abs(count_modes(sample, real) - count) for sample in generated], dtype=np.float64)
