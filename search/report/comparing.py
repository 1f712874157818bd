"""Several searches beside each other: their winners, intervals, progress, and what was set differently."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from rich.console import Console
from rich.table import Table as TextTable

from search.errors import InputError
from search.report import trials
from search.report.contents import Contents, collected
from search.report.page import Drawing, Page, Row, Section, Table, plain, write
from search.report.style import GREY, SEVERAL, level, styled
from search.report.writing import lasted, seconds
from search.store import Store
from search.study_json import study_json
from search.tables import pair_shown, scores_shown

SETTINGS = (
    "problem",
    "problem_arguments",
    "sampler",
    "scores",
    "goals",
    "fuse",
    "budget",
    "training",
    "models",
    "objectives",
)


@dataclass(frozen=True)
class Side:
    """One search of a comparison; `fit` is infinite without a winner, and `low` and `high` None without finalists."""

    contents: Contents
    generator: str
    trial: int | None
    fit: float
    low: float | None
    high: float | None
    rows: str
    scores: dict[str, float]
    parameters: float | None

    @property
    def name(self) -> str:
        """Of the search."""
        return self.contents.board.name

    @property
    def data(self) -> str:
        """Name of its rows by their content."""
        return str(self.contents.board.provenance["data_sha256"])


@dataclass(frozen=True)
class Comparison:
    """Searches, and the settings (by name, a value for each search) in which they differ."""

    sides: Sequence[Side]
    differences: dict[str, list[str]]

    @property
    def alike(self) -> bool:
        """Whether all were judged on the same rows, so that their scores can be compared."""
        return len({side.data for side in self.sides}) == 1

    def verdict(self) -> str:
        """What can be said about who is best."""
        if not self.alike:
            return "These searches were judged on different rows, so their scores can't be compared, only their fits roughly."
        judged = [side for side in self.sides if math.isfinite(side.fit)]
        if len({side.rows for side in judged}) != 1 or len(judged) < 2:
            return "Winners were judged on different kinds of rows, or not at all, so they can't be compared."
        best = min(judged, key=lambda side: side.fit)
        if best.high is None or any(side.low is None for side in judged):
            return f"{best.name} has the best fit, {best.fit:.2f}; without intervals of all it may be luck."
        equal = [side.name for side in judged if side is not best and (side.low or 0.0) <= best.high]
        if equal:
            return f"{best.name} has the best fit, {best.fit:.2f}, but its interval meets that of {', '.join(equal)}."
        return f"{best.name} has the best fit, {best.fit:.2f}, and its interval meets that of no other."

    def described(self) -> dict[str, Any]:
        """JSON of all of it."""
        sides = [
            {
                "search": side.name,
                "problem": side.contents.found.problem,
                "trial": side.trial,
                "generator": side.generator,
                "fit": side.fit,
                "low": side.low,
                "high": side.high,
                "rows": side.rows,
                "scores": side.scores,
                "parameters": side.parameters,
                "trials": len(side.contents.board.entries),
                "epochs": _epochs(side),
                "seconds": seconds(side.contents),
                "data_sha256": side.data,
            }
            for side in self.sides
        ]
        return {"searches": sides, "differences": self.differences, "verdict": self.verdict()}


def compared(store: Store, names: Sequence[str]) -> Comparison:
    """Searches that have ended, beside each other.

    Raises:
        InputError: there is no search of a name, or it has no leaderboard yet.
    """
    every = [collected(store, name) for name in names]
    return Comparison([_side(contents) for contents in every], _differences(every))


def show(console: Console, found: Comparison) -> None:
    """Print the comparison as tables."""
    for table in (_winners(found), _settings(found)):
        shown = TextTable(
            title=table.caption, title_justify="left", title_style="bold", box=None, header_style="bold", pad_edge=False
        )
        for place, heading in enumerate(table.headings):
            shown.add_column(heading, justify="left" if place < table.words else "right", overflow="fold")
        for row in table.rows:
            shown.add_row(*row.cells)
        if table.rows:
            console.print(shown, "", markup=False)
    console.print(found.verdict(), markup=False, highlight=False)


def write_comparison(found: Comparison, out: Path) -> Path:
    """Write the comparison with its figures into an HTML file; that file.

    Raises:
        InputError: it can't be written.
    """
    names = [side.name for side in found.sides]
    sections = [_section_winners(found), _section_budget(found), _section_settings(found)]
    try:
        write(Page(f"Searches {', '.join(names)}", [found.verdict()], (), sections), out)
    except OSError as error:
        raise InputError(f"--out {out}: can't write there ({error.strerror or error})") from error
    return out


def _side(contents: Contents) -> Side:
    winner = contents.winner
    if winner is None:
        return Side(contents, "no winner", None, math.inf, None, None, "", {}, None)
    values = winner.confirmed or winner.test or winner.scores | {"fit": winner.fit}
    rows = "test, fresh networks" if winner.confirmed else "test" if winner.test else "validation"
    floors = contents.board.floors["test" if rows.startswith("test") else "validation"]
    return Side(
        contents,
        pair_shown(winner.configuration),
        winner.trial,
        values["fit"],
        values.get("low"),
        values.get("high"),
        rows,
        {name: values[name] for name in floors if name in values},
        winner.facts.get("parameters"),
    )


def _differences(every: Sequence[Contents]) -> dict[str, list[str]]:
    """Settings of the studies that aren't the same in all, flat, and as text."""
    flat = [_flat({key: study_json(each.study)[key] for key in SETTINGS}) if each.study else {} for each in every]
    keys = list(dict.fromkeys(key for own in flat for key in own))
    return {key: [own.get(key, "-") for own in flat] for key in keys if len({own.get(key, "-") for own in flat}) > 1}


