"""Several searches beside each other: their winners, intervals, progress, and what was set differently."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.text import Text

from search.rank.leaderboard import scores_shown
from search.record.store import Store
from search.report.contents import Contents, collected
from search.report.page import Row, Table
from search.report.writing import lasted, seconds
from search.study.serialize import study_json
from search.study.study import short_name
from search.tables import Line, grid, put

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
        return str(self.contents.board.origin["data_sha256"])


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
            return (
                "These searches were judged on different rows: compare their fits roughly, and their scores not at all."
            )
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
    """Print the comparison as tables, a column for each search, so that it fits a narrow terminal."""
    table = winners(found)
    across = zip(*(row.cells for row in table.rows), strict=True)
    rows = [[heading, *cells] for heading, cells in zip(table.headings[1:], list(across)[1:], strict=True)]
    different = differing(found)
    for caption, lines in ((table.caption, rows), (different.caption, [row.cells for row in different.rows])):
        if lines:
            headings = ("", *(side.name for side in found.sides))
            put(console, grid(headings, [Line(line) for line in lines], console.width, caption))
            console.print()
    console.print(Text(found.verdict()))


def _side(contents: Contents) -> Side:
    winner = contents.winner
    if winner is None:
        return Side(contents, "no winner", None, math.inf, None, None, "", {}, None)
    rows, values = winner.figures()
    floors = contents.board.floors["test" if rows.startswith("test") else "validation"]
    return Side(
        contents,
        short_name(winner.configuration),
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
    if value == {}:
        return {prefix: "all by default"}
    if not isinstance(value, dict):
        return {prefix: _text(value)}
    if value.keys() in ({"value"}, {"values"}):  # of a domain
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
    """The winner of each search, and what it cost."""
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


def differing(found: Comparison) -> Table:
    """What was set differently."""
    rows = [Row([key, *values]) for key, values in found.differences.items()]
    names = [side.name for side in found.sides]
    return Table("What was set differently", ["setting", *names], rows, words=1 + len(names))
