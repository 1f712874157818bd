"""Arguments and options that several commands share."""

import os
from pathlib import Path
from typing import Annotated

import typer

from search import completion


def joined(address: str | None) -> str | None:
    """Let Ray, and all that asks for its address, know what `--address` says."""
    if address is not None:
        os.environ["RAY_ADDRESS"] = address
    return address


StudyName = Annotated[
    str,
    typer.Argument(
        metavar="STUDY|PROBLEM", help="A .toml file, or a shipped study's name.", autocompletion=completion.studies
    ),
]
SearchName = Annotated[str, typer.Argument(metavar="NAME", help="Name of a search in the store.")]
ProblemName = Annotated[
    str | None,
    typer.Option(
        "--problem",
        help="Another problem than the study's, with its own defaults.",
        autocompletion=completion.problems,
    ),
]
Data = Annotated[str | None, typer.Option(help="CSV or Parquet file, for the problem 'table'.")]
Columns = Annotated[str | None, typer.Option(help="Columns of the table to use, a line of CSV.")]
DropMissing = Annotated[bool, typer.Option("--drop-missing", help="Leave out rows with a missing value.")]
StoreFolder = Annotated[
    Path | None,
    typer.Option(
        "--store", envvar="GENSEEK_STORE", help="Folder of the store. Default: genseek-store.", show_default=False
    ),
]
StorageUri = Annotated[
    str | None,
    typer.Option(
        "--storage",
        envvar="GENSEEK_STORAGE",
        help="For checkpoints: a folder that all nodes see, or s3://BUCKET/FOLDER. Default: in the store.",
        show_default=False,
    ),
]
OtherStorage = Annotated[
    str | None, typer.Option("--storage", help="Another one for checkpoints than the search had.", show_default=False)
]
Address = Annotated[
    str | None,
    typer.Option(
        help="Ray cluster that this machine is a node of: auto, or HEAD:6379. Default: RAY_ADDRESS, or none.",
        callback=joined,
    ),
]
Tracking = Annotated[
    str | None,
    typer.Option(help="MLflow tracking URI instead of the embedded store. Default: MLFLOW_TRACKING_URI, if set."),
]
By = Annotated[
    str,
    typer.Option(help="Score that decides: fit, or any other that was judged by.", autocompletion=completion.scores),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs on standard output.")]
