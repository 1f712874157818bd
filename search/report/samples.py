"""The report's section on samples: margins, pairs and dependence of generated and real rows."""

from collections.abc import Sequence
from itertools import combinations
from typing import TypeAlias

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from objectives.scores.anderson_darling import ad
from objectives.scores.dominance import dominated
from objectives.scores.tau_error import pair_tau
from search.report.data import Contents, kept_generator
from search.report.density import LARGEST, density, limits
from search.report.page import GREEN, MADE, REAL, Drawing, Section, styled
from search.study.study import short_name

Array: TypeAlias = NDArray[np.float64]
POINTS = 600
GRID = 36
LABELLED = 8  # most columns of a matrix in which numbers are written
LEVELS = 150
TAIL = 0.95  # as in the score `tail`
REPEATS = 200
MOST_ROWS = 2000  # drawn of a sample; more make the page heavy, not clearer
MOST_PAIRS, MOST_COLUMNS, MOST_TAUS = 6, 6, 20


def pairs(real: Array, made: Array, most: int) -> list[tuple[int, int]]:
    """Return at most `most` pairs of columns, sorted by the difference of tau between real and generated rows."""
    every = list(combinations(range(real.shape[1]), 2))
    apart = np.abs(pair_tau(real) - pair_tau(made))
    return [every[place] for place in np.argsort(-apart, kind="stable")[:most]]


def pair(real: Array, made: Array, names: Sequence[str]) -> go.Figure:
    """Draw two columns `[n, 2]` of held-out rows and `[m, 2]` of samples over each other, with contours."""
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
        estimate = density(rows[:, 0], rows[:, 1], x_limits, y_limits, most=2 * POINTS, size=GRID)
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
    """Draw one column `[n]` of held-out rows and `[m]` of samples, as densities over each other."""
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
    """Return the sorted Kendall curve `[n]`: the share of other rows that each row exceeds in every column."""
    return np.sort(dominated(rows) / (len(rows) - 1))


def kendall_curve(real: Array, made: Array) -> go.Figure:
    """Draw both Kendall curves; the score `kendall` is the mean distance between them."""
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
    """Return Kendall's tau of each pair of columns, `[columns, columns]`, 1 on the diagonal."""
    columns = rows.shape[1]
    matrix = np.eye(columns)
    for (one, other), tau in zip(combinations(range(columns), 2), pair_tau(rows), strict=True):
        matrix[one, other] = matrix[other, one] = tau
    return matrix


def tau_matrix(matrix: Array, names: Sequence[str], span: float = 1.0) -> go.Figure:
    """Draw a matrix of tau, or of differences up to `span`."""
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


def levels(low: float, high: float, count: int) -> Array:
    """Return quantile levels from `low` to `high`, none nearer to 0 or 1 than a sample of `count` can resolve."""
    return np.linspace(max(low, 0.5 / count), min(high, 1 - 0.5 / count), LEVELS)


def band(real: Array, at: Array, seed: int = 0) -> tuple[Array, Array]:
    """Return where 95 % of the quantiles of another real sample of the same size would lie, one level at a time.

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
    """Draw the Q-Q plot of one column: values `[n]` of held-out rows across, `[m]` of samples up."""
    return _quantiles(real, made, [levels(0.0, 1.0, min(len(real), len(made)))], "")


def tail(real: Array, made: Array) -> go.Figure:
    """Draw the Q-Q plot of the upper 5 %, logarithmic if positive; with negative values also the lower 5 %."""
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
    """Return the share of levels of `marginal` at which the samples leave the band; about 0.05 for real samples."""
    at = levels(0.0, 1.0, min(len(real), len(made)))
    low, high = band(real, at)
    y = np.quantile(made, at)
    return float(np.mean((y < low) | (y > high)))


def samples(contents: Contents) -> Section | None:
    """Return the section on the winner's samples against held-out rows: pairs, margins, tails, Kendall curve, taus."""
    winner = contents.winner
    if winner is None:
        return None
    generator = kept_generator(contents, winner)
    if contents.rows is None or contents.study is None or generator is None:
        why = contents.missing or (f"the checkpoint of trial {winner.trial} can't be read",)
        return Section(anchor="samples", found=[f"Left out: {line}." for line in why])
    held = contents.rows.test if winner.judged else contents.rows.validation
    real = held[:MOST_ROWS]
    made = generator.sample(len(held), contents.study.budget.seed).numpy()[:MOST_ROWS]
    if not np.isfinite(made).all():
        return Section(anchor="samples", found=[f"Left out: trial {winner.trial} generates rows that are not finite."])
    real, made = (np.clip(rows, -LARGEST, LARGEST) for rows in (real, made))
    names, count = generator.columns, real.shape[1]
    kind = "test" if winner.judged else "validation"
    found = [
        f"{len(made)} samples of trial {winner.trial}, {short_name(winner.configuration)}, "
        f"beside {len(real)} {kind} rows."
    ]
    drawings = []
    if count > 1:
        drawings += _dependence(real, made, names, found)
    drawings += _margins(real, made, names, found)
    return Section(anchor="samples", found=found, tables=(), drawings=drawings)


