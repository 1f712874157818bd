"""A study as TOML, with all that was changed on the command line: what `genseek run` takes to search the same again."""

import json
from dataclasses import asdict
from typing import Any

from search.domain import Choice, Domain, Fixed
from search.keys import FUSE
from search.study import Domains, Study
from search.study_json import study_json


def study_toml(study: Study) -> str:
    """TOML of a study, from which `parse_study` makes an equal one; its table by its whole path."""
    words = {most: word for word, most in FUSE.items()}
    top: dict[str, Any] = {
        **asdict(study.budget),
        "sampler": study.sampler,
        "scores": list(study.scores),
        "rank": list(study.goals.rank),
        "fuse": words.get(study.fuse, study.fuse),
        **({"plugins": list(study.plugins)} if study.plugins else {}),
    }
    parts = [_lines(top), _table("problem", {"name": study.problem, **study_json(study)["problem_arguments"]})]
    parts.append(_table("training", _written(study.training)))
    for group, named in (("models", study.models), ("objectives", study.objectives)):
        parts += [_table(f"{group}.{_key(name)}", _written(domains)) for name, domains in named.items()]
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


def _written(domains: Domains) -> dict[str, Any]:
    return {key: _domain(domain) for key, domain in domains.items()}


def _domain(domain: Domain) -> Any:
    if isinstance(domain, Fixed):
        return domain.value
    if isinstance(domain, Choice):
        return list(domain.values)
    plain = {"low": domain.low, "high": domain.high}
    return plain | ({"log": True} if domain.log else {}) | ({} if domain.step is None else {"step": domain.step})
