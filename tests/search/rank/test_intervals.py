"""Intervals and p-values: they cover what they should as often as they should."""

import math
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from scipy import stats

from objectives import SCORES, Judge, judge_for
from objectives.problems.known import Gaussian2D
from objectives.scores import Reference
from objectives.scores.anderson_darling import AndersonDarling
from objectives.scores.judge import floors
from search.rank.finalist import advantage, holm, interval, ratio, resampled, ties


def test_p_values_are_those_of_every_way_to_deal() -> None:
    better, other = [1.0, 1.2, 0.9, 1.1, 1.05], [1.15, 1.3, 1.0, 1.4, 1.25]

    def gap(first: Any, second: Any, axis: int) -> Any:
        return first.mean(axis) - second.mean(axis)

    expected = stats.permutation_test(
        (np.log(better), np.log(other)), gap, alternative="less", n_resamples=10**6, vectorized=True
    ).pvalue
    assert advantage(better, other) == pytest.approx(expected)
    assert advantage(other, better) > 0.95


def test_the_extremes() -> None:
    ways = len(list(combinations(range(10), 5)))
    assert advantage([1.0] * 5, [2.0] * 5) == pytest.approx(1 / ways)
    assert advantage([2.0] * 5, [2.0] * 5) == 1.0
    assert advantage([1.0, 1.1], [math.inf, math.inf]) == pytest.approx(1 / 6)


def test_p_values_of_equals_are_even() -> None:
    dice = np.random.default_rng(0)
    found = [advantage(*np.exp(dice.normal(size=(2, 4)))) for _ in range(400)]
    for level in (0.1, 0.3, 0.5):
        assert np.mean(np.array(found) <= level) == pytest.approx(level, abs=0.06)


def test_corrected_p_values_are_holms() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([0.2]) == [0.2]
    assert holm([]) == []


def test_of_equals_a_corrected_p_value_is_small_no_more_often_than_it_says() -> None:
    dice = np.random.default_rng(10)
    least = [min(holm(list(own))) for own in dice.uniform(size=(4000, 5))]
    for level in (0.05, 0.2):
        assert np.mean(np.array(least) <= level) == pytest.approx(1 - (1 - level / 5) ** 5, abs=0.02)


def test_an_interval_lies_around_the_misfit_however_the_bootstrap_is_shifted() -> None:
    dice = np.random.default_rng(1)
    misfits = np.array([1.0, 1.1, 0.9, 1.05])
    again = misfits[:, None] * np.exp(dice.normal(0, 0.1, size=(1, 400)))
    low, high = interval(misfits, again)
    middle = np.exp(np.log(misfits).mean())
    assert low < middle < high
    assert interval(misfits, again * 3) == pytest.approx((low, high))
    narrow = interval(misfits, misfits[:, None] * np.exp(dice.normal(0, 0.01, size=(1, 400))))
    assert narrow[0] > low
    assert narrow[1] < high


def test_both_seeds_and_rows_widen_it() -> None:
    dice = np.random.default_rng(2)
    rows = np.exp(dice.normal(0, 0.1, size=(1, 2000)))
    alike, unlike = np.ones(5), np.exp(dice.normal(0, 0.3, size=5))
    widths = []
    for misfits, again in ((alike, alike[:, None] * rows), (unlike, unlike[:, None] * np.ones((1, 2000)))):
        low, high = interval(misfits, again)
        widths.append(math.log(high / low))
    assert widths[0] == pytest.approx(2 * 1.96 * 0.1, rel=0.1)
    assert widths[1] == pytest.approx(2 * 1.96 * np.log(unlike).std() / math.sqrt(5), rel=0.15)


def test_what_could_not_be_judged_has_no_interval() -> None:
    assert interval([1.0, math.inf], np.ones((2, 10))) == (math.inf, math.inf)
    assert interval([1.0, 1.0], np.array([[1.0, math.inf], [1.0, 1.0]])) == (math.inf, math.inf)
    assert interval([1.0, 0.0], np.ones((2, 10))) == (math.inf, math.inf)


def test_bootstrap_samples_that_could_not_be_judged_are_left_out() -> None:
    again = np.exp(np.random.default_rng(0).normal(0, 0.1, size=(2, 100)))
    odd = np.repeat([[0.0], [1.0]], 30, axis=1)
    for value in (0.0, math.nan, math.inf):
        low, high = interval([1.0, 1.0], np.concatenate([again, np.where(odd == 0.0, value, odd)], axis=1))
        assert (low, high) == pytest.approx(interval([1.0, 1.0], again), rel=0.05)


