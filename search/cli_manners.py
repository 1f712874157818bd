"""How every command behaves: how much it says, and how it ends when it can't do what was asked."""

import functools
import inspect
import re
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Annotated, Any

import typer

from search.cli_output import Printer, json_alone, tell, warnings_shown
from search.errors import InputError, TrainingError, unknown
from search.log import choose, show_traceback, verbose

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors and the result only.")]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Print what Ray, Optuna and MLflow say too, and tracebacks.")
]
ENDED = 130  # by Ctrl-C, as shells have it


def set_level(quiet: Quiet = False, verbose: Verbose = False) -> None:
    """Options before a command, and after it.

    Raises:
        InputError: both are given.
    """
    if quiet and verbose:
        raise InputError("--quiet and --verbose: expected one of them")
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
    except (InputError, TrainingError) as error:
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
        tell(f"a bug of genseek: {_line(error)}; {_kept()}")
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
            raise InputError(f"{word}: not UTF-8; rename the file")


def _usage(error: typer.TyperException) -> str:
    """A mistake in the command line as genseek tells others."""
    context, message = getattr(error, "ctx", None), " ".join(error.format_message().split()).rstrip(".")
    if not message or context is None:
        return message  # none where the help was printed instead
    where = f" (genseek {context.info_name} --help)" if context.parent else " (genseek --help)"
    if message.startswith("No such option"):
        known = [name for each in context.command.params for name in each.opts if name.startswith("--")]
        return unknown("option", getattr(error, "option_name", ""), [*known, "--help"]) + where
    if match := re.match(r"No such command '(.*?)'", message):
        return unknown("command", match[1], context.command.commands) + where
    return message[0].lower() + message[1:] + where


def _line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(": ")


def _kept() -> str:
    """Show a traceback, or keep it in a file; where."""
    if verbose():
        traceback.print_exc()
        return "its traceback is above"
    with tempfile.NamedTemporaryFile("w", prefix="genseek-", suffix=".log", delete=False) as file:
        traceback.print_exc(file=file)
    return f"its traceback is in {file.name}, and --verbose shows it"


def version(asked: bool) -> None:
    """Print the version, and end."""
    if asked:
        from importlib.metadata import version as of

        sys.stdout.write(f"genseek {of('genseek')}\n")
        raise typer.Exit
