"""Compares searches: their differences and which is better, as tables and as a page."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from search.errors import StoreError
from search.rank.leaderboard import scores_shown
from search.record.store import Store
from search.report import results
from search.report.build import lasted, seconds
from search.report.data import Contents, collect
from search.report.page import GREEN, GREY, SEVERAL, Drawing, Page, Row, Section, Table, level, styled, write
from search.study.serialize import study_json
from search.study.study import short_name

SETTINGS = (
    "problem",
    "problem_arguments",
    "sampler",
    "scores",
    "goals",
    "prefer",
    "refit",
    "pack_size",
    "budget",
    "training",
    "models",
    "objectives",
)


@dataclass(frozen=True, kw_only=True)
class Side:
    """One search of a comparison; `misfit` is infinite without a winner, `low` and `high` None without finalists."""

    contents: Contents
    generator: str
    trial: int | None
    misfit: float
    low: float | None
    high: float | None
    rows: str
    scores: dict[str, float]
    parameters: float | None

    @property
    def name(self) -> str:
        """The name of the search."""
        return self.contents.board.name

    @property
    def data(self) -> str:
        """The sha256 of the search's rows."""
        return str(self.contents.board.origin["data_sha256"])


@dataclass(frozen=True)
class Comparison:
    """Searches, and the settings in which they differ (by name, one value for each search)."""

    sides: Sequence[Side]
    differences: dict[str, list[str]]

    @property
    def alike(self) -> bool:
        """Return whether all were judged on the same rows, so that their scores can be compared."""
        return len({side.data for side in self.sides}) == 1

    def verdict(self) -> str:
        """Return a sentence on which search is best."""
        if not self.alike:
            return "These searches were judged on different rows: misfits compare only roughly, and scores not at all."
        judged = [side for side in self.sides if math.isfinite(side.misfit)]
        if len({side.rows for side in judged}) != 1 or len(judged) < 2:
            return "The winners were judged on different kinds of rows, or not at all, so they can't be compared."
        best = min(judged, key=lambda side: side.misfit)
        if best.high is None or any(side.low is None for side in judged):
            return f"{best.name} has the lowest misfit, {best.misfit:.2f}; without all intervals this may be luck."
        equal = [side.name for side in judged if side is not best and (side.low or 0.0) <= best.high]
        if equal:
            rivals = ", ".join(equal)
            return f"{best.name} has the lowest misfit, {best.misfit:.2f}, but its interval overlaps that of {rivals}."
        return f"{best.name} has the lowest misfit, {best.misfit:.2f}, and its interval overlaps no other."

    def to_dict(self) -> dict[str, Any]:
        """Return all of it for JSON."""
        sides = [
            {
                "search": side.name,
                "problem": side.contents.found.problem,
                "trial": side.trial,
                "generator": side.generator,
                "misfit": side.misfit,
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


def compare(store: Store, names: Sequence[str]) -> Comparison:
    """Compare searches that have ended.

    Raises:
        StudyError: there is no search of a name, or it has no leaderboard yet.
    """
    every = [collect(store, name) for name in names]
    return Comparison([_side(contents) for contents in every], _differences(every))


def _side(contents: Contents) -> Side:
    winner = contents.winner
    if winner is None:
        return Side(
            contents=contents,
            generator="no winner",
            trial=None,
            misfit=math.inf,
            low=None,
            high=None,
            rows="",
            scores={},
            parameters=None,
        )
    rows, values = winner.figures()
    floors = contents.board.floors["test" if rows.startswith("test") else "validation"]
    return Side(
        contents=contents,
        generator=short_name(winner.configuration),
        trial=winner.trial,
        misfit=values["misfit"],
        low=values.get("low"),
        high=values.get("high"),
        rows=rows,
        scores={name: values[name] for name in floors if name in values},
        parameters=winner.architecture.get("parameters"),
    )


def _differences(every: Sequence[Contents]) -> dict[str, list[str]]:
    """Return the settings that differ between the studies, flat and as text."""
    flat = [_flat({key: study_json(each.study)[key] for key in SETTINGS}) if each.study else {} for each in every]
    keys = list(dict.fromkeys(key for own in flat for key in own))
    return {key: [own.get(key, "-") for own in flat] for key in keys if len({own.get(key, "-") for own in flat}) > 1}


def _flat(value: Any, prefix: str = "") -> dict[str, str]:
    if value == {}:
        return {prefix: "all by default"}
    if not isinstance(value, dict):
        return {prefix: _text(value)}
    if value.keys() in ({"value"}, {"values"}):  # a domain
        return {prefix: _text(next(iter(value.values())))}
    if value.keys() == {"low", "high", "log", "step"}:
        steps = f", in steps of {value['step']}" if value["step"] is not None else ""
        return {prefix: f"{value['low']} to {value['high']}{', log' if value['log'] else ''}{steps}"}
    kind = value.keys() <= {"fixed", "choice", "range"}
    return {
        key: text
        for name, each in value.items()
        for key, text in _flat(each, prefix if kind else f"{prefix}.{name}".lstrip(".")).items()
    }


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _epochs(side: Side) -> int:
    return sum(history.epochs for history in side.contents.histories.values())


def winners(found: Comparison) -> Table:
    """Return the table of each search's winner and cost."""
    names = list(dict.fromkeys(name for side in found.sides for name in side.scores))
    best = min(found.sides, key=lambda side: side.misfit)
    rows = [
        Row(
            [
                side.name,
                side.contents.found.problem,
                "no winner" if side.trial is None else f"trial {side.trial}, {side.generator}",
                side.rows,
                "-" if side.low is None or side.high is None else f"{side.low:.2f}-{side.high:.2f}",
                *scores_shown(side.scores, side.misfit, names),
                "-" if side.parameters is None else f"{side.parameters:.0f}",
                str(len(side.contents.board.entries)),
                str(_epochs(side)),
                lasted(seconds(side.contents)),
            ],
            "best" if side is best and found.alike else "",
        )
        for side in found.sides
    ]
    headings = ["search", "problem", "winner", "rows", "95 %", "misfit", *names, "size", "trials", "epochs", "time"]
    return Table(caption="Winners", headings=headings, rows=rows, words=4)


def differing(found: Comparison) -> Table:
    """Return the table of differing settings."""
    rows = [Row([key, *values]) for key, values in found.differences.items()]
    names = [side.name for side in found.sides]
    return Table(caption="What was set differently", headings=["setting", *names], rows=rows, words=1 + len(names))


def write_comparison(found: Comparison, out: Path) -> Path:
    """Write the comparison with its figures into an HTML file; return the file.

    Raises:
        StoreError: it can't be written.
    """
    names = [side.name for side in found.sides]
    sections = [_won(found), _progress(found), _differing_settings(found)]
    try:
        write(Page(title=f"Searches {', '.join(names)}", summary=[found.verdict()], facts=(), sections=sections), out)
    except OSError as error:
        raise StoreError(f"--out {out}: can't write there ({error.strerror or error})") from error
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
            Row([side.name, name, *scores_shown(scores, scores["misfit"], names)], "reference")
            for name, scores in references.items()
        ]
    return Table(
        caption="Floors and references on test rows", headings=["search", "", "misfit", *names], rows=rows, words=2
    )


def _won(found: Comparison) -> Section:
    figure, sides = go.Figure(), [side for side in reversed(found.sides) if math.isfinite(side.misfit)]
    for side in sides:
        color = SEVERAL[list(found.sides).index(side) % len(SEVERAL)]
        copula = side.contents.board.references["test"].get("gaussian copula", {}).get("misfit")
        figure.add_scatter(
            x=[side.misfit],
            y=[side.name],
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [(side.high or side.misfit) - side.misfit],
                "arrayminus": [side.misfit - (side.low or side.misfit)],
                "color": color,
            },
            mode="markers",
            marker={"size": 11, "color": color},
            showlegend=False,
            hovertemplate="%{y}: misfit %{x:.2f}<extra></extra>",
        )
        if copula is not None:
            figure.add_scatter(
                x=[copula],
                y=[side.name],
                mode="markers",
                marker={"size": 10, "color": GREY, "symbol": "diamond-open"},
                name="Gaussian copula",
                showlegend=side is sides[0],
                hovertemplate="Gaussian copula: misfit %{x:.2f}<extra></extra>",
            )
    figure.update_yaxes(type="category")  # names such as 2024 are not numbers
    figure.add_vline(x=1, line={"color": GREEN, "width": 1.2, "dash": "dash"})
    alt = "; ".join(f"{side.name} {side.misfit:.2f}" for side in found.sides)
    drawing = Drawing(
        caption="Misfit of each winner, with its 95 % interval",
        alt=alt,
        figure=styled(figure, "misfit (1: real rows)", log="x"),
        wide=True,
        height=160 + 40 * len(sides),
    )
    return Section(
        anchor="winners",
        found=[f"All were judged on the same rows: {'yes' if found.alike else 'no'}."],
        tables=[winners(found), _floors(found)],
        drawings=[drawing] if sides else [],
    )


def _progress(found: Comparison) -> Section:
    figure, said = go.Figure(), []
    for place, side in enumerate(found.sides):
        points = results.progress(side.contents)
        if points:
            figure.add_trace(results.steps(points, side.name, SEVERAL[place % len(SEVERAL)]))
            said.append(f"{side.name} ends at {points[-1][1]:.2f} after {points[-1][0]:,} epochs")
    level(figure, 1.0, "real rows")
    figure = styled(figure, "epochs trained, all trials together", "lowest misfit on validation rows", log="xy")
    return Section(
        anchor="progress",
        found=["; ".join(said) + "."] if said else ["No trial was trained at full budget."],
        tables=(),
        drawings=[Drawing(caption="Lowest misfit so far", alt="; ".join(said), figure=figure, wide=True, height=420)]
        if said
        else (),
    )


def _differing_settings(found: Comparison) -> Section:
    table = differing(found)
    gone = [line for side in found.sides for line in side.contents.missing]
    return Section(
        anchor="differences",
        found=[*gone, *([] if table.rows else ["The studies have the same settings."])],
        tables=[table] if table.rows else (),
    )
