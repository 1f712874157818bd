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


def test_which_rows_it_serves() -> None:
    assert Tail.serves(heavy(50, 2))
    assert not Tail.serves(heavy(50, 2) - 1e-9 - heavy(50, 2).min())
    few = np.zeros((100, 2))
    few[:, 0], few[:5, 1] = 1.0, 1.0
    assert Tail.serves(few)
    few[4, 1] = 0.0
    assert not Tail.serves(few)
    with pytest.raises(ValueError, match="expected positive tails"):
        tail(few, few)


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
@pytest.mark.parametrize("margins", ["half_t", "pareto"])
def test_its_law_of_decay(margins: str) -> None:
    problem = Returns4D(margins=margins)  # type: ignore[arg-type]
    small, large = (
        [float(tail(*problem.pair(n, n, np.random.default_rng([n, k])))) for k in range(repeats)]
        for n, repeats in ((500, 300), (8000, 100))
    )
    for quantile in (0.5, 0.95):
        shrunk = np.quantile(small, quantile) / np.quantile(large, quantile)
        assert np.log(shrunk) / np.log(16) == pytest.approx(Tail.decay, abs=0.12)
