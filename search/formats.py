"""The form of what genseek writes to disk: valid JSON that says its format, and is refused in another one."""

import json
import math
from collections.abc import Mapping
from typing import Any

from search.errors import StoreError

FORMAT = 1  # of journals, records, checkpoints and exports; it grows when what they hold changes
_WORDS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def json_text(value: Any, indent: int | None = 2) -> str:
    """Return the JSON of a value, with null for every number that isn't finite.

    Examples:
        >>> json_text({"misfit": float("inf"), "trial": 3}, indent=None)
        '{"misfit": null, "trial": 3}'
    """
    return json.dumps(finite(value), indent=indent, allow_nan=False)


def finite(value: Any) -> Any:
    """Return a value with None instead of every number that isn't finite."""
    return _mapped(value, lambda number: number if math.isfinite(number) else None)


def spelled(value: Any) -> Any:
    """Return a value with a word instead of every number that isn't finite, such as "NaN"."""
    return _mapped(value, lambda number: number if math.isfinite(number) else json.dumps(number))


def unspelled(value: Any) -> Any:
    """Return a value that `spelled` has written as it was."""
    if isinstance(value, dict):
        return {key: unspelled(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [unspelled(entry) for entry in value]
    return _WORDS.get(value, value) if isinstance(value, str) else value


def check_format(written: Mapping[str, Any], what: str, cure: str) -> None:
    """See that something says the format that this genseek reads.

    Raises:
        StoreError: it says another, or none.
    """
    found = written.get("format", 0)
    if str(found) != str(FORMAT):
        age = "a later" if str(found).isdecimal() and int(found) > FORMAT else "an earlier"
        raise StoreError(f"{what} has format {found}, of {age} genseek, and this one reads format {FORMAT}; {cure}")


def _mapped(value: Any, change: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _mapped(entry, change) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_mapped(entry, change) for entry in value]
    return change(value) if isinstance(value, float) else value
