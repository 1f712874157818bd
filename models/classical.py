"""Classical densities, fitted and not trained: a Gaussian, a kernel density estimate, and a mixture of Gaussians by EM.

Source: Bishop 2006, Pattern Recognition and Machine Learning, equations 2.121 and 2.122 (maximum likelihood), 2.250
(kernel density) and section 9.2.2 (EM); Scott 1992, Multivariate Density Estimation, equation 6.42 (bandwidth).
Notation: rows [pack, batch, features] of features; when fitting, [1, n, features].
"""

import warnings
from typing import Literal, final, get_args

import torch
from torch import Tensor

from models.mixture import RIDGE, Mixture, ridged
from models.model import Model, Shape
from models.noise import Noise

Covariance = Literal["full", "tied", "diag", "spherical"]
Select = Literal["fixed", "bic"]

STARTS = 3  # of EM, each from a k-means clustering of its own; the likeliest end is kept
ITERATIONS = 500  # of EM, at most


@final
class Gaussian(Model):
    """N(mean, covariance) of maximum likelihood.

    Args:
        shape: columns of the data.
        seed: not used.
    """

    def __init__(self, shape: Shape, seed: int) -> None:
        super().__init__()
        self.density = Mixture(shape.features, 1)

    def fit(self, rows: Tensor, seed: int) -> None:
        """Take mean and covariance of `rows`."""
        exact = rows[0].double()
        mean = exact.mean(0, keepdim=True)
        covariance = (exact - mean).T @ (exact - mean) / len(exact)
        self.density.set(exact.new_ones(1), mean, ridged(covariance).unsqueeze(0))

    def log_density(self, rows: Tensor) -> Tensor:
        """Log-density `[pack, batch]` of each row."""
        return self.density.log_density(rows)

    def sample(self, noise: Noise) -> Tensor:
        """Rows `[pack, noise.rows, features]`."""
        return self.density.draw(noise)

    def architecture(self) -> list[dict[str, float]]:
        """`parameters`: free numbers of mean and covariance, of each trial."""
        pack, _, features = self.density.means.shape
        return [{"parameters": features + features * (features + 1) // 2} for _ in range(pack)]


@final
class KDE(Model):
    """Mean of Gaussian kernels at training rows, their covariance that of the rows times the squared bandwidth.

    Args:
        shape: columns of the data.
        seed: not used.
        bandwidth: over Scott's factor n^(-1 / (features + 4)), n the kernels.
        centres: most training rows kept as kernels, chosen by seed where there are more.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(self, shape: Shape, seed: int, *, bandwidth: float = 1.0, centres: int = 2000) -> None:
        super().__init__()
        if not bandwidth > 0:
            raise ValueError(f"bandwidth must be above 0, got {bandwidth}")
        if centres < 2:
            raise ValueError(f"centres must be at least 2, got {centres}")
        self.bandwidth, self.centres = (bandwidth,), (centres,)
        self.density = Mixture(shape.features, centres, shared=True)

    def fit(self, rows: Tensor, seed: int) -> None:
        """Keep `rows`, or a random choice of them, as centres."""
        order = torch.randperm(rows.shape[1], generator=torch.Generator().manual_seed(seed))
        kept = rows[0, order[: self.centres[0]]].double()
        n, features = kept.shape
        covariance = torch.cov(kept.T).view(1, features, features)
        factor = self.bandwidth[0] * n ** (-1 / (features + 4))
        self.density.set(kept.new_full((n,), 1 / n), kept, factor**2 * ridged(covariance))

    def log_density(self, rows: Tensor) -> Tensor:
        """Log-density `[pack, batch]` of each row."""
        return self.density.log_density(rows)

    def sample(self, noise: Noise) -> Tensor:
        """Rows `[pack, noise.rows, features]`: a centre and noise."""
        return self.density.draw(noise)

    def architecture(self) -> list[dict[str, float]]:
        """`parameters`: the numbers of all centres, of each trial."""
        features = self.density.means.shape[2]
        return [{"parameters": count * features} for count in self.density.counts()]


@final
class GMM(Model):
    """Mixture of Gaussians by expectation maximisation (scikit-learn).

    Args:
        shape: columns of the data.
        seed: not used.
        components: Gaussians, or with `select` "bic" the most of them.
        covariance: "full", "tied" (one for all components), "diag", or "spherical".
        select: "fixed", or "bic" for the number of components of the best Bayesian information criterion.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        shape: Shape,
        seed: int,
        *,
        components: int = 4,
        covariance: Covariance = "full",
        select: Select = "fixed",
    ) -> None:
        super().__init__()
        if components < 1:
            raise ValueError(f"components must be at least 1, got {components}")
        if covariance not in get_args(Covariance):
            raise ValueError(f"covariance must be one of {', '.join(get_args(Covariance))}, got {covariance!r}")
        if select not in get_args(Select):
            raise ValueError(f"select must be one of {', '.join(get_args(Select))}, got {select!r}")
        self.components, self.covariance, self.select = (components,), (covariance,), (select,)
        self.density = Mixture(shape.features, components)

    def fit(self, rows: Tensor, seed: int) -> None:
        """Fit to `rows`; `seed` is that of the starts.

        Raises:
            ValueError: there are fewer rows than components.
        """
        from sklearn.exceptions import ConvergenceWarning  # a checkpoint samples without it
        from sklearn.mixture import GaussianMixture

        most, kind = self.components[0], self.covariance[0]
        if most > rows.shape[1]:
            raise ValueError(f"components must be at most the {rows.shape[1]} training rows, got {most}")
        x = rows[0].double().cpu().numpy()
        with warnings.catch_warnings():
            # Of rows that come again and again, and of starts that didn't settle: the best of all counts.
            warnings.simplefilter("ignore", ConvergenceWarning)
            fits = [
                GaussianMixture(
                    components,
                    covariance_type=kind,
                    reg_covar=RIDGE,
                    n_init=STARTS,
                    max_iter=ITERATIONS,
                    random_state=seed % 2**32,
                ).fit(x)
                for components in (range(1, most + 1) if self.select[0] == "bic" else [most])
            ]
        best = min(fits, key=lambda fit: float(fit.bic(x)))
        weights, means, found = map(torch.from_numpy, (best.weights_, best.means_, best.covariances_))
        unit = torch.eye(means.shape[1], dtype=means.dtype)
        covariances = {
            "full": lambda: found,
            "tied": lambda: found.expand(len(weights), -1, -1),
            "diag": lambda: torch.diag_embed(found),
            "spherical": lambda: found.view(-1, 1, 1) * unit,
        }[kind]()
        self.density.set(weights, means, covariances)

    def log_density(self, rows: Tensor) -> Tensor:
        """Log-density `[pack, batch]` of each row."""
        return self.density.log_density(rows)

    def sample(self, noise: Noise) -> Tensor:
        """Rows `[pack, noise.rows, features]`."""
        return self.density.draw(noise)

    def architecture(self) -> list[dict[str, float]]:
        """`components` in use, and `parameters`: free numbers of weights, means and covariances, of each trial."""
        features = self.density.means.shape[2]
        full = features * (features + 1) // 2
        architecture: list[dict[str, float]] = []
        for count, kind in zip(self.density.counts(), self.covariance, strict=True):
            spread = {"full": count * full, "tied": full, "diag": count * features, "spherical": count}[kind]
            architecture.append({"parameters": count - 1 + count * features + spread, "components": count})
        return architecture
