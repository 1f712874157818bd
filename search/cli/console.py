"""How every command prints, fails and ends."""

import functools
import inspect
import logging
import os
import re
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO, final

import typer
from rich.console import Console
from rich.text import Text

from search.errors import GenseekError, StudyError, TrainingError, unknown_name
from search.formats import json_text
from search.log import LOGGER, choose, quiet, show_traceback, verbose
from search.text import visible

if TYPE_CHECKING:
    from search.record.store import Store

WIDE = 120  # columns of a file or a pipe
UNREAD = 141  # exit code where the reader of the output has gone, as shells have it of the signal
LOG = "genseek.log"  # in the store's folder
_answers: list[str] | None = None  # JSON that waits until standard output is free again
_lost = ""  # why not all could be written on standard output
ENDED = 130  # by Ctrl-C, as shells have it


@final
class Printer(Console):
    """A console that prints letter by letter, without markup, and in silence where nobody reads any more.

    It's as wide as its terminal or COLUMNS, and elsewhere wide enough for the names in tables.
    """

    def __init__(self, stderr: bool = False, silent: bool = False) -> None:
        narrow = (sys.stderr if stderr else sys.stdout).isatty() or os.environ.get("COLUMNS")
        width = None if narrow else WIDE
        super().__init__(stderr=stderr, quiet=silent, width=width, markup=False, emoji=False, highlight=False)

    def print(self, *objects: Any, **options: Any) -> None:
        """Print, as Rich does; what can't be written goes nowhere, and the command does its work."""
        try:
            super().print(*objects, **options)
        except OSError as error:
            lose(sys.stderr if self.stderr else sys.stdout, error)

    def on_broken_pipe(self) -> None:
        """Let what is still to come go nowhere, and the command do its work."""
        drop(sys.stderr if self.stderr else sys.stdout)

    def say(self, *parts: str | tuple[str, str]) -> None:
        """Print one line of text, and of text with its style, whatever it holds and however narrow the terminal is."""
        shown = [(visible(each), "") if isinstance(each, str) else (visible(each[0]), each[1]) for each in parts]
        self.print(Text.assemble(*shown), soft_wrap=True)

    def warn(self, text: str) -> None:
        """Print a warning in one line."""
        self.say(("warning:", "yellow"), f" {text}")


class _Warnings(logging.Handler):
    """Shows each warning in one line on standard error, and keeps its traceback in the log of the open store."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
        self.folder: Path | None = None

    def emit(self, record: logging.LogRecord) -> None:
        said, whole = record.getMessage(), self.format(record)
        try:
            if self.folder is not None:
                with (self.folder / LOG).open("a", encoding="utf-8") as file:
                    file.write(f"{whole}\n")
                said += f" (more in {self.folder / LOG})"
        except OSError:
            pass  # a store that can't be written
        console = Printer(stderr=True, silent=quiet())
        console.warn(said)
        if verbose():
            console.print(whole, soft_wrap=True)


_warnings = _Warnings()


@contextmanager
def warnings_shown() -> Iterator[None]:
    """Show what genseek's logger warns of, and nowhere else."""
    _warnings.folder, before = None, LOGGER.propagate
    LOGGER.addHandler(_warnings)
    LOGGER.propagate = False
    try:
        yield
    finally:
        LOGGER.removeHandler(_warnings)
        LOGGER.propagate = before


def tell(error: str) -> None:
    """Print a mistake in one line on standard error."""
    Printer(stderr=True).say(("error:", "bold red"), f" {error}")


def results(as_json: bool) -> Printer:
    """Where tables of results go: standard error if JSON has the other, and nowhere if JSON is all that is wanted."""
    return Printer(stderr=as_json, silent=as_json and quiet())


def aside(console: Console) -> Printer:
    """Where progress, warnings and hints go: where the results do, or nowhere if only these are wanted."""
    return Printer(console.stderr, silent=quiet() or console.quiet)


def store_of(folder: Path | None, tracking_uri: str | None, create: bool = False) -> "Store":
    """The store that the options name: its record is MLFLOW_TRACKING_URI's unless `tracking_uri` says otherwise."""
    from search.record.store import Store

    uri = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or None
    store = Store(folder or Path("genseek-store"), uri, create)
    _warnings.folder = store.folder
    return store


def print_note(console: Console, note: str) -> None:
    """Print what was decided about the user's data."""
    console.print("note:", note, soft_wrap=True, highlight=False, markup=False)


def check_tracking(tracking_uri: str | None) -> None:
    """See that the tracking URI of the options or of MLFLOW_TRACKING_URI, if any, can be opened; makes no database.

    Raises:
        StoreError: it can't be.
    """
    uri = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")
    if not uri:
        return
    from search.checkpoints import could_write
    from search.record.sqlite import database_of

    database = database_of(uri)
    if database is None or database.exists():
        store_of(None, uri)
    else:
        could_write(database.parent)  # a search makes it


def print_links(console: Printer, search: str, links: dict[str, str]) -> None:
    """Print where MLflow's UI shows what of a search."""
    console.say(f"search {search}:")
    for what, address in links.items():
        console.say(f"    {what}: {address}")


def print_json(value: Any) -> None:
    """Print JSON on standard output; null for what it has no number for."""
    text = json_text(value)
    if _answers is None:
        write(f"{text}\n")
    else:
        _answers.append(text)


