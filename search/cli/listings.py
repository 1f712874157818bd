"""What there is to choose from: problems, models, objectives, scores and studies, as rows of a table."""

from collections.abc import Callable
from typing import Any

from models import MODELS
from objectives import OBJECTIVES, PROBLEMS, SCORES
from search.study.parse import load_study
from search.study.plugins import merge_installed
from search.study.presets import preset_names
from search.study.space import arguments_of
from search.study.study import serving

Rows = list[dict[str, Any]]


def _first_line(thing: Any) -> str:
    return str(thing.__doc__).splitlines()[0]


def _described(registry: dict[str, Any], **more: Callable[[str], Any]) -> list[dict[str, Any]]:
    merge_installed()
    return [
        {"name": name, **{key: of(name) for key, of in more.items()}, "what": _first_line(thing)}
        for name, thing in registry.items()
    ]


def _problems() -> list[dict[str, Any]]:
    return _described(PROBLEMS)


def _models() -> list[dict[str, Any]]:
    return _described(MODELS, objectives=serving, keys=lambda name: list(arguments_of(MODELS[name])))


def _objectives() -> list[dict[str, Any]]:
    return _described(OBJECTIVES, keys=lambda name: list(arguments_of(OBJECTIVES[name])))


def _scores() -> list[dict[str, Any]]:
    return _described(SCORES, ranks=lambda name: "yes" if SCORES[name].ranking else "no")


def _studies() -> list[dict[str, Any]]:
    studies = [load_study(name) for name in preset_names()]
    return [
        {
            "name": s.name,
            "problem": s.problem,
            "trials": s.budget.trials,
            "epochs": s.budget.epochs,
            "families": list(s.models),
        }
        for s in studies
    ]


LISTINGS: dict[str, Callable[[], Rows]] = {
    "problems": _problems,
    "families": _models,
    "objectives": _objectives,
    "scores": _scores,
    "studies": _studies,
}
