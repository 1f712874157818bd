"""What the source studies printed, and the shipped study and point that repeat each of their configurations."""

from dataclasses import dataclass
from pathlib import Path

# Problems on which families are compared, and the studies whose points they are compared by.
FAMILIES = {"mixture_3d": "mixture_3d", "returns_4d": str(Path(__file__).with_name("families.toml"))}


@dataclass(frozen=True)
class Published:
    """A published result: what it was, the study and the number of the point that repeat it, the figure as printed."""

    label: str
    study: str
    point: int
    problem: str
    scores: tuple[str, ...]
    printed: str


PUBLISHED = (
    Published("B f2: 2-64-64-2, ReLU, Adam", "published_b_f2", 0, "uniform_to_gaussian", ("mmd",), "none"),
    Published("B f1: 2-64-64-2, L1 = L2 = 0.001", "l1_l2_grid", 4, "gaussian_to_uniform", ("mmd",), "a plateau"),
    Published(
        "A f1: 2-125-125-2, sigmoid, SGD",
        "published_a_f1",
        0,
        "gaussian_to_uniform",
        ("mmd",),
        "0.0110, later 0.0873",
    ),
    Published("A f2: 2-125-125-2, sigmoid, SGD", "published_a_f2", 0, "uniform_to_gaussian", ("mmd",), "0.0967"),
    Published("A f3: two chained 1-50-50-1", "published_a_f3", 0, "line_to_gaussian", ("mmd",), "0.0287 a net"),
    Published("B f3: stochastic 1-128-64", "published_b_f3", 0, "line_to_gaussian", ("mmd",), "succeeded"),
    Published("B f3: deterministic", "published_b_f3", 1, "line_to_gaussian", ("mmd",), "failed"),
    Published("B f3: deterministic, deeper", "published_b_f3", 2, "line_to_gaussian", ("mmd",), "failed"),
    Published("B f3: deterministic, KL", "published_b_f3", 3, "line_to_gaussian", ("mmd",), "failed"),
    Published("C: Gaussian, maximum likelihood", "published_c", 0, "gaussian_2d", ("mmd",), "none"),
    Published("C: Gaussian KDE", "published_c", 1, "gaussian_2d", ("mmd",), "none"),
    Published("C: GMM by EM", "published_c", 2, "gaussian_2d", ("mmd",), "none"),
    Published("D: VAE", "published_d", 0, "mixture_3d", ("clusters", "modes"), "2 clusters for 4, 5 modes for 1"),
    Published("E: encoder = decoder", "published_e", 0, "returns_4d", ("ad", "kendall"), "2.13 / 0.25"),
    Published("E: encoder < decoder", "published_e", 1, "returns_4d", ("ad", "kendall"), "2.41 / 0.20"),
    Published("E: encoder > decoder", "published_e", 2, "returns_4d", ("ad", "kendall"), "1.07 / 0.23"),
    Published("E: W2 penalty 0.01", "published_e", 3, "returns_4d", ("ad", "kendall"), "2.3 / 0.29"),
)
