"""Fronts: against the definition, point by point, and against Optuna's own front."""

import itertools

import numpy as np
import optuna
import pytest

from search.front import best_first, front, ranks


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


def test_ranks_are_the_fronts_of_what_is_left() -> None:
    points = np.random.default_rng(0).normal(size=(50, 3)).tolist()
    expected, left, rank = [0] * 50, list(range(50)), 0
    while left:
        own = [left[place] for place in front([points[each] for each in left])]
        for each in own:
            expected[each] = rank
        left, rank = [each for each in left if each not in own], rank + 1
    assert ranks(points) == expected
    assert max(expected) > 2


def test_of_one_rank_those_far_from_others_come_first() -> None:
    points = [[0.0, 4.0], [1.0, 3.0], [1.1, 2.9], [3.0, 1.0], [4.0, 0.0], [5.0, 5.0]]
    order = best_first(points)
    assert sorted(order[:2]) == [0, 4]  # the ends
    assert order[2:] == [3, 2, 1, 5]  # 3 has (2.9 + 2.9) / 4, then 1.0 and 0.55; the last is dominated


def test_one_goal_is_an_order() -> None:
    values = np.random.default_rng(0).permutation(20).astype(float)
    assert best_first([[value] for value in values]) == np.argsort(values).tolist()


def test_equals_are_all_in_the_front() -> None:
    assert front([[1.0, 1.0], [1.0, 1.0], [2.0, 1.0]]) == [0, 1]
    assert front([]) == ranks([]) == []
