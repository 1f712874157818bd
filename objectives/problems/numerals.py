"""Reads numbers as people write them, with decimal commas and grouped thousands, if they are unambiguous."""

import re
from collections.abc import Mapping, Sequence
from math import nan

MARKS = frozenset({"-", "--", ".", "..", "?", "n.a.", "N.A.", "na"})  # marks of missing values that pandas doesn't know
MISSING = MARKS | {
    *("", "NA", "N/A", "n/a", "nan", "-nan", "NaN", "-NaN", "NULL", "null", "None", "none", "<NA>", "#N/A", "#NA"),
    *("#N/A N/A", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"),
}
SIGN, POWER, BLANK = "[+\\-\u2212]?", r"(?:[eE][+-]?\d+)?", " \u00a0\u202f'\u2019"
POINT = re.compile(
    rf"{SIGN}(?:(?:\d+|[1-9]\d{{0,2}}(?:,\d{{3}})+|[1-9]\d{{0,2}}(?:[{BLANK}]\d{{3}})+)(?:\.\d*)?|\.\d+){POWER}"
)
COMMA = re.compile(
    rf"{SIGN}(?:(?:\d+|[1-9]\d{{0,2}}(?:\.\d{{3}})+|[1-9]\d{{0,2}}(?:[{BLANK}]\d{{3}})+)(?:,\d*)?|,\d+){POWER}"
)
PLAIN = {
    mark: str.maketrans({mark: ".", other: None, "\u2212": "-"} | dict.fromkeys(BLANK)) for mark, other in (".,", ",.")
}
WORDS = r"(?i:true|false|[+-]?inf(?:inity)?)"
CURRENCY, PERCENT = "[$\u20ac\u00a3\u00a5\u20b9]", "[%\u2030]"
NUMERAL = re.compile(
    rf"{SIGN}(?:{CURRENCY}\s?)?(?:{POINT.pattern}|{COMMA.pattern}|{WORDS})(?:\s?(?:{CURRENCY}|{PERCENT}))?"
)
DRESSED = re.compile(rf"\(?(?:{NUMERAL.pattern})\)?(?:\s?[A-Za-z]{{1,4}})?")
SIGNS = (
    (re.compile(PERCENT), "percent signs"),
    (re.compile(CURRENCY), "currency signs"),
    (re.compile(r"\("), "parentheses"),
    (re.compile("[A-Za-z]$"), "units"),
)


def value_of(cell: str) -> float:
    """Return the number in a cell, by the best guess at its decimal mark; nan if there is none."""
    digits = re.sub(r"[^\d.,eE+\-]", "", cell.replace("\u2212", "-"))
    if digits.rfind(",") > digits.rfind("."):
        digits = digits.replace(".", "").replace(",", ".", 1)
    try:
        return float(digits.replace(",", ""))
    except ValueError:
        return nan


def plain(
    columns: Mapping[int, Sequence[str]], names: Sequence[str], notes: list[str], grouped: bool = False
) -> dict[int, list[str]]:
    """Return the cells of those columns that hold only numbers, as Python writes numbers.

    A cell may show whether its decimal mark is a comma ('1,5', '1.234,5') or a point ('1.5', '1,234.5'). '1,234' and
    '1.234' are read like the other columns. If no column shows a mark, points are decimal, unless they may be `grouped`
    thousands and the column also has numbers without a point.

    Raises:
        ValueError: a number remains ambiguous.
    """
    marks: dict[int, str] = {}
    doubtful: dict[int, str] = {}
    sure = set()
    for place, cells in columns.items():
        point, comma = _all(POINT, cells), _all(COMMA, cells)
        cell = next((cell for cell in cells if "," in cell or "." in cell), None) if point and comma else None
        if cell is not None:
            doubtful[place] = cell
        elif point or comma:
            marks[place] = "." if point else ","
            sure |= {marks[place]} if point != comma else set()
    commas = [place for place, cell in doubtful.items() if "," in cell]
    if doubtful and (len(sure) > 1 or (not sure and commas)):
        place = next(iter(commas or doubtful))
        decimal, whole = (doubtful[place].replace(",", mark).replace(".", mark) for mark in (".", ""))
        raise ValueError(
            f"column {names[place]}: {doubtful[place]!r} may be {decimal} or {whole}; write decimals with a point, and "
            "thousands without a mark"
        )
    if doubtful and grouped and not sure:
        for place, cell in doubtful.items():
            if sum("." in cell for cell in columns[place]) < len(columns[place]):  # for example 923 beside 1.234
                raise ValueError(
                    f"column {names[place]}: {cell!r} may be {cell} or {cell.replace('.', '')}; write thousands "
                    "without a mark, or three decimals in all cells"
                )
        cell = next(iter(doubtful.values()))
        notes.append(f"decimal points: {cell} is not read as {cell.replace('.', '')}")
    marks |= dict.fromkeys(doubtful, next(iter(sure), "."))
    found = {place: [cell.translate(PLAIN[mark]) for cell in columns[place]] for place, mark in marks.items()}
    for words, mark, sign in (
        ("decimal commas", ",", ","),
        ("thousands in groups", ".", f"[,{BLANK}]"),
        ("thousands in groups", ",", f"[.{BLANK}]"),
    ):
        _note(
            words,
            re.compile(sign),
            {place: columns[place] for place in found if marks[place] == mark},
            found,
            notes=notes,
        )
    return found


def _all(pattern: re.Pattern[str], cells: Sequence[str]) -> bool:
    return all(map(pattern.fullmatch, cells))


def _note(
    words: str,
    sign: re.Pattern[str],
    columns: Mapping[int, Sequence[str]],
    found: Mapping[int, Sequence[str]],
    *,
    notes: list[str],
) -> None:
    """Add a note with an example of a notation that was read, if there is one."""
    for place, cells in columns.items():
        for cell, read in zip(cells, found[place], strict=True):
            if sign.search(cell):
                notes.append(f"{words}: {cell} is read as {read}")
                return
