"""Warm starts: the best of another search come first, where they lie in the space."""

from dataclasses import replace
from typing import Any

import pytest

from search.errors import GenseekError
from search.rank.leaderboard import Entry, Leaderboard
from search.run.plan import MOST, start_from
from search.study.configuration import Configuration
from search.study.parse import parse_study
from search.study.study import Study, check_point

TEXT = """
[problem]
name = "gaussian_2d"
[training]
learning_rate = { low = 1e-4, high = 1e-2, log = true }
[models.pushforward]
width = [8, 16]
[objectives.mmd]
[[points]]
width = 8
learning_rate = 0.002
"""


def study(text: str = TEXT) -> Study:
    return parse_study(text, "own", "own.toml")


def chosen(rate: float, width: int = 8) -> Configuration:
    wide = study(TEXT.replace("[8, 16]", "[8, 16, 32]").replace("high = 1e-2", "high = 1.0"))
    return check_point(wide, {"learning_rate": rate, "width": width})


def board(*entries: tuple[float, str, Configuration]) -> Any:
    found = [
        Entry(
            trial=number,
            configuration=configuration,
            outcome=outcome,
            epoch=9 if outcome == "finished" else 3,
            best_epoch=3,
            misfit=misfit,
            scores={},
            architecture={},
        )
        for number, (misfit, outcome, configuration) in enumerate(entries)
    ]
    return Leaderboard(name="other", entries=found, references={}, floors={}, provenance={})


def test_the_best_that_lie_in_the_space_follow_the_points() -> None:
    other = board(
        (3.0, "finished", chosen(0.003)),
        (0.5, "stopped", chosen(0.009)),
        (2.0, "finished", chosen(0.004, 16)),
        (1.0, "finished", chosen(0.5)),  # outside
        (1.5, "finished", chosen(0.005, 32)),  # outside
        (1.7, "finished", chosen(0.002)),  # a point already
    )
    points = [check_point(study(), point) for point in start_from(study(), other).points]
    assert points == [chosen(0.002), chosen(0.004, 16), chosen(0.003), chosen(0.009)]


def test_no_more_than_a_sampler_can_stand() -> None:
    other = board(*((float(number), "finished", chosen(0.001 + number / 1e5)) for number in range(30)))
    assert len(start_from(study(), other).points) == 1 + MOST


@pytest.mark.parametrize("entries", [(), ((1.0, "finished", chosen(0.5)),), ((1.0, "finished", chosen(0.002)),)])
def test_nothing_to_begin_with_is_told(entries: Any) -> None:
    with pytest.raises(GenseekError, match="--warm-start other: none of its configurations"):
        start_from(study(), board(*entries))


def test_a_list_is_not_warmed() -> None:
    listed = replace(study(), sampler="grid")
    with pytest.raises(GenseekError, match="sampler 'grid' tries the points of a list and nothing else"):
        start_from(listed, board((1.0, "finished", chosen(0.001))))
