"""A study: the TOML file that says what to search, read and checked once, before anything starts."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from importlib import resources
from pathlib import Path
from typing import Any

from models import MODELS
from objectives import OBJECTIVES, PROBLEMS, STANDARD
from search.budget import Budget
from search.configuration import Configuration, Training
from search.domain import Domain, domain_of
from search.errors import InputError, unknown
from search.goals import Goals
from search.grid import grid
from search.keys import (
    LISTED,
    OTHERS,
    Sampler,
    constraints,
    fuse,
    plugins_merged,
    points_written,
    rank,
    refuse_others,
    sampler,
    scores_judged,
    table,
)
from search.schema import arguments_of, checked_arguments

Domains = dict[str, Domain]


@dataclass(frozen=True)
class Study:
    """What to search, checked.

    Args:
        name: of the study (its file's name without the ending).
        problem, problem_arguments: the problem and its constructor's arguments.
        budget: how much to spend.
        training: domains of the training keys.
        models, objectives: for each name, the domains of its own keys.
        points: configurations tried first, flat, as written; for a grid, all of it.
        sampler: what proposes the others: one of Optuna's, a quasi-random sequence, chance, or nothing: "grid" tries
            the whole space and "points" the points alone.
        scores: names of the scores that trials are judged by.
        plugins: modules that hold models, objectives, scores and problems of the user's own; files by whole paths.
        fuse: trials that train stacked in one process; None where their measured steps decide.
        goals: what trials are ranked by, and the bounds that they must keep.
    """

    name: str
    problem: str
    problem_arguments: dict[str, Any]
    budget: Budget
    training: Domains
    models: dict[str, Domains]
    objectives: dict[str, Domains]
    points: list[dict[str, Any]] = field(default_factory=list)
    sampler: Sampler = "tpe"
    scores: tuple[str, ...] = STANDARD
    plugins: tuple[str, ...] = ()
    fuse: int | None = None
    goals: Goals = field(default_factory=Goals)

    def pairs(self) -> dict[str, list[str]]:
        """For each model of the study, the objectives of the study that can train it."""
        return {model: [name for name in self.objectives if name in serving(model)] for model in self.models}


def serving(model: str) -> list[str]:
    """Names of all registered objectives that can train `model`."""
    return [name for name, objective in OBJECTIVES.items() if issubclass(MODELS[model], objective.protocol)]


def shipped() -> list[str]:
    """Names of the studies that come with genseek."""
    folder = resources.files("search.studies")
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def load_study(name: str) -> Study:
    """Study of a TOML file, or of the name of a shipped study (each problem has one of its own name).

    Raises:
        InputError: there is no such study, or something in it can't be.
    """
    if name.endswith(".toml"):
        path = Path(name)
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{name}: can't read the study file ({error})") from error
        return parse_study(text, path.stem, where=name)
    if name not in shipped():
        raise InputError(f"{unknown('study or problem', name, shipped())} (a study file ends in .toml)")
    text = (resources.files("search.studies") / f"{name}.toml").read_text(encoding="utf-8")
    return parse_study(text, name, where=f"{name}.toml")


def parse_study(text: str, name: str, where: str) -> Study:
    """Study of TOML `text`; `where` names the file in errors, and the folder that it names plug-ins from.

    Raises:
        InputError: as `load_study`.
    """
    try:
        written = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{where}: not valid TOML: {error}") from error
    try:
        return _study(written, name, Path(where).parent)
    except (InputError, ValueError) as error:
        raise InputError(f"{where}: {error}") from error


def _study(written: dict[str, Any], name: str, folder: Path) -> Study:
    plugins = plugins_merged(written, folder)
    budget_keys = [entry.name for entry in fields(Budget)]
    refuse_others(written, [*budget_keys, *OTHERS], "")
    problem = dict(table(written, "problem"))
    problem_name = problem.pop("name", None)
    if not isinstance(problem_name, str) or problem_name not in PROBLEMS:
        raise InputError(f"[problem] name: {unknown('problem', str(problem_name), PROBLEMS)}")
    with_problem = _in("[problem]", lambda: checked_arguments(PROBLEMS[problem_name], problem))
    budget = Budget(**checked_arguments(Budget, {key: written[key] for key in budget_keys if key in written}))
    scores = scores_judged(written)
    study = Study(
        name,
        problem_name,
        with_problem,
        budget,
        _domains("[training]", Training, table(written, "training")),
        _registered(written, "models", MODELS),
        _registered(written, "objectives", OBJECTIVES),
        points_written(written),
        sampler(written),
        scores,
        plugins,
        fuse(written),
        Goals(rank(written, scores), constraints(written, scores)),
    )
    _check_pairs(study)
    for number, point in enumerate(study.points, start=1):
        _in(f"[[points]] number {number}:", lambda point=point: check_point(study, point))
    if study.sampler == "grid":
        study = replace(study, points=_whole_grid(study))
    return _limited(study, "trials" in written) if study.sampler in LISTED else study


def _whole_grid(study: Study) -> list[dict[str, Any]]:
    """The study's points, and every other point of its space."""
    points = list(study.points)
    known = [check_point(study, point) for point in points]
    for model, objectives in study.pairs().items():
        for objective in objectives:
            for chosen in grid(study.models[model] | study.objectives[objective] | study.training):
                point = {"model": model, "objective": objective, **chosen}
                if check_point(study, point) not in known:
                    points.append(point)
    return points


def _limited(study: Study, counted: bool) -> Study:
    """The study with no more trials than points, and with as many where none were asked for."""
    if not study.points:
        raise InputError('sampler = "points": expected at least one table headed [[points]]')
    most = len(study.points)
    trials = min(study.budget.trials, most) if counted else most
    return replace(study, budget=replace(study.budget, trials=trials))


def _registered(written: dict[str, Any], kind: str, registry: Mapping[str, Any]) -> dict[str, Domains]:
    tables = table(written, kind)
    if not tables:
        raise InputError(f"no [{kind}.NAME] table; known: {', '.join(registry)}")
    for name in tables:
        if name not in registry:
            raise InputError(f"[{kind}.{name}]: {unknown(kind.removesuffix('s'), name, registry)}")
    return {name: _domains(f"[{kind}.{name}]", registry[name], table(tables, name)) for name in tables}


def _domains(where: str, constructor: Any, written: dict[str, Any]) -> Domains:
    arguments = arguments_of(constructor)
    refuse_others(written, list(arguments), where)
    return {key: _in(where, lambda key=key: domain_of(arguments[key], written[key])) for key in written}


def _check_pairs(study: Study) -> None:
    for model, objectives in study.pairs().items():
        if not objectives:
            raise InputError(
                f"[models.{model}]: no objective here can train it; add one of: {', '.join(serving(model))}"
            )
        for objective in objectives:
            shared = arguments_of(MODELS[model]).keys() & arguments_of(OBJECTIVES[objective]).keys()
            if shared:
                both = f"[models.{model}] and [objectives.{objective}]"
                raise InputError(f"{both} both have a key {min(shared)}; one of them must rename it")
    for objective in study.objectives:
        if not any(objective in objectives for objectives in study.pairs().values()):
            fitting = [model for model in MODELS if objective in serving(model)]
            raise InputError(f"[objectives.{objective}]: no model here can serve it; add one of: {', '.join(fitting)}")


def check_point(study: Study, point: dict[str, Any]) -> Configuration:
    """Configuration of a flat point; keys that it leaves out take their defaults, or a value of their domain.

    Raises:
        InputError: an unknown key, or a value outside the study's space.
    """
    model = point.get("model", next(iter(study.models)))
    if model not in list(study.models):
        raise InputError(unknown("model", str(model), study.models))
    objective = point.get("objective", study.pairs()[model][0])
    if objective not in study.pairs()[model]:
        raise InputError(f"objective: {unknown('objective', str(objective), study.pairs()[model])} for model {model}")
    groups: dict[str, tuple[Any, Domains]] = {
        "model": (MODELS[model], study.models[model]),
        "objective": (OBJECTIVES[objective], study.objectives[objective]),
        "training": (Training, study.training),
    }
    known = [key for constructor, _ in groups.values() for key in arguments_of(constructor)]
    refuse_others(point, ["model", "objective", *known], "")
    chosen = {group: _chosen(point, constructor, domains) for group, (constructor, domains) in groups.items()}
    return Configuration(model, objective, chosen["model"], chosen["objective"], Training(**chosen["training"]))


def _chosen(point: dict[str, Any], constructor: Any, domains: Domains) -> dict[str, Any]:
    chosen = {}
    for key, argument in arguments_of(constructor).items():
        domain = domains.get(key)
        value = argument.checked(point[key]) if key in point else argument.default
        if domain is not None and value not in domain:
            if key in point:
                raise InputError(f"{key} = {value!r} lies outside the study's values for it")
            value = domain.corners()[0]
        if domain is None and key in point and value != argument.default:
            raise InputError(f"{key} = {value!r}, but the study doesn't search {key} (it stays {argument.default!r})")
        chosen[key] = value
    return chosen


def _in(where: str, call: Any) -> Any:
    try:
        return call()
    except InputError as error:
        raise InputError(f"{where} {error}") from error
