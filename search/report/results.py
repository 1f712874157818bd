"""The report's sections on results: summary, leaderboard, Pareto front and budget, with the figures of trials."""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import plotly.graph_objects as go

from search.rank.leaderboard import FORMATS, STYLES, Entry, Leaderboard, scores_shown, shortfall
from search.report.data import Contents, History
from search.report.page import (
    BLACK,
    GREEN,
    GREY,
    MADE,
    OUTCOMES,
    REAL,
    SYMBOLS,
    Drawing,
    Row,
    Section,
    Table,
    level,
    styled,
)
from search.study.goals import WORST
from search.study.study import short_name
from search.text import counted

FEW_TRIALS = 1e3  # larger misfits only show that a trial failed to learn
SHOWN = 10  # trials of the leaderboard, as in the terminal
PLANES = 3  # pairs of goals


def curves(contents: Contents) -> go.Figure:
    """Draw the misfit of each trial's best checkpoint against its epochs; a line ends where its trial stopped."""
    figure, winner = go.Figure(), contents.winner
    for outcome, color in OUTCOMES.items():
        x, y, names = [], [], []
        ends: list[tuple[int, float, str]] = []
        for history in _of(contents, outcome):
            points = path(history)
            if points:
                words = f"trial {history.trial}, {short_name(history.configuration)}"
                x += [*[epoch for epoch, _ in points], None]
                y += [*[misfit for _, misfit in points], None]
                names += [words] * (len(points) + 1)
                ends.append((*points[-1], words))
        if not ends:
            continue
        hover = "%{text}<br>epoch %{x}, misfit %{y:.2f}<extra></extra>"
        line = {"color": color, "width": 1}
        figure.add_scatter(
            x=x, y=y, text=names, mode="lines", line=line, opacity=0.55, showlegend=False, hovertemplate=hover
        )
        figure.add_scatter(
            x=[epoch for epoch, _, _ in ends],
            y=[misfit for _, misfit, _ in ends],
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
            y=[misfit for _, misfit in points],
            mode="lines+markers",
            marker={"size": 6},
            line={"color": MADE, "width": 3},
            name=f"winner, trial {winner.trial}",
            hovertemplate="winner<br>epoch %{x}, misfit %{y:.2f}<extra></extra>",
        )
    _levels(figure, contents.board, "validation")
    return styled(figure, "epochs trained", "misfit on validation rows", log="xy")


def path(history: History) -> list[tuple[int, float]]:
    """Return epoch and misfit of the best checkpoint so far, for each report that can be drawn."""
    return [(each.report.epoch, each.report.misfit) for each in history.reports if 0 < each.report.misfit < FEW_TRIALS]


def progress(contents: Contents) -> list[tuple[int, float]]:
    """Return the total epochs of all trials, and the lowest misfit at full budget so far, after each end of a trial."""
    total, best, points = 0, math.inf, []
    ended = [each for each in contents.histories.values() if each.ended is not None]
    for history in sorted(ended, key=lambda each: each.ended or 0.0):
        total += history.epochs
        if history.outcome == "finished" and history.reports and history.reports[-1].report.misfit < min(best, WORST):
            best = history.reports[-1].report.misfit
        if math.isfinite(best):
            points.append((total, best))
    return points


def steps(points: Sequence[tuple[int, float]], name: str, color: str) -> go.Scatter:
    """Draw a descending step line through points of `progress`."""
    return go.Scatter(
        x=[epochs for epochs, _ in points],
        y=[misfit for _, misfit in points],
        mode="lines",
        line={"shape": "hv", "color": color, "width": 2},
        name=name,
        hovertemplate="%{x} epochs in all<br>lowest misfit %{y:.2f}<extra></extra>",
    )


def best_so_far(contents: Contents) -> go.Figure:
    """Draw the lowest misfit at full budget against the total epochs."""
    figure = go.Figure(steps(progress(contents), "best at full budget", REAL))
    _levels(figure, contents.board, "validation")
    return styled(figure, "epochs trained, all trials together", "lowest misfit so far", log="y", legend=False)


