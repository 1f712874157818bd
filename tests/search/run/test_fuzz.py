"""Random tables, as odd as people's: each is refused in one line, or goes the whole way from its file to a picture.

`make slow` tries ten of them, `make soak` two hundred. They run in this process, without Ray.
"""

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from models import MODELS
from models.generator import Generator, build
from models.noise import hashed_seed
from objectives import REFERENCES
from search import GenseekError, score_tables
from search.rank.finalist import advantage, interval, resampled
from search.report import png as plots
from search.run.prepare import check, extreme_configurations, judge_of, task_of
from search.study.parse import parse_study, problem_of
from search.train.stacking import Machine, Stacking
from search.train.trainer import Trainer
from search.train.trial import Trial

COUNT = int(os.environ.get("GENSEEK_TEST_TABLES", "10"))
STUDY = """
trials = 2
epochs = 4
grace = 4
evaluations = 1
eval_samples = 2
[problem]
name = "table"
data = 'DATA'
[training]
features = ["standard", "quantile_normal"]
batch = 32
learning_rate = 0.01
[models.MODEL]
[objectives.OBJECTIVE]
"""
PAIRS = (
    ("pushforward", "mmd"),
    ("vae", "elbo"),
    ("ae", "reconstruction"),
    ("flow_matching", "flow_matching"),
    ("gmm", "likelihood"),
    ("kde", "likelihood"),
    ("gaussian_copula", "likelihood"),
)
Column = Callable[[np.random.Generator, int], Any]
KINDS: dict[str, Column] = {
    "normal": lambda dice, n: dice.normal(size=n) * 10.0 ** dice.uniform(-9, 9) + dice.choice([0.0, 1e3]),
    "heavy": lambda dice, n: dice.standard_t(1.5, n),
    "lognormal": lambda dice, n: dice.lognormal(0, dice.uniform(0.2, 3), n) * 10.0 ** dice.uniform(-6, 6),
    "uniform": lambda dice, n: dice.random(n),
    "counts": lambda dice, n: dice.poisson(10.0 ** dice.uniform(-1, 2), n),
    "flag": lambda dice, n: dice.random(n) < dice.uniform(0.1, 0.9),
    "constant but one": lambda dice, n: (np.arange(n) == dice.integers(n)) * 3,
    "half zeros": lambda dice, n: np.where(dice.random(n) < dice.uniform(0.3, 0.9), 0, dice.lognormal(size=n)),
    "grades": lambda dice, n: dice.integers(1, 6, n),
    "cents": lambda dice, n: dice.gamma(2, 30, n).round(2),
    "identifiers": lambda dice, n: 10**9 + dice.permutation(n),
    "far from zero": lambda dice, n: 1e9 + dice.normal(size=n),
}


def table(seed: int) -> pd.DataFrame:
    """Table `seed`: 50 to 500 rows, 1 to 30 columns of any kinds, some of them copies or sums of others."""
    dice = np.random.default_rng([seed, 12])
    n, count = int(dice.integers(50, 500)), round(30 ** dice.random())
    columns: dict[str, Any] = {}
    for place in range(count):
        kind = str(dice.choice(list(KINDS)))
        column = np.asarray(KINDS[kind](dice, n))
        if columns and dice.random() < 0.15:
            other = columns[str(dice.choice(list(columns)))]
            kind, column = ("copy", other) if dice.random() < 0.5 else ("sum", other.astype(float) + column)
        columns[f"{kind} {place}"] = column
    frame = pd.DataFrame(columns)
    if dice.random() < 0.2:
        frame = pd.concat([frame, frame], ignore_index=True)
    return frame.sample(frac=1, random_state=seed)


def whole_way(seed: int, folder: Path) -> str:
    """From a file to a picture of samples; why the table was refused, or an empty string."""
    frame, data = table(seed), folder / f"{seed}.csv"
    frame.to_csv(data, index=False)
    model, objective = PAIRS[seed % len(PAIRS)]
    text = STUDY.replace("DATA", str(data)).replace("MODEL", model).replace("OBJECTIVE", objective)
    study = parse_study(text, "fuzz", str(folder / "fuzz.toml"))
    try:
        problem = problem_of(study)
        task = task_of(study, problem)
        check(study, task)
    except GenseekError as refused:
        return str(refused)
    trainer, trials = Trainer(Stacking(Machine(1e-3, 1e-9), 8)), []
    for number, configuration in zip(range(2), extreme_configurations(study), strict=False):
        trials.append(Trial(configuration, task, hashed_seed(seed, number)))
        trainer.add(number, trials[-1])
    told = [each for _ in range(study.budget.epochs) for each in trainer.advance()]
    assert not [each.error for each in told if each.error]
    generators = [build(trial.to_dict(), trial.best(), MODELS) for trial in trials]
    rows, judge = task.rows, judge_of(study, problem, task.rows, task.rows.test)
    for trial, generator in zip(trials, generators, strict=True):
        assert 0 < trial.report.misfit < math.inf
        _check_samples(generator, frame, folder)
    if seed % 3 == 0:  # every score with its floor, which takes longer than all else
        assert score_tables(str(data), str(folder / "made.csv"))["misfit"] > 0
    for draw in REFERENCES.values():
        assert judge(draw(rows.train, len(rows.test), np.random.default_rng(0))[np.newaxis]).misfit > 0
    samples = np.stack([own.sample(len(rows.test), seed).numpy()[np.newaxis] for own in generators for seed in (0, 1)])
    misfits = np.array([evaluation.misfit for evaluation in judge.each(samples)]).reshape(2, 2)
    again = resampled(judge, rows.test, samples.reshape(2, 2, *samples.shape[2:]), 0, repeats=4)
    assert all(low <= high for low, high in (interval(own, each) for own, each in zip(misfits, again, strict=True)))
    assert 0 < advantage(misfits[0], misfits[1]) <= 1
    plots.samples_beside(rows.test, samples[0, 0], task.columns, folder / "samples.png")
    return ""


def _check_samples(generator: Generator, frame: pd.DataFrame, folder: Path) -> None:
    made = pd.DataFrame(generator.sample(150, 3).numpy(), columns=list(frame.columns))
    assert np.isfinite(made.to_numpy()).all()
    for name, real in frame.items():
        column = made[name]
        if (real.astype(float) >= 0).all():
            assert (column >= 0).all(), name
        if (real.astype(float) == real.astype(float).round()).all():
            assert (column == column.round()).all(), name
        if set(real) == {0, 1}:
            assert set(column) <= set(real.astype(float)), name
    made.to_csv(folder / "made.csv", index=False)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(COUNT))
def test_any_table_goes_the_whole_way_or_is_refused_in_one_line(seed: int, tmp_path: Path) -> None:
    refused = whole_way(seed, tmp_path)
    assert "\n" not in refused
    known = (str(tmp_path), "all training rows are equal", "rows of problem")
    assert not refused or any(words in refused for words in known), refused


@pytest.mark.slow
def test_most_tables_are_not_refused(tmp_path: Path) -> None:
    refused = [problem for seed in range(40) if (problem := _refusal(seed, tmp_path))]
    assert len(refused) <= 4, refused


def _refusal(seed: int, folder: Path) -> str:
    data = folder / f"{seed}.csv"
    table(seed).to_csv(data, index=False)
    text = STUDY.replace("DATA", str(data)).replace("MODEL", "gaussian").replace("OBJECTIVE", "likelihood")
    try:
        problem_of(parse_study(text, "fuzz", str(folder / "fuzz.toml")))
    except GenseekError as refused:
        return str(refused)
    return ""
