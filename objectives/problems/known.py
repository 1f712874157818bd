"""Maps between uniform and normal distributions in one and two dimensions, and Gaussians of chosen moments.

Every distribution here has a closed-form density, so a generator's error can be told from the noise of a finite sample.
Arrays are `[rows, columns]`.
"""

from math import isfinite
from typing import final

import numpy as np

from objectives.problems.problem import Array, Problem, Rows, Source, checked_sizes, fresh_rows


@final
class GaussianToUniform(Problem):
    """Map from N(0, I) in the plane to the uniform distribution on the unit square."""

    columns = ("x1", "x2")
    source = Source("normal", 2)

    def __init__(self, *, train: int = 5000, validation: int = 1000, test: int = 1000) -> None:
        self.sizes = checked_sizes(train, validation, test)

    def draw(self, count: int, generator: np.random.Generator) -> Array:
        """Draw rows `[count, 2]`."""
        return generator.random((count, 2))

    def rows(self, seed: int) -> Rows:
        """Draw the three splits independently."""
        return fresh_rows(self.draw, self.sizes, seed)

    def pair(self, first: int, second: int, generator: np.random.Generator) -> tuple[Array, Array]:
        """Draw two independent samples."""
        return self.draw(first, generator), self.draw(second, generator)


@final
class UniformToGaussian(Problem):
    """Map from the uniform distribution on the unit square to N(0, I) in the plane."""

    columns = ("x1", "x2")
    source = Source("uniform", 2)

    def __init__(self, *, train: int = 5000, validation: int = 1000, test: int = 1000) -> None:
        self.sizes = checked_sizes(train, validation, test)

    def draw(self, count: int, generator: np.random.Generator) -> Array:
        """Draw rows `[count, 2]`."""
        return generator.standard_normal((count, 2))

    def rows(self, seed: int) -> Rows:
        """Draw the three splits independently."""
        return fresh_rows(self.draw, self.sizes, seed)

    def pair(self, first: int, second: int, generator: np.random.Generator) -> tuple[Array, Array]:
        """Draw two independent samples."""
        return self.draw(first, generator), self.draw(second, generator)


@final
class LineToGaussian(Problem):
    """Map from the uniform distribution on the unit interval to N(0, I) in the plane: one feature in, two out."""

    columns = ("x1", "x2")
    source = Source("uniform", 1)

    def __init__(self, *, train: int = 5000, validation: int = 1000, test: int = 1000) -> None:
        self.sizes = checked_sizes(train, validation, test)

    def draw(self, count: int, generator: np.random.Generator) -> Array:
        """Draw rows `[count, 2]`."""
        return generator.standard_normal((count, 2))

    def rows(self, seed: int) -> Rows:
        """Draw the three splits independently."""
        return fresh_rows(self.draw, self.sizes, seed)

    def pair(self, first: int, second: int, generator: np.random.Generator) -> tuple[Array, Array]:
        """Draw two independent samples."""
        return self.draw(first, generator), self.draw(second, generator)


@final
class Gaussian1D(Problem):
    """The normal distribution N(mean, scale^2).

    Raises:
        ValueError: the mean is not finite, or the scale not positive and finite.
    """

    columns = ("x",)
    source = Source("normal", 1)

    def __init__(
        self, *, mean: float = 2.0, scale: float = 1.5, train: int = 5000, validation: int = 1000, test: int = 1000
    ) -> None:
        self.sizes = checked_sizes(train, validation, test)
        self.mean = np.array([_finite("mean", mean)])
        self.covariance = np.array([[_positive("scale", scale) ** 2]])

    def draw(self, count: int, generator: np.random.Generator) -> Array:
        """Draw rows `[count, 1]`."""
        return generator.normal(self.mean, np.sqrt(self.covariance[0]), (count, 1))

    def rows(self, seed: int) -> Rows:
        """Draw the three splits independently."""
        return fresh_rows(self.draw, self.sizes, seed)

    def pair(self, first: int, second: int, generator: np.random.Generator) -> tuple[Array, Array]:
        """Draw two independent samples."""
        return self.draw(first, generator), self.draw(second, generator)


@final
class Gaussian2D(Problem):
    """A correlated Gaussian in the plane.

    Raises:
        ValueError: a mean is not finite, a scale not positive, or the correlation not inside (-1, 1).
    """

    columns = ("x1", "x2")
    source = Source("normal", 2)

    def __init__(
        self,
        *,
        mean_1: float = 1.0,
        mean_2: float = -1.0,
        scale_1: float = 1.0,
        scale_2: float = 0.5,
        correlation: float = 0.6,
        train: int = 5000,
        validation: int = 1000,
        test: int = 1000,
    ) -> None:
        self.sizes = checked_sizes(train, validation, test)
        if not -1.0 < correlation < 1.0:
            raise ValueError(f"correlation = {correlation}: expected a number between -1 and 1, both left out")
        self.mean = np.array([_finite("mean_1", mean_1), _finite("mean_2", mean_2)])
        scales = np.array([_positive("scale_1", scale_1), _positive("scale_2", scale_2)])
        self.covariance = np.outer(scales, scales) * np.array([[1.0, correlation], [correlation, 1.0]])
        self._root = np.linalg.cholesky(self.covariance)

    def draw(self, count: int, generator: np.random.Generator) -> Array:
        """Draw rows `[count, 2]`."""
        return np.asarray(self.mean + generator.standard_normal((count, 2)) @ self._root.T)

    def rows(self, seed: int) -> Rows:
        """Draw the three splits independently."""
        return fresh_rows(self.draw, self.sizes, seed)

    def pair(self, first: int, second: int, generator: np.random.Generator) -> tuple[Array, Array]:
        """Draw two independent samples."""
        return self.draw(first, generator), self.draw(second, generator)


def _finite(name: str, value: float) -> float:
    if not isfinite(value):
        raise ValueError(f"{name} = {value}: expected a finite number")
    return value


def _positive(name: str, value: float) -> float:
    if not (isfinite(value) and value > 0):
        raise ValueError(f"{name} = {value}: expected a finite number above 0")
    return value
