"""Every family on every problem: each trains with each of its objectives, and their samples are numbers."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from objectives import PROBLEMS
from search.run.prepare import check, task_of
from search.study.parse import load_study, problem_of, with_overrides
from search.study.study import Study, pair_spaces
from search.train.context import draw_samples
from search.train.group import Group
from search.train.trial import Trial

EPOCHS = 40
SIZES = {"train": 300, "validation": 100, "test": 100}


def study_on(problem: str, folder: Path) -> Study:
    """All families on a small sample of a problem, a few epochs each."""
    study = with_overrides(load_study("all_families"), problem=problem, epochs=EPOCHS)
    arguments: dict[str, object] = dict(SIZES)
    if problem == "table":
        path = folder / "rows.csv"
        pd.DataFrame(np.random.default_rng(0).gamma(2.0, size=(500, 3)), columns=list("abc")).to_csv(path, index=False)
        arguments = {"data": str(path)}
    return replace(
        study,
        problem_arguments=arguments,
        budget=replace(study.budget, epochs=EPOCHS, grace=EPOCHS, evaluations=1, eval_samples=2),
    )


@pytest.mark.slow
@pytest.mark.parametrize("problem", PROBLEMS)
def test_every_family_trains_on_every_problem(problem: str, tmp_path: Path) -> None:
    study = study_on(problem, tmp_path)
    task = task_of(study, problem_of(study))
    spaces = pair_spaces(study)
    assert check(study, task) > len(spaces)
    for space in spaces:
        point = space.choose(lambda key, domain: domain.extremes()[0])
        trial = Trial(point, task, seed=1)
        group = Group.of(trial)
        while group.epoch(trial) < EPOCHS:
            group.advance()
        report = trial.report
        assert not report.diverged, point
        assert report.epoch == EPOCHS
        assert math.isfinite(report.epoch_misfit), point
        drawn = draw_samples(group.pack.averaged, [trial.featured.features], 1, 100, seeds=group.pack.seeds)
        assert np.isfinite(drawn).all(), point
