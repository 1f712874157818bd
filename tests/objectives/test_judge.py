import pickle
from collections.abc import Mapping

import numpy as np
import pytest

from objectives import PROBLEMS, SCORES, STANDARD
from objectives.problems.known import Gaussian1D, Gaussian2D, GaussianToUniform
from objectives.problems.problem import Array
from objectives.problems.table import Table
from objectives.scores import Measure, Reference, Score
from objectives.scores.anderson_darling import AndersonDarling
from objectives.scores.judge import Floor, Judge, floors, judge_for

PROBLEM = Gaussian2D()


@pytest.fixture(scope="module")
def judge() -> Judge:
    rows = PROBLEM.rows(0)
    return judge_for(PROBLEM, rows.train, rows.test[:400], 300, seed=0)


def draws(count: int, rows: int = 300, seed: int = 1) -> Array:
    return PROBLEM.draw(count * rows, np.random.default_rng(seed)).reshape(count, rows, 2)


def test_real_samples_sit_at_the_floor(judge: Judge) -> None:
    misfits, inside = [], []
    rows = PROBLEM.rows(0)
    for seed in range(60):
        held, generated = PROBLEM.pair(400, 300, np.random.default_rng([seed, 9]))
        fresh = Judge(Reference.of(rows.train, held), judge.floors)
        evaluation = fresh(generated[np.newaxis])
        misfits.append(evaluation.misfit)
        inside.append(list(evaluation.inside.values()))
    assert np.median(misfits) == pytest.approx(1.0, abs=0.2)
    assert (np.mean(inside, axis=0) > 0.85).all() and np.mean(inside) < 1.0


def test_worse_generators_have_worse_misfit(judge: Judge) -> None:
    honest = judge(draws(5))
    shifted, independent = judge(draws(5) + 0.5), judge(np.random.default_rng(0).permuted(draws(5), axis=1))
    assert honest.misfit < 2 < shifted.misfit and honest.misfit < independent.misfit
    assert not shifted.inside["ad"] and not shifted.inside["mmd"] and shifted.inside["kendall"]
    assert not independent.inside["kendall"] and independent.inside["ad"]


def test_values_and_misfit_are_medians_over_draws(judge: Judge) -> None:
    three = draws(3)
    evaluation = judge(three)
    reference = Reference.of(PROBLEM.rows(0).train, PROBLEM.rows(0).test[:400], 0)
    measures = {name: SCORES[name](reference)(three) for name in judge.floors}
    for name, measure in measures.items():
        assert evaluation.values[name] == np.sort(measure.value)[1]
    ratios = [np.sort(measures[name].positive)[1] / judge.floors[name].positive for name in ("ad", "kendall", "mmd")]
    assert evaluation.misfit == pytest.approx(np.prod(ratios) ** (1 / 3), rel=1e-12)


def test_copies_of_the_training_rows_fail_overfit_alone() -> None:
    problem = GaussianToUniform(train=500, validation=500)
    rows = problem.rows(0)
    found = judge_for(problem, rows.train, rows.validation, 500).floors
    misfits = []
    for seed in range(1, 16):
        rows = problem.rows(seed)
        evaluation = Judge(Reference.of(rows.train, rows.validation), found)(rows.train[np.newaxis])
        assert evaluation.values["overfit"] == 1.0 and not evaluation.inside["overfit"]
        misfits.append(evaluation.misfit)
    assert np.median(misfits) == pytest.approx(1.0, abs=0.35)


def test_a_pack_is_judged_as_its_members_alone(judge: Judge) -> None:
    pack = draws(5 * 40).reshape(40, 5, 300, 2) * np.linspace(0.1, 30.0, 40)[:, None, None, None]
    alone = [judge(member) for member in pack]
    assert judge.each(pack) == alone  # to the last bit
    assert judge.each(pack[::-1]) == alone[::-1]
    assert len({evaluation.misfit for evaluation in alone}) == 40
    assert judge.each(pack[:0]) == []


@pytest.mark.slow
def test_a_pack_of_more_groups_than_one_is_judged_as_its_members_alone(judge: Judge) -> None:
    pack = draws(5 * 40).reshape(40, 5, 300, 2) * np.linspace(0.1, 30.0, 40)[:, None, None, None]
    assert judge.each(np.concatenate([pack] * 25))[17::40] == [judge(pack[17])] * 25


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 1e300])
def test_a_diverged_member_harms_no_other(judge: Judge, wrong: float) -> None:
    pack = draws(12).reshape(4, 3, 300, 2)
    clean = judge.each(pack)
    pack[1, 2, 7, 0] = wrong
    evaluations = judge.each(pack)
    assert [evaluations[k] for k in (0, 2, 3)] == [clean[k] for k in (0, 2, 3)]
    assert (evaluations[1].misfit == np.inf) == (not np.isfinite(wrong))
    assert np.isnan(list(evaluations[1].values.values())).all() == (not np.isfinite(wrong))


