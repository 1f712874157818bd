"""What is checked before a search starts, and what the command line may change of a study."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from search.errors import GenseekError
from search.run.prepare import check, judge_of, task_of
from search.study.parse import parse_study, problem_of, with_overrides
from search.study.study import Study, check_point
from search.train.trial import Trial


def study(training: str = "", pushforward: str = "", top: str = "", problem: str = "") -> Study:
    text = f"""
        {top}
        [problem]
        name = "gaussian_2d"
        train = 100
        validation = 60
        test = 50
        {problem}
        [training]
        {training}
        [models.pushforward]
        {pushforward}
        [models.vae]
        [objectives.mmd]
        [objectives.elbo]
    """
    return parse_study(text, "mine", "mine.toml")


def checked(made: Study) -> int:
    return check(made, task_of(made, problem_of(made)))


def refusal(made: Study) -> str:
    with pytest.raises(GenseekError) as error:
        checked(made)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_corners_are_the_lowest_the_highest_and_every_choice_between() -> None:
    assert checked(study()) == 4  # two pairs, two ends
    assert checked(study(training="batch = { low = 10, high = 20 }")) == 4
    assert checked(study(pushforward='activation = ["relu", "elu", "tanh", "silu"]')) == 6
    assert checked(study(training="l1 = [0.0, 0.1, 0.2]", pushforward="width = [8, 16, 32]")) == 7


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (
            {"pushforward": "dropout = [0.0, 1.5]"},
            "study mine: [models.pushforward] with [objectives.mmd]: dropout must be",
        ),
        ({"pushforward": "dropout = { low = -0.5, high = 0.5 }"}, "dropout must be"),
        ({"pushforward": "dropout = [0.0, 1.5, 0.5]"}, "dropout must be"),
        ({"pushforward": "width = [0, 8]"}, "width"),
        ({"pushforward": "depth = 0"}, "depth"),
        ({"pushforward": "noise = -1"}, "noise must be at least 0, got -1"),
        ({"training": "learning_rate = 0"}, "[training] learning_rate must be"),
        ({"training": "batch = [1, 8]"}, "[training] batch must be at least 2, got 1"),
        ({"training": "l2 = { low = -1.0, high = 1.0 }"}, "[training] l1 and l2 must be"),
        ({"training": "average = 1.0"}, "[training] average must be at least 0 and below 1, got 1.0"),
        (
            {"training": 'features = ["standard", "log1p"]'},
            "[training] features: log1p features need rows of at least 0; column 1 has negative ones",
        ),
        ({"top": "cpus = 100000"}, "cpus = 100000: one trainer wants more than this machine's"),
        ({"top": 'gpus = 100000\ndevice = "gpu"'}, "gpus = 100000: one trainer wants more than this machine's"),
    ],
)
def test_what_is_refused(made: dict[str, str], said: str) -> None:
    assert said in refusal(study(**made))


def test_a_cluster_answers_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:6379")
    assert checked(study(top=f"cpus = {(os.cpu_count() or 1) + 1}")) == 4


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("correlation = 2.0", "problem gaussian_2d: correlation = 2.0: expected a number between -1 and 1"),
        ("scale_1 = 0.0", "problem gaussian_2d: scale_1 = 0.0: expected a finite number above 0"),
    ],
)
def test_a_problem_that_cannot_be(written: str, said: str) -> None:
    assert refusal(study(problem=written)).startswith(said)


def test_a_table_needs_data(tmp_path: Path) -> None:
    text = '[problem]\nname = "table"\n[models.vae]\n[objectives.elbo]\n'
    table = parse_study(text, "table", "table.toml")
    with pytest.raises(GenseekError, match="problem table: no data; name a CSV or Parquet file with --data FILE"):
        problem_of(table)
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(80, 3)), columns=list("abc"))
    frame.iloc[3, 1] = np.nan
    frame.to_csv(tmp_path / "rows.csv", index=False)
    data = str(tmp_path / "rows.csv")
    with pytest.raises(GenseekError, match=r"problem table: .*rows\.csv: 1 of 80 rows miss a value in column b"):
        problem_of(with_overrides(table, data=data))
    assert problem_of(with_overrides(table, data=data, columns="c,a")).columns == ("c", "a")
    dropped: Any = problem_of(with_overrides(table, data=data, drop_missing=True))
    assert (dropped.columns, dropped.dropped) == (("a", "b", "c"), 1)


def test_numbers_of_the_budget_may_be_overridden() -> None:
    made = study(top="trials = 7\nepochs = 30\nseed = 2")
    changed = with_overrides(made, trials=3, epochs=None, seed=5)
    assert (changed.budget.trials, changed.budget.epochs, changed.budget.seed) == (3, 30, 5)
    assert (changed.training, changed.models, changed.problem_arguments) == (
        made.training,
        made.models,
        made.problem_arguments,
    )


def test_pack_size_replicas_and_device_may_be_overridden() -> None:
    made = study(top='pack_size = 4\nreplicas = 2\ndevice = "cpu"')
    for given, most in (("auto", None), ("off", 1), ("7", 7), (None, 4)):
        assert with_overrides(made, pack_size=given).pack_size == most
    changed = with_overrides(made, replicas=3, device="auto")
    assert (changed.pack_size, changed.budget.replicas, changed.budget.device) == (4, 3, "auto")
    assert with_overrides(made) == made
    assert task_of(changed, problem_of(changed)).replicas == 3


def test_another_problem_comes_with_its_own_arguments() -> None:
    made = study(top="epochs = 9")
    assert with_overrides(made, problem="gaussian_2d") == made
    moved = with_overrides(made, problem="mixture_3d")
    assert (moved.problem, moved.problem_arguments) == ("mixture_3d", {})
    assert len(problem_of(moved).columns) == 3
    assert with_overrides(made, problem="table", data="a.csv").problem_arguments == {"data": "a.csv"}


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"problem": "gausian_1d"}, "--problem: unknown problem 'gausian_1d'; did you mean 'gaussian_1d'?"),
        ({"trials": 0}, "trials must be at least 1, got 0"),
        ({"epochs": -3}, "epochs must be at least 1, got -3"),
        ({"seed": -1}, "seed must be from 0 to 4294967295, got -1"),
        ({"data": "a.csv"}, "--data: problem 'gaussian_2d' takes no table"),
        ({"replicas": 0}, "replicas must be at least 1, got 0"),
        ({"device": "gup"}, "--device: unknown device 'gup'; did you mean 'gpu'?"),
        ({"pack_size": "of"}, "pack_size: unknown value 'of'; did you mean 'off'?"),
        ({"pack_size": "0"}, 'pack_size = 0: expected "auto", "off" or a whole number of trials, at least 1'),
        ({"pack_size": "-2"}, "pack_size: unknown value '-2'"),
        ({"columns": "a"}, "--columns: problem 'gaussian_2d' takes no table"),
        ({"drop_missing": True}, "--drop-missing: problem 'gaussian_2d' takes no table"),
    ],
)
def test_overrides_that_are_refused(wanted: dict[str, Any], said: str) -> None:
    with pytest.raises(GenseekError) as error:
        with_overrides(study(), **wanted)
    assert str(error.value).startswith(said)


def test_validation_and_test_rows_have_a_judge_each() -> None:
    made = study(top="epochs = 9\ngrace = 2\neval_samples = 3")
    problem = problem_of(made)
    task = task_of(made, problem)
    assert (task.columns, task.shape.features, task.shape.source) == (("x1", "x2"), 2, "normal")
    assert (task.epochs, task.eval_samples, list(task.evaluations)) == (9, 3, made.budget.evaluation_epochs())
    tested = judge_of(made, problem, task.rows, task.rows.test)
    for judge, rows in ((task.judge, task.rows.validation), (tested, task.rows.test)):
        assert {floor.n for floor in judge.floors.values()} == {len(rows)}
        assert judge(rows[np.newaxis]).values["ad"] < judge(rows[np.newaxis] + 1).values["ad"]
    assert task_of(made, problem).judge.floors == task.judge.floors


def test_what_is_judged_does_not_grow_with_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.run.prepare.TEST_ROWS", 80)
    made = study(top="epoch_rows = 90\njudged_rows = 70")
    large = replace(made, problem_arguments={"train": 200, "validation": 200, "test": 200})
    task, again = (task_of(large, problem_of(large)) for _ in range(2))
    assert [len(part) for part in (task.rows.train, task.rows.validation, task.rows.test)] == [200, 70, 80]
    assert task.rows.digest() == again.rows.digest()
    whole = problem_of(large).rows(0)
    for own, every in ((task.rows.validation, whole.validation), (task.rows.test, whole.test)):
        assert {tuple(row) for row in own} < {tuple(row) for row in every}
    assert sorted(map(tuple, task.rows.train)) == sorted(map(tuple, whole.train))
    assert not np.array_equal(task.rows.train, whole.train)  # an epoch takes rows that stand together
    assert Trial(check_point(large, {}), task, 0).untrained().epoch_rows == 90
    small = task_of(made, problem_of(made))
    assert small.rows.digest() != task.rows.digest()
    assert len(small.rows.validation) == 60