@contextmanager
def json_alone() -> Iterator[None]:
    """Keep standard output for what `print_json` is told meanwhile; all else goes to standard error."""
    global _answers
    answers: list[str] = []
    _answers = answers
    try:
        with prints_aside():
            yield
    finally:
        _answers = None
        for text in answers:
            write(f"{text}\n")


@contextmanager
def prints_aside() -> Iterator[None]:
    """Lead to standard error what is printed meanwhile, such as by plug-ins, in Python or below it."""
    sys.stdout.flush()
    kept = os.dup(1)
    try:
        os.dup2(2, 1)
        with redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def prepare() -> None:
    """Let standard output and error take every letter, and be there even where a shell has closed them."""
    global _lost
    _lost = ""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))
        getattr(sys, name).reconfigure(errors="backslashreplace")


def flushed() -> int:
    """Write what is still held back; the exit code that says what can't be written, 0 if all can."""
    code = 0
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            drop(stream)
            code = UNREAD
        except OSError as error:
            lose(stream, error)
    if _lost:
        tell(f"standard output: can't write there ({_lost})")
    return 2 if _lost else code


def write(text: str) -> None:
    """Write on standard output, in UTF-8 as files are, whatever the terminal's letters.

    Raises:
        BrokenPipeError: nobody reads it any more.
    """
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode())
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        lose(sys.stdout, error)


def lose(stream: TextIO, error: OSError) -> None:
    """Let nobody get what is still to come on a stream, such as of a full disk; told at the end."""
    global _lost
    drop(stream)
    if stream is sys.stdout:
        _lost = error.strerror or str(error)


def drop(stream: TextIO) -> None:
    """Let nobody get what is still to come on a stream: its reader has gone."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print only errors and the result.")]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Also print messages of Ray, Optuna and MLflow, and tracebacks.")
]


def set_level(quiet: Quiet = False, verbose: Verbose = False) -> None:
    """Options before a command, and after it.

    Raises:
        StudyError: both are given.
    """
    if quiet and verbose:
        raise StudyError("--quiet and --verbose: expected one of them")
    if quiet or verbose:
        choose("quiet" if quiet else "verbose")


def mannered(command: Callable[..., Any]) -> Callable[..., Any]:
    """`command` with --quiet and --verbose after its own options, and a word when Ctrl-C ends it."""

    @functools.wraps(command)
    def whole(*arguments: Any, quiet: bool, verbose: bool, **options: Any) -> Any:
        set_level(quiet, verbose)
        try:
            with json_alone() if options.get("as_json") else nullcontext():
                return command(*arguments, **options)
        except KeyboardInterrupt:
            Printer(stderr=True).say(("interrupted", "yellow"))
            raise typer.Exit(ENDED) from None

    own = inspect.signature(command)
    every = [*own.parameters.values(), *inspect.signature(set_level).parameters.values()]
    whole.__signature__ = own.replace(parameters=every)  # type: ignore[attr-defined]
    whole.__annotations__ = {each.name: each.annotation for each in every}
    return whole


def call(app: typer.Typer) -> int:
    """Run the command line; its exit code: 2 for a user's mistake, 1 for one of genseek's or of what it trains."""
    choose("normal")
    code = 2
    try:
        _check_letters(sys.argv)
        with warnings_shown(), _hangups():
            return app(standalone_mode=False) or 0
    except GenseekError as error:
        said, code = str(error), 1 if isinstance(error, TrainingError) else 2
        show_traceback()
    except typer.TyperException as error:
        if not (said := _usage(error)):
            return 2
    except (KeyboardInterrupt, typer.Abort):
        return ENDED
    except BrokenPipeError:
        raise
    except Exception as error:
        tell(f"internal error: {_line(error)}; {_kept()}")
        return 1
    tell(said)
    return code


@contextmanager
def _hangups() -> Iterator[None]:
    """Let a terminal that is closed end a command as Ctrl-C does, except where it shall go on, as nohup has it."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        yield
        return
    old = signal.signal(signal.SIGHUP, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, old)


def _check_letters(words: Sequence[str]) -> None:
    """Refuse what is no text, such as file names of old systems: neither MLflow nor JSON could keep it."""
    for word in words:
        if any("\ud800" <= letter <= "\udfff" for letter in word):
            raise StudyError(f"{word}: not UTF-8; rename the file")


def _usage(error: typer.TyperException) -> str:
    """A mistake in the command line as genseek tells others."""
    context, message = getattr(error, "ctx", None), " ".join(error.format_message().split()).rstrip(".")
    if not message or context is None:
        return message  # none where the help was printed instead
    where = f" (genseek {context.info_name} --help)" if context.parent else " (genseek --help)"
    if message.startswith("No such option"):
        known = [name for each in context.command.params for name in each.opts if name.startswith("--")]
        return unknown_name("option", getattr(error, "option_name", ""), [*known, "--help"]) + where
    if match := re.match(r"No such command '(.*?)'", message):
        return unknown_name("command", match[1], context.command.commands) + where
    return message[0].lower() + message[1:] + where


def _line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(": ")


def _kept() -> str:
    """Show a traceback, or keep it in a file; where."""
    if verbose():
        traceback.print_exc()
        return "please report it with the traceback above"
    with tempfile.NamedTemporaryFile("w", prefix="genseek-", suffix=".log", delete=False) as file:
        traceback.print_exc(file=file)
    return f"please report it with {file.name}"


def version(asked: bool) -> None:
    """Print the version, and end."""
    if asked:
        from importlib.metadata import version as of

        sys.stdout.write(f"genseek {of('genseek')}\n")
        raise typer.Exit