def intervals(finalists: Sequence[Entry], board: Leaderboard) -> go.Figure:
    """Draw confirmed misfits with their 95 % intervals, best at the top, beside references on the same test rows."""
    shown = [each for each in reversed(finalists) if each.judged]
    misfits = [each.confirmed_misfit for each in shown]
    figure = go.Figure()
    for name, scores in reversed(board.references["test"].items()):
        if 0 < scores.get("misfit", math.inf) < FEW_TRIALS:
            figure.add_scatter(
                x=[scores["misfit"]],
                y=[name],
                mode="markers",
                marker={"size": 9, "color": GREY, "symbol": "diamond"},
                hovertemplate="%{y}: misfit %{x:.2f}<extra></extra>",
            )
    figure.add_scatter(
        x=misfits,
        y=[f"trial {each.trial}" for each in shown],
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [each.confirmed.get("high", misfit) - misfit for each, misfit in zip(shown, misfits, strict=True)],
            "arrayminus": [
                misfit - each.confirmed.get("low", misfit) for each, misfit in zip(shown, misfits, strict=True)
            ],
            "color": BLACK,
            "thickness": 1.5,
        },
        mode="markers",
        marker={"size": 10, "color": [MADE if each.verdict == "winner" else REAL for each in shown]},
        hovertemplate="%{y}: misfit %{x:.2f}<extra></extra>",
    )
    figure.update_yaxes(type="category")
    figure.add_vline(x=1, line={"color": GREEN, "width": 1.2, "dash": "dash"})
    return styled(figure, "misfit on test rows (1: as good as real rows)", legend=False, log="x")


def front_figure(board: Leaderboard, x: str, y: str) -> go.Figure:
    """Draw trials at full budget by two goals, and mark those of the front."""
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
    return (entry.architecture | entry.scores | {"misfit": entry.misfit}).get(name, math.nan)


def _of(contents: Contents, outcome: str) -> list[History]:
    return [each for each in contents.histories.values() if (each.outcome or "interrupted") == outcome]


def _levels(figure: go.Figure, board: Leaderboard, split: str) -> None:
    level(figure, 1.0, "real rows")
    copula = board.references[split].get("gaussian copula", {}).get("misfit", math.inf)
    if 0 < copula < FEW_TRIALS:
        level(figure, copula, "Gaussian copula", GREY, dash="dot")


def summary(contents: Contents) -> list[str]:
    """Return sentences on the result of the search."""
    board, winner = contents.board, contents.winner
    if winner is None:
        return ["No trial was trained at full budget within the bounds, so there is no winner."]
    known, values = winner.figures()
    split = known.partition(",")[0]
    name, misfit = short_name(winner.configuration), values["misfit"]
    said = f"The winner is trial {winner.trial}, {name}, with a misfit of {misfit:.2f}"
    if winner.judged:
        span = (
            f" (95 % {winner.confirmed_text('low', 'high', between=' to ')})"
            if {"low", "high"} <= values.keys()
            else ""
        )
        said += f"{span} of fresh networks on test rows that the search never used."
    elif winner.test:
        said += " on test rows. No fresh networks confirm it, so it may be partly luck."
    else:
        said += " on validation rows, by which it was chosen. No fresh networks confirm it, so it may be partly luck."
    lines = [said + " A misfit of 1 is as good as another real sample."]
    if winner.refitted:
        lines.append(f"It is exported and registered as trained once more on all {winner.refitted} rows.")
    floors = board.floors[split]
    beyond = [name for name, floor in floors.items() if name in values and not values[name] <= floor.upper]
    judged = [name for name in floors if name in values]
    if beyond:
        lie = "lies" if len(beyond) == 1 else "lie"
        lines.append(f"Of {len(judged)} scores, {len(beyond)} {lie} above 95 % of real samples: {listed(beyond)}.")
    else:
        lines.append(f"All of its scores ({listed(judged)}) lie within 95 % of real samples.")
    copula = board.references[split].get("gaussian copula", {}).get("misfit")
    if copula is not None:
        low, high = values.get("low", values["misfit"]), values.get("high", values["misfit"])
        better = "better than" if high < copula else "worse than" if low > copula else "indistinguishable from"
        lines.append(f"That is {better} a Gaussian copula with empirical margins, whose misfit is {copula:.2f}.")
    ties = [each for each in contents.finalists if each.verdict == "tie"]
    if ties:
        names = listed([f"trial {each.trial}" for each in ties])
        lowest = all(winner.confirmed_misfit <= each.confirmed_misfit for each in ties)
        has = "the lowest misfit" if lowest else "the fewest parameters"
        lines.append(f"It is indistinguishable from {names}, and has {has} of them.")
    return lines


