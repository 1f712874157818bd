"""The plain side of the benchmarks: networks and a loop as PyTorch's tutorials write them, one network at a time.

Losses, features, kernels, initial weights and batches are of the same kind as genseek's. The real-real term of MMD is
left out here too: it has no gradient.
"""

import copy
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

ACTIVATIONS = {"relu": nn.ReLU, "leaky_relu": nn.LeakyReLU, "elu": nn.ELU, "tanh": nn.Tanh, "silu": nn.SiLU}
FACTORS = (4.0, 2.0, 1.0, 0.5, 0.25)  # bandwidths over the median squared distance
MEDIAN_ROWS = 1000
SIGMA = 0.3


class Pushforward(nn.Module):
    """A perceptron from normal noise to the data, trained by MMD."""

    def __init__(
        self, rows: Tensor, width: int = 64, depth: int = 2, activation: str = "relu", kernel: str = "mixture"
    ) -> None:
        super().__init__()
        self.inputs = rows.shape[1]
        self.network = perceptron(self.inputs, rows.shape[1], width, depth, activation)
        distances = torch.pdist(rows[torch.randperm(len(rows))[:MEDIAN_ROWS]]).square()
        factors = torch.tensor(FACTORS if kernel == "mixture" else (1.0,))
        self.widths = distances.median() * factors.view(-1, 1, 1)

    def loss(self, x: Tensor) -> Tensor:
        """Those terms of unbiased MMD^2 that vary."""
        return mmd(x, self.sample(len(x)), self.widths)

    def sample(self, count: int) -> Tensor:
        """Rows `[count, features]`."""
        rows: Tensor = self.network(torch.randn(count, self.inputs))
        return rows


class VAE(nn.Module):
    """A variational autoencoder with a Gaussian decoder of fixed deviation, trained by its lower bound."""

    def __init__(
        self, rows: Tensor, width: int = 32, depth: int = 2, latent: int = 2, activation: str = "relu"
    ) -> None:
        super().__init__()
        self.latent = latent
        self.encoder = perceptron(rows.shape[1], 2 * latent, width, depth, activation)
        self.decoder = perceptron(latent, rows.shape[1], width, depth, activation)

    def loss(self, x: Tensor) -> Tensor:
        """Negative lower bound in nats a row."""
        mean, log_variance = self.encoder(x).chunk(2, dim=1)
        z = mean + torch.exp(log_variance / 2) * torch.randn_like(mean)
        squares = ((x - self.decoder(z)) / SIGMA).square().sum(1) / 2
        divergence = (mean.square() + log_variance.exp() - log_variance - 1).sum(1) / 2
        bound: Tensor = (squares + divergence).mean() + x.shape[1] * (math.log(SIGMA) + math.log(2 * math.pi) / 2)
        return bound

    def sample(self, count: int) -> Tensor:
        """Rows `[count, features]`."""
        mean: Tensor = self.decoder(torch.randn(count, self.latent))
        return mean + SIGMA * torch.randn_like(mean)


FAMILIES: dict[str, Any] = {"pushforward": Pushforward, "vae": VAE}


class Training:
    """A network in training, with the optimiser and schedule of a configuration."""

    def __init__(
        self, configuration: dict[str, Any], rows: Tensor, epochs: int, seed: int, fused: bool = False
    ) -> None:
        torch.manual_seed(seed)
        keys = ("width", "depth", "activation", "kernel")
        network = {key: configuration[key] for key in keys if key in configuration}
        self.model = FAMILIES[configuration["model"]](rows, **network)
        self.rows, self.batch = rows, configuration["batch"]
        rate = configuration["learning_rate"]
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=rate, fused=fused or None)
        cosine = configuration.get("schedule") == "cosine"
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, epochs) if cosine else None

    @property
    def steps(self) -> int:
        """Steps of an epoch; what is left over beside whole batches waits for the next order."""
        count: int = len(self.rows) // self.batch
        return count

    def epoch(self) -> None:
        """Train for one epoch."""
        shuffled = self.rows[torch.randperm(len(self.rows))]
        for x in shuffled[: self.steps * self.batch].split(self.batch):  # type: ignore[no-untyped-call]
            self.optimizer.zero_grad()
            self.model.loss(x).backward()
            self.optimizer.step()
        if self.schedule:
            self.schedule.step()

    def draws(self, features: Any, count: int, rows: int) -> "np.ndarray[Any, np.dtype[np.float64]]":
        """Samples `[count, rows, columns]` in the user's units."""
        with torch.no_grad():
            return np.stack([features.inverse(self.model.sample(rows).double()).numpy() for _ in range(count)])

    def weights(self) -> dict[str, Tensor]:
        """A copy of the weights."""
        return copy.deepcopy(self.model.state_dict())


def perceptron(inputs: int, outputs: int, width: int, depth: int, activation: str) -> nn.Sequential:
    """Multilayer perceptron."""
    layers: list[nn.Module] = []
    for level in range(depth):
        layers += [nn.Linear(width if level else inputs, width), ACTIVATIONS[activation]()]
    return nn.Sequential(*layers, nn.Linear(width, outputs))


def mmd(x: Tensor, y: Tensor, widths: Tensor) -> Tensor:
    """Unbiased MMD^2 between `x` and `y` `[n, features]` but for its real-real term; Gaussian kernels of `widths`."""
    n, z = len(y), torch.cat([x, y])
    squares = (z.square().sum(1, keepdim=True) + y.square().sum(1) - 2 * z @ y.T).clamp_min(0)
    kernels = torch.exp(-squares / widths).mean(0)
    return (kernels[n:].sum() - n) / (n * (n - 1)) - 2 * kernels[:n].mean()
