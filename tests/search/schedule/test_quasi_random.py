"""Quasi-random points: every value of a domain as often as it should be, and more evenly than chance."""

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from scipy.stats import qmc

from search.schedule.families import QuasiRandom
from search.study.space import Choice, Domain, Fixed, Range

COUNT = 256


def values(domain: Domain, seed: int = 0) -> list[Any]:
    sequence = QuasiRandom({"other": Range(low=0.0, high=1.0), "key": domain, "fixed": Fixed(3)}, seed)
    points = [sequence.point(number) for number in range(COUNT)]
    assert all(point.keys() == {"other", "key"} for point in points)
    return [point["key"] for point in points]


@pytest.mark.parametrize(
    ("domain", "each"),
    [
        (Choice(("a", "b", "c", "d")), COUNT // 4),
        (Range(low=1, high=4), COUNT // 4),
        (Range(low=2, high=8, step=2), COUNT // 4),
        (Range(low=0.0, high=0.75, step=0.25), COUNT // 4),
    ],
)
def test_every_value_as_often_as_any_other(domain: Domain, each: int) -> None:
    counts = Counter(values(domain))
    assert len(counts) == 4
    assert set(counts.values()) == {each}
    assert all(value in domain for value in counts)


@pytest.mark.parametrize(
    "domain", [Range(low=-1.0, high=3.0), Range(low=1e-4, high=1e-1, log=True), Range(low=1, high=1000, log=True)]
)
def test_ranges_are_filled_in_their_own_scale(domain: Range) -> None:
    found = values(domain)
    assert all(value in domain for value in found)
    assert all(isinstance(value, type(domain.low)) for value in found)
    scale = math.log if domain.log else float
    half = 0.5 if isinstance(domain.low, int) else 0.0  # every whole number stands for those that are rounded to it
    low, high = scale(domain.low - half), scale(domain.high + half)
    places = [(scale(value) - low) / (high - low) for value in found]
    assert np.quantile(places, [0.25, 0.5, 0.75]) == pytest.approx([0.25, 0.5, 0.75], abs=0.06)


def test_more_even_than_chance() -> None:
    keys = ("a", "b", "c")
    sequence = QuasiRandom({key: Range(low=0.0, high=1.0) for key in keys}, 1)
    points = np.array([[sequence.point(number)[key] for key in keys] for number in range(COUNT)])
    chance = np.random.default_rng(0).random(points.shape)
    assert qmc.discrepancy(points) < qmc.discrepancy(chance) / 5


def test_another_seed_is_another_sequence() -> None:
    assert values(Range(low=0.0, high=1.0), 0) != values(Range(low=0.0, high=1.0), 1)


def test_a_space_of_one_point() -> None:
    assert QuasiRandom({"fixed": Fixed(1)}, 0).point(5) == {}
