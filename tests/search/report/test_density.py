"""Densities of pictures: they are there in whatever units, and not of a line or a point."""

import numpy as np
import pytest

from search.report.density import Array, density, limits

X, Y = np.random.default_rng(0).multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], 200).T


@pytest.mark.parametrize("unit", [1e-150, 1e-6, 1.0, 1e6, 1e150, 1e299])
def test_units_scale_a_density(unit: float) -> None:
    plain = density(X, Y, limits(X), limits(Y))
    scaled = density(X, unit * Y, limits(X), limits(unit * Y))
    assert plain is not None and scaled is not None
    np.testing.assert_allclose(scaled[2], plain[2], rtol=1e-6)
    np.testing.assert_allclose(scaled[1], unit * plain[1])


@pytest.mark.parametrize(
    "other", [np.zeros(200), 3 * X - 1, 1e6 * X, X + 1e-3 * Y], ids=["constant", "line", "steep", "thin"]
)
def test_a_line_has_none(other: Array) -> None:
    assert density(X, other, limits(X), limits(other)) is None


def test_few_points_have_none() -> None:
    assert density(X[:9], Y[:9], limits(X), limits(Y)) is None


@pytest.mark.parametrize(
    "values",
    [
        np.full(50, 1e20),
        np.full(50, np.nan),
        np.array([np.inf, 1.0, -np.inf]),
        1e9 + 1e-7 * X,
        np.array([-1e308, 1e308]),
    ],
    ids=["constant", "missing", "infinite", "fine", "huge"],
)
def test_limits_are_apart_and_finite(values: Array) -> None:
    low, high = limits(values)
    assert np.isfinite([low, high, high - low]).all()
    assert (np.diff(np.linspace(low, high, 41)) > 0).all()
