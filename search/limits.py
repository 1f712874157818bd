"""MLflow's limits: how much one batch takes, and how long a parameter's value may be.

A batch takes 1,000 metrics, parameters and tags in all, 100 parameters and 100 tags at most.
"""

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any

MOST_METRICS, MOST_PARAMS = 800, 100
MOST_LETTERS = 500  # of a parameter's value, in some stores


def batches(
    metrics: Sequence[Any], params: Sequence[Any], tags: Sequence[Any]
) -> Iterator[tuple[Sequence[Any], Sequence[Any], Sequence[Any]]]:
    """Metrics, parameters and tags of each batch."""
    parts = (_parts(metrics, MOST_METRICS), _parts(params, MOST_PARAMS), _parts(tags, MOST_PARAMS))
    yield from zip_longest(*parts, fillvalue=[])


def shortened(value: str) -> str:
    """`value`, cut where it is too long."""
    return value if len(value) <= MOST_LETTERS else f"{value[: MOST_LETTERS - 3]}..."


def _parts(items: Sequence[Any], most: int) -> list[Sequence[Any]]:
    return [items[start : start + most] for start in range(0, len(items), most)]
