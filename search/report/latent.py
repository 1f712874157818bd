"""The latent space of an autoencoder in the plane, by t-SNE.

Source: van der Maaten, Hinton 2008, Visualizing Data using t-SNE. Notation: rows n, latent dimensions k.
"""

import warnings
from typing import Any, TypeAlias

import numpy as np
import plotly.graph_objects as go
import torch
from numpy.typing import NDArray

from models.generator import Generator
from objectives.losses.protocols import Autoencoder, DeterministicAutoencoder, ResampledAutoencoder
from search.report.style import SEVERAL, styled

Array: TypeAlias = NDArray[np.float64]

ROWS = 300
STEPS = 400


def codes(generator: Generator, rows: Array) -> Array | None:
    """Codes `[n, k]` of rows `[n, columns]` in the user's units (means, if random); None of no autoencoder."""
    model = generator.model
    with torch.no_grad():
        seen = generator.features(torch.from_numpy(rows)).float().unsqueeze(0)
        if isinstance(model, DeterministicAutoencoder):
            found = model.code(seen)
        elif isinstance(model, ResampledAutoencoder):
            found = model.posterior(seen)[0]
        elif isinstance(model, Autoencoder):
            found = model.encode(seen)[0]
        else:
            return None
    return np.asarray(found[0].double())


def embedded(found: Array, seed: int) -> Array:
    """Codes `[n, k]` in the plane, `[n, 2]`, so that neighbours stay neighbours."""
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    perplexity = min(30.0, (len(found) - 1) / 3)
    # Threads that wait for each other by turning on a busy machine took ten times as long as one.
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore")  # about codes that are all but equal
        return np.asarray(
            TSNE(perplexity=perplexity, max_iter=STEPS, random_state=seed, init="pca").fit_transform(found)
        )


def figure(points: Array, values: Array, names: tuple[str, str], color: str, discrete: bool) -> go.Figure:
    """Points `[n, 2]` of the plane, coloured by values `[n]`, which are numbers of components where `discrete`."""
    drawn = go.Figure()
    groups = sorted(set(values.tolist())) if discrete else [None]
    for place, group in enumerate(groups):
        some = points if group is None else points[values == group]
        marker: dict[str, Any] = {"size": 5, "opacity": 0.8}
        if group is None:
            scale = {"title": {"text": color, "side": "right"}, "thickness": 10}
            marker |= {"color": values, "colorscale": "Cividis", "colorbar": scale}
        else:
            marker |= {"color": SEVERAL[place % len(SEVERAL)]}
        drawn.add_scatter(
            x=some[:, 0],
            y=some[:, 1],
            mode="markers",
            marker=marker,
            name="" if group is None else f"{color} {group:g}",
            hoverinfo="skip",
        )
    return styled(drawn, *names, legend=discrete)
