"""Pictures: samples beside the target, and misfit against encoder and decoder sizes."""

import math
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import matplotlib as mpl
import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from search.rank.leaderboard import Leaderboard
from search.report.density import MOST_POINTS, density, limits as limits_of
from search.text import shortened

Array: TypeAlias = NDArray[np.float64]
REAL, MADE = "#3b6ea5", "#d1742f"
MOST_COLUMNS = 5
FEW_POINTS = 300  # so few points are drawn larger, because small dots hardly show
MOST_LETTERS = 28  # of a column's name
PLACEHOLDERS = "Last Resort"  # a font that draws every letter as a box
STYLE: dict[Any, Any] = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}


def samples_beside(real: Array, made: Array, columns: Sequence[str], path: Path) -> None:
    """Write a picture of held-out rows `real` `[n, d]` beside samples `made` `[m, d]`."""
    with mpl.rc_context(STYLE):
        beside(real, made, columns).savefig(path, dpi=110)


def beside(real: Array, made: Array, columns: Sequence[str]) -> Figure:
    """Draw held-out rows `real` `[n, d]` beside samples `made` `[m, d]`.

    One column: histograms over each other. Two: two scatter plots with density contours on the same axes. More: a
    matrix with histograms on the diagonal, real rows above it and samples below (the first five columns).
    """
    shown = min(real.shape[1], MOST_COLUMNS)
    limits = [limits_of(real[:, column]) for column in range(shown)]
    names = labels(columns[:shown])
    if shown == 1:
        figure = Figure(figsize=(6, 4), layout="constrained")
        axes = figure.add_subplot()
        _histograms(axes, real[:, 0], made[:, 0], limits[0])
        _name(axes, x=names[0])
        axes.legend(frameon=False)
    elif shown == 2:
        figure = Figure(figsize=(9, 4.4), layout="constrained")
        for place, (title, rows, color) in enumerate((("held-out rows", real, REAL), ("samples", made, MADE)), start=1):
            axes = figure.add_subplot(1, 2, place)
            _scatter(axes, rows[:, 0], rows[:, 1], color, x_limits=limits[0], y_limits=limits[1])
            axes.set_title(title)
            _name(axes, x=names[0], y=names[1])
    else:
        figure = _matrix(real, made, names, limits)
    if names[0] != shortened(columns[0], MOST_LETTERS):
        numbered = f"{names[0]} to {names[-1]}: the columns" if shown > 1 else f"{names[0]}: the column"
        figure.supxlabel(f"{numbered} in their order; no font here draws their names", fontsize=7)
    return figure


def labels(columns: Sequence[str]) -> list[str]:
    """Return the columns' names for a picture: unchanged if a font can draw all of them, else x1, x2 and so on.

    Letters that join, or run from right to left, would be drawn apart and in the wrong order.
    """
    names = [shortened(name, MOST_LETTERS) for name in columns]
    letters = set("".join(names))
    plain = all(unicodedata.bidirectional(letter) not in ("R", "AL") for letter in letters)
    plain &= not any(unicodedata.category(letter) in ("Mn", "Mc") for letter in letters)
    if plain and _family(letters) is not None:
        return names
    return [f"x{number}" for number in range(1, len(names) + 1)]


def asymmetry(board: Leaderboard, path: Path) -> bool:
    """Write a picture of misfit against log2 of encoder over decoder parameters; return False if no trial has both."""
    key = "log2_encoder_over_decoder"
    colors = {"finished": REAL, "stopped": "#b8b8b8"}
    shown = [e for e in board.ranked() if math.isfinite(e.architecture.get(key, math.nan)) and 0 < e.misfit < 1e3]
    shown = [entry for entry in shown if entry.outcome in colors]
    if not shown:
        return False
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6, 4), layout="constrained")
        axes = figure.add_subplot()
        for outcome in dict.fromkeys(entry.outcome for entry in shown):
            some, color = [entry for entry in shown if entry.outcome == outcome], colors[outcome]
            axes.scatter(
                [e.architecture[key] for e in some], [e.misfit for e in some], s=18, color=color, label=outcome
            )
        axes.axvline(0, color="black", linewidth=0.5)
        axes.set(
            xlabel="log2 (encoder / decoder parameters)", ylabel="misfit (1 = as another real sample)", yscale="log"
        )
        axes.legend(frameon=False)
        figure.savefig(path, dpi=110)
    return True


def _family(letters: set[str]) -> list[str] | None:
    """Return font families that together draw all letters: matplotlib's own, and if needed one of this machine."""
    families = mpl.rcParams["font.family"]
    missing = _lacking(font_manager.findfont(font_manager.FontProperties(family=families)), letters)
    if not missing:
        return list(families)
    for entry in font_manager.fontManager.ttflist:
        if not entry.name.startswith(PLACEHOLDERS) and not _lacking(entry.fname, missing):
            return [*families, entry.name]
    return None


def _lacking(path: str, letters: set[str]) -> set[str]:
    """Return the letters for which a font's file has no glyph."""
    try:
        font = font_manager.get_font(path)
    except (OSError, RuntimeError):  # unreadable format
        return letters
    return {letter for letter in letters if not font.get_char_index(ord(letter))}


def _name(axes: Axes, x: str = "", y: str = "") -> None:
    """Name the axes letter by letter, because in matplotlib's own labels a dollar begins a formula."""
    families = _family(set(x + y))
    axes.set_xlabel(x, parse_math=False, family=families)
    axes.set_ylabel(y, parse_math=False, family=families)


def _matrix(real: Array, made: Array, names: Sequence[str], limits: list[tuple[float, float]]) -> Figure:
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
                _scatter(axes, rows[:, column], rows[:, row], color, x_limits=limits[column], y_limits=limits[row])
            _name(axes, x=names[column] if row == shown - 1 else "", y="" if column else names[row])
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2, frameon=False)
    return figure


def _histograms(axes: Axes, real: Array, made: Array, limits: tuple[float, float]) -> None:
    bins = np.linspace(*limits, 41).tolist()
    styles: list[dict[str, Any]] = [
        {"color": REAL, "alpha": 0.45, "label": "held-out rows"},
        {"histtype": "step", "color": MADE, "label": "samples"},
    ]
    for values, style in zip((real, made), styles, strict=True):
        inside = values[(values >= limits[0]) & (values <= limits[1])]
        # Shares of a bin: densities of tiny units overflow.
        axes.hist(inside, bins=bins, weights=np.full(len(inside), 1 / max(1, len(inside))), **style)
    axes.set_xlim(*limits)
    axes.set_yticks([])


def _scatter(
    axes: Axes, x: Array, y: Array, color: str, *, x_limits: tuple[float, float], y_limits: tuple[float, float]
) -> None:
    inside = (x >= x_limits[0]) & (x <= x_limits[1]) & (y >= y_limits[0]) & (y <= y_limits[1])
    shown, size = np.flatnonzero(inside)[:MOST_POINTS], 3 if len(x) > FEW_POINTS else 12
    axes.scatter(x[shown], y[shown], s=size, color=color, alpha=0.35, linewidths=0)
    axes.set(xlim=x_limits, ylim=y_limits)
    estimate = density(x, y, x_limits, y_limits)
    if estimate is not None:
        axes.contour(*estimate, levels=5, colors="black", linewidths=0.5, alpha=0.6)
