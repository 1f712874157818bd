"""Objectives: what training minimises."""

from typing import Any

from objectives.losses.denoising import Denoising
from objectives.losses.elbo import ELBO
from objectives.losses.energy import Energy
from objectives.losses.flow_matching import FlowMatching
from objectives.losses.gan import GAN
from objectives.losses.lars_vae import LARS
from objectives.losses.likelihood import Likelihood
from objectives.losses.mmd import MMD
from objectives.losses.moment_kl import MomentKL
from objectives.losses.nll import NLL
from objectives.losses.objective import Objective
from objectives.losses.reconstruction import Reconstruction
from objectives.losses.sliced_wasserstein import SlicedWasserstein
from objectives.losses.w2_vae import W2VAE
from objectives.losses.wae_gan import WAEGAN
from objectives.losses.wae_mmd import WAEMMD
from objectives.losses.wgan_gp import WGANGP

OBJECTIVES: dict[str, type[Objective[Any]]] = {
    "mmd": MMD,
    "energy": Energy,
    "sliced_wasserstein": SlicedWasserstein,
    "gan": GAN,
    "wgan_gp": WGANGP,
    "moment_kl": MomentKL,
    "reconstruction": Reconstruction,
    "elbo": ELBO,
    "w2_vae": W2VAE,
    "wae_mmd": WAEMMD,
    "wae_gan": WAEGAN,
    "lars_vae": LARS,
    "denoising": Denoising,
    "flow_matching": FlowMatching,
    "likelihood": Likelihood,
    "nll": NLL,
}

__all__ = [
    "ELBO",
    "GAN",
    "LARS",
    "MMD",
    "NLL",
    "OBJECTIVES",
    "W2VAE",
    "WAEGAN",
    "WAEMMD",
    "WGANGP",
    "Denoising",
    "Energy",
    "FlowMatching",
    "Likelihood",
    "MomentKL",
    "Objective",
    "Reconstruction",
    "SlicedWasserstein",
]
