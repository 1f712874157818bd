"""Generative models over the leading axis: tensors in, tensors out."""

from models.ae import AE
from models.chained import Chained
from models.classical import GMM, KDE, Gaussian
from models.diffusion import Diffusion
from models.flow_matching import FlowMatching
from models.gaussian_copula import GaussianCopula
from models.lars_vae import LarsVAE
from models.model import Model, Shape
from models.noise import Noise
from models.pushforward import Pushforward
from models.spline_flow import SplineFlow
from models.stochastic import Stochastic
from models.t_copula import TCopula
from models.vae import VAE
from models.vine import Vine

MODELS: dict[str, type[Model]] = {
    "pushforward": Pushforward,
    "chained": Chained,
    "stochastic": Stochastic,
    "ae": AE,
    "vae": VAE,
    "lars_vae": LarsVAE,
    "diffusion": Diffusion,
    "flow_matching": FlowMatching,
    "spline_flow": SplineFlow,
    "gaussian": Gaussian,
    "kde": KDE,
    "gmm": GMM,
    "gaussian_copula": GaussianCopula,
    "t_copula": TCopula,
    "vine": Vine,
}

__all__ = [
    "AE",
    "GMM",
    "KDE",
    "MODELS",
    "VAE",
    "Chained",
    "Diffusion",
    "FlowMatching",
    "Gaussian",
    "GaussianCopula",
    "LarsVAE",
    "Model",
    "Noise",
    "Pushforward",
    "Shape",
    "SplineFlow",
    "Stochastic",
    "TCopula",
    "Vine",
]
