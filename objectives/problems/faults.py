"""Checks columns of numbers, and reports all faults of all columns at once in one line with a cure."""

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from objectives.problems.names import leave_out, listed, option
from objectives.problems.numerals import DRESSED, NUMERAL, SIGNS
from objectives.problems.problem import Array

Columns: TypeAlias = "Mapping[str, pd.Series[Any]]"
Mask: TypeAlias = NDArray[np.bool_]
Texts: TypeAlias = Callable[[str], Sequence[str] | None]

NUMBERS = {"boolean", "integer", "floating", "mixed-integer-float", "decimal", "empty"}
FEW = 0.05  # largest share of cells without numbers that are worth correcting; with more, the column isn't numeric
EXACT = 2.0**53  # float64 represents all whole numbers up to here
LARGEST, CLOSEST = (
    1e100,
    1e-100,
)  # of values and of their differences, so that sums of squares fit in float64


def holds_numbers(column: "pd.Series[Any]") -> bool:
    """Return whether a column holds real numbers that need no conversion."""
    if column.dtype == object:
        return pd.api.types.infer_dtype(column, skipna=True) in NUMBERS
    return pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_complex_dtype(column.dtype)


def floats(column: "pd.Series[Any]") -> Array:
    """Return a column of numbers as float64, nan for missing values."""
    return np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan))


def check_columns(columns: Columns, texts: Texts, drop_missing: bool, varied: bool) -> None:
    """Check that columns hold finite numbers and, if rows must be `varied`, that none is constant.

    `texts` are the cells of columns that were read from text.

    Raises:
        ValueError: the faults of all columns, and how to leave these columns out.
    """
    said: list[str] = []
    cures: list[str] = []
    bad: set[str] = set()

    def fault(words: str, names: Sequence[str], cure: str = "") -> None:
        if names:
            said.append(words)
            bad.update(names)
            if cure:
                cures.append(cure)

    strange = [name for name, column in columns.items() if not holds_numbers(column)]
    for name in strange:
        cells = _cells(columns[name])
        few = [cell for cell in cells if not _is_number(cell[1])]
        if signed := _signed(cells):
            signs, (row, cell) = signed
            fault(f"{signs} in column {name} ({cell!r} in row {row})", [name], "write bare numbers")
        elif few and len(few) <= FEW * len(cells):
            row, cell = few[0]
            fault(f"no number in row {row} of column {name} ({cell!r})", [name], "mend that row")
    if others := [name for name in strange if name not in bad]:
        cells = _cells(columns[others[0]])
        row, cell = next((each for each in cells if not _is_number(each[1])), cells[0])
        fault(f"no numbers in {listed(others)} ({cell!r} in row {row})", others)
    values = {name: floats(column) for name, column in columns.items() if name not in bad}
    empty = [name for name, column in values.items() if np.isnan(column).all()]
    fault(f"no value at all in {listed(empty)}", empty)
    infinite = [name for name, column in values.items() if np.isinf(column).any()]
    for name in infinite:
        if cell := next((cell for cell in texts(name) or () if _beyond(cell)), ""):
            fault(f"numbers beyond float64 in column {name} ({cell})", [name], f"divide {name} by {_power(cell)}")
    infinite = [name for name in infinite if name not in bad]
    count = sum(int(np.isinf(values[name]).sum()) for name in infinite)
    fault(f"{count} infinite value{'s' if count > 1 else ''} in {listed(infinite)}", infinite, "mend them")
    values = {name: column for name, column in values.items() if name not in bad}
    constant = _constant(values, drop_missing) if varied else []
    for name, column in values.items():
        if lost := _lost(columns[name], column, texts(name) if _suspect(column, name in constant) else None):
            least, example = lost
            words = f"numbers in column {name}, such as {example}, that float64 can't tell apart"
            cure = f"subtract {least} from each of {name}"
            fault(words, [name], f"divide {name} by {_power(example)}" if not np.nanmax(np.abs(column)) else cure)
    constant = [name for name in constant if name not in bad]
    gaps = [] if drop_missing else [name for name in constant if np.isnan(values[name]).any()]
    fault(f"every row with a value has the same one in {listed(gaps)}", gaps)
    constant = [name for name in constant if name not in gaps]
    fault(f"every row has the same value in {listed(constant)}", constant)
    if said:
        kept = [name for name in columns if name not in bad]
        cure = ", or ".join([*dict.fromkeys(cures), *([leave_out(kept)] if kept or not cures else [])])
        raise ValueError(f"{', '.join(said)}; {cure}")