def leaderboard(contents: Contents) -> Section:
    """Return the section with the best trials, references and floors, and any finalists with their intervals."""
    board, finalists = contents.board, contents.finalists
    tables, drawings = [], []
    if finalists:
        tables.append(_confirmed(finalists, board))
        figure = intervals(finalists, board)
        alt = "; ".join(
            f"trial {each.trial} {each.confirmed_text('misfit')}, {each.confirmed_text('low', 'high', between=' to ')}"
            for each in finalists
        )
        height = 90 + 30 * (len(finalists) + len(board.references["test"]))
        drawings.append(
            Drawing(
                caption="Misfit of fresh networks, 95 % intervals", alt=alt, figure=figure, wide=True, height=height
            )
        )
    names = list(board.floors["validation"])
    rows = [_ranked(board, entry, names) for entry in board.ranked()[:SHOWN]]
    tables.append(_scores("Best trials on validation rows", board, "validation", rows, names=names))
    winner = contents.winner
    if winner is not None and winner.test and not finalists:
        cells = [f"trial {winner.trial}", short_name(winner.configuration)]
        rows = [Row([*cells, *scores_shown(winner.test, winner.test["misfit"], names)], "best")]
        tables.append(_scores("The winner on test rows, which the search didn't use", board, "test", rows, names=names))
    counts = {outcome: sum(entry.outcome == outcome for entry in board.entries) for outcome in STYLES}
    ends = ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count)
    return Section(
        anchor="leaderboard",
        found=[f"{counted(len(board.entries), 'trial')}: {ends}."],
        tables=tables,
        drawings=drawings,
    )


def front(contents: Contents) -> Section | None:
    """Return the section with the trials that no other beats in all goals; with one goal, in misfit and size."""
    board = contents.board
    if not board.eligible():
        return None
    several = len(board.goals.rank) > 1
    goals = board.goals.rank if several else ("misfit", "parameters")
    if not several:
        if not any("parameters" in entry.architecture for entry in board.finished()):
            return None
        board = replace(board, goals=replace(board.goals, rank=goals))
    best = board.front()
    rows = [
        Row(
            [f"trial {entry.trial}", short_name(entry.configuration)]
            + [
                f"{value:{FORMATS.get(name, '.4f')}}"
                for name, value in zip(goals, board.standing(entry).values, strict=True)
            ]
        )
        for entry in best
    ]
    drawings = [
        Drawing(
            caption=f"{y} against {x}",
            alt=f"{counted(len(best), 'trial')} on the front of {x} and {y}",
            figure=front_figure(board, x, y),
        )
        for x, y in list(combinations(reversed(goals), 2))[:PLANES]
    ]
    return Section(
        anchor="front",
        found=[f"{len(best)} of {len(board.finished())} trials at full budget lie on the front, by validation rows."],
        tables=[Table(caption="Front", headings=["", "model", *goals], rows=rows, words=2)],
        drawings=drawings,
    )


