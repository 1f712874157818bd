"""Reading a study: the TOML file, checked once, before anything starts."""

import importlib.util
import tomllib
from collections.abc import Mapping
from dataclasses import fields, replace
from importlib import resources
from pathlib import Path
from typing import Any, cast, get_args

from models import MODELS
from objectives import OBJECTIVES, PROBLEMS, Problem
from search.errors import GenseekError, StudyError, unknown_name
from search.study.budget import UNBOUNDED, Budget, Device, seconds_of
from search.study.configuration import Training
from search.study.fields import (
    LISTED,
    OTHERS,
    constraints,
    pack_size,
    pack_size as pack_size_of,
    plugins_merged,
    points_written,
    prefer,
    rank,
    refit,
    refuse_others,
    sampler,
    scores_judged,
    table,
)
from search.study.goals import Goals
from search.study.plugins import blamed, check_name
from search.study.presets import preset_names
from search.study.space import arguments_of, checked_arguments, domain_of
from search.study.study import Domains, Study, check_point, pair_spaces, serving


def load_study(name: str) -> Study:
    """Study of a TOML file, or of the name of a shipped study (each problem has one of its own name).

    Raises:
        StudyError: there is no such study, or something in it can't be.

    Examples:
        >>> load_study("gaussian_2d").problem
        'gaussian_2d'
    """
    if name.endswith(".toml"):
        path = Path(name)
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise StudyError(f"{name}: can't read the study file ({error})") from error
        return parse_study(text, path.stem, where=name)
    if name not in preset_names():
        raise StudyError(f"{unknown_name('study or problem', name, preset_names())} (a study file ends in .toml)")
    text = (resources.files("search.study.presets") / f"{name}.toml").read_text(encoding="utf-8")
    return parse_study(text, name, where=f"{name}.toml", shipped=True)


def parse_study(text: str, name: str, where: str, shipped: bool = False) -> Study:
    """Study of TOML `text`; `where` names the file in errors, and the folder that it names plug-ins from.

    A shipped study goes without the models whose library isn't installed.

    Raises:
        StudyError: as `load_study`.
    """
    try:
        written = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise StudyError(f"{where}: not valid TOML: {error}") from error
    try:
        if shipped:
            models = table(written, "models")
            written["models"] = {model: own for model, own in models.items() if not lacking(model)}
        return _study(written, name, Path(where).parent)
    except (GenseekError, ValueError) as error:
        raise StudyError(f"{where}: {error}") from error


def _study(written: dict[str, Any], name: str, folder: Path) -> Study:
    plugins = plugins_merged(written, folder)
    budget_keys = [entry.name for entry in fields(Budget)]
    refuse_others(written, [*budget_keys, *OTHERS], "")
    problem = dict(table(written, "problem"))
    problem_name = problem.pop("name", None)
    if not isinstance(problem_name, str) or problem_name not in PROBLEMS:
        raise StudyError(f"[problem] name: {unknown_name('problem', str(problem_name), PROBLEMS)}")
    check_name("problems", problem_name)
    with_problem = _in("[problem]", lambda: checked_arguments(PROBLEMS[problem_name], problem))
    numbers = {key: written[key] for key in budget_keys if key in written}
    if "time" in numbers:
        numbers = {"trials": UNBOUNDED} | numbers | {"time": seconds_of(numbers["time"])}
    budget = Budget(**checked_arguments(Budget, numbers))
    scores = scores_judged(written)
    study = Study(
        name=name,
        problem=problem_name,
        problem_arguments=with_problem,
        budget=budget,
        training=_domains("[training]", Training, table(written, "training")),
        models=_registered(written, "models", MODELS),
        objectives=_registered(written, "objectives", OBJECTIVES),
        points=points_written(written),
        sampler=sampler(written),
        scores=scores,
        plugins=plugins,
        pack_size=pack_size(written),
        goals=Goals(rank(written, scores), constraints(written, scores)),
        prefer=prefer(written),
        refit=refit(written),
    )
    if study.sampler == "cmaes" and len(study.goals.rank) > 1:
        raise StudyError(f'sampler = "cmaes" takes one goal, and rank names {len(study.goals.rank)}')
    _check_pairs(study)
    for number, point in enumerate(study.points, start=1):
        _in(f"[[points]] number {number}:", lambda point=point: check_point(study, point))
    if study.sampler == "grid":
        study = replace(study, points=_whole_grid(study))
    return _limited(study, "trials" in written) if study.sampler in LISTED else study


def _whole_grid(study: Study) -> list[dict[str, Any]]:
    """The study's points, and every other point of its space."""
    points = list(study.points)
    known = {check_point(study, point).identity for point in points}
    every = [configuration for space in pair_spaces(study) for configuration in space.grid()]
    return points + [each.flat() for each in every if each.identity not in known]


