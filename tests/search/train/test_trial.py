"""One trial: which checkpoint it keeps, what it reports, and that it says the same every time."""

import json
import math
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from models import Shape
from models.generator import Generator
from objectives import Evaluation, Floor, Rows, judge_for
from objectives.problems.known import Gaussian2D
from search.events.events import Report
from search.study.configuration import Configuration, Training
from search.study.goals import WORST, Goals
from search.train.context import TrialContext, draw_samples, sample_seconds
from search.train.group import Checkpoint, Group
from search.train.trial import Trial, rebuilt

PROBLEM = Gaussian2D(train=100, validation=60, test=60)
ROWS = PROBLEM.rows(0)
SHAPE = Shape(2, "normal", 2)
FIT = Floor(median=1.0, upper=2.0, positive=1.0, n=60, m=60)


class Scripted:
    """A judge that has made up its mind: one misfit for each time it is asked."""

    def __init__(self, misfits: Sequence[float]) -> None:
        self.misfits, self.seen = iter(misfits), list[Any]()

    def each(self, generated: Any) -> list[Evaluation]:
        self.seen += [np.array(member) for member in generated]
        return [Evaluation({"ad": misfit * 10}, misfit, {"ad": FIT}) for _, misfit in zip(generated, self.misfits)]  # noqa: B905


def task(
    judge: Any = None, evaluations: Sequence[int] = (1, 2, 4, 6), rows: Rows = ROWS, eval_samples: int = 2
) -> TrialContext:
    judge = judge or judge_for(PROBLEM, rows.train, rows.validation, 60, repeats=20)
    return TrialContext(
        rows=rows,
        columns=("a", "b"),
        shape=SHAPE,
        judge=judge,
        epochs=evaluations[-1],
        evaluations=evaluations,
        eval_samples=eval_samples,
    )


def configuration(model: str = "pushforward", **training: Any) -> Configuration:
    training = {"batch": 20, "learning_rate": 0.01, **training}
    return Configuration(
        model=model, objective={"pushforward": "mmd", "vae": "elbo"}[model], training=Training(**training)
    )


def reported(group: Group) -> Report:
    """The next report of a trial that trains alone."""
    while not group.advance():
        pass
    return group.trials[0].report


def reports(trial: Trial) -> list[Report]:
    group = Group.of(trial)
    return [reported(group) for _ in trial.task.evaluations]


def drawn(trial: Trial, generator: Generator) -> Any:
    """The samples that a trial's judgement sees."""
    rows = len(trial.task.rows.validation)
    return draw_samples(generator.model, [generator.features], trial.task.eval_samples, rows, seeds=[trial.seed])[0]


def generator_of(group: Group) -> Generator:
    """The generator of a group's only trial as it is now."""
    (trial,) = group.trials
    return Generator(group.pack.averaged, trial.featured.features, trial.task.columns)


def test_the_best_checkpoint_is_kept_and_not_the_last() -> None:
    judge = Scripted([5.0, 2.0, 7.0, 3.0])
    trial = Trial(configuration(), task(judge), seed=1)
    told = reports(trial)
    assert [report.epoch for report in told] == [1, 2, 4, 6]
    assert [report.best_epoch for report in told] == [1, 2, 2, 2]
    assert [report.misfit for report in told] == [5.0, 2.0, 2.0, 2.0]
    assert [report.epoch_misfit for report in told] == [5.0, 2.0, 7.0, 3.0]
    assert [report.scores["ad"] for report in told] == [50.0, 20.0, 20.0, 20.0]
    assert [report.epoch_scores["ad"] for report in told] == [50.0, 20.0, 70.0, 30.0]
    kept = drawn(trial, rebuilt(trial.to_dict(), trial.best()))
    np.testing.assert_array_equal(kept, judge.seen[1])
    assert not np.array_equal(kept, judge.seen[3])


def test_misfit_never_rises() -> None:
    told = reports(Trial(configuration(learning_rate=0.3), task(evaluations=range(1, 13)), seed=1))
    misfits = [report.misfit for report in told]
    assert misfits == sorted(misfits, reverse=True)
    assert [report.epoch_misfit for report in told] != misfits  # this learning rate does jump about
    assert misfits[-1] == min(report.epoch_misfit for report in told)


