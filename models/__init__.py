"""Generative models over the leading axis: tensors in, tensors out."""

from models.ae import AE
from models.chained import Chained
from models.lars_vae import LarsVAE
from models.model import Model, Shape
from models.noise import Noise
from models.pushforward import Pushforward
from models.stochastic import Stochastic
from models.vae import VAE

MODELS: dict[str, type[Model]] = {
    "pushforward": Pushforward,
    "chained": Chained,
    "stochastic": Stochastic,
    "ae": AE,
    "vae": VAE,
    "lars_vae": LarsVAE,
}

__all__ = ["AE", "MODELS", "VAE", "Chained", "LarsVAE", "Model", "Noise", "Pushforward", "Shape", "Stochastic"]
