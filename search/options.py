"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

StudyName = Annotated[str, typer.Argument(metavar="STUDY|PROBLEM", help="A .toml file, or a shipped study's name.")]
SearchName = Annotated[str, typer.Argument(metavar="NAME", help="Name of a search in the store.")]
ProblemName = Annotated[
    str | None, typer.Option("--problem", help="Another problem than the study's, with its own defaults.")
]
Data = Annotated[str | None, typer.Option(help="CSV or Parquet file, for the problem 'table'.")]
Columns = Annotated[str | None, typer.Option(help="Columns of the table to use, comma separated.")]
DropMissing = Annotated[bool, typer.Option("--drop-missing", help="Leave out rows with a missing value.")]
StoreFolder = Annotated[
    Path | None, typer.Option("--store", help="Folder of the store.  [default: genseek-store]", show_default=False)
]
Tracking = Annotated[
    str | None,
    typer.Option(help="MLflow tracking URI instead of the embedded store.  [default: MLFLOW_TRACKING_URI, if set]"),
]
By = Annotated[str, typer.Option(help="Score that decides: fit, or any other that was judged by.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs on standard output.")]
