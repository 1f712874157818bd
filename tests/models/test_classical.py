"""Classical densities: against scipy and scikit-learn, known truths, and checkpoints that need neither."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from scipy import stats
from sklearn.mixture import GaussianMixture
from torch import Tensor

from models import GMM, KDE, MODELS, Gaussian, GaussianCopula, Noise, Shape
from models.features import FEATURES
from models.generator import Generator
from models.mixture import RIDGE, Mixture
from models.pack import join, keep
from objectives import PROBLEMS, REFERENCES
from objectives.problems.mixture import Mixture3D

ROOT = Path(__file__).resolve().parents[2]
SHAPE = Shape(features=3, source="normal", source_features=1)
CLASSICAL = ("gaussian", "kde", "gmm", "gaussian_copula", "t_copula", "vine")
MATRIX = torch.tensor([[1.0, 0.5, 0], [0, 1, -1], [0.3, 0, 0.6]])


def rows(n: int = 300, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(1, n, 3, generator=generator) @ MATRIX + 2 * torch.rand(1, n, 1, generator=generator)).float()


def fitted(model: Any, x: Tensor, seed: int = 0) -> Any:
    model.fit(x, seed)
    return model


def exact(tensor: Tensor) -> np.ndarray:
    return tensor.double().numpy()


def test_gaussian_is_that_of_maximum_likelihood() -> None:
    x, other = rows(), exact(rows(seed=1)[0])
    model = fitted(Gaussian(SHAPE, 0), x)
    own = exact(x[0])
    truth = stats.multivariate_normal(own.mean(0), np.cov(own.T, bias=True))
    assert exact(model.log_density(rows(seed=1))[0]) == pytest.approx(truth.logpdf(other), rel=1e-4, abs=1e-4)
    assert model.architecture() == [{"parameters": 9}]


def test_gaussian_samples_have_its_moments() -> None:
    x, n = rows(), 50000
    drawn, own = exact(fitted(Gaussian(SHAPE, 0), x).sample(Noise([1], n))[0]), exact(x[0])
    spread = own.std(0)
    assert (abs(drawn.mean(0) - own.mean(0)) < 4.5 * spread / n**0.5).all()
    assert np.cov(drawn.T) == pytest.approx(np.cov(own.T), abs=0.03 * spread.max() ** 2)
    assert stats.kstest((drawn[:, 0] - own[:, 0].mean()) / spread[0], "norm").pvalue > 1e-3


@pytest.mark.parametrize("bandwidth", [0.3, 1.0, 2.5])
def test_kernel_density_is_that_of_scipy(bandwidth: float) -> None:
    x = rows()
    model = fitted(KDE(SHAPE, 0, bandwidth=bandwidth, centres=400), x)
    truth = stats.gaussian_kde(exact(x[0]).T, bw_method=bandwidth * 300 ** (-1 / 7))
    found = exact(model.log_density(rows(2500, seed=1))[0])
    assert found == pytest.approx(truth.logpdf(exact(rows(2500, seed=1)[0]).T), rel=1e-4, abs=1e-3)
    assert model.architecture() == [{"parameters": 900}]


def test_kernel_samples_have_the_moments_of_rows_and_kernels() -> None:
    x, n = rows(), 50000
    drawn, own = exact(fitted(KDE(SHAPE, 0), x).sample(Noise([1], n))[0]), exact(x[0])
    widened = np.cov(own.T) * (299 / 300 + 300 ** (-2 / 7))
    assert (abs(drawn.mean(0) - own.mean(0)) < 4.5 * widened.diagonal() ** 0.5 / n**0.5).all()
    assert np.cov(drawn.T) == pytest.approx(widened, abs=0.03 * widened.max())


def test_kernels_stand_at_a_random_choice_of_the_rows() -> None:
    x = rows()
    models = [fitted(KDE(SHAPE, 0, bandwidth=1e-3, centres=50), x, seed) for seed in (1, 1, 2)]
    chosen = [{tuple(row) for row in model.density.means[0].tolist()} for model in models]
    assert chosen[0] == chosen[1] != chosen[2]
    assert len(chosen[0]) == 50
    assert chosen[0] <= {tuple(row) for row in x[0].tolist()}
    assert torch.cdist(models[0].sample(Noise([3], 2000))[0], models[0].density.means[0]).min(1).values.max() < 0.02


@pytest.mark.parametrize("covariance", ["full", "tied", "diag", "spherical"])
@pytest.mark.parametrize("components", [1, 3])
def test_mixture_is_that_of_scikit_learn(components: int, covariance: Any) -> None:
    x, other = rows(), rows(2500, seed=1)
    model = fitted(GMM(SHAPE, 0, components=components, covariance=covariance), x, seed=5)
    truth = GaussianMixture(components, covariance_type=covariance, n_init=3, max_iter=500, random_state=5)
    truth.fit(exact(x[0]))
    assert exact(model.log_density(other)[0]) == pytest.approx(truth.score_samples(exact(other[0])), rel=1e-4, abs=1e-4)
    numbers = sum(np.size(part) for part in (truth.weights_[1:], truth.means_))
    spread = {"full": 6 * components, "tied": 6, "diag": 3 * components, "spherical": components}[covariance]
    assert model.architecture() == [{"parameters": numbers + spread, "components": components}]
    drawn = exact(model.sample(Noise([1], 40000))[0])
    assert drawn.mean(0) == pytest.approx(exact(x[0]).mean(0), abs=0.05)
    assert stats.ks_2samp(drawn[:, 1], truth.sample(40000)[0][:, 1]).pvalue > 1e-3


def test_starts_of_em_are_those_of_the_seed() -> None:
    x = torch.rand(1, 300, 3, generator=torch.Generator().manual_seed(0))
    found = [fitted(GMM(SHAPE, 0, components=6), x, seed).log_density(x).mean().item() for seed in (0, 1, 1, 2)]
    assert found[1] == found[2]
    assert len(set(found)) == 3


@pytest.fixture(scope="module")
def recovered() -> GMM:
    train = torch.from_numpy(Mixture3D().rows(0).train).float().unsqueeze(0)
    model: GMM = fitted(GMM(SHAPE, 0, components=6, select="bic"), train, seed=1)
    return model


def test_mixture_recovers_a_known_truth(recovered: GMM) -> None:
    truth, density = Mixture3D(), recovered.density
    assert recovered.architecture() == [{"parameters": 39, "components": 4}]
    assert density.counts() == [4]
    order = torch.cdist(torch.from_numpy(truth.means).float(), density.means[0, :4]).argmin(1)
    assert sorted(order.tolist()) == [0, 1, 2, 3]
    assert exact(density.weights[0, order]) == pytest.approx(truth.weights, abs=0.02)
    assert exact(density.means[0, order]) == pytest.approx(truth.means, abs=0.1)
    factor = density.factor[0, order]
    assert exact(factor @ factor.mT) == pytest.approx(truth.covariances, abs=0.08)


def test_mixture_samples_each_component_by_its_weight(recovered: GMM) -> None:
    truth, n = Mixture3D(), 20000
    drawn = exact(recovered.sample(Noise([2], n))[0])
    labels = truth.labels(drawn)
    assert np.bincount(labels, minlength=4) / n == pytest.approx(truth.weights, abs=0.02)
    for label in range(4):
        own = drawn[labels == label]
        assert own.mean(0) == pytest.approx(truth.means[label], abs=0.12)
        assert np.cov(own.T) == pytest.approx(truth.covariances[label], abs=0.12)


class Share:
    """Noise whose uniform numbers are all one."""

    def __init__(self, share: float) -> None:
        self.share, self.rows = share, 1

    def uniform(self, key: str, widths: Sequence[int]) -> Tensor:
        return torch.full((len(widths), 1, 1), self.share)

    def normal(self, key: str, widths: Sequence[int]) -> Tensor:
        return torch.zeros(len(widths), 1, max(widths))


def test_only_components_of_weight_are_drawn_however_large_the_share() -> None:
    singles = [Mixture(1, count) for count in (7, 3, 12)]
    for single, own in zip(singles, (7, 2, 11), strict=True):
        weights = torch.full((own,), 1 / own)
        weights[0] = 0
        means, unit = torch.arange(1.0, own + 1).view(-1, 1), torch.ones(own, 1, 1)
        single.set(weights, means, unit)
    pack = join(singles)
    for share, expected in ((0.0, [2, 2, 2]), (1 - 2**-24, [7, 2, 11])):
        assert pack.draw(Share(share)).flatten().tolist() == expected  # type: ignore[arg-type]


def test_fitted_trials_of_a_pack_equal_those_alone() -> None:
    several: dict[str, list[dict[str, Any]]] = {
        "kde": [{"centres": 20}, {"centres": 500, "bandwidth": 0.2}],
        "gmm": [{"components": 1}, {"components": 5, "covariance": "tied"}, {"components": 3, "select": "bic"}],
        "gaussian_copula": [{"quantiles": 20}, {"quantiles": 700}],
        "t_copula": [{"quantiles": 700}, {"quantiles": 20}],
    }
    for name, variants in several.items():
        singles = [fitted(MODELS[name](SHAPE, 0, **own), rows(seed=trial)) for trial, own in enumerate(variants)]
        pack: Any = join(singles)
        x = torch.cat([rows(50, seed=20 + trial) for trial in range(len(singles))])
        for trial, single in enumerate(singles):
            torch.testing.assert_close(pack.log_density(x)[trial], single.log_density(x[[trial]])[0])
            kept = keep(pack, [trial])
            assert torch.equal(kept.sample(Noise([3], 50)), single.sample(Noise([3], 50)))
            assert kept.architecture() == single.architecture()


def returns() -> np.ndarray:
    return np.asarray(PROBLEMS["returns_4d"]().rows(1).train)


def test_copula_samples_as_its_reference_does() -> None:
    train = returns()
    model = fitted(GaussianCopula(Shape(4, "normal", 1), 0), torch.from_numpy(train).float().unsqueeze(0))
    drawn = exact(model.sample(Noise([1], 20000))[0])
    reference = REFERENCES["gaussian copula"](train, 20000, np.random.default_rng(0))
    assert (drawn.min(0) >= train.min(0) - 1e-6).all()
    assert (drawn.max(0) <= train.max(0) * (1 + 1e-6)).all()
    for first in range(4):
        assert stats.ks_2samp(drawn[:, first], reference[:, first]).pvalue > 1e-3
        for second in range(first):
            taus = [stats.kendalltau(sample[:, first], sample[:, second]).statistic for sample in (drawn, reference)]
            assert taus[0] == pytest.approx(taus[1], abs=0.02)
    assert model.architecture() == [{"parameters": 6 + 4 * 2000}]


def test_copula_keeps_as_many_quantiles_as_it_is_told() -> None:
    x = rows(1000)
    table = fitted(GaussianCopula(SHAPE, 0, quantiles=101), x).margins.table[0]
    assert exact(table) == pytest.approx(np.quantile(exact(x[0]), np.linspace(0, 1, 101), axis=0), rel=1e-5, abs=1e-6)


def test_copula_density_is_that_of_normal_scores_and_blind_to_margins() -> None:
    x = rows(500)
    model = fitted(GaussianCopula(SHAPE, 0, quantiles=500), x)
    ranks = stats.rankdata(exact(x[0]), axis=0)
    correlation = np.corrcoef(stats.norm.ppf(ranks / 501).T)
    z = stats.norm.ppf((ranks - 0.5) / 500)
    truth = stats.multivariate_normal(np.zeros(3), correlation).logpdf(z) - stats.norm.logpdf(z).sum(1)
    assert exact(model.log_density(x)[0]) == pytest.approx(truth, rel=2e-3, abs=5e-3)
    warped = fitted(GaussianCopula(SHAPE, 0, quantiles=500), x.exp())
    torch.testing.assert_close(warped.log_density(x.exp()), model.log_density(x), rtol=2e-3, atol=5e-3)


def test_a_constant_column_leaves_the_copula_as_it_is() -> None:
    x, pair = rows(), Shape(2, "normal", 1)
    x[..., 2] = 7.0
    without = fitted(GaussianCopula(pair, 0), x[..., :2]).log_density(x[..., :2])
    torch.testing.assert_close(fitted(GaussianCopula(SHAPE, 0), x).log_density(x), without, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", CLASSICAL)
def test_constant_and_repeated_columns_are_served(name: str) -> None:
    x = rows()
    x[..., 1], x[..., 2] = x[..., 0], 0.0
    model = fitted(MODELS[name](SHAPE, 0), x)
    assert model.log_density(x).isfinite().all()
    drawn = model.sample(Noise([1], 1000))[0]
    assert drawn.isfinite().all()
    assert drawn[:, 2].abs().max() < 10 * RIDGE**0.5
    # Where rows are rare, t rows that differ a little are further apart.
    assert (drawn[:, 0] - drawn[:, 1]).abs().max() < {"t_copula": 200, "vine": 400}.get(name, 20) * RIDGE**0.5
    assert drawn[:, 0].std() > 0.5


@pytest.mark.parametrize("name", CLASSICAL)
def test_one_column_is_served(name: str) -> None:
    x = rows()[..., :1]
    model = fitted(MODELS[name](Shape(1, "normal", 1), 0), x)
    assert model.log_density(x).shape == (1, 300)
    assert model.sample(Noise([1], 5000)).mean().item() == pytest.approx(x.mean().item(), abs=0.1)


def test_a_checkpoint_samples_without_scikit_learn(tmp_path: Path) -> None:
    expected = {}
    for name in CLASSICAL:
        model: Any = fitted(MODELS[name](SHAPE, 0), rows())
        trained = Generator(model, FEATURES["standard"](rows()[0].double()), ("a", "b", "c"))
        folder = tmp_path / name
        folder.mkdir()
        described = {"format": 1, "model": name, "arguments": {}, "shape": asdict(SHAPE), "features": "standard"}
        (folder / "model.json").write_text(json.dumps({**described, "columns": trained.columns}))
        save_file(trained.tensors(), folder / "weights.safetensors")
        expected[name] = trained.sample(5, seed=3).tolist()
    code = (
        "import json, sys; from pathlib import Path\n"
        "sys.modules.update({'sklearn': None, 'scipy': None, 'pyvinecopulib': None})\n"
        "from models import MODELS; from models.generator import load\n"
        f"found = {{name: load(Path({str(tmp_path)!r}) / name, MODELS).sample(5, seed=3).tolist() "
        f"for name in {CLASSICAL!r}}}\n"
        "print(json.dumps(found))"
    )
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout) == expected


@pytest.mark.parametrize(
    ("model", "arguments", "message"),
    [
        (KDE, {"bandwidth": 0.0}, "bandwidth must be above 0, got 0.0"),
        (KDE, {"centres": 1}, "centres must be at least 2, got 1"),
        (GMM, {"components": 0}, "components must be at least 1, got 0"),
        (GMM, {"covariance": "round"}, "covariance must be one of full, tied, diag, spherical, got 'round'"),
        (GMM, {"select": "aic"}, "select must be one of fixed, bic, got 'aic'"),
        (GaussianCopula, {"quantiles": 1}, "quantiles must be at least 2, got 1"),
    ],
)
def test_refuses_arguments_out_of_range(model: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        model(SHAPE, 0, **arguments)


def test_refuses_more_components_than_rows() -> None:
    with pytest.raises(ValueError, match="components must be at most the 5 training rows, got 6"):
        GMM(SHAPE, 0, components=6).fit(rows(5), 0)
