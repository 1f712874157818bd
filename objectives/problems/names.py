"""Names of columns: cleaning them, and writing and reading them as `--columns` does."""

import csv
import io
import re
import shlex
from collections.abc import Sequence

LONGEST_LIST = 12
LONGEST_NAME = 60
BREAKS = re.compile(r"[\s\ufeff]*[\x00-\x1f\x7f\x85\u2028\u2029][\s\x00-\x1f\x7f\ufeff]*")
MADE_UP = re.compile(r"Unnamed: \d+(_level_\d+)?|__index_level_\d+__")  # pandas' placeholders for a missing name


def clean(name: object) -> str:
    """Return a name on one line, without blanks at its ends; a name of several levels is joined."""
    levels = name if isinstance(name, tuple) else (name,)
    joined = " ".join(text for level in levels if (text := BREAKS.sub(" ", str(level)).strip(" \ufeff").strip()))
    return joined.strip("\ufeff")


def wanted_columns(columns: str) -> list[str]:
    """Return the names in a line of CSV, as in `--columns` and a study's key `columns`; none if it is blank.

    Raises:
        ValueError: it isn't a line of CSV.
    """
    try:
        lines = list(csv.reader(io.StringIO(columns.strip(), newline=""), skipinitialspace=True, strict=True))
    except csv.Error as error:
        raise ValueError(
            f"columns {columns!r}: expected names as a line of CSV, such as a,b; a name with a comma or a quotation "
            "mark stands in double quotes, the mark doubled"
        ) from error
    return [clean(name) for line in lines for name in line]


def option(names: Sequence[str]) -> str:
    """Return `--columns NAMES`, quoted for a shell."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(names)
    words = shlex.quote(line.getvalue())
    return f"--columns={words}" if line.getvalue().startswith("-") else f"--columns {words}"


def listed(names: Sequence[str]) -> str:
    """Return the names after the word column or columns; a long list and long names are cut."""
    cut = [name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 3]}..." for name in names[:LONGEST_LIST]]
    shown = ", ".join(cut) + (f" and {len(names) - LONGEST_LIST} more" if len(names) > LONGEST_LIST else "")
    return f"column{'s' if len(names) > 1 else ''} {shown}"


def leave_out(kept: Sequence[str]) -> str:
    """Return how to leave out the unusable columns: keep the others, if there are any."""
    return f"keep the others with {option(kept)}" if kept else "expected at least one column of use"