@pytest.mark.parametrize("shape", [(5, 300, 2), (2, 1, 299, 2), (2, 1, 300, 3), (2, 0, 300, 2)])
def test_packs_of_another_shape_are_refused(judge: Judge, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"^generated rows of shape"):
        judge.each(np.zeros(shape))


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_rows_that_are_not_finite_have_infinite_misfit(judge: Judge, wrong: float) -> None:
    one = draws(1)
    one[0, 3, 1] = wrong
    evaluation = judge(one)
    assert evaluation.misfit == np.inf and np.isnan(list(evaluation.values.values())).all()
    assert not any(evaluation.inside.values())
    assert judge(np.full((3, 300, 2), wrong)).misfit == np.inf
    assert judge(np.concatenate([draws(2), one])).misfit == np.inf


def test_extreme_but_finite_rows_are_judged(judge: Judge) -> None:
    assert np.isfinite(judge(1e300 * draws(2)).misfit) and np.isfinite(judge(np.zeros((1, 300, 2))).misfit)


def test_a_judge_survives_pickling(judge: Judge) -> None:
    evaluation = judge(draws(2))
    assert pickle.loads(pickle.dumps(judge))(draws(2)) == evaluation == pickle.loads(pickle.dumps(evaluation))


@pytest.mark.parametrize("shape", [(300, 2), (1, 299, 2), (1, 300, 3), (0, 300, 2)])
def test_samples_of_another_shape_are_refused(judge: Judge, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"^generated rows of shape"):
        judge(np.zeros(shape))


def test_a_judge_needs_the_floors_of_its_scores(judge: Judge) -> None:
    rows = PROBLEM.rows(0)
    reference = Reference.of(rows.train, rows.test[:400])
    with pytest.raises(ValueError, match=r"^score ad: expected a floor for 400 held rows$"):
        Judge(reference, {})
    with pytest.raises(ValueError, match=r"^score ad: expected a floor for 399 held rows$"):
        Judge(Reference.of(rows.train, rows.test[:399]), judge.floors)
    with pytest.raises(ValueError, match=r"^no score to rank by among overfit$"):
        Judge(reference, judge.floors, {"overfit": SCORES["overfit"]})
    only = Judge(reference, judge.floors, {"kendall": SCORES["kendall"]})(draws(1))
    assert list(only.values) == ["kendall"]
    assert only.misfit == pytest.approx(only.values["kendall"] / judge.floors["kendall"].positive)


def test_one_column_is_judged_without_kendall() -> None:
    problem = Gaussian1D()
    rows = problem.rows(0)
    judge = judge_for(problem, rows.train, rows.test, 200, repeats=20)
    assert set(judge(rows.validation[np.newaxis, :200]).values) == {"ad", "mmd", "overfit", "tail"}


def test_a_score_with_floor_zero_is_left_out_of_misfit(judge: Judge) -> None:
    zero = Floor(median=0.0, upper=0.0, positive=0.0, n=400, m=300)
    rows = PROBLEM.rows(0)
    partial = Judge(Reference.of(rows.train, rows.test[:400]), {**judge.floors, "kendall": zero})
    assert partial.ranking == ("ad", "mmd", "tau_error") and np.isfinite(partial(draws(1)).misfit)
    assert "kendall" in partial(draws(1)).values


def test_tau_error_ranks_where_kendall_cannot(judge: Judge) -> None:
    # Half of the columns rise with a common factor and half fall, so that no row exceeds another in all of them.
    signs = np.repeat([1.0, -1.0], 20)

    def pair(first: int, second: int, dice: np.random.Generator) -> tuple[Array, Array]:
        rows = dice.standard_normal((first + second, 40)) + signs * dice.standard_normal((first + second, 1))
        return rows[:first], rows[first:]

    rows = pair(2, 300, np.random.default_rng(0))[1].reshape(3, 100, 40)
    reference = Reference.of(rows[0], rows[1])
    names = ("ad", "kendall", "mmd", "tau_error")
    found = floors(pair, 100, 100, {name: SCORES[name] for name in names}, reference=reference, seed=0, repeats=30)
    assert found["kendall"].positive == 0.0
    wide = Judge(reference, found, {name: SCORES[name] for name in names})
    assert wide.ranking == ("ad", "mmd", "tau_error") == wide.on(rows[2]).ranking
    made = pair(2, 100, np.random.default_rng(2))[1]
    independent = np.random.default_rng(3).permuted(made, axis=0)[np.newaxis]
    ratios = [SCORES[name](reference)(independent).positive[0] / found[name].positive for name in wide.ranking]
    assert wide(independent).misfit == pytest.approx(np.prod(ratios) ** (1 / 3), rel=1e-12)
    assert ratios[2] > 3  # the dependence is all wrong, which neither kendall nor ad can see
    assert wide.ranked()(independent).misfit == wide.on(rows[2]).on(rows[1]).ranked()(independent).misfit
    assert wide.ranked()(independent).misfit == wide(independent).misfit
    # In the plane kendall ranks, and the pairs don't count twice; nor do they where a study leaves kendall out.
    assert judge.ranking == ("ad", "kendall", "mmd")
    without = {name: SCORES[name] for name in ("ad", "tau_error")}
    assert Judge(reference, found, without).ranking == ("ad",)


