"""Pictures: samples beside the target, and what encoder and decoder sizes have to do with fit."""

from pathlib import Path
from typing import Any, TypeAlias

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from search.density import MOST_POINTS, density
from search.density import limits as limits_of
from search.leaderboard import Leaderboard

Array: TypeAlias = NDArray[np.float64]

REAL, MADE = "#3b6ea5", "#d1742f"
MOST_COLUMNS = 5

mpl.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})


def samples_beside(real: Array, made: Array, columns: tuple[str, ...], path: Path) -> None:
    """Write a picture of held-out rows `real` `[n, d]` beside samples `made` `[m, d]`.

    One column: histograms over each other. Two: two scatter plots with density contours on the same axes. More: a
    matrix with histograms on the diagonal, real rows above it and samples below (the first five columns).
    """
    shown = min(real.shape[1], MOST_COLUMNS)
    limits = [limits_of(real[:, column]) for column in range(shown)]
    if shown == 1:
        figure = Figure(figsize=(6, 4), layout="constrained")
        axes = figure.add_subplot()
        _histograms(axes, real[:, 0], made[:, 0], limits[0])
        axes.set_xlabel(columns[0])
        axes.legend(frameon=False)
    elif shown == 2:
        figure = Figure(figsize=(9, 4.4), layout="constrained")
        for place, (title, rows, color) in enumerate((("held-out rows", real, REAL), ("samples", made, MADE)), start=1):
            axes = figure.add_subplot(1, 2, place)
            _scatter(axes, rows[:, 0], rows[:, 1], color, limits[0], limits[1])
            axes.set(title=title, xlabel=columns[0], ylabel=columns[1])
    else:
        figure = _matrix(real, made, columns, limits)
    figure.savefig(path, dpi=110)


def asymmetry(board: Leaderboard, path: Path) -> bool:
    """Write a picture of fit against log2 of encoder over decoder parameters; False if no trial had both."""
    key = "log2_encoder_over_decoder"
    colors = {"finished": REAL, "stopped": "#b8b8b8"}
    shown = [e for e in board.ranked() if key in e.facts and e.outcome in colors and 0 < e.fit < 1e3]
    if not shown:
        return False
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot()
    for outcome in dict.fromkeys(entry.outcome for entry in shown):
        some, color = [entry for entry in shown if entry.outcome == outcome], colors[outcome]
        axes.scatter([e.facts[key] for e in some], [e.fit for e in some], s=18, color=color, label=outcome)
    axes.axvline(0, color="black", linewidth=0.5)
    axes.set(xlabel="log2 (encoder / decoder parameters)", ylabel="fit (1 = as another real sample)", yscale="log")
    axes.legend(frameon=False)
    figure.savefig(path, dpi=110)
    return True


def _matrix(real: Array, made: Array, columns: tuple[str, ...], limits: list[tuple[float, float]]) -> Figure:
    shown = len(limits)
    figure = Figure(figsize=(2.1 * shown + 0.5, 2.1 * shown + 0.5), layout="constrained")
    grid: Any = figure.subplots(shown, shown, squeeze=False)
    for row in range(shown):
        for column in range(shown):
            axes = grid[row][column]
            if row == column:
                _histograms(axes, real[:, row], made[:, row], limits[row])
            else:
                rows, color = (real, REAL) if column > row else (made, MADE)
                _scatter(axes, rows[:, column], rows[:, row], color, limits[column], limits[row])
            if row == shown - 1:
                axes.set_xlabel(columns[column])
            if column == 0:
                axes.set_ylabel(columns[row])
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2, frameon=False)
    return figure


def _histograms(axes: Axes, real: Array, made: Array, limits: tuple[float, float]) -> None:
    bins = np.linspace(*limits, 41).tolist()
    axes.hist(real, bins=bins, density=True, color=REAL, alpha=0.45, label="held-out rows")
    inside = made[(made >= limits[0]) & (made <= limits[1])]
    axes.hist(inside, bins=bins, density=len(inside) > 0, histtype="step", color=MADE, label="samples")
    axes.set_xlim(*limits)
    axes.set_yticks([])


def _scatter(
    axes: Axes, x: Array, y: Array, color: str, x_limits: tuple[float, float], y_limits: tuple[float, float]
) -> None:
    axes.scatter(x[:MOST_POINTS], y[:MOST_POINTS], s=3, color=color, alpha=0.35, linewidths=0)
    axes.set(xlim=x_limits, ylim=y_limits)
    estimate = density(x, y, x_limits, y_limits)
    if estimate is not None:
        axes.contour(*estimate, levels=5, colors="black", linewidths=0.5, alpha=0.6)
