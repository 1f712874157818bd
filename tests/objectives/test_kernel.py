"""Sums of the kernel over pairs: the plain formula, wherever rows lie and whatever formula is taken there."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from objectives.scores.fourier import BLOCK, BLOCKS, BOX, coefficients
from objectives.scores.kernel import BALL, REACH, Kernel
from objectives.scores.pairs import TILE
from objectives.scores.score import Array


def normal(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape)


def cauchy(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_cauchy(shape)


def by_hand(first: Array, second: Array, squared_bandwidth: float) -> float:
    return float(np.exp(-cdist(first, second, "sqeuclidean") / squared_bandwidth).sum())


@pytest.mark.parametrize("draw", [normal, cauchy])
@pytest.mark.parametrize("offset", [0.0, 1e6])
@pytest.mark.parametrize(
    ("n", "m", "d"), [(2, 2, 1), (600, 257, 1), (BLOCKS * BLOCK + 1, 70, 2), (TILE + 1, TILE, 3), (600, 257, 6)]
)
def test_the_plain_formula(draw: Callable[..., Array], offset: float, n: int, m: int, d: int) -> None:
    real, made = normal(n, d) + offset, 1.5 * draw(m, d, seed=1) + offset
    kernel = Kernel.of(real, 2.0)
    first, second = kernel.sample(real), kernel.sample(made)
    assert (len(second.far) > 0) == (draw is cauchy and m > 2)
    # The formula by hand takes differences too, so that an offset costs neither of them digits.
    assert kernel.sum(first, second) == pytest.approx(by_hand(real, made, 2.0), rel=1e-12)
    assert kernel.sum(second, first) == pytest.approx(by_hand(real, made, 2.0), rel=1e-12)
    assert kernel.sum_within(second) == pytest.approx(by_hand(made, made, 2.0), rel=1e-12)


@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize("shift", [0.0, 4.0, 9.0, 1e3])
def test_sums_do_not_depend_on_what_is_near(d: int, shift: float) -> None:
    real, made = normal(300, d), 2.0 * normal(200, d, seed=1)
    kernel = Kernel(np.full(d, shift), 1.0)
    first, second = kernel.sample(real), kernel.sample(made)
    assert kernel.sum(first, second) == pytest.approx(by_hand(real, made, 1.0), rel=1e-12)
    assert kernel.sum_within(second) == pytest.approx(by_hand(made, made, 1.0), rel=1e-12)


def test_fourier_coefficients_hold_the_kernel_over_the_whole_box() -> None:
    corner = coefficients(np.array([[-BOX, BOX]]))
    for x in np.linspace(-BOX, BOX, 33):
        for y in np.linspace(-BOX, BOX, 33):
            expected = np.exp(-((x + BOX) ** 2) - (y - BOX) ** 2)
            assert (corner * coefficients(np.array([[x, y]]))).sum() == pytest.approx(expected, abs=4e-15)
    assert not coefficients(np.empty((0, 2))).any()


@pytest.mark.parametrize("d", [2, 3])
def test_rows_out_of_reach_count_as_far_as_the_kernel_goes(d: int) -> None:
    limit = BOX if d == 2 else BALL
    kernel = Kernel(np.zeros(d), 4.0)
    places = 2.0 * np.array([limit + 0.1, limit + REACH - 0.1, limit + REACH + 0.1, 1e200])
    made = np.concatenate([places[:, np.newaxis], np.zeros((4, d - 1))], axis=1)
    sample = kernel.sample(made)
    assert (len(sample.near), len(sample.far), len(sample.reaching)) == (0, 4, 2)
    real = np.concatenate([normal(50, d), [[2.0 * limit - 1e-6] + [0.0] * (d - 1)]])
    assert kernel.sum(kernel.sample(real), sample) == pytest.approx(by_hand(real, made, 4.0), rel=1e-12)
    assert kernel.sum_within(sample) == pytest.approx(by_hand(made, made, 4.0), rel=1e-12)


@pytest.mark.parametrize("d", [1, 2, 4])
def test_sums_do_not_depend_on_the_number_of_threads(d: int) -> None:
    rows, made = normal(1000, d), 4.0 * normal(720, d, seed=1)

    def sums() -> tuple[float, float]:
        kernel = Kernel.of(rows, 2.0)
        sample = kernel.sample(made)
        return kernel.sum(kernel.sample(rows), sample), kernel.sum_within(sample)

    alone, threads = sums(), torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        assert sums() == alone
    finally:
        torch.set_num_threads(threads)