@pytest.mark.parametrize("model", ["pushforward", "vae"])
def test_the_same_seed_reports_the_same(model: str) -> None:
    first, second, other = (reports(Trial(configuration(model), task(), seed)) for seed in (3, 3, 4))
    assert first == second
    assert first[0].loss != other[0].loss


def test_evaluations_do_not_disturb_the_training() -> None:
    ends = []
    for evaluations in (range(1, 7), (6,)):
        trial = Trial(configuration("vae"), task(evaluations=evaluations), seed=1)
        group = Group.of(trial)
        losses = [reported(group).loss for _ in evaluations]
        ends.append((losses[-1], drawn(trial, generator_of(group)).tolist()))
    assert ends[0] == ends[1]


@pytest.mark.parametrize("model", ["pushforward", "vae"])
@pytest.mark.parametrize("features", ["standard", "quantile_normal"])
@pytest.mark.parametrize("average", [0.0, 0.9])
def test_what_is_kept_rebuilds_the_same_generator(model: str, features: str, average: float) -> None:
    trial = Trial(configuration(model, features=features, average=average), task(Scripted([4, 3, 2, 1])), seed=1)
    group = Group.of(trial)
    for _ in trial.task.evaluations:
        reported(group)
    described = json.loads(json.dumps(trial.to_dict()))
    again = rebuilt(described, trial.best())
    assert again.columns == ("a", "b")
    assert torch.equal(again.sample(50, 9), generator_of(group).sample(50, 9))


def test_a_diverged_trial_says_so_and_keeps_what_it_had() -> None:
    trial = Trial(configuration(), task(Scripted([5.0, 6.0])), seed=1)
    group = Group.of(trial)
    before = reported(group)
    with torch.no_grad():
        for parameter in group.pack.model.parameters():
            parameter.fill_(math.nan)
    after = reported(group)
    assert after.diverged
    assert not before.diverged
    assert not math.isfinite(after.loss)
    assert (after.misfit, after.scores, after.best_epoch, after.epoch_misfit) == (5.0, {"ad": 50.0}, 1, WORST)
    assert torch.isfinite(rebuilt(trial.to_dict(), trial.best()).sample(20)).all()


def test_a_learning_rate_beyond_reason_diverges() -> None:
    extreme = Trial(configuration("vae", learning_rate=1e30, optimizer="sgd"), task(), seed=1)
    assert reported(Group.of(extreme)).diverged


def test_what_cannot_be_judged_is_as_bad_as_can_be() -> None:
    trial = Trial(configuration(), task(Scripted([math.inf, 3.0, math.nan, 4.0])), seed=1)
    assert [(report.misfit, report.best_epoch) for report in reports(trial)] == [
        (WORST, 0),
        (3.0, 2),
        (3.0, 2),
        (3.0, 2),
    ]


@pytest.mark.parametrize("model", ["pushforward", "vae"])
def test_scores_are_those_of_the_users_units(model: str) -> None:
    # Powers of two scale floating point exactly, so nothing but the unit differs.
    unit = np.array([1024.0, 1 / 4])
    scaled = Rows(ROWS.train * unit, ROWS.validation * unit, ROWS.test * unit)
    plain, other = (Group.of(Trial(configuration(model), task(rows=rows), seed=1)) for rows in (ROWS, scaled))
    for _ in task().evaluations:
        first, second = reported(plain), reported(other)
        assert first.loss == second.loss
        for score in ("ad", "kendall", "overfit"):
            assert first.epoch_scores[score] == second.epoch_scores[score]
    first_rows, second_rows = (drawn(group.trials[0], generator_of(group)) for group in (plain, other))
    np.testing.assert_array_equal(first_rows * unit, second_rows)


def test_a_score_is_the_median_of_the_draws() -> None:
    judge = task().judge
    trial = Trial(configuration(), task(judge, eval_samples=5), seed=1)
    group = Group.of(trial)
    report = reported(group)
    rows = drawn(trial, generator_of(group))
    assert rows.shape == (5, 60, 2)
    alone = [judge(rows[[draw]]).values["ad"] for draw in range(5)]
    assert len(set(alone)) == 5
    assert report.epoch_scores["ad"] == pytest.approx(np.median(alone))


