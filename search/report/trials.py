"""Figures of a search as a whole: fit against budget, the Pareto front, fresh networks with their intervals."""

import math
from collections.abc import Sequence

import plotly.graph_objects as go

from search.rank.leaderboard import Entry, Leaderboard
from search.report.contents import Contents, History
from search.report.style import BLACK, GREEN, GREY, MADE, OUTCOMES, REAL, SYMBOLS, level, styled
from search.study.goals import WORST
from search.study.study import short_name

SHOWN = 1e3  # fits beyond say no more than that a trial went wrong


def curves(contents: Contents) -> go.Figure:
    """Fit of each trial's best checkpoint against the epochs that it was trained for; where a line ends it stopped."""
    figure, winner = go.Figure(), contents.winner
    for outcome, color in OUTCOMES.items():
        x, y, names = [], [], []
        ends: list[tuple[int, float, str]] = []
        for history in _of(contents, outcome):
            points = path(history)
            if points:
                words = f"trial {history.trial}, {short_name(history.configuration)}"
                x += [*[epoch for epoch, _ in points], None]
                y += [*[fit for _, fit in points], None]
                names += [words] * (len(points) + 1)
                ends.append((*points[-1], words))
        if not ends:
            continue
        hover = "%{text}<br>epoch %{x}, fit %{y:.2f}<extra></extra>"
        line = {"color": color, "width": 1}
        figure.add_scatter(
            x=x, y=y, text=names, mode="lines", line=line, opacity=0.55, showlegend=False, hovertemplate=hover
        )
        figure.add_scatter(
            x=[epoch for epoch, _, _ in ends],
            y=[fit for _, fit, _ in ends],
            text=[words for *_, words in ends],
            mode="markers",
            marker={"color": color, "symbol": SYMBOLS[outcome], "size": 7},
            name=f"{outcome} ({len(ends)})",
            hovertemplate=hover,
        )
    if winner is not None and winner.trial in contents.histories:
        points = path(contents.histories[winner.trial])
        figure.add_scatter(
            x=[epoch for epoch, _ in points],
            y=[fit for _, fit in points],
            mode="lines+markers",
            marker={"size": 6},
            line={"color": MADE, "width": 3},
            name=f"winner, trial {winner.trial}",
            hovertemplate="winner<br>epoch %{x}, fit %{y:.2f}<extra></extra>",
        )
    _levels(figure, contents.board, "validation")
    return styled(figure, "epochs trained", "fit on validation rows", log="xy")


def path(history: History) -> list[tuple[int, float]]:
    """Epoch and fit of the best checkpoint so far at each report that can be drawn."""
    return [(each.report.epoch, each.report.fit) for each in history.reports if 0 < each.report.fit < SHOWN]


def progress(contents: Contents) -> list[tuple[int, float]]:
    """Epochs that all trials together had been trained for, and the best fit at full budget by then."""
    total, best, points = 0, math.inf, []
    ended = [each for each in contents.histories.values() if each.ended is not None]
    for history in sorted(ended, key=lambda each: each.ended or 0.0):
        total += history.epochs
        if history.outcome == "finished" and history.reports and history.reports[-1].report.fit < min(best, WORST):
            best = history.reports[-1].report.fit
        if math.isfinite(best):
            points.append((total, best))
    return points


def steps(points: Sequence[tuple[int, float]], name: str, color: str) -> go.Scatter:
    """A line that goes down in steps through points of `progress`."""
    return go.Scatter(
        x=[epochs for epochs, _ in points],
        y=[fit for _, fit in points],
        mode="lines",
        line={"shape": "hv", "color": color, "width": 2},
        name=name,
        hovertemplate="%{x} epochs in all<br>best fit %{y:.2f}<extra></extra>",
    )


def best_so_far(contents: Contents) -> go.Figure:
    """Best fit at full budget against what was spent."""
    figure = go.Figure(steps(progress(contents), "best at full budget", REAL))
    _levels(figure, contents.board, "validation")
    return styled(figure, "epochs trained, all trials together", "best fit so far", log="y", legend=False)


def intervals(finalists: Sequence[Entry], board: Leaderboard) -> go.Figure:
    """Confirmed fits with their 95 % intervals, best at the top, beside references on the same test rows."""
    shown = [each for each in reversed(finalists) if each.judged]
    fits = [each.confirmed_fit for each in shown]
    figure = go.Figure()
    for name, scores in reversed(board.references["test"].items()):
        if 0 < scores.get("fit", math.inf) < SHOWN:
            figure.add_scatter(
                x=[scores["fit"]],
                y=[name],
                mode="markers",
                marker={"size": 9, "color": GREY, "symbol": "diamond"},
                hovertemplate="%{y}: fit %{x:.2f}<extra></extra>",
            )
    figure.add_scatter(
        x=fits,
        y=[f"trial {each.trial}" for each in shown],
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [each.confirmed.get("high", fit) - fit for each, fit in zip(shown, fits, strict=True)],
            "arrayminus": [fit - each.confirmed.get("low", fit) for each, fit in zip(shown, fits, strict=True)],
            "color": BLACK,
            "thickness": 1.5,
        },
        mode="markers",
        marker={"size": 10, "color": [MADE if each.verdict == "winner" else REAL for each in shown]},
        hovertemplate="%{y}: fit %{x:.2f}<extra></extra>",
    )
    figure.update_yaxes(type="category")
    figure.add_vline(x=1, line={"color": GREEN, "width": 1.2, "dash": "dash"})
    return styled(figure, "fit on test rows (1: as good as real rows)", legend=False, log="x")


def front(board: Leaderboard, x: str, y: str) -> go.Figure:
    """Trials at full budget by two goals, and those of the front."""
    figure, best = go.Figure(), board.front()
    others = [entry for entry in board.finished() if entry not in best]
    for name, entries, color, symbol in (
        ("other trials at full budget", others, GREY, "circle-open"),
        ("front", best, MADE, "circle"),
    ):
        figure.add_scatter(
            x=[_goal(entry, x) for entry in entries],
            y=[_goal(entry, y) for entry in entries],
            text=[f"trial {entry.trial}, {short_name(entry.configuration)}" for entry in entries],
            mode="markers",
            marker={"color": color, "size": 9, "symbol": symbol},
            name=name,
            hovertemplate="%{text}<br>%{x}, %{y}<extra></extra>",
        )
    positive = all(_goal(entry, name) > 0 for entry in board.finished() for name in (x, y))
    return styled(figure, x, y, log="xy" if positive else "")


def _goal(entry: Entry, name: str) -> float:
    return (entry.facts | entry.scores | {"fit": entry.fit}).get(name, math.nan)


def _of(contents: Contents, outcome: str) -> list[History]:
    return [each for each in contents.histories.values() if (each.outcome or "interrupted") == outcome]


def _levels(figure: go.Figure, board: Leaderboard, split: str) -> None:
    level(figure, 1.0, "real rows")
    copula = board.references[split].get("gaussian copula", {}).get("fit", math.inf)
    if 0 < copula < SHOWN:
        level(figure, copula, "Gaussian copula", GREY, "dot")
