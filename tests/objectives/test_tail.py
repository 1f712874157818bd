"""The tail score: its definition, its floor, and what it sees that the others miss."""

import numpy as np
import pytest
from scipy import stats

from objectives import SCORES
from objectives.problems.returns import Returns4D
from objectives.scores import Reference
from objectives.scores.judge import floors
from objectives.scores.score import Array
from objectives.scores.tail import Tail, tail


def heavy(*shape: int, seed: int = 0) -> Array:
    return np.abs(stats.t.rvs(3, size=shape, random_state=np.random.default_rng(seed)))


@pytest.mark.parametrize("n", [2, 19, 20, 33, 720])
def test_the_definition_for_equal_sizes(n: int) -> None:
    real, generated = heavy(n, 3), heavy(n, 3, seed=1)
    first = int(0.95 * n)
    gaps = np.log(np.sort(generated, axis=0)[first:]) - np.log(np.sort(real, axis=0)[first:])
    assert tail(real, generated) == pytest.approx((gaps**2).mean(), rel=1e-12)


def test_by_hand() -> None:
    real = np.arange(1.0, 41.0)[:, np.newaxis]
    generated = real.copy()
    generated[39] = 40 * np.e
    assert tail(real, generated) == pytest.approx(0.5)
    assert tail(real, np.e * real) == pytest.approx(1.0)
    assert tail(real, np.e**2 * real[::2]) == pytest.approx((2**2 + (2 + np.log(39 / 40)) ** 2) / 2)


def test_other_sizes_take_the_quantile_function() -> None:
    real, generated = heavy(200, 2), heavy(150, 2, seed=1)
    # Repeating every value leaves a quantile function as it is.
    even = tail(np.repeat(real, 3, axis=0), np.repeat(generated, 4, axis=0))
    assert tail(real, generated) == pytest.approx(even, rel=1e-12)
    assert tail(real, np.repeat(real, 7, axis=0)) == 0.0


def test_units_do_not_matter_and_the_body_does_not_either() -> None:
    real, generated = heavy(300, 2), heavy(300, 2, seed=1)
    units = np.array([2.0**-20, 512.0])
    assert tail(real * units, generated * units) == pytest.approx(tail(real, generated), rel=1e-9)
    low = np.where(generated < np.quantile(generated, 0.9, axis=0), 0.0, generated)
    assert tail(real, low) == tail(real, generated)


@pytest.mark.parametrize("value", [-1e300, -1.0, 0.0, 1e-300])
def test_generated_values_of_nothing_count_as_a_millionth(value: float) -> None:
    assert tail(heavy(100, 2), np.full((100, 2), value)) == pytest.approx(np.log(1e-6) ** 2)
    assert tail(1e-307 + heavy(100, 2), np.full((100, 2), 1e308)) > 1e5


def signed(*shape: int, seed: int = 0) -> Array:
    return np.asarray(stats.t.rvs(3, size=shape, random_state=np.random.default_rng(seed)))


@pytest.mark.parametrize("n", [19, 20, 33, 720])
def test_columns_with_negative_values_have_two_tails(n: int) -> None:
    real, made = signed(n, 3) - 0.5, signed(n, 3, seed=1)
    count = n - int(0.95 * n)
    first, second = (np.arcsinh((np.sort(x, axis=0) - real.mean(axis=0)) / real.std(axis=0)) for x in (real, made))
    upper, lower = ((second[tail] - first[tail]) ** 2 for tail in (slice(n - count, n), slice(0, count)))
    assert tail(real, made) == pytest.approx((upper.mean() + lower.mean()) / 2, rel=1e-9)
    assert tail(-real, -made) == pytest.approx(tail(real, made), rel=1e-9)
    assert tail(3e4 * real - 7, 3e4 * made - 7) == pytest.approx(tail(real, made), rel=1e-7)
    both = np.column_stack([real[:, :1], heavy(n, 1)]), np.column_stack([made[:, :1], heavy(n, 1, seed=1)])
    apart = [tail(*(x[:, [k]] for x in both)) for k in (0, 1)]
    assert tail(*both) == pytest.approx(np.mean(apart), rel=1e-12)


