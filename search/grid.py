"""Grids: every point of a space whose keys are fixed, choices, or ranges in steps."""

import itertools
from collections.abc import Iterator
from typing import Any

from search.domain import Choice, Domain, Fixed
from search.errors import InputError


def grid(domains: dict[str, Domain]) -> Iterator[dict[str, Any]]:
    """Every combination of the domains' values, the last key changing first.

    Raises:
        InputError: a range has no steps.
    """
    for chosen in itertools.product(*[_values(key, domain) for key, domain in domains.items()]):
        yield dict(zip(domains, chosen, strict=True))


def _values(key: str, domain: Domain) -> tuple[Any, ...]:
    if isinstance(domain, Fixed | Choice):
        return domain.corners()
    step = domain.step or (1 if isinstance(domain.low, int) and not domain.log else None)
    if step is None:
        raise InputError(f"{key}: a grid needs a list of values, or a range with a step")
    count = round((domain.high - domain.low) / step) + 1
    # Sums of steps may miss the end by a rounding error, and then lie outside the range.
    return tuple(min(domain.low + number * step, domain.high) for number in range(count))
