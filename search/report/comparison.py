"""The page of a comparison: winners with their intervals, progress, and what was set differently."""

import math
from pathlib import Path

import plotly.graph_objects as go

from search.errors import InputError
from search.rank.leaderboard import scores_shown
from search.report import trials
from search.report.comparing import Comparison, differing, winners
from search.report.page import Drawing, Page, Row, Section, Table, write
from search.report.style import GREEN, GREY, SEVERAL, level, styled


def write_comparison(found: Comparison, out: Path) -> Path:
    """Write the comparison with its figures into an HTML file; that file.

    Raises:
        InputError: it can't be written.
    """
    names = [side.name for side in found.sides]
    sections = [_won(found), _progress(found), _differences(found)]
    try:
        write(Page(f"Searches {', '.join(names)}", [found.verdict()], (), sections), out)
    except OSError as error:
        raise InputError(f"--out {out}: can't write there ({error.strerror or error})") from error
    return out


def _floors(found: Comparison) -> Table:
    names = list(dict.fromkeys(name for side in found.sides for name in side.contents.board.floors["test"]))
    rows = []
    for side in found.sides:
        floors, references = side.contents.board.floors["test"], side.contents.board.references["test"]
        for words, figures in (
            ("real rows, median", {name: floor.median for name, floor in floors.items()}),
            ("real rows, 95 %", {name: floor.upper for name, floor in floors.items()}),
        ):
            rows.append(Row([side.name, words, "", *scores_shown(figures, 1.0, names)[1:]], "floor"))
        rows += [
            Row([side.name, name, *scores_shown(scores, scores["fit"], names)], "reference")
            for name, scores in references.items()
        ]
    return Table("Floors and references on test rows", ["search", "", "fit", *names], rows, words=2)


def _won(found: Comparison) -> Section:
    figure, sides = go.Figure(), [side for side in reversed(found.sides) if math.isfinite(side.fit)]
    for side in sides:
        color = SEVERAL[list(found.sides).index(side) % len(SEVERAL)]
        copula = side.contents.board.references["test"].get("gaussian copula", {}).get("fit")
        figure.add_scatter(
            x=[side.fit],
            y=[side.name],
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [(side.high or side.fit) - side.fit],
                "arrayminus": [side.fit - (side.low or side.fit)],
                "color": color,
            },
            mode="markers",
            marker={"size": 11, "color": color},
            showlegend=False,
            hovertemplate="%{y}: fit %{x:.2f}<extra></extra>",
        )
        if copula is not None:
            figure.add_scatter(
                x=[copula],
                y=[side.name],
                mode="markers",
                marker={"size": 10, "color": GREY, "symbol": "diamond-open"},
                name="Gaussian copula",
                showlegend=side is sides[0],
                hovertemplate="Gaussian copula: fit %{x:.2f}<extra></extra>",
            )
    figure.update_yaxes(type="category")  # names such as 2024 are no numbers
    figure.add_vline(x=1, line={"color": GREEN, "width": 1.2, "dash": "dash"})
    alt = "; ".join(f"{side.name} {side.fit:.2f}" for side in found.sides)
    drawing = Drawing(
        "Fit of each winner, with its 95 % interval",
        alt,
        styled(figure, "fit (1: real rows)", log="x"),
        True,
        160 + 40 * len(sides),
    )
    return Section(
        "winners",
        [f"All were judged on the same rows: {'yes' if found.alike else 'no'}."],
        [winners(found), _floors(found)],
        [drawing] if sides else [],
    )


def _progress(found: Comparison) -> Section:
    figure, said = go.Figure(), []
    for place, side in enumerate(found.sides):
        points = trials.progress(side.contents)
        if points:
            figure.add_trace(trials.steps(points, side.name, SEVERAL[place % len(SEVERAL)]))
            said.append(f"{side.name} ends at {points[-1][1]:.2f} after {points[-1][0]:,} epochs")
    level(figure, 1.0, "real rows")
    figure = styled(figure, "epochs trained, all trials together", "best fit on validation rows", log="xy")
    return Section(
        "progress",
        ["; ".join(said) + "."] if said else ["No trial of theirs was trained at full budget."],
        (),
        [Drawing("Best fit so far", "; ".join(said), figure, True, 420)] if said else (),
    )


def _differences(found: Comparison) -> Section:
    table = differing(found)
    gone = [line for side in found.sides for line in side.contents.missing]
    return Section(
        "differences",
        [*gone, *([] if table.rows else ["The studies are set alike."])],
        [table] if table.rows else (),
    )
