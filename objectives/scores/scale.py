"""Scales columns by the training rows' standard deviations; otherwise the widest unit would dominate distances."""

from dataclasses import dataclass

import numpy as np

from objectives.scores.score import Array, real_rows

FARTHEST = 1e6


@dataclass(frozen=True, eq=False)
class Scale:
    """Mean and standard deviation of each column, `[d]`; a constant column keeps its unit."""

    mean: Array
    deviation: Array

    @classmethod
    def of(cls, train: Array) -> "Scale":
        """Return the scale of training rows `[n, d]`."""
        rows = real_rows(train)
        deviation = rows.std(axis=0)
        return cls(rows.mean(axis=0), np.where(deviation > 0.0, deviation, 1.0))

    def __call__(self, rows: Array) -> Array:
        """Return rows `[..., d]` in deviations from the mean, cut at a million so that they stay finite."""
        with np.errstate(over="ignore"):
            return np.clip((rows - self.mean) / self.deviation, -FARTHEST, FARTHEST)
