"""Warm starts: a search that first tries what did well in another."""

from dataclasses import replace
from typing import Any

from search.errors import InputError
from search.rank.leaderboard import Leaderboard
from search.study.fields import LISTED
from search.study.study import Study, check_point

MOST = 10  # configurations taken over: the sampler learns from them, and must not spend a search on them


def warmed(study: Study, board: Leaderboard) -> Study:
    """The study with the best configurations of another search that lie in its space behind its own points.

    Raises:
        InputError: none does, or the study tries the points of a list and nothing else.
    """
    if study.sampler in LISTED:
        raise InputError(f"--from {board.name}: sampler {study.sampler!r} tries the points of a list and nothing else")
    known = [check_point(study, point) for point in study.points]
    points: list[dict[str, Any]] = []
    for entry in board.ranked():
        point = entry.configuration.flat()
        try:
            configuration = check_point(study, point)
        except InputError:
            continue  # outside this study's space
        if configuration == entry.configuration and configuration not in known and len(points) < MOST:
            known.append(configuration)
            points.append(point)
    if not points:
        raise InputError(f"--from {board.name}: none of its configurations that this study lacks lies in its space")
    return replace(study, points=[*study.points, *points])