def _flat(value: Any, prefix: str = "") -> dict[str, str]:
    if not isinstance(value, dict) or not value:
        return {prefix: str(value)}
    if value.keys() in ({"value"}, {"values"}):  # of a domain
        return {prefix: str(next(iter(value.values())))}
    if value.keys() == {"low", "high", "log", "step"}:
        steps = f", in steps of {value['step']}" if value["step"] is not None else ""
        return {prefix: f"{value['low']} to {value['high']}{', log' if value['log'] else ''}{steps}"}
    inner = {} if value.keys() <= {"fixed", "choice", "range"} else None
    return {
        key: text
        for name, each in value.items()
        for key, text in _flat(each, prefix if inner is not None else f"{prefix}.{name}".lstrip(".")).items()
    }


def _epochs(side: Side) -> int:
    return sum(history.epochs for history in side.contents.histories.values())


def _winners(found: Comparison) -> Table:
    names = list(dict.fromkeys(name for side in found.sides for name in side.scores))
    best = min(found.sides, key=lambda side: side.fit)
    rows = [
        Row(
            [
                side.name,
                side.contents.found.problem,
                "no winner" if side.trial is None else f"trial {side.trial}, {side.generator}",
                side.rows,
                "-" if side.low is None or side.high is None else f"{side.low:.2f}-{side.high:.2f}",
                *scores_shown(side.scores, side.fit, names),
                "-" if side.parameters is None else f"{side.parameters:.0f}",
                str(len(side.contents.board.entries)),
                str(_epochs(side)),
                lasted(seconds(side.contents)),
            ],
            "best" if side is best and found.alike else "",
        )
        for side in found.sides
    ]
    headings = ["search", "problem", "winner", "rows", "95 %", "fit", *names, "size", "trials", "epochs", "time"]
    return Table("Winners", headings, rows, words=4)


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


def _settings(found: Comparison) -> Table:
    rows = [Row([key, *values]) for key, values in found.differences.items()]
    names = [side.name for side in found.sides]
    return Table("What was set differently", ["setting", *names], rows, words=1 + len(names))


def _section_winners(found: Comparison) -> Section:
    figure, sides = go.Figure(), [side for side in reversed(found.sides) if math.isfinite(side.fit)]
    for side in sides:
        color = SEVERAL[list(found.sides).index(side) % len(SEVERAL)]
        copula = side.contents.board.references["test"].get("gaussian copula", {}).get("fit")
        figure.add_scatter(
            x=[side.fit],
            y=[plain(side.name)],
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
                y=[plain(side.name)],
                mode="markers",
                marker={"size": 10, "color": GREY, "symbol": "diamond-open"},
                name="Gaussian copula",
                showlegend=side is sides[0],
                hovertemplate="Gaussian copula: fit %{x:.2f}<extra></extra>",
            )
    figure.add_vline(x=1, line={"color": "#1f7a4d", "width": 1.2, "dash": "dash"})
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
        "Winners",
        "Intervals that meet can't be told apart. Fits and scores count only between searches on the same rows; those of fresh "
        "networks on test rows are what a winner is worth, those on validation rows flatter it.",
        [f"All were judged on the same rows: {'yes' if found.alike else 'no'}."],
        [_winners(found), _floors(found)],
        [drawing] if sides else [],
    )


def _section_budget(found: Comparison) -> Section:
    figure, said = go.Figure(), []
    for place, side in enumerate(found.sides):
        points = trials.progress(side.contents)
        if points:
            figure.add_trace(trials.steps(points, plain(side.name), SEVERAL[place % len(SEVERAL)]))
            said.append(f"{side.name} ends at {points[-1][1]:.2f} after {points[-1][0]:,} epochs")
    level(figure, 1.0, "real rows")
    figure = styled(figure, "epochs trained, all trials together", "best fit on validation rows", log="xy")
    return Section(
        "budget",
        "Score against budget",
        "The best fit at full budget by the epochs that were spent on all trials. The lower line at the same budget did better; "
        "one search of each is one draw, and small differences are luck.",
        ["; ".join(said) + "."] if said else ["No trial of theirs was trained at full budget."],
        (),
        [Drawing("Best fit so far", "; ".join(said), figure, True, 420)] if said else (),
    )


def _section_settings(found: Comparison) -> Section:
    table = _settings(found)
    gone = [line for side in found.sides for line in side.contents.missing]
    return Section(
        "settings",
        "What was set differently",
        "Settings in which the studies differ; all others are the same.",
        [*gone, *([] if table.rows else ["The studies are set alike."])],
        [table] if table.rows else (),
    )