def flooring(n: int, m: int, repeats: int = 100, seed: int = 0) -> Mapping[str, Floor]:
    rows = PROBLEM.rows(0)
    scores = {name: SCORES[name] for name in (*STANDARD, "energy", "sliced_wasserstein")}
    return floors(
        PROBLEM.pair,
        n,
        m,
        scores,
        reference=Reference.of(rows.train, rows.test),
        seed=seed,
        repeats=repeats,
    )


def test_floors_are_those_of_a_perfect_generator() -> None:
    found = flooring(500, 500)
    assert 1.2 < found["ad"].median < 2.2 and found["ad"].upper > 2.5
    assert abs(found["mmd"].median) < found["mmd"].positive < found["mmd"].upper + 2 / 500
    assert found["overfit"].median == pytest.approx(0.5, abs=0.01)
    # Binomial noise of the generated rows and as much again, or a little less, from which rows happen to train.
    assert 0.5 + 1.645 * 0.5 / np.sqrt(500) < found["overfit"].upper < 0.5 + 1.645 / np.sqrt(500)
    assert all(floor.n == floor.m == 500 for floor in found.values())
    assert all(found[name].positive == found[name].median for name in ("ad", "kendall", "overfit"))


def test_floors_depend_on_the_seed_alone() -> None:
    assert flooring(100, 80, 5) == flooring(100, 80, 5) != flooring(100, 80, 5, seed=1)


@pytest.mark.slow
def test_large_floors_follow_from_smaller_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    direct = flooring(1200, 800)
    monkeypatch.setattr("objectives.scores.judge.LARGEST", 300)
    carried = flooring(1200, 800)
    for name in direct:
        for figure in ("median", "upper", "positive"):
            if (name, figure) not in {("mmd", "median"), ("energy", "median")}:
                one, other = getattr(direct[name], figure), getattr(carried[name], figure)
                assert one - SCORES[name].limit == pytest.approx(other - SCORES[name].limit, rel=0.35, abs=0.01)
    assert carried["mmd"].positive == pytest.approx(direct["mmd"].positive, rel=0.15)
    assert carried["kendall"].median == pytest.approx(direct["kendall"].median, rel=0.2)
    assert carried["overfit"].upper - 0.5 == pytest.approx(direct["overfit"].upper - 0.5, rel=0.35)
    assert carried["ad"].n == 1200 and carried["ad"].m == 800


def test_floors_of_a_table_come_from_its_rows(tmp_path: object) -> None:
    path = f"{tmp_path}/data.csv"
    np.savetxt(path, PROBLEM.draw(600, np.random.default_rng(0)), delimiter=",", header="a,b", comments="")
    table = Table(data=path)
    rows = table.rows(0)
    evaluation = judge_for(table, rows.train, rows.validation, 120, repeats=50)(rows.test[np.newaxis])
    assert evaluation.misfit < 3 and set(evaluation.inside) == set(STANDARD)
    large = judge_for(table, rows.train, rows.validation, 900, repeats=20)
    assert all(np.isfinite([floor.median, floor.upper]).all() for floor in large.floors.values())


def test_a_costly_score_has_a_floor_of_few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    every = flooring(100, 100, 60)
    monkeypatch.setattr(SCORES["kendall"], "repeats", 20)
    fewer = flooring(100, 100, 60)
    assert fewer["kendall"] == flooring(100, 100, 20)["kendall"] != every["kendall"]
    assert {**fewer, "kendall": every["kendall"]} == every


class Picky(AndersonDarling):  # type: ignore[misc]
    """Serves positive rows only."""

    @classmethod
    def serves(cls, real: Array) -> bool:
        return bool((real >= 0).all())


def test_a_score_that_serves_no_draw_is_left_out() -> None:
    held = np.abs(PROBLEM.rows(0).test[:100])
    scores: dict[str, type[Score]] = {"ad": SCORES["ad"], "picky": Picky}
    assert Picky.serves(held)
    assert set(judge_for(Gaussian2D(mean_1=-100.0), held, held, 80, scores=scores, repeats=5).floors) == {"ad"}


