"""How much this process prints: `quiet`, `normal` or `verbose`; and warnings for optional steps that fail.

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
    """Set how much is printed from here on."""
    global _level
    _level = level


def quiet() -> bool:
    """Return whether to print only errors and results."""
    return _level == "quiet"


def verbose() -> bool:
    """Return whether to print tracebacks, and the output of Ray, Optuna and MLflow."""
    return _level == "verbose"


def show_traceback() -> None:
    """Print the traceback of the error that is being handled, if verbose."""
    if verbose():
        traceback.print_exc()


def hush(*loggers: str, below: int = logging.CRITICAL) -> None:
    """Silence loggers below a level, unless verbose. Their errors are raised as well."""
    for name in loggers:
        logging.getLogger(name).setLevel(logging.INFO if verbose() else below)


@contextmanager
def decoration(what: str) -> Iterator[None]:
    """Let an optional step (a picture, a report, a description, a registration) fail without ending the search.

    The error becomes a warning, "WHAT: why", with the traceback in the log.
    """
    try:
        yield
    except Exception as error:
        said = " ".join(str(error).split()) or type(error).__name__
        LOGGER.warning("%s: %s", what, said, exc_info=error)
