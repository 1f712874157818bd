"""Pages of the reference from the registries: problems, models, objectives, scores, training keys and studies."""

import inspect
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import fields
from importlib import resources
from typing import Any

from griffe import Docstring, DocstringSectionKind

from models import MODELS
from objectives import OBJECTIVES, PROBLEMS, SCORES, STANDARD
from search.study.budget import Budget
from search.study.configuration import Training
from search.study.presets import preset_names
from search.study.space import Argument, arguments_of
from search.study.study import serving

KINDS = {bool: "true or false", int: "whole number", float: "number", str: "text"}


def pages() -> dict[str, str]:
    """Markdown of each page, by its path below docs/."""
    return {
        "reference/problems.md": _page(
            "Problems", "What the table `[problem]` of a study names, with `name` and these keys.", PROBLEMS
        ),
        "reference/models.md": _page(
            "Models",
            "Families of a study's tables `[models.NAME]`, and the keys of each.",
            MODELS,
            _trained_by,
        ),
        "reference/objectives.md": _page(
            "Objectives", "What training minimises: a study's tables `[objectives.NAME]`.", OBJECTIVES, _trains
        ),
        "reference/scores.md": _page(
            "Scores", "What `scores`, `rank` and `[constraints]` of a study name; lower is better.", SCORES, _ranks
        ),
        "reference/keys.md": _keys(),
        "reference/studies.md": _studies(),
    }


def _page(title: str, intro: str, registry: Mapping[str, type], more: Callable[[str], str] = lambda name: "") -> str:
    entries = [_entry(name, registered, more(name)) for name, registered in registry.items()]
    return "\n\n".join([f"# {title}", intro, *entries]) + "\n"


def _entry(name: str, registered: type, more: str) -> str:
    module = inspect.getdoc(inspect.getmodule(registered)) or ""
    sources = [line for line in module.split("\n\n")[1:] if line.startswith("Source")]
    source = sources[0].partition("\nNotation")[0] if sources else ""
    return "\n\n".join(part for part in (f"## {name}", _text(registered), more, source, _table(registered)) if part)


def _trained_by(name: str) -> str:
    return f"Trained by {_linked(serving(name), 'objectives.md')}."


def _trains(name: str) -> str:
    return f"Trains {_linked([model for model in MODELS if name in serving(model)], 'models.md')}."


def _ranks(name: str) -> str:
    judged = "One of the standard scores" if name in STANDARD else "Judged by where a study names it"
    if SCORES[name].ranking:
        return f"{judged}; part of `misfit`."
    place = SCORES[name].ranks_for
    return f"{judged}; part of `misfit` in place of `{place}`." if place else f"{judged}; not part of `misfit`."


def _linked(names: list[str], page: str) -> str:
    return ", ".join(f"[`{name}`]({page}#{name})" for name in names)


def _sections(registered: type) -> list[Any]:
    docstring = Docstring(inspect.getdoc(registered) or "", lineno=1)
    return docstring.parse("google", warnings=False)


def _text(registered: type) -> str:
    return "\n\n".join(part.value for part in _sections(registered) if part.kind is DocstringSectionKind.text)


def meanings(registered: type) -> dict[str, str]:
    """What the docstring says of each argument; one line may speak of several."""
    found: dict[str, str] = {}
    for section in _sections(registered):
        if section.kind is DocstringSectionKind.parameters:
            for each in section.value:
                found |= {name.strip(): " ".join(each.description.split()) for name in each.name.split(",")}
    return found


def shown(value: Any) -> str:
    """A value as a study's TOML has it."""
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


def row(argument: Argument, meaning: str) -> str:
    """One row of a table of keys."""
    kind = ", ".join(f"`{shown(word)}`" for word in argument.words) or KINDS[argument.kind]
    cells = [f"`{argument.name}`", kind, f"`{shown(argument.default)}`", meaning]
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _table(registered: type) -> str:
    told = meanings(registered)
    rows = [row(argument, told.get(name, "")) for name, argument in arguments_of(registered).items()]
    return "\n".join(["| key | values | default | meaning |", "| --- | --- | --- | --- |", *rows]) if rows else ""


def _keys() -> str:
    assert {field.name for field in fields(Budget)} == set(arguments_of(Budget))
    return "\n\n".join(
        [
            "# Keys of every study",
            "## Budget",
            f"At the top of a study. {_text(Budget)}",
            _table(Budget),
            "## Training",
            f"In the table `[training]`. {_text(Training)}",
            _table(Training),
            "The other keys (`sampler`, `scores`, `rank`, `prefer`, `pack_size`, `plugins`, `[constraints]`, "
            "`[[points]]`) are told in [Studies](../studies.md).\n",
        ]
    )


def _studies() -> str:
    parts = ["# Studies that come with genseek", "`genseek run NAME` runs one; copy the text for one of your own."]
    for name in preset_names():
        text = (resources.files("search.study.presets") / f"{name}.toml").read_text(encoding="utf-8")
        problem = tomllib.loads(text)["problem"]["name"]
        parts += [f"## {name}", f"On {_linked([problem], 'problems.md')}.", f"```toml\n{text.rstrip()}\n```"]
    return "\n\n".join(parts) + "\n"