def complete_rows(names: Sequence[str], values: Array, drop_missing: bool, least: int) -> Array:
    """Return the rows `[n, columns]` without missing values.

    Raises:
        ValueError: a value is missing and `drop_missing` is off, or fewer than `least` rows are left.
    """
    missing: Mask = np.isnan(values)
    lacking: Mask = np.asarray(missing.any(axis=1))
    count, left = int(lacking.sum()), int((~lacking).sum())
    cures = _fuller(names, missing, least) if count and left < least else ""
    if count and not drop_missing:
        short = [name for place, name in enumerate(names) if missing[:, place].any()]
        cure = f", or {cures}" if cures else ", or leave those rows out with --drop-missing" if left >= least else ""
        raise ValueError(f"{count} of {len(values)} rows miss a value in {listed(short)}; fill them in{cure}")
    if left < least:
        after = f" after {count} with missing values were dropped" if count else ""
        said = f"{left} row{'' if left == 1 else 's'}{after}, expected at least {least}"
        raise ValueError(f"{said}; {cures}" if cures else said)
    return np.asarray(values[~lacking])


def check_scale(names: Sequence[str], rows: Array) -> None:
    """Check that the squares of values and of their differences fit in float64.

    Raises:
        ValueError: they don't fit; the error says by what to divide or multiply which column.
    """
    top = np.abs(rows).max(axis=0)
    large = [place for place in range(len(names)) if top[place] > LARGEST]
    if large:
        cures = [f"divide {names[place]} by 1e{int(np.log10(top[place]))}" for place in large]
        raise ValueError(
            f"values as large as {top[large].max():.4g} in {listed([names[place] for place in large])}, which float64 "
            f"can't square; {', '.join(cures)}"
        )
    spread = rows.max(axis=0) - rows.min(axis=0)
    close = [place for place in range(len(names)) if 0 < spread[place] < CLOSEST]
    if close:
        cures = [f"multiply {names[place]} by 1e{min(300, -int(np.floor(np.log10(spread[place]))))}" for place in close]
        raise ValueError(
            f"values that differ by {spread[close].min():.4g} at most in {listed([names[place] for place in close])}, "
            f"which float64 can't square; {', '.join(cures)}"
        )


def _constant(values: Mapping[str, Array], drop_missing: bool) -> list[str]:
    """Return the names of columns that are constant in the rows that will be left."""
    if not values:
        return []
    missing: Mask = np.asarray(np.isnan(np.column_stack(list(values.values()))).any(axis=1))
    rows = np.flatnonzero(~missing) if drop_missing and not missing.all() else np.arange(len(missing))
    return [name for name, column in values.items() if np.nanmin(column[rows]) == np.nanmax(column[rows])]


def _beyond(cell: str) -> bool:
    """Return whether a cell holds a number that float64 takes for infinite."""
    return _is_number(cell) and cell[-1].isdecimal() and bool(np.isinf(float(cell)))


def _power(cell: str) -> str:
    return f"1e{Decimal(cell).adjusted()}"


def _suspect(column: Array, constant: bool) -> bool:
    return constant or bool((np.abs(column[np.isfinite(column)]) >= EXACT).any())


def _lost(column: "pd.Series[Any]", values: Array, texts: Sequence[str] | None) -> tuple[str, str] | None:
    """Return what to subtract, and an example, if different values of a column are equal in float64."""
    here: Mask = np.isfinite(values)
    if texts is None and column.dtype != object and (column.dtype.kind == "f" or not _suspect(values, False)):
        return None
    cells = [str(cell) for cell, there in zip(column if texts is None else texts, here, strict=True) if there]
    whole = [int(cell) for cell in cells if re.fullmatch(r"[+-]?\d+", cell)]
    for value in whole:
        if int(float(value)) != value:
            return str(min(whole)), f"{value}"
    if np.unique(values[here]).size > 1 or len(set(cells)) < 2:
        return None
    exact = dict.fromkeys(Decimal(cell) for cell in cells if NUMERAL.fullmatch(cell))
    return (str(min(exact)), str(max(exact))) if len(exact) > 1 else None


def _fuller(names: Sequence[str], missing: Mask, least: int) -> str:
    """Return which columns to keep so that enough rows are complete; empty if that doesn't help."""
    order = list(np.argsort(missing.sum(axis=0), kind="stable"))
    while order:
        lacking: Mask = np.asarray(missing[:, order].any(axis=1))
        if len(lacking) - int(lacking.sum()) >= least:
            kept = option([names[place] for place in sorted(order)])
            return f"keep fuller columns with {kept}" + (" --drop-missing" if lacking.any() else "")
        order.pop()
    return ""


def _cells(column: "pd.Series[Any]") -> list[tuple[int, str]]:
    """Return row numbers, from 1, and the cells that aren't missing."""
    return [
        (row, str(cell))
        for row, cell in enumerate(column, start=1)
        if not pd.api.types.is_scalar(cell) or pd.notna(cell)
    ]


def _signed(cells: Sequence[tuple[int, str]]) -> tuple[str, tuple[int, str]] | None:
    """Return which sign stands beside the numbers, and the first such cell, if all cells are numbers with signs."""
    if not all(DRESSED.fullmatch(cell.strip()) for _, cell in cells):
        return None
    found = ((words, cell) for cell in cells for pattern, words in SIGNS if pattern.search(cell[1].strip()))
    return next(found, None)


def _is_number(text: str) -> bool:
    return NUMERAL.fullmatch(text.strip()) is not None
