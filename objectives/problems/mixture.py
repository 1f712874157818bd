"""A Gaussian mixture in three dimensions with random, well separated components of unequal weight.

Arrays are `[rows, 3]`.
"""

from typing import final

import numpy as np
from numpy.typing import NDArray

from objectives.problems.problem import Array, Problem, Rows, Source, checked_sizes, fresh_rows

SMALLEST_SCALE, LARGEST_SCALE = 0.4, 1.0
SEPARATION = 5.0


@final
class Mixture3D(Problem):
    """A Gaussian mixture whose components, drawn from the seed `truth`, lie at least five standard deviations apart.

    The truth is in `weights` `[components]`, `means` `[components, 3]` and `covariances` `[components, 3, 3]`.

    Raises:
        ValueError: there are not 1 to 50 components, or the seed is negative.
    """

    columns = ("x1", "x2", "x3")
    source = Source("normal", 3)

    def __init__(
        self, *, components: int = 4, truth: int = 0, train: int = 5000, validation: int = 1000, test: int = 1000
    ) -> None:
        self.sizes = checked_sizes(train, validation, test)
        if not 1 <= components <= 50:
            raise ValueError(f"components = {components}: expected a whole number from 1 to 50")
        if truth < 0:
            raise ValueError(f"truth = {truth}: expected a seed, a whole number from 0")
        generator = np.random.default_rng(truth)
        shares = generator.uniform(1.0, 3.0, components)
        self.weights: Array = shares / shares.sum()
        self.means = _separated_means(components, generator)
        self.covariances = np.stack([_random_covariance(generator) for _ in range(components)])
        self._roots = np.linalg.cholesky(self.covariances)

    def draw(self, count: int, generator: np.random.Generator) -> Array:
        """Draw rows `[count, 3]`."""
        component = generator.choice(len(self.weights), size=count, p=self.weights)
        noise = generator.standard_normal((count, 3))
        return np.asarray(self.means[component] + np.einsum("nij,nj->ni", self._roots[component], noise))

    def labels(self, rows: Array) -> NDArray[np.int64]:
        """Return the most probable component `[n]` of each row `[n, 3]` under the truth."""
        log_density = np.empty((len(rows), len(self.weights)))
        for component, (weight, mean, root) in enumerate(zip(self.weights, self.means, self._roots, strict=True)):
            standard = np.linalg.solve(root, (rows - mean).T)
            log_density[:, component] = np.log(weight / np.diag(root).prod()) - 0.5 * (standard**2).sum(axis=0)
        return np.asarray(log_density.argmax(axis=1), dtype=np.int64)

    def rows(self, seed: int) -> Rows:
        """Draw the three splits independently."""
        return fresh_rows(self.draw, self.sizes, seed)

    def pair(self, first: int, second: int, generator: np.random.Generator) -> tuple[Array, Array]:
        """Draw two independent samples."""
        return self.draw(first, generator), self.draw(second, generator)


def _random_covariance(generator: np.random.Generator) -> Array:
    # The signs of R make the QR factor uniform over the rotations and reflections (Mezzadri, 2007).
    axes, upper = np.linalg.qr(generator.standard_normal((3, 3)))
    axes = axes * np.sign(np.diag(upper))
    scales = generator.uniform(SMALLEST_SCALE, LARGEST_SCALE, 3)
    return np.asarray((axes * scales**2) @ axes.T)


def _separated_means(components: int, generator: np.random.Generator) -> Array:
    # The cube grows whenever a draw is rejected, so the loop ends for any number of components.
    side = SEPARATION * LARGEST_SCALE * components ** (1 / 3)
    means: list[Array] = []
    while len(means) < components:
        throw = generator.uniform(-side / 2, side / 2, 3)
        if all(np.linalg.norm(throw - mean) >= SEPARATION * LARGEST_SCALE for mean in means):
            means.append(throw)
        else:
            side *= 1.02
    return np.stack(means)
