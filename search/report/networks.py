"""The report's sections on networks: losses, weights and latent codes."""

import math
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import torch
from numpy.typing import NDArray

from models.generator import Generator, read_safetensors
from objectives.losses.protocols import Autoencoder, DeterministicAutoencoder, ResampledAutoencoder
from objectives.problems.mixture import Mixture3D
from search.errors import GenseekError
from search.log import show_traceback
from search.rank.leaderboard import Entry
from search.report.data import Contents, History, fetched, kept_generator
from search.report.page import MADE, REAL, SEVERAL, Drawing, Row, Section, Table, styled
from search.study.study import short_name
from search.train.group import WEIGHTS

Array = NDArray[np.float64]
NEAR = 1e-3  # smaller weights count as near zero
BINS = 61
ROWS = 300
STEPS = 400
MOST_LOSSES = 6
STRENGTHS = 5
AUTOENCODERS = ("ae", "vae", "lars_vae")


@dataclass(frozen=True, kw_only=True)
class Weights:
    """All weights `[count]` of a trial's network, and the strengths of the penalties on them."""

    trial: int
    l1: float
    l2: float
    values: Array

    @property
    def zeros(self) -> float:
        """The share of weights that are exactly zero."""
        return float(np.mean(self.values == 0))

    @property
    def near(self) -> float:
        """The share of weights within `NEAR` of zero."""
        return float(np.mean(np.abs(self.values) < NEAR))


def loss_figure(history: History) -> go.Figure | None:
    """Draw training and validation loss of a trial, in its objective's units; None if there is nothing to draw."""
    reports = [each.report for each in history.reports if math.isfinite(each.report.loss)]
    if len(reports) < 2:
        return None
    figure = go.Figure()
    for name, color, values in (
        ("training", REAL, [report.loss for report in reports]),
        ("validation", MADE, [report.validation_loss for report in reports]),
    ):
        drawn = [value if math.isfinite(value) else None for value in values]
        figure.add_scatter(
            x=[report.epoch for report in reports],
            y=drawn,
            mode="lines+markers",
            marker={"size": 4},
            line={"color": color},
            name=name,
            hovertemplate=f"{name}<br>epoch %{{x}}: %{{y:.4g}}<extra></extra>",
        )
    best = reports[-1].best_epoch
    figure.add_vline(
        x=best, line={"color": "#8d959d", "dash": "dot", "width": 1}, annotation={"text": "kept", "font": {"size": 10}}
    )
    return styled(figure, "epoch", "loss")


def histograms(networks: Sequence[Weights], key: str) -> go.Figure:
    """Draw the densities of several networks' weights, named by their `key` ("l1" or "l2"), weakest first."""
    reach = max(float(np.quantile(np.abs(each.values), 0.995)) for each in networks) or 1.0
    edges = np.linspace(-reach, reach, BINS + 1)
    figure = go.Figure()
    for each, color in zip(networks, SEVERAL, strict=False):
        counts, _ = np.histogram(each.values, edges)
        figure.add_scatter(
            x=(edges[1:] + edges[:-1]) / 2,
            y=counts / len(each.values) / (edges[1] - edges[0]),
            mode="lines",
            line={"shape": "hvh", "color": color, "width": 1.6},
            name=f"{key.upper()} {getattr(each, key):g} (trial {each.trial})",
            hovertemplate="%{x:.3f}: %{y:.3g}<extra></extra>",
        )
    return styled(figure, "weight", "density", log="y")


def latent_codes(generator: Generator, rows: Array) -> Array | None:
    """Return codes `[n, k]` (means, if random) of rows `[n, columns]`, unscaled; None without an autoencoder."""
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
    """Return codes `[n, k]` embedded in the plane, `[n, 2]`, so that neighbours stay neighbours."""
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    perplexity = min(30.0, (len(found) - 1) / 3)
    # Threads that busy-wait for each other took ten times as long as one on a busy machine.
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore")  # about codes that almost coincide
        return np.asarray(
            TSNE(perplexity=perplexity, max_iter=STEPS, random_state=seed, init="pca").fit_transform(found)
        )


def latent_figure(points: Array, values: Array, names: tuple[str, str], color: str, *, discrete: bool) -> go.Figure:
    """Draw points `[n, 2]` coloured by values `[n]`, which are numbers of components if `discrete`."""
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


def losses(contents: Contents) -> Section | None:
    """Return the section on losses of the finalists, or of the best trials at full budget."""
    chosen = contents.finalists or contents.board.ranked()
    drawings: list[Drawing] = []
    for entry in [each for each in chosen if each.trial in contents.histories]:
        figure = loss_figure(contents.histories[entry.trial])
        if figure is not None and len(drawings) < MOST_LOSSES:
            report = contents.histories[entry.trial].reports[-1].report
            caption = f"trial {entry.trial}, {short_name(entry.configuration)}"
            alt = f"training loss ends at {report.loss:.3g}, validation loss at {report.validation_loss:.3g}"
            drawings.append(Drawing(caption=caption, alt=alt, figure=figure, height=280))
    if not drawings:
        return None
    return Section(
        anchor="losses",
        found=(),
        tables=(),
        drawings=drawings,
    )


