"""Figures of the dependence: pairs of columns with density contours, the Kendall curve, and matrices of tau."""

from collections.abc import Sequence
from itertools import combinations
from typing import TypeAlias

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from objectives.scores.dominance import dominated
from objectives.scores.tau_error import pair_tau
from search.density import density, limits
from search.report.style import MADE, REAL, styled

Array: TypeAlias = NDArray[np.float64]

POINTS = 600
GRID = 36
LABELLED = 8  # columns of a matrix whose figures are written into it


def pairs(real: Array, made: Array, most: int) -> list[tuple[int, int]]:
    """At most `most` pairs of columns, those first whose tau differs most between real and generated rows."""
    every = list(combinations(range(real.shape[1]), 2))
    apart = np.abs(pair_tau(real) - pair_tau(made))
    return [every[place] for place in np.argsort(-apart, kind="stable")[:most]]


def pair(real: Array, made: Array, names: Sequence[str]) -> go.Figure:
    """Two columns `[n, 2]` of held-out rows and `[m, 2]` of samples over each other, with contours."""
    x_limits, y_limits = limits(real[:, 0]), limits(real[:, 1])
    figure = go.Figure()
    for label, rows, color in (("held-out rows", real, REAL), ("samples", made, MADE)):
        figure.add_scatter(
            x=rows[:POINTS, 0],
            y=rows[:POINTS, 1],
            mode="markers",
            marker={"size": 3, "color": color, "opacity": 0.3},
            name=label,
            hoverinfo="skip",
        )
        estimate = density(rows[:, 0], rows[:, 1], x_limits, y_limits, 2 * POINTS, GRID)
        if estimate is not None:
            across, up, height = estimate
            figure.add_contour(
                x=across,
                y=up,
                z=np.round(height / height.max(), 3),
                contours={"coloring": "none", "start": 0.1, "end": 0.9, "size": 0.2},
                line={"color": color, "width": 1.6},
                showscale=False,
                showlegend=False,
                hoverinfo="skip",
            )
    figure.update_xaxes(range=x_limits)
    figure.update_yaxes(range=y_limits)
    return styled(figure, names[0], names[1])


def histogram(real: Array, made: Array, name: str) -> go.Figure:
    """One column `[n]` of held-out rows and `[m]` of samples, as densities over each other."""
    low, high = limits(real)
    bins = {"start": low, "end": high, "size": (high - low) / 40}
    figure = go.Figure()
    for label, values, color in (("held-out rows", real, REAL), ("samples", made, MADE)):
        figure.add_histogram(
            x=values, xbins=bins, histnorm="probability density", opacity=0.5, marker={"color": color}, name=label
        )
    figure.update_layout(barmode="overlay")
    return styled(figure, name, "density")


def shares(rows: Array) -> Array:
    """The sorted values of the Kendall curve `[n]`: the share of other rows that a row exceeds in every column."""
    return np.sort(dominated(rows) / (len(rows) - 1))


def kendall_curve(real: Array, made: Array) -> go.Figure:
    """Both sorted lists of shares; the score `kendall` is the mean distance between them."""
    figure = go.Figure()
    for label, rows, color in (("held-out rows", real, REAL), ("samples", made, MADE)):
        figure.add_scatter(
            x=(np.arange(len(rows)) + 0.5) / len(rows),
            y=shares(rows),
            mode="lines",
            line={"color": color, "width": 2},
            name=label,
            hovertemplate=f"{label}<br>%{{x:.1%}} of rows exceed at most %{{y:.1%}} of the others<extra></extra>",
        )
    return styled(figure, "share of rows", "share of others that they exceed")


def taus(rows: Array) -> Array:
    """Kendall's tau of each pair of columns, `[columns, columns]`, 1 on the diagonal."""
    columns = rows.shape[1]
    matrix = np.eye(columns)
    for (one, other), tau in zip(combinations(range(columns), 2), pair_tau(rows), strict=True):
        matrix[one, other] = matrix[other, one] = tau
    return matrix


def tau_matrix(matrix: Array, names: Sequence[str], span: float = 1.0) -> go.Figure:
    """A matrix of tau, or of differences up to `span`."""
    figure = go.Figure(
        go.Heatmap(
            z=matrix,
            x=list(names),
            y=list(names),
            zmin=-span,
            zmax=span,
            colorscale="RdBu",
            reversescale=True,
            texttemplate="%{z:.2f}" if len(names) <= LABELLED else None,
            colorbar={"thickness": 10},
            hovertemplate="%{x}, %{y}: %{z:.3f}<extra></extra>",
        )
    )
    figure.update_xaxes(type="category")
    figure.update_yaxes(type="category", autorange="reversed")
    return styled(figure, legend=False)
