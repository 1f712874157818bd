"""The problems that a study may name: known distributions with a closed-form truth, and the user's own table."""

from objectives.problems.known import Gaussian1D, Gaussian2D, GaussianToUniform, LineToGaussian, UniformToGaussian
from objectives.problems.mixture import Mixture3D
from objectives.problems.problem import Problem, Rows, Source
from objectives.problems.returns import Returns4D
from objectives.problems.table import Table

PROBLEMS: dict[str, type[Problem]] = {
    "gaussian_to_uniform": GaussianToUniform,
    "uniform_to_gaussian": UniformToGaussian,
    "line_to_gaussian": LineToGaussian,
    "gaussian_1d": Gaussian1D,
    "gaussian_2d": Gaussian2D,
    "mixture_3d": Mixture3D,
    "returns_4d": Returns4D,
    "table": Table,
}

__all__ = ["PROBLEMS", "Problem", "Rows", "Source"]
