"""The reference covers every registry entry and command, and so do the tables of docs/studies.md."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import command_page
import hook
import pytest
import registry_pages
import typer

from models import MODELS
from objectives import OBJECTIVES, PROBLEMS, SCORES
from search.cli.app import app
from search.study.budget import Budget
from search.study.configuration import Training
from search.study.fields import Sampler
from search.study.presets import preset_names
from search.study.space import arguments_of
from search.study.study import serving

STUDIES = (Path(__file__).resolve().parents[2] / "docs/studies.md").read_text()
REGISTRIES: dict[str, Mapping[str, type]] = {
    "problems": PROBLEMS,
    "models": MODELS,
    "objectives": OBJECTIVES,
    "scores": SCORES,
}


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    return hook.generated()


def section(page: str, heading: str) -> str:
    """What stands below a second-level heading."""
    return page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    """Cells of the rows of tables whose first cell is code."""
    return [re.split(r"(?<!\\)\|", line)[1:-1] for line in text.splitlines() if line.startswith("| `")]


def codes(cell: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", cell))


def keys(table: str) -> dict[str, str]:
    """Names in the first column, each with its row's last cell."""
    return {name: cells[-1] for cells in rows(table) for name in codes(cells[0])}


def written(text: str) -> Any:
    return json.loads(text.strip().strip("`"))


@pytest.mark.parametrize("kind", REGISTRIES)
def test_every_entry_has_its_keys_and_their_defaults(kind: str, made: dict[str, str]) -> None:
    page = made[f"reference/{kind}.md"]
    assert re.findall(r"^## (.+)$", page, re.M) == list(REGISTRIES[kind])
    for name, registered in REGISTRIES[kind].items():
        told = {cells[0].strip(" `"): written(cells[2]) for cells in rows(section(page, name))}
        assert told == {key: each.default for key, each in arguments_of(registered).items()}, name


@pytest.mark.parametrize(("heading", "constructor"), [("Budget", Budget), ("Training", Training)])
def test_keys_of_every_study_have_defaults_and_meanings(heading: str, constructor: type, made: dict[str, str]) -> None:
    found = rows(section(made["reference/keys.md"], heading))
    assert {cells[0].strip(" `"): written(cells[2]) for cells in found} == vars(constructor())
    assert all(cells[3].strip() for cells in found)


def test_models_and_objectives_name_each_other(made: dict[str, str]) -> None:
    for model in MODELS:
        assert f"Trained by {', '.join(f'[`{n}`](objectives.md#{n})' for n in serving(model))}." in section(
            made["reference/models.md"], model
        )
    for objective in OBJECTIVES:
        told = section(made["reference/objectives.md"], objective)
        assert {model for model in MODELS if f"models.md#{model})" in told} == {
            model for model in MODELS if objective in serving(model)
        }


def test_every_shipped_study_and_command_is_there(made: dict[str, str]) -> None:
    assert re.findall(r"^## (.+)$", made["reference/studies.md"], re.M) == preset_names()
    group, page = typer.main.get_command(app), command_page.pages()["reference/commands.md"]
    assert isinstance(group, typer.core.TyperGroup)
    assert re.findall(r"^## (.+)$", page, re.M) == list(group.commands)
    for name, command in group.commands.items():
        options = {text for each in command.params for text in each.opts if text.startswith("--")}
        assert options <= set(re.findall(r"--[a-z-]+", section(page, name))), name


def test_tables_of_studies_name_all_there_is() -> None:
    families = section(STUDIES, "Families")
    first, second = families.split("| objective | keys |")
    for name, cell in keys(section(STUDIES, "Training keys")).items():
        default = arguments_of(Training)[name].default
        assert type(default)(cell.strip(" `")) == default, name
    assert set(keys(section(STUDIES, "Training keys"))) == set(arguments_of(Training))
    assert set(keys(section(STUDIES, "Samplers"))) == set(get_args(Sampler))
    assert set(keys(first)) == set(MODELS)
    assert set(keys(second)) == set(OBJECTIVES)
    own = {name for name in preset_names() if name not in PROBLEMS}
    assert set(keys(section(STUDIES, "Studies that come with genseek"))) >= own


@pytest.mark.parametrize(("heading", "registry"), [("| family |", MODELS), ("| objective | keys |", OBJECTIVES)])
def test_keys_in_the_tables_of_studies_exist(heading: str, registry: Mapping[str, Any]) -> None:
    table = section(STUDIES, "Families").partition(heading)[2].partition("\n\n")[0]
    told = keys(table)
    for name, cell in told.items():
        arguments = arguments_of(registry[name])
        known = {
            *arguments,
            *arguments_of(Training),
            *registry,
            *(word for each in arguments.values() for word in each.words),
        }
        assert codes(cell) <= known, name
        of = re.match(r"\s*(?:those of|as) `(\w+)`", cell)
        inherited = set(arguments_of(registry[of[1]])) if of else set()
        assert set(arguments) <= codes(cell) | inherited, name


def test_links_hold_on_the_site() -> None:
    assert hook.mended("[a](../README.md#x) [b](decisions/) [c](scores.md)", "docs") == (
        "[a](readme.md#x) [b](decisions/index.md) [c](scores.md)"
    )
    assert hook.mended("[code](../cluster.yaml) [no](../no.md)", "docs") == "code (`cluster.yaml`) [no](../no.md)"
    assert hook.mended("[a](docs/scores.md#misfit) [s](SECURITY.md)", "") == "[a](scores.md#misfit) [s](security.md)"
    assert registry_pages.shown(True) == "true"