def test_other_sizes_take_the_quantile_function_in_both_tails() -> None:
    real, made = signed(200, 2), signed(150, 2, seed=1)
    even = tail(np.repeat(real, 3, axis=0), np.repeat(made, 4, axis=0))
    assert tail(real, made) == pytest.approx(even, rel=1e-9)
    assert tail(real, np.repeat(real, 7, axis=0)) == pytest.approx(0.0, abs=1e-18)


def test_columns_that_hardly_have_a_positive_value_have_no_ratios() -> None:
    few = np.zeros((100, 1))
    few[:5] = 1.0
    assert tail(few, np.e * few) == pytest.approx(1.0)
    few[4] = 0.0
    assert 0.0 < tail(few, np.e * few) < 1.0


def test_the_training_rows_say_which_columns_have_ratios_and_give_the_unit() -> None:
    train, held, made = signed(500, 1), heavy(90, 1), heavy(90, 1, seed=1)
    found = Tail(Reference.of(train, held))(made[np.newaxis]).value[0]
    unit = [np.arcsinh((np.sort(x, axis=0) - train.mean()) / train.std()) for x in (held, made)]
    squares = (unit[1] - unit[0]) ** 2
    assert found == pytest.approx((squares[85:].mean() + squares[:5].mean()) / 2, rel=1e-9)
    positive = Tail(Reference.of(heavy(500, 1, seed=2), held))(made[np.newaxis]).value[0]
    assert positive == pytest.approx(float(tail(held, made)), rel=1e-12)


@pytest.mark.parametrize("cut", [(-np.inf, 0.98), (0.02, np.inf)])
def test_either_tail_cut_short_lies_outside_its_floor(cut: tuple[float, float]) -> None:
    def pair(first: int, second: int, dice: np.random.Generator) -> tuple[Array, Array]:
        rows = np.asarray(stats.t.rvs(4, size=(first + second, 3), random_state=dice))
        return rows[:first], rows[first:]

    held, made = pair(720, 720, np.random.default_rng(3))
    reference = Reference.of(signed(720, 3, seed=5), held)
    found = floors(pair, 720, 720, {"tail": Tail}, reference=reference, seed=0, repeats=100)["tail"]
    low, high = (np.quantile(made, np.clip(share, 0, 1), axis=0) for share in cut)
    honest, wrong = Tail(reference)(np.stack([made, np.clip(made, low, high)])).value
    assert honest <= found.upper < wrong


def test_it_sees_the_loss_of_the_top_two_percent_that_others_miss() -> None:
    problem = Returns4D()
    rows = problem.rows(0)
    made = problem.draw(720, np.random.default_rng(5))
    cut = np.minimum(made, np.quantile(made, 0.98, axis=0))
    scores = {name: SCORES[name] for name in ("ad", "kendall", "mmd", "tail")}
    reference = Reference.of(rows.train, rows.test)
    found = floors(problem.pair, 720, 720, scores, reference=reference, seed=0, repeats=100)
    values = {name: float(score(reference)(cut[np.newaxis]).value[0]) for name, score in scores.items()}
    assert [name for name in scores if values[name] > found[name].upper] == ["tail"]
    assert tail(rows.test, made) < found["tail"].upper


@pytest.mark.slow
@pytest.mark.parametrize("margins", ["half_t", "pareto", "t"])
def test_its_law_of_decay(margins: str) -> None:
    problem = Returns4D(margins="half_t" if margins == "t" else margins)  # type: ignore[arg-type]

    def drawn(n: int, k: int) -> tuple[Array, Array]:
        dice = np.random.default_rng([n, k])
        real, made = problem.pair(n, n, dice)
        # With random signs, columns have two tails.
        return (
            (real, made)
            if margins != "t"
            else (real * dice.choice([-1, 1], (n, 4)), made * dice.choice([-1, 1], (n, 4)))
        )

    small, large = ([float(tail(*drawn(n, k))) for k in range(repeats)] for n, repeats in ((500, 300), (8000, 100)))
    for quantile in (0.5, 0.95):
        shrunk = np.quantile(small, quantile) / np.quantile(large, quantile)
        assert np.log(shrunk) / np.log(16) == pytest.approx(Tail.decay, abs=0.12)
