"""A study as JSON: what comes back is the study, with whatever the command line changed in it."""

import json
from pathlib import Path

import pytest

from search.study.goals import Goals
from search.study.parse import load_study, parse_study, with_overrides
from search.study.presets import preset_names
from search.study.serialize import study_from, study_json, study_toml


@pytest.mark.parametrize("name", preset_names())
def test_every_shipped_study_comes_back(name: str) -> None:
    study = load_study(name)
    assert study_from(json.loads(json.dumps(study_json(study)))) == study


def test_what_the_command_line_changed_comes_back() -> None:
    study = with_overrides(load_study("gaussian_2d"), trials=7, seed=3, pack_size="off", device="cpu", replicas=2)
    assert study_from(json.loads(json.dumps(study_json(study)))) == study


def test_a_table_is_found_from_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n")
    monkeypatch.chdir(tmp_path)
    study = with_overrides(load_study("table"), data="rows.csv")
    assert study_json(study)["problem_arguments"]["data"] == str(tmp_path / "rows.csv")


def test_a_plugin_is_found_from_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from objectives import PROBLEMS

    code = "from objectives.problems import Gaussian2D\nPROBLEMS = {'mine': Gaussian2D}\n"
    (tmp_path / "mine.py").write_text(code)
    text = 'plugins = ["mine.py"]\n[problem]\nname = "mine"\n[models.pushforward]\n[objectives.mmd]\n'
    written = study_json(parse_study(text, "own", str(tmp_path / "own.toml")))
    PROBLEMS.pop("mine")
    monkeypatch.chdir("/")
    assert study_from(written).problem == "mine"
    assert PROBLEMS.pop("mine")


def test_which_of_ties_wins_comes_back() -> None:
    text = '[problem]\nname = "gaussian_2d"\n[models.pushforward]\n[objectives.mmd]\n'
    study = parse_study(f'prefer = "small"\n{text}', "own", "own.toml")
    assert (parse_study(text, "own", "own.toml").prefer, study.prefer) == ("best", "small")
    assert study_from(json.loads(json.dumps(study_json(study)))) == study
    assert parse_study(study_toml(study), "own", "own.toml") == study


def test_goals_come_back() -> None:
    text = 'rank = ["misfit", "parameters"]\n[problem]\nname = "gaussian_2d"\n[models.pushforward]\n[objectives.mmd]\n'
    study = parse_study(text + "[constraints]\noverfit = 0.6\n", "own", "own.toml")
    assert study.goals == Goals(("misfit", "parameters"), {"overfit": 0.6})
    assert study_from(json.loads(json.dumps(study_json(study)))) == study
