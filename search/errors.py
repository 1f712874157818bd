"""A user's mistakes, told in one line: what, where, what was expected, and the nearest valid name."""

import difflib
import re
from collections.abc import Iterable


class InputError(Exception):
    """A user's mistake; its message is one line, and the command line ends with exit code 2."""


class TrainingError(Exception):
    """What ends a search that nobody ended: its trainers die. One line; the command line ends with exit code 1."""


def unknown_name(what: str, name: str, known: Iterable[str]) -> str:
    """Sentence that `name` isn't a known `what`, with the nearest valid name, or all of them if none is near."""
    names = list(known)
    near = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names) or 'none'}"
    return f"unknown {what} {name!r}; {hint}"


def redact_credentials(text: str) -> str:
    """Text without the passwords of its URIs, as it may be shown and recorded."""
    masked = re.sub(r"(://[^/@:\s]*):[^/@\s]*@", r"\1:***@", text)
    return re.sub(r"([?&]\w*(?:password|secret|token)\w*=)[^&\s]*", r"\1***", masked)
