"""The errors of genseek: each is one line that says what, where, what was expected, and the nearest valid name."""

import difflib
import re
from collections.abc import Iterable


class GenseekError(Exception):
    """Base class of all errors that a user can cause or cure; the command line ends with exit code 2."""


class StudyError(GenseekError):
    """The user's input is wrong: a study, an option, an argument, a name or a plug-in."""


class DataError(GenseekError):
    """Rows are not what was expected: a table can't be read or judged, or has changed."""


class StoreError(GenseekError):
    """A store, a folder of checkpoints, an export or another file can't be read or written."""


class ClusterError(GenseekError):
    """Ray can't be started, a cluster can't be joined, or it lacks what a trainer needs."""


class TrainingError(GenseekError):
    """The trainers keep dying, whatever they train; the command line ends with exit code 1."""


def unknown_name(what: str, name: str, known: Iterable[str]) -> str:
    """Say that `name` isn't a known `what`, and name the nearest valid one, or all of them if none is near.

    Examples:
        >>> unknown_name("score", "kendal", ["ad", "kendall"])
        "unknown score 'kendal'; did you mean 'kendall'?"
    """
    names = list(known)
    near = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names) or 'none'}"
    return f"unknown {what} {name!r}; {hint}"


def redact_credentials(text: str) -> str:
    """Return the text without the passwords of its URIs, so that it can be shown and recorded.

    Examples:
        >>> redact_credentials("postgresql://ann:secret@host/db?token=x")
        'postgresql://ann:***@host/db?token=***'
    """
    masked = re.sub(r"(://[^/@:\s]*):[^/@\s]*@", r"\1:***@", text)
    return re.sub(r"([?&]\w*(?:password|secret|token)\w*=)[^&\s]*", r"\1***", masked)
