"""Fronts: against the definition, point by point, and against Optuna's own front."""

import itertools

import numpy as np
import optuna
import pytest

from search.study.goals import Array, Fronts, crowding, front


def dominated(point: list[float], by: list[float]) -> bool:
    return all(one <= other for one, other in zip(by, point, strict=True)) and by != point


@pytest.mark.parametrize(("seed", "goals"), [*itertools.product(range(5), (1, 2, 3))])
def test_the_front_is_what_nothing_dominates(seed: int, goals: int) -> None:
    points = np.random.default_rng(seed).integers(0, 6, (30, goals)).astype(float).tolist()
    assert front(points) == [
        place for place, point in enumerate(points) if not any(dominated(point, other) for other in points)
    ]


@pytest.mark.parametrize("seed", range(3))
def test_the_front_is_optuna_s(seed: int) -> None:
    points = np.random.default_rng(seed).normal(size=(40, 2)).tolist()
    study = optuna.create_study(directions=["minimize", "minimize"])
    for point in points:
        study.add_trial(optuna.trial.create_trial(values=point))
    assert front(points) == sorted(trial.number for trial in study.best_trials)


def ranks(points: Array) -> list[int]:
    """Rank of each point by the definition: its front of what is left without the fronts before it."""
    found, left, rank = [0] * len(points), list(range(len(points))), 0
    while left:
        own = [left[place] for place in front(points[left].tolist())]
        for each in own:
            found[each] = rank
        left, rank = [each for each in left if each not in own], rank + 1
    return found


def best_first(points: Array) -> list[int]:
    """Places of the points by rank, and those of one rank by how far they are from their neighbours, loners first."""
    rank, distance = np.array(ranks(points)), np.zeros(len(points))
    for each in range(max(rank) + 1):
        distance[rank == each] = crowding(points[rank == each])
    return [int(place) for place in np.lexsort((-distance, rank))]


def added(points: Array) -> Fronts:
    fronts = Fronts()
    for point in points.tolist():
        fronts.add(point)
    return fronts


def cloud(seed: int, goals: int, kind: str) -> Array:
    """Points that have nothing to do with each other, all but one order, all in one front, or many of them equal."""
    dice = np.random.default_rng(seed)
    points = dice.normal(size=(70, goals))
    if kind == "order":
        points = 0.1 * points + dice.normal(size=(70, 1))
    if kind == "front":
        points[:, -1] = -points[:, 0]
    return np.asarray(dice.integers(0, 4, (70, goals)).astype(float) if kind == "ties" else points)


CLOUDS = [*itertools.product(range(3), (1, 2, 3, 4), ("any", "order", "front", "ties"))]


@pytest.mark.parametrize(("seed", "goals", "kind"), CLOUDS)
def test_fronts_that_grow_are_those_of_the_definition(seed: int, goals: int, kind: str) -> None:
    points, fronts = cloud(seed, goals, kind), Fronts()
    for count, point in enumerate(points.tolist(), 1):
        fronts.add(point)
        place = best_first(points[:count]).index(count - 1)
        assert [fronts.newest_among(most) for most in (place - 1, place - 0.5, place, place + 1.5)] == [
            False,
            False,
            True,
            True,
        ]
    assert fronts.ranks() == ranks(points)
    assert len(fronts) == 70


def test_of_one_rank_those_far_from_others_come_first() -> None:
    points = np.array([[0.0, 4.0], [1.0, 3.0], [1.1, 2.9], [3.0, 1.0], [4.0, 0.0], [5.0, 5.0]])
    order = best_first(points)
    assert sorted(order[:2]) == [0, 4]  # the ends
    assert order[2:] == [3, 2, 1, 5]  # 3 has (2.9 + 2.9) / 4, then 1.0 and 0.55; the last is dominated


def test_a_point_that_beats_all_pushes_every_front_on() -> None:
    fronts = added(np.array([[3.0, 3.0], [2.0, 4.0], [4.0, 4.0], [1.0, 1.0]]))
    assert fronts.ranks() == [1, 1, 2, 0]


def test_equals_are_all_in_the_front() -> None:
    points = [[1.0, 1.0], [1.0, 1.0], [2.0, 1.0]]
    assert front(points) == [0, 1]
    assert added(np.array(points)).ranks() == [0, 0, 1]
    assert front([]) == Fronts().ranks() == []
