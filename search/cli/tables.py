"""What a user sees at the end of a search: the leaderboard, finalists and fronts as tables."""

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from search.rank.families import best_of_families, family_table
from search.rank.finalist import Finalist
from search.rank.leaderboard import FORMATS, SHOWN, STYLES, Entry, Leaderboard, real_rows, scores_shown, shortfall
from search.study.study import short_name
from search.text import visible

if TYPE_CHECKING:
    from search.report.compare import Comparison
NARROW, NARROWEST = 4, 60  # scores that even a narrow terminal shows, and columns of a terminal that shows fewer
LEAST, LABEL, WORD = 5, 9, 9  # letters of a generator, of a row's label, and of other words before they are broken
FIGURE = re.compile(r"[-+]?\d[\d.,:/%e+-]*")


class Line(NamedTuple):
    """A row of a table: its cells, and how it looks."""

    cells: Sequence[str | Text]
    style: str = ""


def show(console: Console, board: Leaderboard, by: str = "misfit") -> None:
    """Print a leaderboard: best trials and references on validation rows, then the winner on test rows."""
    names = fitting(list(board.floors["validation"]), console.width)
    put(console, _ranking(board, by, names, console.width))
    counts = {outcome: sum(e.outcome == outcome for e in board.entries) for outcome in STYLES}
    console.print(", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count), style="dim")
    if len(board.goals.rank) > 1 and board.eligible():
        console.print()
        show_front(console, board)
    if board.eligible() and board.winner(by).test:
        console.print()
        put(console, _test(board, board.winner(by), names, console.width))


def show_front(console: Console, board: Leaderboard) -> None:
    """Print the trials that no other beats in all goals."""
    names, rows = board.goals.rank, []
    for entry in board.front():
        values = zip(names, board.standing(entry).values, strict=True)
        cells = [f"{value:{FORMATS.get(name, '.4f')}}" for name, value in values]
        rows.append(Line([f"trial {entry.trial}", short_name(entry.configuration), *cells]))
    put(console, _table(f"{board.name}: Pareto front of {', '.join(names)}", names, rows, console.width))


def show_families(console: Console, board: Leaderboard) -> None:
    """Print the best trial of each family, if there are several, and the settings of those that have some."""
    families = best_of_families(board)
    if len(families) < 2:
        return
    headings, cells = family_table(board, families, settings=())
    rows = [
        Line(own, "bold" if best.entry.verdict == "winner" else "") for own, best in zip(cells, families, strict=True)
    ]
    console.print()
    put(console, grid(headings, rows, console.width, f"{board.name}: best of each family", right=range(3, 9)))
    for best in families:
        if best.settings:
            console.print(Text(f"{visible(best.family)}: {best.told}", "dim"))


def show_finalists(
    console: Console, name: str, finalists: Sequence["Finalist"], references: dict[str, dict[str, float]]
) -> None:
    """Print what fresh networks scored on test rows, and who won."""
    rows = []
    for each in finalists:
        known, span = math.isfinite(each.misfit), math.isfinite(each.high)
        cells = [f"trial {each.trial}", short_name(each.configuration), f"{each.parameters:.0f}"]
        cells += [f"{each.misfit:.2f}" if known else "-", f"{each.low:.2f}-{each.high:.2f}" if span else "-"]
        optimism = f"{each.optimism:+.0%}" if math.isfinite(each.optimism) else "-"
        cells += [f"{each.p_value:.3f}", optimism, each.verdict]
        rows.append(Line(cells, "bold" if each.verdict == "winner" else ""))
    for reference, scores in references.items():
        rows.append(Line(["reference", reference, "", f"{scores['misfit']:.2f}", "", "", "", ""], "blue"))
    headings = ("size", "misfit", "95 %", "p", "optim", "")
    put(console, _table(f"{name}: fresh networks on test rows", headings, rows, console.width))
    console.print(
        "size: parameters; p: share of relabellings of the networks with at least the winner's lead, corrected for the "
        "number of finalists compared; "
        "optim, optimism: how much worse fresh networks are on validation rows than the one that it found",
        style="dim",
    )


def fitting(names: Sequence[str], width: int) -> list[str]:
    """The first scores, as many as fit beside each other; the others are in MLflow and in `best --json`."""
    least = NARROW if width >= NARROWEST else max(1, (width - 26) // 9)
    return list(names)[: max(least, (width - 40) // 10)]


def _ranking(board: Leaderboard, by: str, names: Sequence[str], width: int) -> Table:
    rows = []
    for entry in board.ranked(by)[:SHOWN]:
        why = shortfall(board, entry)
        label = f"trial {entry.trial}" + (f" ({why})" if why else "")
        cells = scores_shown(entry.scores, entry.misfit, names)
        rows.append(Line([label, short_name(entry.configuration), *cells], "dim" if why else ""))
    title = f"{board.name}: best trials on validation rows" + (f", by {by}" if by != "misfit" else "")
    return _table(title, ("misfit", *names), [*rows, *_real(board, "validation", names)], width)


def _test(board: Leaderboard, winner: Entry, names: Sequence[str], width: int) -> Table:
    cells = scores_shown(winner.test, winner.test["misfit"], names)
    marks = ["-" if name not in board.floors["test"] else _mark(winner, board, name) for name in names]
    rows = [
        Line([f"trial {winner.trial}", short_name(winner.configuration), *cells]),
        Line(["inside the 95 %", "", "", *marks]),
    ]
    title = "the winner on test rows, which decided nothing"
    return _table(title, ("misfit", *names), [*rows, *_real(board, "test", names)], width)


def _mark(winner: Entry, board: Leaderboard, name: str) -> Text:
    inside = winner.test.get(name, math.inf) <= board.floors["test"][name].upper
    return Text("yes", "green") if inside else Text("no", "red")


def _real(board: Leaderboard, split: str, names: Sequence[str]) -> list[Line]:
    rows = real_rows(board, split, names)
    return [Line(row, "blue" if row[1] == "reference" else "magenta") for row in rows]


def _table(title: str, figures: Sequence[str], rows: Sequence[Line], width: int) -> Table:
    """Columns of a label, a generator and figures; a long name of a generator gives way first."""
    return grid(("", "model", *figures), rows, width, title, cropped=1, right=range(2, 2 + len(figures)))


def put(console: Console, table: Table) -> None:
    """Print a table; where even its figures are wider than the terminal, that breaks its lines."""
    console.print(table, crop=False)


def grid(
    headings: Sequence[str],
    rows: Sequence[Line],
    width: int,
    title: str = "",
    *,
    cropped: int | None = None,
    right: Sequence[int] = (),
) -> Table:
    """Return a table, as wide as what is in it or `width`, in which no figure is ever cut or broken.

    Args:
        headings: of the columns.
        rows: their cells are shown letter by letter.
        width: of the terminal.
        title: above the table.
        cropped: column that gives way first, with an ellipsis; the others wrap.
        right: columns whose cells stand at the right, if their headings aren't empty.
    """
    table = Table(title=Text(title, "bold") if title else None, title_justify="left", box=None, pad_edge=False)
    cells = [[each if isinstance(each, Text) else Text(visible(each)) for each in line.cells] for line in rows]
    columns = [[Text(heading, "bold"), *(row[place] for row in cells)] for place, heading in enumerate(headings)]
    full = [max(cell.cell_len for cell in column) for column in columns]
    least = [_least(column) for column in columns]
    least[0] = max(least[0], min(full[0], LABEL))
    if cropped is not None:
        least[cropped] = min(full[cropped], LEAST)
    gaps = len(columns) - 1
    table.collapse_padding = sum(least) + 2 * gaps > width
    room = width - sum(least) - (1 if table.collapse_padding else 2) * gaps
    if room < 0:
        table.width = width - room
    for place in sorted(range(len(columns)), key=lambda place: place == cropped):
        granted = max(0, min(room, full[place] - least[place]))
        least[place], room = least[place] + granted, room - granted
    for place, column in enumerate(columns):
        table.add_column(
            column[0],
            justify="right" if place in right and headings[place] else "left",
            no_wrap=place == cropped,
            overflow="ellipsis" if place == cropped else "fold",
            width=least[place],
        )
    for line, shown in zip(rows, cells, strict=True):
        table.add_row(*shown, style=line.style)
    return table


def _least(column: Sequence[Text]) -> int:
    """Letters that a column needs: of its longest figure, or of its words as far as these may be broken."""
    words = [word for cell in column for word in cell.plain.split()]
    figures = max((len(word) for word in words if FIGURE.fullmatch(word)), default=0)
    return max(figures, min(WORD, max((Text(word).cell_len for word in words), default=0)))


def show_comparison(console: Console, found: "Comparison") -> None:
    """Print the comparison as tables, a column for each search, so that it fits a narrow terminal."""
    from search.report.compare import differing, winners

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
