"""JSON as others can read it: what isn't a finite number is null."""

import json
import math
from typing import Any


def json_text(value: Any, indent: int | None = 2) -> str:
    """JSON of a value, with null for what JSON has no number for."""
    return json.dumps(finite(value), indent=indent, allow_nan=False)


def finite(value: Any) -> Any:
    """A value with None instead of every number that isn't finite."""
    if isinstance(value, dict):
        return {key: finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
