"""Reads a CSV or Parquet file of numbers, notes the decisions on the way, and reports faults in one line."""

import csv
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from io import BytesIO
from pathlib import Path
from typing import Any
from warnings import catch_warnings, simplefilter

import numpy as np
import pandas as pd

from objectives.problems.dialect import EMPTY, Layout, layout, records_of
from objectives.problems.faults import check_columns, check_scale, complete_rows, floats, holds_numbers
from objectives.problems.names import MADE_UP, clean, leave_out, listed, option, wanted_columns
from objectives.problems.numerals import COMMA, MARKS, POINT, plain
from objectives.problems.problem import Array

# Usual names of columns that count the rows.
INDEXES = {"index", "id", "row", "rows", "rownames", "row_names", "row_id", "row_number", "level_0", "no", "nr", "#"}

HEAD = 2**20  # bytes from which the encoding is detected
NO_TEXT = "no text, expected a CSV file; save it as UTF-8"
ENCODINGS = (
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
    (b"\xef\xbb\xbf", "utf-8-sig"),
)
OTHERS = {
    b"PK\x03\x04": "an Excel workbook or a zip archive, no CSV; save it as CSV, or unpack it",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook, no CSV; save it as CSV",
    b"\x1f\x8b": "packed with gzip; unpack it",
    b"PAR1": "Parquet, no CSV; give it a name that ends in .parquet",
}


@dataclass(frozen=True, eq=False, kw_only=True)
class Content:
    """Content of a file of numbers: columns, rows `[n, columns]`, number of dropped rows, and notes of decisions."""

    columns: tuple[str, ...]
    rows: Array
    dropped: int
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class _Sheet:
    """The columns of a file, their names, and the cells of those that were read from text."""

    names: list[str]
    columns: "list[pd.Series[Any]]"
    notes: list[str]
    texts: Callable[[int], Sequence[str] | None]


def read_table(
    data: str, columns: str = "", drop_missing: bool = False, *, least: int = 1, varied: bool = False
) -> Content:
    """Return the finite numbers of a file of at least `least` rows, with notes on how the file was read.

    `columns` names those to keep, in a line of CSV, all if empty. Booleans count as 0 and 1. Constant columns pass
    unless the rows must be `varied`: the samples of a poor generator may be constant.

    Raises:
        ValueError: the file or its content can't be used; one line says what, where, and what would work.
    """
    try:
        sheet = _sheet(Path(data))
        chosen = _chosen(sheet, wanted_columns(columns))
        if not chosen or not len(sheet.columns[0]):
            raise ValueError(EMPTY)
        check_columns(
            {name: sheet.columns[place] for name, place in chosen.items()},
            lambda name: sheet.texts(chosen[name]),
            drop_missing,
            varied,
        )
        values = np.column_stack([floats(sheet.columns[place]) for place in chosen.values()])
        rows = complete_rows(list(chosen), values, drop_missing, least)
        check_scale(list(chosen), rows)
    except ValueError as error:
        raise ValueError(f"{data}: {error}") from error
    dropped = len(values) - len(rows)
    if dropped:
        sheet.notes.append(f"{dropped} row{'s' if dropped > 1 else ''} with missing values dropped")
    return Content(columns=tuple(chosen), rows=rows, dropped=dropped, notes=tuple(sheet.notes))


def _sheet(path: Path) -> _Sheet:
    ending = path.suffix.lower()
    if ending not in (".csv", ".parquet"):
        raise ValueError(f"unknown ending {ending!r}, expected .csv or .parquet")
    if not path.is_file():
        raise ValueError("a folder, expected a file" if path.is_dir() else "no such file")
    try:
        return _csv(path) if ending == ".csv" else _parquet(path)
    except OSError as error:
        raise ValueError(f"can't be read ({error.strerror or type(error).__name__})") from error


def _csv(path: Path) -> _Sheet:
    text, notes = _decoded(path.read_bytes())
    found = layout(text)
    notes += found.notes
    names, frame = list(found.names), _parsed(found)
    marks = sorted({mark for place in frame for mark in _marks(frame[place])})
    if marks:
        notes.append(f"{', '.join(map(repr, marks))} read as missing")
        frame = _parsed(found, na_values=marks)
    columns = [frame[place] for place in range(len(names))]
    read: dict[int, list[str]] = {}
    grouped = found.separator != ","
    if grouped or any(_numerals(column) for column in columns if _is_text(column)):
        written = _parsed(found, dtype=str, na_values=marks)
        read = _converted(
            names, columns, {place: written[place] for place in range(len(names))}, notes, grouped=grouped
        )

    def texts(place: int) -> Sequence[str] | None:
        cells = _parsed(found, dtype=str, na_values=marks, usecols=[place])[place]
        digits = iter(read.get(place, _stripped(cells)))
        return [next(digits) if there else "" for there in cells.notna()]

    return _Sheet(names=names, columns=columns, notes=notes, texts=texts)


