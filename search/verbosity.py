"""How much this process says: `quiet`, `normal` or `verbose`."""

import logging
import traceback
from typing import Literal

Level = Literal["quiet", "normal", "verbose"]
_level: Level = "normal"


def choose(level: Level) -> None:
    """Say so much from here on."""
    global _level
    _level = level


def quiet() -> bool:
    """Whether only errors and results are wanted."""
    return _level == "quiet"


def verbose() -> bool:
    """Whether what Ray, Optuna and MLflow say is wanted, and tracebacks."""
    return _level == "verbose"


def show_traceback() -> None:
    """Show, if all is wanted, the error that is being handled: it's told in few words, or not at all."""
    if verbose():
        traceback.print_exc()


def hush(*loggers: str) -> None:
    """Silence loggers whose errors are raised as well, and told in one line, unless all is wanted."""
    for name in loggers:
        logging.getLogger(name).setLevel(logging.INFO if verbose() else logging.CRITICAL)
