"""How much this process says: `quiet`, `normal` or `verbose`; and what only embellishes a result, whose errors it says.

Warnings go to the logger "genseek": the command line shows each in one line, and keeps its traceback in a file.
"""

import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

Level = Literal["quiet", "normal", "verbose"]
_level: Level = "normal"
LOGGER = logging.getLogger("genseek")


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


def hush(*loggers: str, below: int = logging.CRITICAL) -> None:
    """Silence what loggers say below a level, unless all is wanted; their errors are raised as well."""
    for name in loggers:
        logging.getLogger(name).setLevel(logging.INFO if verbose() else below)


@contextmanager
def decoration(what: str) -> Iterator[None]:
    """Let a picture, a report, a description or an entry of the registry fail without ending what it embellishes.

    Its error becomes a warning, "WHAT: why", with the traceback in the log.
    """
    try:
        yield
    except Exception as error:
        said = " ".join(str(error).split()) or type(error).__name__
        LOGGER.warning("%s: %s", what, said, exc_info=error)
