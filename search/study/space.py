"""The space that a study searches: the typed arguments of a class, a domain for each, and their grid."""

import inspect
import math
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, final

from search.errors import StudyError, unknown_name

NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "a word in quotes"}


@dataclass(frozen=True, kw_only=True)
class Argument:
    """One keyword argument: its name, type (bool, int, float or str), allowed words (if any) and default."""

    name: str
    kind: type
    words: tuple[str, ...]
    default: Any

    def checked(self, value: Any) -> Any:
        """`value` as this argument's type (an int may stand for a float).

        Raises:
            StudyError: wrong type, not finite, or a word that isn't allowed.
        """
        if self.kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if type(value) is not self.kind:
            raise StudyError(f"{self.name} = {value!r}: expected {NAMES[self.kind]}")
        if isinstance(value, float) and not math.isfinite(value):
            raise StudyError(f"{self.name} = {value}: expected a finite number")
        if self.words and value not in self.words:
            raise StudyError(f"{self.name}: {unknown_name('value', str(value), self.words)}")
        return value


def arguments_of(constructor: Callable[..., Any]) -> dict[str, Argument]:
    """Arguments that a study may set, by name: the constructor's parameters that have a default."""
    function = constructor.__init__ if inspect.isclass(constructor) else constructor
    hints = typing.get_type_hints(function)
    arguments = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.default is inspect.Parameter.empty:
            continue
        literal = typing.get_origin(hints[name]) is Literal
        words = typing.get_args(hints[name]) if literal else ()
        arguments[name] = Argument(
            name=name, kind=str if literal else hints[name], words=words, default=parameter.default
        )
    return arguments


def checked_arguments(constructor: Callable[..., Any], values: dict[str, Any]) -> dict[str, Any]:
    """`values` checked against the constructor's arguments.

    Raises:
        StudyError: an unknown key or a value of the wrong type.
    """
    arguments = arguments_of(constructor)
    for name in values:
        if name not in arguments:
            raise StudyError(unknown_name("key", name, arguments))
    return {name: arguments[name].checked(value) for name, value in values.items()}


@final
@dataclass(frozen=True)
class Fixed:
    """One value."""

    value: Any

    def extremes(self) -> tuple[Any, ...]:
        """The values at the ends."""
        return (self.value,)

    def __contains__(self, value: object) -> bool:
        return bool(value == self.value)


@final
@dataclass(frozen=True)
class Choice:
    """One of several values, in no order."""

    values: tuple[Any, ...]

    def extremes(self) -> tuple[Any, ...]:
        """All values."""
        return self.values

    def __contains__(self, value: object) -> bool:
        return value in self.values


@final
@dataclass(frozen=True, kw_only=True)
class Range:
    """Numbers from low to high, both included; whole numbers if both are."""

    low: Any
    high: Any
    log: bool = False
    step: Any = None

    def extremes(self) -> tuple[Any, ...]:
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
        StudyError: a wrong type, an empty choice, or a range that can't be.
    """
    if isinstance(written, list):
        if not written:
            raise StudyError(f"{argument.name} = []: expected at least one value")
        values = tuple(argument.checked(value) for value in written)
        if len(set(values)) < len(values):
            raise StudyError(f"{argument.name} = {written}: a value stands twice")
        return Fixed(values[0]) if len(values) == 1 else Choice(values)
    if isinstance(written, dict):
        return _range(argument, written)
    return Fixed(argument.checked(written))


def _range(argument: Argument, written: dict[str, Any]) -> Domain:
    if argument.kind not in (int, float):
        raise StudyError(f"{argument.name}: a range needs numbers; write a list of values instead")
    for key in written:
        if key not in ("low", "high", "log", "step"):
            raise StudyError(f"{argument.name}: {unknown_name('key', key, ('low', 'high', 'log', 'step'))}")
    if not {"low", "high"} <= written.keys():
        raise StudyError(f"{argument.name}: a range needs low and high")
    low, high = argument.checked(written["low"]), argument.checked(written["high"])
    log, step = written.get("log", False), written.get("step")
    if not isinstance(log, bool):
        raise StudyError(f"{argument.name}: log = {log!r}: expected true or false")
    if step is not None:
        step = argument.checked(step)
        if step <= 0:
            raise StudyError(f"{argument.name}: step = {step}: expected a number above 0")
    if not low < high:
        raise StudyError(f"{argument.name}: low = {low} must be below high = {high}")
    if log and (low <= 0 or step is not None):
        raise StudyError(f"{argument.name}: a logarithmic range needs low above 0 and no step")
    domain = Range(low=low, high=high, log=log, step=step)
    if not domain.reaches(high):
        raise StudyError(f"{argument.name}: high = {high} can't be reached from low = {low} in steps of {step}")
    return domain


def values_of(key: str, domain: Domain) -> tuple[Any, ...]:
    """All values of a domain.

    Raises:
        StudyError: it is a range without steps.
    """
    if isinstance(domain, Fixed | Choice):
        return domain.extremes()
    step = domain.step or (1 if isinstance(domain.low, int) else None)
    if step is None:
        raise StudyError(f"{key}: a grid needs a list of values, or a range with a step")
    # Sums of steps may miss the end by a rounding error, and then lie outside the range.
    return tuple(min(domain.low + number * step, domain.high) for number in range(int(count_of(domain))))


def count_of(domain: Domain) -> float:
    """How many values a domain has; infinite where it is continuous."""
    if isinstance(domain, Fixed | Choice):
        return len(domain.extremes())
    step = domain.step or (1 if isinstance(domain.low, int) else None)
    return math.inf if step is None else round((domain.high - domain.low) / step) + 1