def test_p_values_of_many_networks_come_of_random_deals_and_of_nothing_are_finite() -> None:
    better, other = np.exp(np.random.default_rng(4).normal([[0.0], [0.5]], 1.0, size=(2, 12)))
    exact = stats.permutation_test(
        (np.log(better), np.log(other)), lambda x, y, axis: x.mean(axis) - y.mean(axis), alternative="less",
        n_resamples=10**5, vectorized=True, rng=0,
    ).pvalue  # fmt: skip
    assert advantage(better, other) == pytest.approx(exact, abs=0.02)
    assert advantage(np.ones(30), np.full(30, 2.0)) == pytest.approx(1 / 20_001)
    assert advantage([0.0, 1.0], [1.0, math.inf]) == pytest.approx(1 / 6, abs=0.17)


def test_the_luck_of_rows_that_two_share_cancels_in_their_ratio() -> None:
    dice = np.random.default_rng(6)
    rows = np.exp(dice.normal(0, 0.3, size=(1, 1, 1000)))  # common to both: each alone is known to a factor of 1.8
    own = np.exp(dice.normal(0, 0.01, size=(2, 4, 1000)))
    misfits = np.array([[1.2] * 4, [1.0] * 4])
    again = misfits[:, :, None] * rows * own
    alone = [interval(each, some) for each, some in zip(misfits, again, strict=True)]
    assert alone[0][0] < alone[1][1]  # they overlap
    low, high = ratio(misfits, again)
    drawn = (2 * 4 - 1) / 4**2  # variance of a mean of four independent values, drawn with replacement
    assert math.log(high / low) == pytest.approx(2 * 1.96 * 0.01 * math.sqrt(2 * drawn), rel=0.1)
    assert low < 1.2 < high
    assert ties(misfits, again, [0, 1]) == [1]
    back = ratio(misfits[::-1], again[::-1])
    assert back == pytest.approx((1 / high, 1 / low), rel=0.01)
    assert ratio(misfits, again * [[[5.0]], [[1.0]]]) == pytest.approx(
        (low, high)
    )  # the bootstrap's location is unused


def test_networks_of_both_are_drawn_apart() -> None:
    spread = np.exp(np.random.default_rng(7).normal(0, 0.2, size=5))
    misfits = np.array([spread, spread])  # drawn together, they would be equal in every bootstrap sample
    low, high = ratio(misfits, misfits[:, :, None] * np.ones(4000))
    width = 2 * 1.96 * np.log(spread).std() * math.sqrt(2 / 5)
    assert math.log(high / low) == pytest.approx(width, rel=0.1)


def test_bootstrap_samples_that_do_not_judge_both_are_left_out_of_a_ratio() -> None:
    dice = np.random.default_rng(8)
    again = np.exp(dice.normal(0, 0.05, size=(2, 3, 400)))
    misfits = [[1.2] * 3, [1.0] * 3]
    expected = ratio(misfits, again)
    for value in (0.0, math.nan, math.inf):
        odd = again.copy()
        odd[0, 1, :100], odd[1, 2, 100:150] = value, value
        assert ratio(misfits, odd) == pytest.approx(expected, rel=0.02)
        odd[0, 1, 100:250] = value
        assert ratio(misfits, odd) == (0.0, math.inf)
        assert ties(misfits, odd, [0, 1]) == [1, 0]  # nothing tells them apart
    assert ratio([[1.2, math.inf, 1.2], [1.0] * 3], again) == (0.0, math.inf)


def test_only_those_that_may_win_are_ties() -> None:
    misfits = np.array([[1.0, 1.0], [1.1, 1.1], [1.1, 1.1], [3.0, 3.0]])
    again = misfits[:, :, None] * np.exp(np.random.default_rng(9).normal(0, 0.2, size=(4, 2, 300)))
    assert ties(misfits, again, [0, 1, 2, 3]) == [0, 1, 2]
    assert ties(misfits, again, [3, 2, 1]) == [2, 1]
    assert ties(misfits, again, []) == []


