"""Figures of training: losses, and the weights of networks that were trained under other penalties."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from search.report.contents import History
from search.report.style import MADE, REAL, SEVERAL, styled

Array = NDArray[np.float64]

NEAR = 1e-3  # weights below it count as near zero
BINS = 61


@dataclass(frozen=True)
class Weights:
    """All weights `[count]` of a trial's network, and the strengths of the penalties on them."""

    trial: int
    l1: float
    l2: float
    values: Array

    @property
    def zeros(self) -> float:
        """Share that is exactly zero."""
        return float(np.mean(self.values == 0))

    @property
    def near(self) -> float:
        """Share within `NEAR` of zero."""
        return float(np.mean(np.abs(self.values) < NEAR))


def losses(history: History) -> go.Figure | None:
    """Training and validation loss of a trial, in its objective's units; None where there is nothing to draw."""
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
    """Densities of the weights of several networks, by their `key` ("l1" or "l2"), weakest first."""
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