def weights(contents: Contents) -> Section | None:
    """Return the section on weights by L1 and L2 strength, with the share of zeros."""
    tables, drawings = [], []
    for key, words in (("l1", "L1: more weights at or near zero"), ("l2", "L2: a narrower, taller histogram")):
        networks = [each for entry in _strengths(contents, key) if (each := _weights(contents, entry)) is not None]
        if len(networks) < 2:
            continue
        alt = ", ".join(f"{key} {getattr(each, key):g}: deviation {each.values.std():.3f}" for each in networks)
        drawings.append(
            Drawing(caption=f"Weights by {key.upper()} strength", alt=alt, figure=histograms(networks, key), height=380)
        )
        rows = [
            Row(
                [
                    f"trial {each.trial}",
                    *(f"{each.l1:g}", f"{each.l2:g}", f"{len(each.values)}"),
                    *(f"{each.zeros:.1%}", f"{each.near:.1%}", f"{each.values.std():.4f}"),
                ]
            )
            for each in networks
        ]
        headings = ["", "L1", "L2", "weights", "exactly 0", f"within {NEAR:g}", "deviation"]
        tables.append(Table(caption=f"Expected effect of {words}", headings=headings, rows=rows))
    winner = contents.winner
    own = None if winner is None else _weights(contents, winner)
    if own is not None:
        alt = f"{own.zeros:.1%} are exactly 0, deviation {own.values.std():.3f}"
        figure = histograms([own], "l2")
        drawings.append(
            Drawing(caption=f"Weights of the winner, trial {own.trial}", alt=alt, figure=figure, height=380)
        )
    if not drawings:
        return None
    return Section(
        anchor="weights",
        found=()
        if tables
        else ["No family has networks at full budget with two strengths of L1 or L2, so only the winner is shown."],
        tables=tables,
        drawings=drawings,
    )


def latents(contents: Contents) -> Section | None:
    """Return the section on codes of held-out rows by t-SNE, of the winner or else of the best autoencoder."""
    entry = contents.winner
    if entry is None or entry.configuration.model not in AUTOENCODERS:
        entry = next((one for one in contents.board.ranked() if _coded(one)), None)
    if entry is None or contents.rows is None or contents.study is None:
        return None
    generator = kept_generator(contents, entry)
    rows = contents.rows.validation[:ROWS]
    codes = None if generator is None else latent_codes(generator, rows)
    if generator is None or codes is None or not np.isfinite(codes).all():
        return None
    mixture = contents.problem if isinstance(contents.problem, Mixture3D) else None
    values = rows[:, 0] if mixture is None else mixture.labels(rows).astype(float)
    color = "component" if mixture else generator.columns[0]
    if mixture is None:  # ranks, so that a heavy tail doesn't take almost all colours
        values, color = np.argsort(np.argsort(values)) / max(1, len(values) - 1), f"{color}, rank"
    dimensions, drawings = codes.shape[1], []
    if dimensions > 1:
        points = embedded(codes, contents.study.budget.seed)
        alt = f"{len(points)} codes of {dimensions} dimensions, coloured by {color}"
        figure = latent_figure(points, values, ("t-SNE 1", "t-SNE 2"), color, discrete=mixture is not None)
        drawings.append(Drawing(caption=f"t-SNE of {dimensions} latent dimensions", alt=alt, figure=figure, height=420))
    plane = codes[:, :2] if dimensions > 1 else np.stack([codes[:, 0], rows[:, 0]], 1)
    names = ("latent 1", "latent 2" if dimensions > 1 else generator.columns[0])
    caption = "The codes" if dimensions < 3 else "The first two latent dimensions"
    figure = latent_figure(plane, values, names, color, discrete=mixture is not None)
    drawings.append(Drawing(caption=caption, alt=f"{len(plane)} codes against {names[1]}", figure=figure, height=420))
    deviations = ", ".join(f"{each:.2f}" for each in codes.std(0))
    return Section(
        anchor="latent",
        found=[
            f"Trial {entry.trial}, {short_name(entry.configuration)}, {len(codes)} validation rows. "
            f"Deviation of the codes by dimension: {deviations}."
        ],
        tables=(),
        drawings=drawings,
    )


def _coded(entry: Entry) -> bool:
    return entry.outcome == "finished" and entry.configuration.model in AUTOENCODERS


def _strengths(contents: Contents, key: str) -> list[Entry]:
    """Return the best trial at full budget of each of at most five strengths, of the family with most of them."""
    families: dict[str, dict[float, Entry]] = {}
    for entry in sorted(contents.board.finished(), key=lambda each: each.misfit):
        own = families.setdefault(entry.configuration.model, {})
        own.setdefault(getattr(entry.configuration.training, key), entry)
    networks = {
        model: own for model, own in families.items() if _weights(contents, next(iter(own.values()))) is not None
    }
    own = max(networks.values(), key=len, default={})
    strengths = sorted(own)
    places = {round(place) for place in np.linspace(0, len(strengths) - 1, min(STRENGTHS, len(strengths)))}
    return [own[strengths[place]] for place in sorted(places)] if strengths else []


def _weights(contents: Contents, entry: Entry) -> Weights | None:
    """Return the weights of a trial's network; None if it has none, or they can't be read."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            tensors = read_safetensors(fetched(contents, entry, Path(folder)) / WEIGHTS)
        except (GenseekError, ValueError, OSError):
            show_traceback()
            return None
    parts = [each.double().numpy().ravel() for name, each in tensors.items() if name.endswith(".weight")]
    known = [part[np.isfinite(part)] for part in parts]
    if not sum(map(len, known)):
        return None
    chosen = entry.configuration.training
    return Weights(trial=entry.trial, l1=chosen.l1, l2=chosen.l2, values=np.concatenate(known))
