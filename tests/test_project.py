"""Files about the project say the same: one version, one license, one set of commands that look at the code."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_hooks_run_what_lint_runs() -> None:
    makefile = (ROOT / "Makefile").read_text()
    (recipe,) = re.findall(r"^lint:.*\n((?:\t.*\n)+)", makefile, re.M)
    (folder,) = re.findall(r"^BIN := (.*)$", makefile, re.M)
    (local,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert local["repo"] == "local"
    assert [hook["entry"] for hook in local["hooks"]] == [
        line.strip().replace("$(BIN)", folder) for line in recipe.splitlines()
    ]
    assert all(hook["language"] == "system" and not hook["pass_filenames"] for hook in local["hooks"])


@pytest.mark.parametrize("tool", ["ruff", "mypy"])
def test_what_looks_at_the_code_is_pinned(tool: str) -> None:
    assert re.findall(rf"^{tool}==\S+$", (ROOT / "constraints.txt").read_text(), re.M)


def test_the_citation_is_of_this_project() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {citation["cff-version"], citation["type"]} == {"1.2.0", "software"}
    told = {name: citation[name].strip() for name in ("title", "version", "license", "abstract")}
    assert told == dict(
        zip(told, (PROJECT[name] for name in ("name", "version", "license", "description")), strict=True)
    )


def test_the_changelog_begins_with_this_version() -> None:
    versions = re.findall(r"^## (\S+) \((.+)\)$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert versions[0] == (PROJECT["version"].partition(".dev")[0], "unreleased")
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", date) for _, date in versions[1:])