def test_the_validation_loss_is_of_rows_that_were_not_trained_on() -> None:
    rows = replace(ROWS, validation=ROWS.validation + 100)
    near, far = (Trial(configuration("vae"), task(Scripted([1.0]), rows=part), seed=1) for part in (ROWS, rows))
    first, second = reported(Group.of(near)), reported(Group.of(far))
    assert first.loss == second.loss
    assert second.validation_loss > 100 * abs(first.validation_loss)


def test_the_absolute_penalty_leaves_zeros() -> None:
    shares = []
    for l1 in (0.0, 0.3, 10.0):
        shares.append(reports(Trial(configuration(l1=l1), task(), seed=1))[-1].zeros)
    assert shares[0] == 0
    assert 0.05 < shares[1] < 1
    assert shares[2] == 1


def test_the_squared_penalty_narrows_the_weights() -> None:
    deviations = []
    for l2 in (0.0, 1.0, 10.0):
        deviations.append(reports(Trial(configuration(l2=l2), task(), seed=1))[-1].deviation)
    assert deviations[0] > 1.1 * deviations[1] > 1.1**2 * deviations[2] > 0


def test_a_checkpoint_that_keeps_the_bounds_counts_before_one_that_fits_better() -> None:
    judge: Any = Scripted([3.0, 2.0, 1.0, 2.5])
    bounded = replace(task(judge), goals=Goals(bounds={"ad": 25.0}))  # ad is ten times misfit
    trial = Trial(configuration(), bounded, 0)
    assert [report.best_epoch for report in reports(trial)] == [1, 2, 4, 4]
    narrow = replace(task(Scripted([3.0, 2.0, 9.0, 2.5])), goals=Goals(bounds={"ad": 1.0}))
    assert [report.best_epoch for report in reports(Trial(configuration(), narrow, 0))] == [
        1,
        2,
        2,
        2,
    ]
    copying = replace(task(Copies([0.5, 0.7, 0.9, 0.55])), goals=Goals(bounds={"overfit": 0.6}))
    assert [report.best_epoch for report in reports(Trial(configuration(), copying, 0))] == [1, 1, 1, 6]


class Copies(Scripted):
    """A judge whose misfit improves while `overfit` is as scripted."""

    def each(self, generated: Any) -> list[Evaluation]:
        self.seen += [np.array(member) for member in generated]
        overfit = next(self.misfits)
        return [Evaluation({"overfit": overfit}, 9.0 - len(self.seen), {"overfit": FIT}) for _ in generated]


def test_sampling_is_timed_where_it_counts() -> None:
    trial = Trial(configuration(), replace(task(), goals=Goals(("misfit", "sample_seconds"))), 0)
    trial.untrained()
    assert 0 < trial.architecture["sample_seconds"] < 10
    trial = Trial(configuration(), task(), 0)
    trial.untrained()
    assert "sample_seconds" not in trial.architecture


def test_sampling_is_timed_once_wherever_a_trial_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    timed = replace(task(), goals=Goals(("misfit", "sample_seconds")))
    first = Trial(configuration(), timed, 0)
    group = Group.of(first)
    group.advance()
    saved = Checkpoint.of(group, first)
    monkeypatch.setattr("search.train.trial.sample_seconds", lambda *given: 9.0)  # a busy machine
    again = Trial(configuration(), timed, 0)
    saved.resumed(again)
    assert again.architecture == first.architecture
    first.untrained()  # as after a failure of its group
    assert again.architecture == first.architecture
    new = Trial(configuration(), timed, 0)
    new.untrained()
    assert new.architecture["sample_seconds"] == 9.0


def test_company_does_not_lengthen_what_sampling_takes() -> None:
    model = Trial(configuration(), task(), 0).untrained().model
    features = Trial(configuration(), task(), 0).featured.features
    sample = model.sample

    def waits(noise: Any) -> Any:
        time.sleep(0.05)  # others have the core
        return sample(noise)

    model.sample = waits  # type: ignore[method-assign]
    assert sample_seconds(model, features, 0) < 0.05