def _dependence(real: Array, made: Array, names: Sequence[str], found: list[str]) -> list[Drawing]:
    count, before, after = real.shape[1], taus(real), taus(made)
    shown = pairs(real, made, MOST_PAIRS)
    if count * (count - 1) // 2 > MOST_PAIRS:
        found.append(
            f"Of {count * (count - 1) // 2} pairs of columns, the {MOST_PAIRS} whose tau differs most are drawn."
        )
    drawings = []
    for one, other in shown:
        two, alt = [one, other], f"tau {before[one, other]:.2f} of real rows, {after[one, other]:.2f} of samples"
        figure = pair(real[:, two], made[:, two], [names[one], names[other]])
        drawings.append(Drawing(caption=f"{names[one]}, {names[other]}: {alt}", alt=alt, figure=figure))
    apart = float(np.abs(shares(real) - shares(made)).mean()) if len(real) == len(made) else None
    if apart is not None:
        found.append(
            f"The two Kendall curves differ by {apart:.4f} on average. The largest difference of a tau is "
            f"{np.abs(before - after).max():.3f}. A samples' curve above the real one means too much dependence."
        )
        alt = f"mean distance {apart:.4f}"
        drawings.append(Drawing(caption="Kendall curve", alt=alt, figure=kendall_curve(real, made)))
    if count > MOST_TAUS:
        found.append(f"Matrices of tau show the first {MOST_TAUS} of {count} columns.")
    some, labels = slice(MOST_TAUS), names[:MOST_TAUS]
    difference = (after - before)[some, some]
    for caption, matrix, span in (
        ("Kendall's tau, held-out rows", before[some, some], 1.0),
        ("Kendall's tau, samples", after[some, some], 1.0),
        ("Difference of tau, samples less real", difference, max(0.1, float(np.abs(difference).max()))),
    ):
        inner = matrix[np.triu_indices(len(matrix), 1)]
        alt = f"from {inner.min():.2f} to {inner.max():.2f} off the diagonal"
        drawings.append(Drawing(caption=caption, alt=alt, figure=tau_matrix(matrix, labels, span), height=320))
    return drawings


def _margins(real: Array, made: Array, names: Sequence[str], found: list[str]) -> list[Drawing]:
    each = [float(ad(real[:, [place]], made[:, [place]])) for place in range(real.shape[1])]
    order = [int(place) for place in np.argsort(-np.array(each), kind="stable")[:MOST_COLUMNS]]
    worst = order[0]
    found.append(
        f"By Anderson-Darling, {names[worst]} has the worst margin ({each[worst]:.2f}; real samples have about 2)."
    )
    if len(each) > MOST_COLUMNS:
        found.append(f"Of {len(each)} margins, the {MOST_COLUMNS} worst by Anderson-Darling are drawn.")
    drawings = []
    for place in sorted(order):
        x, y, name = real[:, place], made[:, place], names[place]
        share = outside(x, y)
        if len(each) == 1:
            drawings.append(
                Drawing(caption=f"{name}: densities", alt="histograms over each other", figure=histogram(x, y, name))
            )
        alt = f"{share:.0%} of the quantiles lie outside the band of real samples"
        drawings.append(Drawing(caption=f"{name}: Q-Q, {share:.0%} outside the band", alt=alt, figure=marginal(x, y)))
        end = "upper tail, logarithmic" if x.min() >= 0 else "tails"
        alt = f"largest real value {x.max():.4g}, of samples {y.max():.4g}"
        drawings.append(Drawing(caption=f"{name}: {end}, outermost 5 %", alt=alt, figure=tail(x, y)))
    return drawings
