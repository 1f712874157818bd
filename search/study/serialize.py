"""A study as JSON, for the journal and the record, and as TOML, for the report."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from models import MODELS
from objectives import OBJECTIVES, PROBLEMS, SCORES
from search.errors import GenseekError, StudyError, unknown_name
from search.study.budget import Budget
from search.study.fields import PACK_SIZES, plugins_merged, refuse_others
from search.study.goals import Goals
from search.study.space import Choice, Domain, Fixed, Range, arguments_of, checked_arguments
from search.study.study import Domains, Study, serving

KINDS = {"fixed": Fixed, "choice": Choice, "range": Range}


def study_json(study: Study) -> dict[str, Any]:
    """JSON form of a study; the file of its table by its whole path."""
    arguments = dict(study.problem_arguments)
    if isinstance(arguments.get("data"), str) and Path(arguments["data"]).exists():
        arguments["data"] = str(Path(arguments["data"]).resolve())
    plain = {entry.name: getattr(study, entry.name) for entry in fields(study)}
    return plain | {
        "problem_arguments": arguments,
        "budget": asdict(study.budget),
        "training": _written(study.training),
        "models": {name: _written(domains) for name, domains in study.models.items()},
        "objectives": {name: _written(domains) for name, domains in study.objectives.items()},
        "scores": list(study.scores),
        "plugins": list(study.plugins),
        "goals": goals_json(study.goals),
    }


def study_from(written: dict[str, Any]) -> Study:
    """Study of its JSON form; its plug-ins are merged.

    Raises:
        StudyError: a plug-in is gone, can't be merged any more, or lacks by now what the study names.
    """
    plugins = plugins_merged(written, Path())
    try:
        _check_registered(written)
    except GenseekError as error:
        changed = f"; have they changed: {', '.join(plugins)}?" if plugins else ""
        raise StudyError(f"study {written['name']}: {error}{changed}") from error
    return Study(
        **written
        | {
            "budget": Budget(**written["budget"]),
            "training": _read(written["training"]),
            "models": {name: _read(domains) for name, domains in written["models"].items()},
            "objectives": {name: _read(domains) for name, domains in written["objectives"].items()},
            "scores": tuple(written["scores"]),
            "plugins": plugins,
            "goals": goals_from(written.get("goals", {})),
        }
    )


def _check_registered(written: dict[str, Any]) -> None:
    """See that what a study names is there, with the keys and values that it searches."""
    named: list[tuple[str, Iterable[str], Mapping[str, Any]]] = [
        ("problem", [written["problem"]], PROBLEMS),
        ("score", written["scores"], SCORES),
        ("model", written["models"], MODELS),
        ("objective", written["objectives"], OBJECTIVES),
    ]
    for kind, names, registry in named:
        for name in names:
            if name not in registry:
                raise StudyError(unknown_name(kind, name, registry))
    checked_arguments(PROBLEMS[written["problem"]], written["problem_arguments"])
    for kind, names, registry in named[2:]:
        for name in names:
            arguments, domains = arguments_of(registry[name]), _read(written[f"{kind}s"][name])
            refuse_others(domains, list(arguments), f"[{kind}s.{name}]")
            for key, domain in domains.items():
                for value in domain.extremes():
                    arguments[key].checked(value)
    for model in written["models"]:
        if not set(serving(model)) & set(written["objectives"]):
            raise StudyError(f"[models.{model}]: none of its objectives can train it any more")


def goals_json(goals: Goals) -> dict[str, Any]:
    """JSON form of goals."""
    return {"rank": list(goals.rank), "bounds": dict(goals.bounds)}


def goals_from(written: dict[str, Any]) -> Goals:
    """Goals of their JSON form; of one that a damaged record lacks, the usual ones."""
    return Goals(tuple(written["rank"]), written["bounds"]) if written else Goals()


def _written(domains: Domains) -> dict[str, Any]:
    return {key: {_kind(domain): vars(domain)} for key, domain in domains.items()}


def _read(written: dict[str, Any]) -> Domains:
    return {key: _domain(*next(iter(domain.items()))) for key, domain in written.items()}


def _kind(domain: Domain) -> str:
    return next(name for name, kind in KINDS.items() if isinstance(domain, kind))


def _domain(kind: str, values: dict[str, Any]) -> Domain:
    if kind == "choice":
        return Choice(tuple(values["values"]))
    return Range(**values) if kind == "range" else Fixed(**values)


def study_toml(study: Study) -> str:
    """TOML of a study, from which `parse_study` makes an equal one; its table by its whole path."""
    words = {most: word for word, most in PACK_SIZES.items()}
    top: dict[str, Any] = {
        **asdict(study.budget),
        "sampler": study.sampler,
        "scores": list(study.scores),
        "rank": list(study.goals.rank),
        "prefer": study.prefer,
        "refit": study.refit,
        "pack_size": words.get(study.pack_size, study.pack_size),
        **({"plugins": list(study.plugins)} if study.plugins else {}),
    }
    parts = [_lines(top), _table("problem", {"name": study.problem, **study_json(study)["problem_arguments"]})]
    parts.append(_table("training", _toml_value(study.training)))
    for group, named in (("models", study.models), ("objectives", study.objectives)):
        parts += [_table(f"{group}.{_key(name)}", _toml_value(domains)) for name, domains in named.items()]
    if study.goals.bounds:
        parts.append(_table("constraints", dict(study.goals.bounds)))
    if study.sampler != "grid":  # whose points follow from its domains
        parts += [f"[[points]]\n{_lines(point)}" for point in study.points]
    return "\n".join(parts)


def _table(heading: str, values: dict[str, Any]) -> str:
    return f"[{heading}]\n{_lines(values)}"


def _lines(values: dict[str, Any]) -> str:
    return "".join(f"{_key(key)} = {_value(value)}\n" for key, value in values.items())


def _key(key: str) -> str:
    return key if key.isascii() and key.replace("_", "").replace("-", "").isalnum() else _value(key)


def _value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(key)} = {_value(each)}" for key, each in value.items()) + " }"
    if isinstance(value, float):
        return repr(value)  # as TOML has it; JSON would write 1e-05 as well, but not every float
    return json.dumps(value, ensure_ascii=False)


def _toml_value(domains: Domains) -> dict[str, Any]:
    return {key: _toml_domain(domain) for key, domain in domains.items()}


def _toml_domain(domain: Domain) -> Any:
    if isinstance(domain, Fixed):
        return domain.value
    if isinstance(domain, Choice):
        return list(domain.values)
    plain = {"low": domain.low, "high": domain.high}
    return plain | ({"log": True} if domain.log else {}) | ({} if domain.step is None else {"step": domain.step})