@pytest.mark.parametrize("sizes", [(1, 5, 5), (5, 1, 5), (5, 5, 0)])
def test_floors_of_nothing_are_refused(sizes: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="expected 2 rows and 1 repeat at least"):
        flooring(*sizes)


@pytest.mark.parametrize("name", sorted(set(PROBLEMS) - {"table"}))
def test_every_problem_can_be_judged(name: str) -> None:
    problem = PROBLEMS[name]()
    rows = problem.rows(0)
    evaluation = judge_for(problem, rows.train, rows.validation[:200], 200, repeats=30)(rows.test[np.newaxis, :200])
    assert 0 < evaluation.misfit < 4


def test_a_judge_of_other_rows_is_the_one_made_for_them() -> None:
    problem = Gaussian2D(train=80, validation=60, test=60)
    rows = problem.rows(0)
    judge = judge_for(problem, rows.train, rows.validation, 60, repeats=10)
    other = Judge(Reference.of(rows.train, rows.test, 0), judge.floors)
    drawn = np.random.default_rng(0).normal(size=(2, 60, 2))
    fast = judge.on(rows.test).ranked()(drawn)
    assert fast.misfit == other(drawn).misfit
    assert set(fast.values) == set(judge.ranking) < set(other(drawn).values)
    assert judge.on(rows.test)(drawn) == other(drawn)
    assert judge.on(rows.validation)(drawn) == judge(drawn) != other(drawn)
    with pytest.raises(ValueError, match="expected a floor for 59 held rows"):
        judge.on(rows.test[1:])


@pytest.mark.parametrize(
    ("value", "misfit"), [(0.0, 0.01 ** (1 / 4)), (-3.0, 0.01 ** (1 / 4)), (np.nan, np.inf), (np.inf, np.inf)]
)
def test_no_score_decides_all_by_being_nothing_or_no_number(value: float, misfit: float, judge: Judge) -> None:
    class Odd(AndersonDarling):  # type: ignore[misc]
        def __call__(self, generated: Array) -> Measure:
            return Measure(np.full(len(generated), value), np.full(len(generated), value))

    rows, three = PROBLEM.rows(0), draws(3)
    some = {name: SCORES[name] for name in judge.ranking}
    floor = {name: judge.floors[name] for name in some} | {
        "odd": Floor(median=1.0, upper=2.0, positive=1.0, n=400, m=300)
    }
    reference = Reference.of(rows.train, rows.test[:400], 0)
    odd = Judge(reference, floor, {**some, "odd": Odd})
    assert odd(three).misfit == pytest.approx(misfit * judge(three).misfit ** (3 / 4))
    for positive in (0.0, np.nan, np.inf):
        nothing = floor | {"odd": Floor(median=1.0, upper=2.0, positive=positive, n=400, m=300)}
        assert "odd" not in Judge(reference, nothing, {**some, "odd": Odd}).ranking


COSTLY = tuple(name for name in SCORES if name not in STANDARD)
HALF_TIED = {
    "half zeros": lambda n, dice: np.where(dice.random((n, 3)) < 0.5, 0.0, dice.lognormal(size=(n, 3))),
    "counts": lambda n, dice: dice.poisson((1, 3, 30), (n, 3)).astype(float),
}


@pytest.mark.parametrize("name", HALF_TIED)
@pytest.mark.parametrize("scores", [STANDARD, pytest.param(("ad", *COSTLY), marks=pytest.mark.slow)])
def test_every_score_finds_real_rows_at_its_floor_where_half_of_all_values_are_tied(
    name: str, scores: tuple[str, ...]
) -> None:
    draw, n = HALF_TIED[name], 150

    def pair(first: int, second: int, dice: np.random.Generator) -> tuple[Array, Array]:
        return draw(first, dice), draw(second, dice)

    chosen = {each: SCORES[each] for each in scores}
    train = draw(n, np.random.default_rng(7))
    found = floors(pair, n, n, chosen, reference=Reference.of(train, train), seed=0, repeats=100)
    inside, ranks_before = [], []
    for seed in range(40):
        dice = np.random.default_rng([seed, 3])
        train, held, fresh = (draw(n, dice) for _ in range(3))
        own = Judge(Reference.of(train, held), found, {each: chosen[each] for each in found})
        honest, smeared = own(fresh[np.newaxis]), own(fresh[np.newaxis] + dice.uniform(-0.5, 0.5, fresh.shape))
        inside.append(list(honest.inside.values()))
        ranks_before.append(honest.misfit < smeared.misfit)
    assert set(found) == set(scores)
    assert (np.mean(inside, axis=0) >= 0.7).all(), dict(zip(found, np.mean(inside, axis=0), strict=True))
    assert np.mean(ranks_before) > 0.95
