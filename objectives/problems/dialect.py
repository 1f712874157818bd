"""Detects how a text of numbers is written before it is parsed: its separator, its names and its first row.

Clear findings are reported in a note. A doubt is refused in one line that says what to change.
"""

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Literal

import numpy as np

from objectives.problems.names import MADE_UP, clean
from objectives.problems.numerals import MISSING, NUMERAL, value_of

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars", " ": "blanks"}
SAMPLE = 2**20  # characters, from which at most so many records are examined
RECORDS = 400
MOST_HEADERS = 4
EMPTY = "empty, expected a line of column names and rows of numbers"
CLUES = 10  # least number of rows for telling whether a first line of numbers is a row or names
RARE = 0.05  # share of rows that look like a series of names by chance


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Layout of a text: its `body`, which has only rows and begins in `line`, their separator, and the names."""

    body: str
    line: int
    separator: str
    names: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Record:
    """Fields of a record, its first and last line (`line`, `last`), and its position in the text (`begin`, `end`)."""

    fields: list[str]
    line: int
    last: int
    begin: int
    end: int


def layout(text: str) -> Layout:
    """Return the layout of a text of numbers.

    Raises:
        ValueError: the text is empty, or its layout is in doubt.
    """
    told = re.match(r'"?sep=(.)"?[ \t,;]*(\r\n|\r|\n)', text)
    start, notes = told.end() if told else 0, []
    separator, records = _separated(text, start, told.group(1) if told else "")
    if separator != ",":
        notes.append(f"values are separated by {SEPARATORS.get(separator, repr(separator))}")
    rows = [record for record in records if not _comment(text, record) and not _ruled(record)]
    if not rows:
        raise ValueError(EMPTY)
    width = _width(rows)
    body = [row.fields for row in rows if len(row.fields) == width]
    numeric = _numeric(body[min(len(body) // 4, MOST_HEADERS) :], width)
    if not numeric and text.lstrip().startswith(("<", "[", "{")):
        raise ValueError("HTML or JSON, no CSV; expected a line of column names and rows of numbers")
    lines, first = _header(rows, width, numeric)
    lines, first, names = _named(text, separator, records, rows, header=(lines, first), numeric=numeric, notes=notes)
    row = rows[first] if first < len(rows) else None
    begin, line = (row.begin, row.line) if row else (rows[-1].end, rows[-1].last + 1)
    top = lines[0] if lines else rows[first]
    if skipped := sum(each.end <= top.begin for each in records):
        notes.append(f"{'the line' if skipped == 1 else f'{skipped} lines'} above line {top.line} left out")
    rest, removed = _without_comments(text, begin, records)
    removed += sum(_comment(text, each) and top.end <= each.begin < begin for each in records)
    if removed:
        notes.append(f"{'a line that begins' if removed == 1 else f'{removed} lines that begin'} with # left out")
    return Layout(body=rest, line=line, separator=separator, names=tuple(map(clean, names)), notes=tuple(notes))


def records_of(text: str, separator: str, line: int = 1) -> Iterator[Record]:
    """Yield the records of a text whose first line is `line`, without empty lines.

    Raises:
        csv.Error: a field is too long, for example after a quotation mark that is never closed.
    """
    read, last, begin = 0, line - 1, 0

    def lines() -> Iterator[str]:
        nonlocal read
        for each in StringIO(text, newline=""):
            read += len(each)
            yield each

    reader = csv.reader(lines(), delimiter=separator, skipinitialspace=True)
    for fields in reader:
        after = line - 1 + reader.line_num
        fields = [field.strip() for field in fields]
        if separator == " " and len(fields) > 1 and not fields[-1]:
            fields.pop()
        if len(fields) > 1 or any(fields):
            yield Record(fields=fields, line=last + 1, last=after, begin=begin, end=read)
        last, begin = after, read


def _named(
    text: str,
    separator: str,
    records: Sequence[Record],
    rows: Sequence[Record],
    *,
    header: tuple[list[Record], int],
    numeric: Sequence[int],
    notes: list[str],
) -> tuple[list[Record], int, list[str]]:
    """Return the lines of names, the index of the first row below them, and the names."""
    lines, first = header
    top, below = rows[first] if first < len(rows) else None, [row.fields for row in rows[first + 1 :]]
    width = len(top.fields) if top else len(lines[-1].fields)
    if lines:
        if top and not top.fields[0] and all(row[0] for row in below) and _is_names(top, below, numeric):
            lines, first = [*lines, top], first + 1
        return lines, first, _names(lines, width, [row.fields for row in rows[first:]], notes)
    assert top is not None  # without lines of names there is a row
    comment = next((each for each in reversed(records) if _comment(text, each) and each.end <= top.begin), None)
    if comment and len(fields := _fields(text, comment, separator)) == width and not all(map(_numeral, fields)):
        notes.append(f"names read from line {comment.line}, which begins with #")
        return [comment], first, fields
    if _is_names(top, below, numeric):
        notes.append(f"line {top.line} ({_shown(top.fields)}) holds numbers unlike those below: taken for column names")
        return [top], first + 1, top.fields
    cells = [cell for row in [top.fields, *below] for cell in row] if (separator, width) == (",", 2) else []
    if all(re.fullmatch(r"[+-]?\d+", cell) for cell in cells) and any(re.match(r"-0|0\d", cell) for cell in cells):
        raise ValueError(
            f"line {top.line}: {','.join(top.fields)} may be two values, or one with a decimal comma; write a line of "
            "column names above it, and decimals with a point"
        )
    named = "column named x1" if width == 1 else f"columns named x1 to x{width}"
    notes.append(f"line {top.line} ({_shown(top.fields)}) holds numbers like those below: taken for a row, {named}")
    used = [any(row[place] for row in [top.fields, *below] if len(row) == width) for place in range(width)]
    return [], first, [f"x{place + 1}" if used[place] else "" for place in range(width)]


def _separated(text: str, start: int, told: str) -> tuple[str, list[Record]]:
    """Return the separator under which most cells of most rows are numbers, and the first records that it gives."""
    best: tuple[tuple[float, bool], str, list[Record]] | None = None
    for separator in [told] if told else SEPARATORS:
        try:
            records = _sampled(text, start, separator)
        except csv.Error:
            continue
        rows = [record for record in records if not _comment(text, record)]
        if not rows:
            best = best or ((0.0, False), separator, records)
            continue
        width = _width(rows)
        fitting = [row.fields for row in rows[1:] or rows if len(row.fields) == width]
        cells = [cell for row in fitting for cell in row if not _absent(cell)]
        share = sum(map(_numeral, cells)) / max(len(cells), 1)
        if separator == " " and (share < 0.5 or len(fitting) < 0.9 * len(rows[1:] or rows)):
            continue
        key = (round(share * len(fitting) / len(rows[1:] or rows), 3), width > 1)
        if best is None or key > best[0]:
            best = (key, separator, records)
    if best is None:
        raise ValueError("a quotation mark is never closed; expected them in pairs, and doubled within a quoted name")
    return best[1], best[2]


def _sampled(text: str, start: int, separator: str) -> list[Record]:
    end = start + SAMPLE
    found: list[Record] = []
    for record in records_of(text[start:end], separator, 1 + text.count("\n", 0, start)):
        found.append(
            Record(
                fields=record.fields,
                line=record.line,
                last=record.last,
                begin=record.begin + start,
                end=record.end + start,
            )
        )
        if len(found) == RECORDS:
            return found
    return found[:-1] if len(text) > end and len(found) > 1 else found


def _comment(text: str, record: Record) -> bool:
    return text[record.begin : record.begin + 2].lstrip("\ufeff").startswith("#")


def _ruled(record: Record) -> bool:
    """Return whether a line only separates the names from the rows, as in Markdown."""
    cells = [cell for cell in record.fields if cell]
    return bool(cells) and all(re.fullmatch(r":?(-{3,}|={3,}):?", cell) for cell in cells)


def _without_comments(text: str, begins: int, records: list[Record]) -> tuple[str, int]:
    rows = [record for record in records if record.begin >= begins]
    if 2 * sum(_comment(text, row) for row in rows) > len(rows):
        return text[begins:], 0
    body = text[begins:]
    return re.subn(r"^#.*(?:\r\n|\r|\n|\Z)", "", body, flags=re.MULTILINE) if "#" in body else (body, 0)


def _fields(text: str, comment: Record, separator: str) -> list[str]:
    """Return the names in a comment above the rows, as numpy.savetxt writes them."""
    line = text[comment.begin : comment.end].rstrip("\r\n")
    words = line.removeprefix("#") if line.startswith("# ") else line
    return next((record.fields for record in records_of(words, separator)), [])


def _width(rows: Sequence[Record]) -> int:
    """Return the number of fields of most rows; if two numbers are equally frequent, that of the first row."""
    counts = Counter(len(row.fields) for row in rows[1:] or rows)
    return max(counts, key=lambda width: (counts[width], width == len(rows[0].fields), width))


def _numeric(body: Sequence[list[str]], width: int) -> list[int]:
    """Return the indices of columns in which most cells are numbers."""
    found = []
    for place in range(width):
        cells = [row[place] for row in body if not _absent(row[place])]
        if cells and sum(map(_numeral, cells)) >= 0.8 * len(cells):
            found.append(place)
    return found


def _header(rows: Sequence[Record], width: int, numeric: Sequence[int]) -> tuple[list[Record], int]:
    """Return the lines of names, and the index of the first row below them."""

    def texts(row: Record) -> list[str]:
        return [row.fields[place] for place in numeric if row.fields[place] and not _like_number(row.fields[place])]

    def numbers(row: Record) -> bool:
        some = any(row.fields[place] and _like_number(row.fields[place]) for place in numeric)
        return some or (any(map(_numeral, row.fields)) and all(map(_like_number, row.fields)))

    first = next((place for place, row in enumerate(rows) if len(row.fields) == width and numbers(row)), None)
    if first is None:
        place = next(place for place, row in enumerate(rows) if len(row.fields) == width)
        return [rows[place]], place + 1
    lines: list[Record] = []
    for place in range(first - 1, -1, -1):
        row, below = rows[place], rows[place + 1]
        if lines and (len(row.fields) != width or below.line > row.last + 1 or len(lines) == MOST_HEADERS):
            break
        lines.insert(0, row)
    while len(lines) > 1 and not any(lines[-1].fields):  # a first row whose values are all missing
        lines, first = lines[:-1], first - 1
    if texts(rows[first]) and not (lines and len(lines[-1].fields) == width):
        return [rows[first]], first + 1
    return lines, first


def _names(lines: Sequence[Record], width: int, body: Sequence[list[str]], notes: list[str]) -> list[str]:
    """Return one name for each column, from one line or several.

    Raises:
        ValueError: there are fewer names than values below.
    """
    levels = [["" if MADE_UP.fullmatch(name) and len(lines) > 1 else name for name in line.fields] for line in lines]
    while len(levels[-1]) > width and not levels[-1][-1]:
        levels[-1].pop()
    body = [row for row in body if len(row) == width]
    lacking = width - len(levels[-1])
    if lacking > 0:
        if all(not any(row[-lacking:]) for row in body):
            levels[-1] += [""] * lacking
        elif lacking == 1 and body and _labels([row[0] for row in body]):
            levels[-1].insert(0, "")
        elif all(map(_like_number, levels[-1])):
            raise ValueError(f"line {lines[-1].line} has {len(levels[-1])} values, those below {width}; mend it")
        else:
            raise ValueError(
                f"line {lines[-1].line} has {len(levels[-1])} name{'s' if len(levels[-1]) > 1 else ''} and the rows "
                f"below {width} values; expected a name for each value (and points, not commas, in decimals)"
            )
    if len(lines) == 1:
        return levels[0]
    named = levels.pop()[0] if not any(levels[-1][1:]) else ""  # pandas writes the name of an index in its own line
    for upper in levels[:-1]:
        for place in range(1, len(upper)):
            if levels[-1][place]:  # a cell that spans several columns has its name in the first
                upper[place] = upper[place] or upper[place - 1]
    names = [" ".join(filter(None, parts)) for parts in zip(*levels, strict=True)]
    if named:
        names[0] = named
    example = next((name for name in reversed(names) if name), "")
    notes.append(f"{len(lines)} lines of names joined, to such as {example!r}")
    return names


def _is_names(line: Record, below: Sequence[list[str]], numeric: Sequence[int]) -> bool:
    """Return whether a line of numbers holds names (such as 0, 1, 2, years or quantiles) rather than a row.

    Raises:
        ValueError: it could be either.
    """
    kind = _kind(line.fields, [row for row in below if len(row) == len(line.fields)], numeric)
    if kind == "doubt":
        raise ValueError(
            f"line {line.line} holds numbers ({_shown(line.fields)}), which may be names or a row; write a line of "
            "column names above it, or letters into it"
        )
    return kind == "names"


def _kind(fields: list[str], body: Sequence[list[str]], numeric: Sequence[int]) -> Literal["names", "row", "doubt"]:
    places = [place for place in numeric if fields[place]]
    cells = [fields[place] for place in places]
    if not all(map(_numeral, cells)):
        return "row"
    values = [value_of(cell) for cell in cells]
    within, plainer = True, True
    for place, value in zip(places, values, strict=True):
        others = [row[place] for row in body if row[place] and _numeral(row[place])]
        known = np.array([value_of(cell) for cell in others] or [np.nan])
        spread = known.max() - known.min()
        within = within and bool(known.min() - spread <= value <= known.max() + spread)
        plainer = plainer and bool(others) and len(fields[place]) < np.median([len(cell) for cell in others])
    rows = [[value_of(row[place]) for place in places] for row in body if all(_numeral(row[place]) for place in places)]
    kinds = [_series(row) for row in rows]
    alike = {kind: sum(kind in found for found in kinds) / max(len(rows), 1) for kind in _series(values)}
    if any(
        (not share and (kind == "counted" or not within)) or (share < RARE and plainer) for kind, share in alike.items()
    ):
        return "names"
    return "row" if len(body) >= CLUES and within and all(share >= RARE for share in alike.values()) else "doubt"


def _series(values: Sequence[float]) -> set[str]:
    """Return the series that numbers form if they could be names: counted, years, evenly rising, or quantiles."""
    steps = np.diff(values)
    if not (np.isfinite(values).all() and (steps > 0).all()):
        return set()
    long = len(values) > 2
    found = {
        "counted": values[0] in (0, 1) and bool((steps == 1).all()) and len(values) > 1,
        "zero": len(values) == 1 and values[0] == 0,
        "years": all(1900 <= value <= 2100 and value == int(value) for value in values),
        "even": long and bool(np.allclose(steps, steps[0], rtol=1e-6)),
        "quantiles": long and values[0] >= 0 and values[-1] <= 1,
    }
    return {kind for kind, whether in found.items() if whether}


def _labels(cells: Sequence[str]) -> bool:
    """Return whether cells count the rows, or hold no numbers."""
    counts = cells[0] in ("0", "1") and list(cells) == [str(int(cells[0]) + place) for place in range(len(cells))]
    return counts or not any(map(_like_number, cells))


def _numeral(cell: str) -> bool:
    return NUMERAL.fullmatch(cell) is not None


def _absent(cell: str) -> bool:
    return cell in MISSING


def _like_number(cell: str) -> bool:
    return _numeral(cell) or _absent(cell)


def _shown(cells: Sequence[str]) -> str:
    said = ", ".join(filter(None, cells))
    return said if len(said) <= 80 else f"{said[:77]}..."
