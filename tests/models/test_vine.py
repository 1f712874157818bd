"""Vine copula: its samples and density against those of the library that fits it, and what it is exported without."""

import numpy as np
import pytest
import torch
from scipy import stats

from models import Noise, Shape, Vine
from models.vine import MOST_EDGES, _selected
from objectives.problems.mixture import Mixture3D
from objectives.problems.returns import Returns4D
from search.errors import StudyError
from search.study.parse import load_study, parse_study

Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
PROBLEMS = {4: Returns4D(), 3: Mixture3D()}
pytest.importorskip("pyvinecopulib")


def rows(features: int, count: int = 1500) -> Array:
    return PROBLEMS[features].pair(count, 2, np.random.default_rng(0))[0]


def fitted(x: Array) -> Vine:
    model = Vine(Shape(x.shape[1], "normal", 1), 0)
    model.fit(torch.from_numpy(x).float().unsqueeze(0), 0)
    return model


def drawn(model: Vine, count: int = 20000) -> Array:
    return model.sample(Noise([1], count))[0].double().numpy()


def taus(x: Array) -> list[float]:
    pairs = [(j, k) for j in range(x.shape[1]) for k in range(j)]
    return [float(stats.kendalltau(x[:4000, j], x[:4000, k]).statistic) for j, k in pairs]


@pytest.mark.parametrize("features", [3, 4])
def test_samples_are_those_of_the_library(features: int) -> None:
    x = rows(features)
    own, vine = drawn(fitted(x)), _selected(torch.from_numpy(x), 0, "all", features - 1)
    other = vine.sample(20000, seeds=[1, 2])
    assert taus(own) == pytest.approx(taus(other), abs=0.04)
    shares = stats.rankdata(own, axis=0) / (len(own) + 1)
    for q in (0.05, 0.95):
        for j, k in ((0, 1), (1, 2)):
            both = [np.mean((each[:, j] > q) == (each[:, k] > q)) for each in (shares, other)]
            assert both[0] == pytest.approx(both[1], abs=0.012)


@pytest.mark.parametrize("features", [3, 4])
def test_density_is_that_of_the_library(features: int) -> None:
    x = rows(features)
    told = fitted(x).log_density(torch.from_numpy(x).float().unsqueeze(0))[0].numpy()
    shares = (stats.rankdata(x, axis=0) - 0.5) / len(x)
    known = np.log(_selected(torch.from_numpy(x), 0, "all", features - 1).pdf(shares))
    assert told.mean() == pytest.approx(known.mean(), abs=0.04)
    assert np.corrcoef(told, known)[0, 1] > 0.995


def test_it_shows_what_a_gaussian_copula_does_not() -> None:
    dice = np.random.default_rng(0)
    first = dice.standard_normal(2000)
    x = np.stack([first, first**2 + 0.3 * dice.standard_normal(2000)], 1)  # dependent, and tau is 0
    sample = drawn(fitted(x), 5000)
    inner, outer = np.abs(sample[:, 0]) < 0.3, np.abs(sample[:, 0]) > 1.3
    assert np.median(sample[inner, 1]) < 0.3 and np.median(sample[outer, 1]) > 1.6


def test_margins_are_those_of_the_rows() -> None:
    x = rows(4)
    sample = drawn(fitted(x))
    for column in range(4):
        assert stats.ks_2samp(sample[:, column], x[:, column]).pvalue > 1e-3
    assert (sample.min(0) >= x.min(0) - 1e-6).all() and (sample.max(0) <= x.max(0) * (1 + 1e-6)).all()


def test_one_column_is_served() -> None:
    x = rows(4)[:, :1]
    model = fitted(x)
    assert stats.ks_2samp(drawn(model, 3000)[:, 0], x[:, 0]).pvalue > 1e-3
    assert model.log_density(torch.zeros(1, 5, 1)).tolist() == [[0.0] * 5]


@pytest.mark.slow
def test_of_many_columns_the_first_trees_are_fitted() -> None:
    features = 30
    dice = np.random.default_rng(0)
    x = dice.standard_normal((150, features)) + dice.standard_normal((150, 1))
    model = fitted(x)
    edges = model.partner.shape[1]
    assert MOST_EDGES - features < edges <= MOST_EDGES
    found, known = (np.asarray(np.corrcoef(each.T)) for each in (drawn(model, 4000), x))
    above = np.triu_indices(features, 1)
    assert np.mean(found[above]) == pytest.approx(np.mean(known[above]), abs=0.1)


def test_without_its_library_a_shipped_study_goes_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "vine" in load_study("table").models
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "vine" not in load_study("table").models and "t_copula" in load_study("table").models
    text = '[problem]\nname = "gaussian_2d"\n[models.vine]\n[objectives.likelihood]\n'
    with pytest.raises(StudyError, match=r"^mine.toml: \[models.vine\]: fitting it takes pyvinecopulib: pip install"):
        parse_study(text, "mine", "mine.toml")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [({"pairs": "some"}, "pairs must be one of all, parametric, got 'some'"), ({"quantiles": 1}, "quantiles must be")],
)
def test_a_wrong_argument_is_named(arguments: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Vine(Shape(2, "normal", 1), 0, **arguments)  # type: ignore[arg-type]