def budget(contents: Contents) -> Section | None:
    """Return the section on misfit against epochs, including stopped trials."""
    points = progress(contents)
    if not any(path(history) for history in contents.histories.values()):
        return None
    found = []
    if points:
        total, best = points[-1]
        near = next(epochs for epochs, misfit in points if misfit <= 1.1 * best)
        found.append(
            f"The search came within 10 % of the best misfit, {best:.2f}, after {near / max(total, 1):.0%} of the "
            f"{total:,} epochs of all trials together."
        )
    unseen = sum(not path(history) for history in contents.histories.values())
    if unseen:
        found.append(f"{counted(unseen, 'trial')} had no misfit to draw (infinite, or above {FEW_TRIALS:g}).")
    alt = f"Misfit of {counted(len(contents.histories), 'trial')} against epochs"
    drawings = [Drawing(caption="Every trial", alt=alt, figure=curves(contents), wide=True, height=420)]
    if points:
        words = f"Lowest misfit falls from {points[0][1]:.2f} to {points[-1][1]:.2f}"
        drawings.append(
            Drawing(
                caption="Lowest misfit at full budget against total epochs",
                alt=words,
                figure=best_so_far(contents),
                wide=True,
            )
        )
    return Section(
        anchor="budget",
        found=found,
        tables=(),
        drawings=drawings,
    )


def _ranked(board: Leaderboard, entry: Entry, names: Sequence[str]) -> Row:
    why = shortfall(board, entry)
    kind = "best" if entry.verdict == "winner" else "other" if why else ""
    if entry.outcome != "finished":
        why += f", epoch {entry.epoch}"
    label = f"trial {entry.trial}" + (f" ({why})" if why else "")
    return Row([label, short_name(entry.configuration), *scores_shown(entry.scores, entry.misfit, names)], kind)


def _scores(caption: str, board: Leaderboard, split: str, rows: list[Row], *, names: Sequence[str]) -> Table:
    references = [
        Row([name, "reference", *scores_shown(scores, scores["misfit"], names)], "reference")
        for name, scores in board.references[split].items()
    ]
    floors = board.floors[split]
    medians, uppers = (
        {name: each.median for name, each in floors.items()},
        {name: each.upper for name, each in floors.items()},
    )
    real = [
        Row(["real rows, median", "floor", "", *scores_shown(medians, 1.0, names)[1:]], "floor"),
        Row(["real rows, 95 %", "floor", "", *scores_shown(uppers, 1.0, names)[1:]], "floor"),
    ]
    return Table(caption=caption, headings=["", "model", "misfit", *names], rows=[*rows, *references, *real], words=2)


def _confirmed(finalists: Sequence[Entry], board: Leaderboard) -> Table:
    names = list(board.floors["test"])
    rows = [
        Row(
            [
                f"trial {each.trial}",
                short_name(each.configuration),
                each.verdict,
                each.confirmed_text("misfit"),
                each.confirmed_text("low", "high", between=" to "),
                each.confirmed_text("p_value", form=".3f"),
                each.confirmed_text("optimism", form="+.0%"),
                f"{each.architecture.get('parameters', float('nan')):.0f}",
                *scores_shown(each.confirmed, each.confirmed_misfit, names)[1:],
            ],
            "best" if each.verdict == "winner" else "",
        )
        for each in finalists
    ]
    blank = ["", "", "", "", ""]
    rows += [
        Row(
            [name, "reference", "", f"{scores['misfit']:.2f}", *blank[1:], *scores_shown(scores, 1.0, names)[1:]],
            "reference",
        )
        for name, scores in board.references["test"].items()
    ]
    for label, figures in (
        ("real rows, median", {name: floor.median for name, floor in board.floors["test"].items()}),
        ("real rows, 95 %", {name: floor.upper for name, floor in board.floors["test"].items()}),
    ):
        rows.append(Row([label, "floor", "", *blank, *scores_shown(figures, 1.0, names)[1:]], "floor"))
    headings = ["", "model", "verdict", "misfit", "95 %", "p", "optimism", "size", *names]
    return Table(
        caption="Fresh networks on test rows",
        headings=headings,
        rows=rows,
        words=3,
    )


def listed(names: Sequence[str]) -> str:
    """Join names for a sentence, with "and" before the last."""
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)
