"""The schema of a registered class: the typed, defaulted keyword arguments of its constructor."""

import inspect
import math
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from search.errors import InputError, unknown


@dataclass(frozen=True)
class Argument:
    """One keyword argument: its name, type (bool, int, float or str), allowed words (if any) and default."""

    name: str
    kind: type
    words: tuple[str, ...]
    default: Any

    def checked(self, value: Any) -> Any:
        """`value` as this argument's type (an int may stand for a float).

        Raises:
            InputError: wrong type, not finite, or a word that isn't allowed.
        """
        if self.kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if type(value) is not self.kind:
            raise InputError(f"{self.name} = {value!r}: expected {NAMES[self.kind]}")
        if isinstance(value, float) and not math.isfinite(value):
            raise InputError(f"{self.name} = {value}: expected a finite number")
        if self.words and value not in self.words:
            raise InputError(f"{self.name}: {unknown('value', str(value), self.words)}")
        return value


NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "a word in quotes"}


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
        arguments[name] = Argument(name, str if literal else hints[name], words, parameter.default)
    return arguments


def checked_arguments(constructor: Callable[..., Any], values: dict[str, Any]) -> dict[str, Any]:
    """`values` checked against the constructor's arguments.

    Raises:
        InputError: an unknown key or a value of the wrong type.
    """
    arguments = arguments_of(constructor)
    for name in values:
        if name not in arguments:
            raise InputError(unknown("key", name, arguments))
    return {name: arguments[name].checked(value) for name, value in values.items()}