def _decoded(raw: bytes) -> tuple[str, list[str]]:
    """Return the text of a file, and notes on its encoding.

    Raises:
        ValueError: it isn't text.
    """
    for mark, words in OTHERS.items():
        if raw.startswith(mark):
            raise ValueError(words)
    encoding = next((name for mark, name in ENCODINGS if raw.startswith(mark)), "")
    if not encoding and b"\0" in raw[:HEAD]:
        first, second = (raw[place:HEAD:2].count(0) / (len(raw[:HEAD]) // 2 or 1) for place in (0, 1))
        encoding = "utf-16-be" if first > second else "utf-16-le"
        if max(first, second) < 0.5 or min(first, second) > 0.1:  # in UTF-16 every other byte of a digit is 0
            raise ValueError(NO_TEXT)
    try:
        text = raw.decode(encoding or "utf-8")
    except UnicodeDecodeError as error:
        if encoding:
            raise ValueError(NO_TEXT) from error
        return raw.decode("cp1252", errors="replace"), ["not UTF-8: read as Latin-1 (Windows-1252)"]
    if "\0" in text:
        raise ValueError(NO_TEXT)
    return text, [f"read as {encoding[:6].upper()}"] if encoding.startswith(("utf-16", "utf-32")) else []


def _parquet(path: Path) -> _Sheet:
    try:
        frame = pd.read_parquet(path)
    # pyarrow raises errors of many kinds, some several lines long.
    except Exception as error:
        if isinstance(error, OSError) and error.strerror:
            raise
        raise ValueError("no Parquet file, or a damaged one; expected one as pandas.DataFrame.to_parquet writes") from (
            error
        )
    notes: list[str] = []
    names, columns = [clean(name) for name in frame.columns], [frame.iloc[:, place] for place in range(frame.shape[1])]
    for level in reversed(range(frame.index.nlevels)):
        index = frame.index.get_level_values(level)
        name = "" if index.name is None else clean(index.name)
        if name and holds_numbers(index.to_series()):
            notes.append(f"index {name} read as a column")
            names, columns = [name, *names], [index.to_series(), *columns]
        elif name or not isinstance(frame.index, pd.RangeIndex):
            notes.append(f"index {name}, which holds no numbers, left out" if name else "index without a name left out")
    columns = [_bare(column.reset_index(drop=True)) for column in columns]
    strings = {place: column for place, column in enumerate(columns) if _is_text(column) and _numerals(column)}
    read = _converted(names, columns, strings, notes)
    if read:
        notes.append(f"{listed([names[place] for place in read])}: text, read as numbers")
    return _Sheet(names=names, columns=columns, notes=notes, texts=lambda place: None)


def _parsed(found: Layout, **options: Any) -> pd.DataFrame:
    """Return the rows of a text, parsed by pandas; columns count from 0."""
    width = len(found.names)
    try:
        with catch_warnings():
            # pandas only warns if rows are longer than the header, and then drops the surplus.
            simplefilter("error", pd.errors.ParserWarning)
            frame: pd.DataFrame = pd.read_csv(
                BytesIO(found.body.encode()),
                header=None,
                names=list(range(width)),
                index_col=False,
                sep=r"\s+" if found.separator == " " else found.separator,
                skipinitialspace=True,
                low_memory=False,
                **options,
            )
    except pd.errors.EmptyDataError:
        return pd.DataFrame({place: [] for place in range(width)}, dtype=float)
    except (pd.errors.ParserError, pd.errors.ParserWarning, ValueError) as error:
        raise ValueError(_misshapen(found)) from error
    return frame


def _misshapen(found: Layout) -> str:
    """Return where a text doesn't have the form of a table."""
    width, line = len(found.names), found.line
    try:
        for record in records_of(found.body, found.separator, found.line):
            line = record.line
            if len(record.fields) > width:
                return f"line {line} has {len(record.fields)} values, expected {width} as there are columns; mend it"
    except csv.Error:
        pass
    return f"a quotation mark in line {line} is never closed; mend it"


def _is_text(column: "pd.Series[Any]") -> bool:
    return pd.api.types.infer_dtype(column, skipna=True) == "string"


def _marks(column: "pd.Series[Any]") -> set[str]:
    """Return the marks of missing values in a column of text that otherwise holds numbers."""
    if not _is_text(column):
        return set()
    cells = Counter(_stripped(column))
    found = {cell for cell in cells if cell in MARKS}
    others = [cell for cell in cells if cell not in found]
    return found if found and others and all(map(_numeral, others)) else set()


def _numerals(column: "pd.Series[Any]") -> bool:
    """Return whether all cells of a column of text are numbers, with either decimal mark."""
    cells = _stripped(column)
    return any(all(map(mark.fullmatch, cells)) for mark in (POINT, COMMA))


def _numeral(cell: str) -> bool:
    return POINT.fullmatch(cell) is not None or COMMA.fullmatch(cell) is not None


def _stripped(column: "pd.Series[Any]") -> list[str]:
    return [str(cell).strip() for cell in column[column.notna()].tolist()]


def _converted(
    names: list[str],
    columns: "list[pd.Series[Any]]",
    written: "dict[int, pd.Series[Any]]",
    notes: list[str],
    *,
    grouped: bool = False,
) -> dict[int, list[str]]:
    """Replace columns of text by their numbers; return their cells as Python writes numbers."""
    cells = {place: found for place, column in written.items() if (found := _stripped(column))}
    read = plain(cells, names, notes, grouped)
    for place, digits in read.items():
        if digits != cells[place] or _is_text(columns[place]):
            values = np.full(len(columns[place]), np.nan)
            values[written[place].notna()] = [float(each) for each in digits]
            columns[place] = pd.Series(values)
    return read


def _bare(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """Return a column of categories as a column of their values."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.astype(column.dtype.categories.dtype)
    return column


def _chosen(sheet: _Sheet, wanted: list[str]) -> dict[str, int]:
    """Return names and positions of the columns asked for, in this order; without any, of all except an index."""
    names = sheet.names
    times = Counter(names)
    for name in wanted:
        if name not in names or not name:
            raise ValueError(_absent(name, wanted, [other for other in names if other]))
        if wanted.count(name) > 1:
            raise ValueError(f"column {name} asked for twice")
    places = [names.index(name) for name in wanted] or _of_use(sheet)
    repeated = [name for name in dict.fromkeys(names[place] for place in places) if times[name] > 1 and name]
    if repeated:
        kept = [name for place in places if times[name := names[place]] == 1 and name]
        also = f", or {leave_out(kept)}" if kept else ""
        raise ValueError(f"more than one {listed(repeated)}; expected a name of its own for each{also}")
    nameless = [place for place in places if not names[place]]
    if nameless:
        kept = [name for place in places if (name := names[place])]
        also = f", or {leave_out(kept)}" if kept else ""
        raise ValueError(f"column {nameless[0] + 1} has no name; give it one{also}")
    return {names[place]: place for place in places}


def _absent(name: str, wanted: list[str], names: list[str]) -> str:
    """Return what to write instead of a column that doesn't exist."""
    apart = [
        other
        for other in names
        if "," in other and all(part in wanted for part in wanted_columns(other.replace('"', "")))
    ]
    near = get_close_matches(name, names, 1, 0.5)
    hint = f"did you mean {near[0]}?" if near else f"there are {listed(names)}"
    return f"no column {name!r}; {f'a name with a comma is quoted: {option(apart[:1])}' if apart else hint}"


def _of_use(sheet: _Sheet) -> list[int]:
    """Return all columns except empty ones without a name and an index of the rows; note those left out."""
    names = sheet.names
    made_up = [not name or MADE_UP.fullmatch(name) is not None for name in names]
    places = [place for place in range(len(names)) if not (made_up[place] and sheet.columns[place].isna().all())]
    for place in range(len(names)):
        if place not in places:
            sheet.notes.append(f"column {place + 1}, without name and values, left out")
    if len(places) < 2:
        return places
    first, name = sheet.columns[places[0]], names[places[0]]
    counts = _counts(first)
    if (made_up[places[0]] and (counts or _labels(first))) or (counts and name.lower() in INDEXES):
        shown = f"column {name}" if name else "column 1, without a name,"
        sheet.notes.append(f"{shown} {'counts' if counts else 'labels'} the rows: left out")
        return places[1:]
    if counts:
        others = option([names[place] for place in places[1:]])
        sheet.notes.append(f"column {name} counts the rows; if it is their number, leave it out with {others}")
    return places


def _counts(column: "pd.Series[Any]") -> bool:
    """Return whether a column counts the rows, from 0 or from 1."""
    if not pd.api.types.is_integer_dtype(column.dtype) or len(column) < 2 or column.isna().any():
        return False
    return bool(column.iloc[0] in (0, 1) and (column.to_numpy() == column.iloc[0] + np.arange(len(column))).all())


def _labels(column: "pd.Series[Any]") -> bool:
    """Return whether a column without a name has a unique whole number in each row, or holds no numbers."""
    if not holds_numbers(column):
        return True
    return bool(pd.api.types.is_integer_dtype(column.dtype) and column.is_unique)
