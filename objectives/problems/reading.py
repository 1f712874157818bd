"""Reads a CSV or Parquet file of numbers with pandas, and says in one line what is wrong with one that won't do."""

from collections import Counter
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from warnings import catch_warnings, simplefilter

import numpy as np
import pandas as pd

from objectives.problems.problem import Array

NUMBERS = {"boolean", "integer", "floating", "mixed-integer-float", "decimal", "empty"}
LONGEST_LIST = 12


def read_table(data: str, columns: str = "", drop_missing: bool = False) -> tuple[tuple[str, ...], Array, int]:
    """Column names, rows `[n, columns]` and the number of rows dropped, of a file of finite numbers.

    `columns` names those to keep, comma separated, all where empty. Booleans count as 0 and 1. Constant columns and
    short tables pass: the samples of a poor generator may be both.

    Raises:
        ValueError: the file or its content won't do; one line says what, where, and what was expected.
    """
    frame = _selected(data, _frame(data), columns)
    if frame.empty:
        raise ValueError(f"{data}: empty, expected a line of column names and rows of numbers")
    numbers = [name for name in frame.columns if _holds_numbers(frame[name])]
    others = [name for name in frame.columns if name not in numbers]
    if others:
        row, cell = _first_stranger(frame[others[0]])
        raise ValueError(f"{data}: no numbers in {listed(others)} ({cell!r} in row {row}); {leave_out(numbers)}")
    values = np.column_stack([frame[name].to_numpy(dtype=np.float64, na_value=np.nan) for name in numbers])
    infinite = np.isinf(values)
    if infinite.any():
        names = [name for name, found in zip(numbers, infinite.any(axis=0), strict=True) if found]
        raise ValueError(f"{data}: {infinite.sum()} infinite values in {listed(names)}; expected finite numbers")
    missing = np.isnan(values)
    lacking = missing.any(axis=1)
    if lacking.any() and not drop_missing:
        names = [name for name, found in zip(numbers, missing.any(axis=0), strict=True) if found]
        raise ValueError(
            f"{data}: {lacking.sum()} of {len(values)} rows miss a value in {listed(names)}; "
            "fill them in, or leave those rows out with --drop-missing"
        )
    return tuple(numbers), values[~lacking], int(lacking.sum())


def listed(names: Sequence[str]) -> str:
    """The names behind the word column or columns, a long list cut short."""
    shown = ", ".join(names[:LONGEST_LIST]) + (
        f" and {len(names) - LONGEST_LIST} more" if len(names) > LONGEST_LIST else ""
    )
    return f"column{'s' if len(names) > 1 else ''} {shown}"


def leave_out(kept: Sequence[str]) -> str:
    """What to do about columns of no use: keep the others, if there are any."""
    return f"keep the others with --columns {','.join(kept)}" if kept else "expected at least one column of use"


def _frame(data: str) -> pd.DataFrame:
    path, ending = Path(data), Path(data).suffix.lower()
    if ending not in (".csv", ".parquet"):
        raise ValueError(f"{data}: unknown ending {ending!r}, expected .csv or .parquet")
    if not path.is_file():
        raise ValueError(f"{data}: {'a folder, expected a file' if path.is_dir() else 'no such file'}")
    try:
        return _csv(path) if ending == ".csv" else pd.read_parquet(path)
    except pd.errors.EmptyDataError as reason:
        raise ValueError(f"{data}: empty, expected a line of column names and rows of numbers") from reason
    # The readers of both formats raise errors of many kinds, some several lines long; a user needs the file and a line.
    except Exception as reason:
        said = " ".join(str(reason).split())[:200]
        raise ValueError(f"{data}: can't be read as {ending[1:]}: {said}") from reason


def _csv(path: Path) -> pd.DataFrame:
    header = pd.read_csv(path, header=None, nrows=1, dtype=str, keep_default_na=False, skipinitialspace=True)
    with catch_warnings():
        # pandas only warns where rows are longer than the header, and then drops what sticks out.
        simplefilter("error", pd.errors.ParserWarning)
        frame = pd.read_csv(path, index_col=False, skipinitialspace=True, low_memory=False)
    # pandas renames a repeated column in silence, so the names come from the file's own first line.
    frame.columns = pd.Index([str(name) for name in header.iloc[0]])
    return frame


def _selected(data: str, frame: pd.DataFrame, columns: str) -> pd.DataFrame:
    names = [str(name) for name in frame.columns]
    frame = frame.set_axis(names, axis=1)
    repeated = [name for name, count in Counter(names).items() if count > 1 and name]
    if repeated:
        raise ValueError(f"{data}: more than one {listed(repeated)}; expected a name of its own for each")
    if all(_is_number(name) for name in names) and not all(name.lstrip("-").isdigit() for name in names):
        raise ValueError(f"{data}: the first line holds numbers ({', '.join(names)[:80]}), expected column names")
    if len(names) == 1 and any(mark in names[0] for mark in ";\t"):
        raise ValueError(f"{data}: one column named {names[0]!r}, expected commas between columns")
    wanted = [name.strip() for name in columns.split(",")] if columns.strip() else names
    for name in wanted:
        if name not in names:
            near = get_close_matches(name, names, 1, 0.5)
            hint = f"did you mean {near[0]}?" if near else f"there are {listed([other for other in names if other])}"
            raise ValueError(f"{data}: no column {name!r}; {hint}")
        if wanted.count(name) > 1 and name:
            raise ValueError(f"{data}: column {name} asked for twice")
    if "" in wanted:
        kept = leave_out([name for name in names if name])
        raise ValueError(f"{data}: column {names.index('') + 1} has no name (a row index?); {kept}")
    return frame[wanted]


def _holds_numbers(column: "pd.Series[Any]") -> bool:
    if column.dtype == object:
        return pd.api.types.infer_dtype(column, skipna=True) in NUMBERS
    return pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_complex_dtype(column.dtype)


def _first_stranger(column: "pd.Series[Any]") -> tuple[int, str]:
    cells = [
        (row, str(cell))
        for row, cell in enumerate(column, start=1)
        if not pd.api.types.is_scalar(cell) or pd.notna(cell)
    ]
    strangers = [(row, cell) for row, cell in cells if not _is_number(cell)]
    return (strangers or cells)[0]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
