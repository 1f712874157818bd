"""Figures of the margins: quantiles of samples against those of held-out rows, over all and in the tails."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from search.report.style import GREEN, MADE, styled

Array: TypeAlias = NDArray[np.float64]

LEVELS = 150
TAIL = 0.95  # as the score `tail` has it
REPEATS = 200


def levels(low: float, high: float, count: int) -> Array:
    """Quantile levels from `low` to `high`, none nearer to 0 or 1 than a sample of `count` can tell."""
    return np.linspace(max(low, 0.5 / count), min(high, 1 - 0.5 / count), LEVELS)


def band(real: Array, at: Array, seed: int = 0) -> tuple[Array, Array]:
    """Where 95 % of the quantiles of another real sample of as many rows would lie, one level at a time.

    From differences of bootstrap pairs of the real values `[n]`, since both samples are random.
    """
    generator = np.random.default_rng(seed)
    drawn = real[generator.integers(len(real), size=(2 * REPEATS, len(real)))]
    quantiles = np.quantile(drawn, at, axis=1)
    apart = quantiles[:, :REPEATS] - quantiles[:, REPEATS:]
    low, high = np.quantile(apart, [0.025, 0.975], axis=1)
    middle = np.quantile(real, at)
    return middle + low, middle + high


def marginal(real: Array, made: Array) -> go.Figure:
    """Q-Q plot of one column: values `[n]` of held-out rows across, `[m]` of samples up."""
    return _quantiles(real, made, [levels(0.0, 1.0, min(len(real), len(made)))], "")


def tail(real: Array, made: Array) -> go.Figure:
    """The same of the upper 5 %, logarithmic where all is positive, and of the lower 5 % too where it isn't."""
    count = min(len(real), len(made))
    upper = levels(TAIL, 1.0, count)
    if real.min() >= 0:
        positive = np.quantile(real, TAIL) > 0 and np.quantile(made, TAIL) > 0
        return _quantiles(real, made, [upper], "xy" if positive else "")
    return _quantiles(real, made, [levels(0.0, 1 - TAIL, count), upper], "")


def _quantiles(real: Array, made: Array, parts: Sequence[Array], log: str) -> go.Figure:
    figure = go.Figure()
    for number, at in enumerate(parts):
        x, y = np.quantile(real, at), np.quantile(made, at)
        low, high = band(real, at)
        low = np.maximum(low, x.min() / 10) if log else low
        figure.add_scatter(
            x=np.concatenate([x, x[::-1]]),
            y=np.concatenate([high, low[::-1]]),
            fill="toself",
            fillcolor="rgba(31, 122, 77, 0.15)",
            line={"width": 0},
            hoverinfo="skip",
            name="95 % of real samples",
            showlegend=number == 0,
        )
        figure.add_scatter(
            x=x, y=x, mode="lines", line={"color": GREEN, "width": 1}, hoverinfo="skip", name="equal", showlegend=False
        )
        figure.add_scatter(
            x=x,
            y=y,
            text=[f"{level:.1%}" for level in at],
            mode="lines+markers",
            marker={"size": 4},
            line={"color": MADE, "width": 1.5},
            name="samples",
            showlegend=number == 0,
            hovertemplate="quantile %{text}<br>real %{x:.4g}, samples %{y:.4g}<extra></extra>",
        )
    return styled(figure, "held-out rows", "samples", log=log)


def outside(real: Array, made: Array) -> float:
    """Share of the levels of `marginal` at which the samples leave the band; about 0.05 for real samples."""
    at = levels(0.0, 1.0, min(len(real), len(made)))
    low, high = band(real, at)
    y = np.quantile(made, at)
    return float(np.mean((y < low) | (y > high)))