def _limited(study: Study, counted: bool) -> Study:
    """The study with no more trials than points, and with as many where none were asked for."""
    if not study.points:
        raise StudyError('sampler = "points": expected at least one table headed [[points]]')
    most = len(study.points)
    trials = min(study.budget.trials, most) if counted else most
    return replace(study, budget=replace(study.budget, trials=trials))


def _registered(written: dict[str, Any], kind: str, registry: Mapping[str, Any]) -> dict[str, Domains]:
    tables = table(written, kind)
    if not tables:
        raise StudyError(f"no [{kind}.NAME] table; known: {', '.join(registry)}")
    for name in tables:
        if name not in registry:
            raise StudyError(f"[{kind}.{name}]: {unknown_name(kind.removesuffix('s'), name, registry)}")
        check_name(kind, name)
        if kind == "models" and lacking(name):
            raise StudyError(f"[models.{name}]: fitting it takes {lacking(name)}: pip install {lacking(name)}")
    return {name: _domains(f"[{kind}.{name}]", registry[name], table(tables, name)) for name in tables}


def lacking(model: str) -> str:
    """The library that fitting a registered model takes and that isn't installed; none for most."""
    needs = MODELS[model].needs
    return needs if needs and importlib.util.find_spec(needs) is None else ""


def _domains(where: str, constructor: Any, written: dict[str, Any]) -> Domains:
    arguments = arguments_of(constructor)
    refuse_others(written, list(arguments), where)
    return {key: _in(where, lambda key=key: domain_of(arguments[key], written[key])) for key in written}


def _check_pairs(study: Study) -> None:
    for model, objectives in study.pairs().items():
        if not objectives:
            raise StudyError(
                f"[models.{model}]: no objective here can train it; add one of: {', '.join(serving(model))}"
            )
        for objective in objectives:
            shared = arguments_of(MODELS[model]).keys() & arguments_of(OBJECTIVES[objective]).keys()
            if shared:
                both = f"[models.{model}] and [objectives.{objective}]"
                raise StudyError(f"{both} both have a key {min(shared)}; one of them must rename it")
    for objective in study.objectives:
        if not any(objective in objectives for objectives in study.pairs().values()):
            fitting = [model for model in MODELS if objective in serving(model)]
            raise StudyError(f"[objectives.{objective}]: no model here can serve it; add one of: {', '.join(fitting)}")
    pair_spaces(study)


def _in(where: str, call: Any) -> Any:
    try:
        return call()
    except GenseekError as error:
        raise StudyError(f"{where} {error}") from error


def problem_of(study: Study) -> Problem:
    """The study's problem, with its data read.

    Raises:
        StudyError: the problem can't be made of these arguments, or there is something wrong with the data.
    """
    where = f"problem {study.problem}"
    try:
        with blamed(where, problems=[study.problem]):
            return PROBLEMS[study.problem](**study.problem_arguments)
    except ValueError as error:
        raise StudyError(f"{where}: {error}") from error


def with_overrides(
    study: Study,
    *,
    problem: str | None = None,
    data: str | None = None,
    columns: str | None = None,
    drop_missing: bool = False,
    pack_size: str | None = None,
    device: str | None = None,
    time: str | float | None = None,
    **budget: int | None,
) -> Study:
    """The study on another problem or table, stacked otherwise, with other numbers of its budget; None changes nothing.

    With `time`, such as "10m", and without `trials`, time alone bounds the search.

    Raises:
        StudyError: an unknown problem, a table for a problem that has none, or a number out of its range.

    Examples:
        >>> with_overrides(load_study("all_families"), problem="mixture_3d", trials=20).budget.trials
        20
    """
    if problem is not None and problem != study.problem:
        if problem not in PROBLEMS:
            raise StudyError(f"--problem: {unknown_name('problem', problem, PROBLEMS)}")
        study = replace(study, problem=problem, problem_arguments={})
    if device is not None and device not in get_args(Device):
        raise StudyError(f"--device: {unknown_name('device', device, get_args(Device))}")
    table = {"data": data, "columns": columns, "drop_missing": drop_missing or None}
    given = {key: value for key, value in table.items() if value is not None}
    if given and study.problem != "table":
        option = "--" + next(iter(given)).replace("_", "-")
        raise StudyError(
            f"{option}: problem {study.problem!r} takes no table; use the study 'table', or --problem table"
        )
    wanted = {key: value for key, value in budget.items() if value is not None}
    if study.sampler in LISTED and "trials" in wanted:
        wanted["trials"] = min(wanted["trials"], len(study.points))
    try:
        limit = study.budget.time if time is None else seconds_of(time)
        if time is not None and "trials" not in wanted and study.sampler not in LISTED:
            wanted["trials"] = UNBOUNDED
        return replace(
            study,
            problem_arguments=study.problem_arguments | given,
            budget=replace(study.budget, device=cast(Device, device) or study.budget.device, time=limit, **wanted),
            pack_size=study.pack_size
            if pack_size is None
            else pack_size_of({"pack_size": int(pack_size) if pack_size.isdecimal() else pack_size}),
        )
    except ValueError as error:
        raise StudyError(str(error)) from error
