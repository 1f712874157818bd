"""Generative models over the leading axis: tensors in, tensors out."""

from models.model import Model, Shape
from models.noise import Noise
from models.pushforward import Pushforward
from models.vae import VAE

MODELS: dict[str, type[Model]] = {"pushforward": Pushforward, "vae": VAE}

__all__ = ["MODELS", "VAE", "Model", "Noise", "Pushforward", "Shape"]
