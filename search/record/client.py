"""MLflow's client as genseek uses it: one-line errors, paging, entities created once, one experiment for each study."""

import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Experiment
from mlflow.exceptions import MlflowException

from search.errors import StoreError, StudyError, redact_credentials
from search.record.view import NOTE

CURE = "; is it an MLflow server, does it run, and do MLFLOW_TRACKING_USERNAME and PASSWORD fit?"
REFUSALS = (
    "INVALID_PARAMETER_VALUE",
    "BAD_REQUEST",
    "INVALID_STATE",
    "RESOURCE_DOES_NOT_EXIST",
    "RESOURCE_ALREADY_EXISTS",
)
PREFIX = "genseek"  # every experiment's name starts with it


@contextmanager
def mlflow_errors(uri: str, cure: str = "") -> Iterator[None]:
    """Raise the errors of a failing store as one line, followed by `cure`.

    Raises:
        StoreError: MLflow, its database or its files refuse.
    """
    try:
        yield
    except (MlflowException, ImportError, OSError, sqlite3.Error) as error:
        raise StoreError(redact_credentials(f"store {uri}: {_reason(error)}{cure}")) from error


def _reason(error: BaseException) -> str:
    """Return the first line of an error, or the system's message (such as Connection refused) if nobody answered."""
    inner = error
    while inner.__cause__ or inner.__context__:
        inner = inner.__cause__ or inner.__context__ or inner
    if isinstance(inner, ConnectionError | TimeoutError | socket.gaierror):
        return inner.strerror or str(inner)
    return str(error).splitlines()[0]


def refused(error: BaseException | None) -> bool:
    """Return whether trying again is useless: the store refuses for good, or what should be written is missing."""
    while error is not None:
        if isinstance(error, MlflowException):
            return error.error_code in REFUSALS
        if isinstance(error, FileNotFoundError | TypeError | ValueError | LookupError | AttributeError):
            return True
        error = error.__cause__
    return False


def quoted(text: str) -> str:
    """Return `text` in quotes for MLflow's filters, which have no escape for a quote.

    Raises:
        StudyError: the text has quotes of both kinds.
    """
    marks = [mark for mark in ("'", '"') if mark not in text]
    if not marks:
        raise StudyError(f"{text!r}: expected a name with one kind of quotes at most")
    return f"{marks[0]}{text}{marks[0]}"


def pages(fetch: Callable[[str | None], Any]) -> list[Any]:
    """Return the entries of all pages; `fetch` takes the token of a page."""
    entries: list[Any] = []
    token = None
    while True:
        page = fetch(token)
        entries += page
        token = page.token
        if not token:
            return entries


def found_or_made(find: Callable[[], Any], make: Callable[[], Any]) -> Any:
    """Return what `find` finds; if that is None, make it first. Another search may make it at the same time.

    Raises:
        MlflowException: it can't be made, or is there and can't be seen.
    """
    if (entity := find()) is not None:
        return entity
    try:
        make()
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS" or (entity := find()) is None:
            raise
        return entity
    return find()


def experiment_of(client: MlflowClient, study: str, location: str | None) -> str:
    """Return the id of a study's experiment, genseek/STUDY; if there is none, create it with a place for its files."""
    name = f"{PREFIX}/{study}" if study else PREFIX
    experiment = found_or_made(
        lambda: client.get_experiment_by_name(name),
        lambda: client.create_experiment(name, location, {"mlflow.note.content": NOTE}),
    )
    return str(experiment.experiment_id)


def every_experiment(client: MlflowClient) -> list[Experiment]:
    """Return the experiments of all studies."""
    found = pages(lambda token: client.search_experiments(filter_string=f"name LIKE '{PREFIX}%'", page_token=token))
    return [experiment for experiment in found if experiment.name == PREFIX or experiment.name.startswith(f"{PREFIX}/")]