@pytest.mark.slow
def test_it_covers_the_truth() -> None:
    # The misfit that a generator of real rows has on average over test rows, against intervals from single test sets.
    problem = Gaussian2D(train=200, validation=100, test=100)
    rows = problem.rows(0)
    dice = np.random.default_rng(3)
    judge = judge_for(problem, rows.train, rows.test, 100, repeats=40)
    shift = np.array([0.35, 0.0])

    def drawn(count: int) -> Any:
        return problem.pair(2, count, dice)[1]

    truth = math.exp(np.mean([math.log(judge.on(drawn(100))((drawn(100) + shift)[None]).misfit) for _ in range(200)]))
    inside = 0
    for _ in range(30):
        held = drawn(100)
        samples = np.stack([drawn(100) + shift for _ in range(3)])[None]
        own = judge.on(held)
        misfits = [own(sample[None]).misfit for sample in samples[0]]
        low, high = interval(misfits, resampled(own, held, samples, 0, repeats=60)[0])
        inside += low <= truth <= high
    assert 24 <= inside <= 30


def test_all_are_judged_on_the_same_rows() -> None:
    problem = Gaussian2D(train=100, validation=50, test=50)
    rows = problem.rows(0)
    judge = judge_for(problem, rows.train, rows.test, 50, repeats=10)
    sample = problem.pair(2, 50, np.random.default_rng(0))[1]
    misfits = resampled(judge, rows.test, np.stack([[sample, sample], [sample, sample + 1]]), 0, repeats=5)
    assert misfits.shape == (2, 2, 5)
    np.testing.assert_array_equal(misfits[0, 0], misfits[0, 1])
    np.testing.assert_array_equal(misfits[0, 0], misfits[1, 0])
    assert (misfits[1, 1] > misfits[1, 0]).all()
    assert len(set(misfits[0, 0])) == 5


def test_drawn_rows_that_a_score_does_not_serve_are_not_judged() -> None:
    class Picky(AndersonDarling):  # type: ignore[misc]
        """Serves no sample that lacks the largest row."""

        @classmethod
        def serves(cls, real: Any) -> bool:
            return bool(real[:, 0].max() > 9.0)

    problem = Gaussian2D(train=100, validation=60, test=60)
    rows = problem.rows(0)
    rows.test[0, 0] = 10.0
    dice = np.random.default_rng(0)
    pairs = iter([(np.concatenate([problem.pair(119, 2, dice)[0], rows.test[:1]]), rows.test)] * 40)
    reference = Reference.of(rows.train, rows.test)
    found = floors(
        lambda *given: next(pairs),
        60,
        60,
        {"picky": Picky},
        reference=reference,
        seed=0,
        repeats=40,
    )
    judge = Judge(reference, found, {"picky": Picky})
    samples = np.stack([[problem.pair(2, 60, dice)[1] for _ in range(3)]])
    again = resampled(judge, rows.test, samples, 0, repeats=60)
    missing = np.isnan(again[0, 0])
    assert 0.2 < missing.mean() < 0.6 and not np.isnan(again[:, :, ~missing]).any()
    low, high = interval([1.0, 1.1, 0.9], again[0])
    assert 0 < low < high < math.inf


def test_scores_that_drawn_rows_bring_to_nothing_leave_intervals_finite() -> None:
    # Of ten columns hardly a row exceeds another in all: a bootstrap of few rows may have no such pair at all.
    dice = np.random.default_rng(5)
    rows = dice.normal(size=(134, 10))
    train, held = rows[:80], rows[80:107]
    real = lambda first, second, draw: (rows[draw.integers(134, size=first)], rows[draw.integers(134, size=second)])  # noqa: E731
    scores = {name: SCORES[name] for name in ("ad", "kendall", "mmd")}
    reference = Reference.of(train, held)
    found = floors(real, 27, 27, scores, reference=reference, seed=0)
    found["kendall"] = replace(found["kendall"], positive=found["kendall"].median or 1e-3)  # so that it ranks
    judge = Judge(reference, found, scores)
    samples = np.stack([[train[dice.permutation(80)[:27]] for _ in range(5)] for _ in range(2)])
    again = resampled(judge, held, samples, 0)
    alone = Judge(reference, found, {"kendall": scores["kendall"]})
    drawn = [alone.on(held[dice.integers(27, size=27)])(samples[0, :1]) for _ in range(40)]
    assert min(evaluation.values["kendall"] for evaluation in drawn) == 0.0
    assert (again > 0).all() and np.isfinite(again).all()
    misfits = np.array([[judge(own[np.newaxis]).misfit for own in pack] for pack in samples])
    for own, each in zip(misfits, again, strict=True):
        low, high = interval(own, each)
        assert 0 < low < high < math.inf
    assert 0 < advantage(*misfits) <= 1
