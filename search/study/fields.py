"""The keys at the top of a study that aren't numbers, each read and checked; every mistake is a `StudyError`."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, cast, get_args

from objectives import SCORES, STANDARD
from search.errors import StudyError, unknown_name
from search.study.goals import FACTS
from search.study.plugins import check_name, merge_installed, merge_module

Sampler = Literal["tpe", "gp", "nsga2", "cmaes", "quasi-random", "random", "grid", "points"]
Prefer = Literal["best", "small"]
PACK_SIZES = {"auto": None, "off": 1}
LISTED = ("grid", "points")  # samplers that try a list of points and nothing else
OTHERS = (
    "problem",
    "training",
    "models",
    "objectives",
    "points",
    "sampler",
    "scores",
    "plugins",
    "pack_size",
    "rank",
    "constraints",
    "prefer",
    "refit",
)
LEARNING = ("tpe", "gp", "nsga2", "cmaes")  # those that learn from how trials end


def table(written: dict[str, Any], key: str) -> dict[str, Any]:
    """Table `key` of what is written; empty where it isn't there."""
    found = written.get(key, {})
    if not isinstance(found, dict):
        raise StudyError(f"{key} = {found!r}: expected a table, [{key}]")
    return found


def points_written(written: dict[str, Any]) -> list[dict[str, Any]]:
    """The tables headed [[points]]."""
    points = written.get("points", [])
    if not isinstance(points, list) or not all(isinstance(point, dict) for point in points):
        raise StudyError(f"points = {points!r}: expected tables, each headed [[points]]")
    return points


def sampler(written: dict[str, Any]) -> Sampler:
    """Name of the sampler."""
    name = written.get("sampler", "tpe")
    if name not in get_args(Sampler):
        raise StudyError(f"sampler: {unknown_name('sampler', str(name), get_args(Sampler))}")
    return cast(Sampler, name)


def pack_size(written: dict[str, Any]) -> int | None:
    """Trials that train stacked: None where their measured steps decide ("auto"), 1 for "off".

    Raises:
        StudyError: another word, or a number below 1.
    """
    value = written.get("pack_size", "auto")
    if isinstance(value, str):
        if value not in PACK_SIZES:
            raise StudyError(f"pack_size: {unknown_name('value', value, PACK_SIZES)} (or a number of trials)")
        return PACK_SIZES[value]
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise StudyError(f'pack_size = {value!r}: expected "auto", "off" or a whole number of trials, at least 1')
    return value


def prefer(written: dict[str, Any]) -> Prefer:
    """Which of finalists that can't be told apart wins: "best", of the lowest misfit, or "small", of fewest parameters.

    Raises:
        StudyError: another word.
    """
    word = written.get("prefer", "best")
    if word not in get_args(Prefer):
        raise StudyError(f"prefer: {unknown_name('value', str(word), get_args(Prefer))}")
    return cast(Prefer, word)


def refit(written: dict[str, Any]) -> bool:
    """Whether the winner is trained once more, on all rows.

    Raises:
        StudyError: neither true nor false.
    """
    word = written.get("refit", False)
    if not isinstance(word, bool):
        raise StudyError(f"refit = {word!r}: expected true or false")
    return word


def scores_judged(written: dict[str, Any]) -> tuple[str, ...]:
    """Names of the scores, each once: the standard ones where the study names none."""
    scores = written.get("scores", list(STANDARD))
    if not isinstance(scores, list) or not scores:
        raise StudyError(f"scores = {scores!r}: expected a list of names")
    for name in scores:
        if name not in SCORES:
            raise StudyError(f"scores: {unknown_name('score', str(name), SCORES)}")
        check_name("scores", name)
    if not any(SCORES[name].ranking for name in scores):
        ranking = ", ".join(name for name, score in SCORES.items() if score.ranking)
        raise StudyError(f"scores = {scores}: expected at least one that ranks: {ranking}")
    return tuple(dict.fromkeys(scores))


def rank(written: dict[str, Any], scores: Sequence[str]) -> tuple[str, ...]:
    """What trials are ranked by: misfit where the study doesn't say, or else several goals.

    Raises:
        StudyError: a name that isn't a score judged, a score of which less isn't better, one name alone, or no score.
    """
    names = written.get("rank", ["misfit"])
    lower = ["misfit", *(name for name in scores if SCORES[name].limit == 0)]
    if not isinstance(names, list) or not names or len(set(map(str, names))) < len(names):
        raise StudyError(f"rank = {names!r}: expected a list of names, each once")
    for name in names:
        if name not in (*lower, *FACTS):
            raise StudyError(f"rank: {unknown_name('goal', str(name), [*lower, *FACTS])}")
    if names != ["misfit"] and len(names) < 2:
        raise StudyError(f"rank = {names}: expected two at least; to rank by one score, name no other in scores")
    if not set(names) & set(lower):
        raise StudyError(f"rank = {names}: expected at least one of {', '.join(lower)}")
    return tuple(names)


def constraints(written: dict[str, Any], scores: Sequence[str]) -> dict[str, float]:
    """Upper bounds of table [constraints].

    Raises:
        StudyError: a name that isn't a score judged or a fact of a network, or a bound that isn't above 0.
    """
    bounds = table(written, "constraints")
    refuse_others(bounds, [*scores, *FACTS], "[constraints]")
    for name, bound in bounds.items():
        if isinstance(bound, bool) or not isinstance(bound, int | float) or not 0 < bound < math.inf:
            raise StudyError(f"[constraints] {name} = {bound!r}: expected a number above 0, the largest value allowed")
    return {name: float(bound) for name, bound in bounds.items()}


def plugins_merged(written: dict[str, Any], folder: Path) -> tuple[str, ...]:
    """The study's plug-ins, files by their whole paths, merged into the registries with the installed ones."""
    plugins = written.get("plugins", [])
    if not isinstance(plugins, list) or not all(isinstance(plugin, str) for plugin in plugins):
        raise StudyError(f'plugins = {plugins!r}: expected a list of modules, such as ["my_models.py"]')
    merge_installed()
    for plugin in plugins:
        merge_module(plugin, folder)
    return tuple(str((folder / plugin).resolve()) if plugin.endswith(".py") else plugin for plugin in plugins)


def refuse_others(written: dict[str, Any], known: list[str], where: str) -> None:
    """Refuse keys that aren't `known`, with the nearest of those that are."""
    for key in written:
        if key not in known:
            raise StudyError(f"{where} {unknown_name('key', key, known)}".strip())
