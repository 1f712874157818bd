"""Domains: the values that one key of a study may take.

In a study, `key = 3` is fixed, `key = [1, 2, 3]` a choice, and `key = {low = 1, high = 9}` a range, with `log = true`
for a logarithmic one and `step` for a grid.
"""

from dataclasses import dataclass
from typing import Any, final

from search.errors import InputError, unknown
from search.schema import Argument


@final
@dataclass(frozen=True)
class Fixed:
    """One value."""

    value: Any

    def corners(self) -> tuple[Any, ...]:
        """The values at the ends."""
        return (self.value,)

    def __contains__(self, value: object) -> bool:
        return bool(value == self.value)


@final
@dataclass(frozen=True)
class Choice:
    """One of several values, in no order."""

    values: tuple[Any, ...]

    def corners(self) -> tuple[Any, ...]:
        """All values."""
        return self.values

    def __contains__(self, value: object) -> bool:
        return value in self.values


@final
@dataclass(frozen=True)
class Range:
    """Numbers from low to high, both included; whole numbers if both are."""

    low: Any
    high: Any
    log: bool = False
    step: Any = None

    def corners(self) -> tuple[Any, ...]:
        """The smallest and the largest number."""
        return (self.low, self.high)

    def __contains__(self, value: object) -> bool:
        return isinstance(value, int | float) and bool(self.low <= value <= self.high and self.reaches(value))

    def reaches(self, value: float) -> bool:
        """Whether `value` is a whole number of steps above low."""
        steps: float = 0.0 if self.step is None else (value - self.low) / self.step
        return abs(steps - round(steps)) < 1e-9


Domain = Fixed | Choice | Range


def domain_of(argument: Argument, written: Any) -> Domain:
    """Domain that a study writes for `argument`.

    Raises:
        InputError: a wrong type, an empty choice, or a range that can't be.
    """
    if isinstance(written, list):
        if not written:
            raise InputError(f"{argument.name} = []: expected at least one value")
        values = tuple(argument.checked(value) for value in written)
        if len(set(values)) < len(values):
            raise InputError(f"{argument.name} = {written}: a value stands twice")
        return Fixed(values[0]) if len(values) == 1 else Choice(values)
    if isinstance(written, dict):
        return _range(argument, written)
    return Fixed(argument.checked(written))


def _range(argument: Argument, written: dict[str, Any]) -> Domain:
    if argument.kind not in (int, float):
        raise InputError(f"{argument.name}: a range needs numbers; write a list of values instead")
    for key in written:
        if key not in ("low", "high", "log", "step"):
            raise InputError(f"{argument.name}: {unknown('key', key, ('low', 'high', 'log', 'step'))}")
    if not {"low", "high"} <= written.keys():
        raise InputError(f"{argument.name}: a range needs low and high")
    low, high = argument.checked(written["low"]), argument.checked(written["high"])
    log, step = written.get("log", False), written.get("step")
    if not isinstance(log, bool):
        raise InputError(f"{argument.name}: log = {log!r}: expected true or false")
    if step is not None:
        step = argument.checked(step)
        if step <= 0:
            raise InputError(f"{argument.name}: step = {step}: expected a number above 0")
    if not low < high:
        raise InputError(f"{argument.name}: low = {low} must be below high = {high}")
    if log and (low <= 0 or step is not None):
        raise InputError(f"{argument.name}: a logarithmic range needs low above 0 and no step")
    domain = Range(low, high, log, step)
    if not domain.reaches(high):
        raise InputError(f"{argument.name}: high = {high} can't be reached from low = {low} in steps of {step}")
    return domain
