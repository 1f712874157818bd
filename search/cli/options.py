"""Options that commands share, and what a shell completes, without importing torch or MLflow."""

import os
import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from search.study.presets import preset_names

BY = (
    "misfit",
    "ad",
    "kendall",
    "mmd",
    "overfit",
    "tail",
    "tau_error",
    "energy",
    "sliced_wasserstein",
    "wasserstein",
    "modes",
    "clusters",
    "coverage",
    "c2st",
    "tail_dependence",
    "var_es",
)
LISTED = ("problems", "families", "objectives", "scores", "studies", "searches", "registry")


def studies(incomplete: str) -> list[str]:
    """Shipped studies, and study files below what is typed."""
    files = [str(path) for path in Path().glob(f"{incomplete}*.toml")] if not incomplete.startswith("/") else []
    return [name for name in (*preset_names(), *files) if name.startswith(incomplete)]


def problems(incomplete: str) -> list[str]:
    """Problems of the shipped studies; each problem has one."""
    folder = resources.files("search.study.presets")
    read = (tomllib.loads((folder / f"{name}.toml").read_text()) for name in preset_names())
    return sorted({name for study in read if (name := study["problem"]["name"]).startswith(incomplete)})


def scores(incomplete: str) -> list[str]:
    """What --by takes."""
    return [name for name in BY if name.startswith(incomplete)]


def listings(incomplete: str) -> list[str]:
    """What `list` takes."""
    return [name for name in LISTED if name.startswith(incomplete)]


def use_address(address: str | None) -> str | None:
    """Let Ray, and all that asks for its address, know what `--address` says."""
    if address is not None:
        os.environ["RAY_ADDRESS"] = address
    return address


StudyName = Annotated[
    str,
    typer.Argument(
        metavar="STUDY|PROBLEM", help="A .toml file, or the name of a shipped study.", autocompletion=studies
    ),
]
SearchName = Annotated[str, typer.Argument(metavar="NAME", help="Name of a search in the store.")]
ProblemName = Annotated[
    str | None,
    typer.Option(
        "--problem",
        help="Problem to use instead of the study's, with its own defaults.",
        autocompletion=problems,
    ),
]
Data = Annotated[str | None, typer.Option(help="CSV or Parquet file, for the problem 'table'.")]
Columns = Annotated[str | None, typer.Option(help="Columns of the table to use, as a line of CSV.")]
DropMissing = Annotated[bool, typer.Option("--drop-missing", help="Leave out rows with a missing value.")]
Trials = Annotated[int | None, typer.Option(help="Configurations to try.")]
Time = Annotated[str | None, typer.Option(metavar="10m", help="Time for all of it, such as 90s, 10m or 2h.")]
Epochs = Annotated[int | None, typer.Option(help="Full training budget of a trial.")]
Seed = Annotated[int | None, typer.Option(help="Seed of splits, proposals and every trial.")]
PackSize = Annotated[str | None, typer.Option(help="Trials to stack at most: auto (measured), off, or a number.")]
Replicas = Annotated[int | None, typer.Option(help="Networks per trial; their mean scores count.")]
TrainOn = Annotated[str | None, typer.Option("--device", help="Where trials train: auto, cpu or gpu.")]
Trainers = Annotated[
    int | None, typer.Option(help="Trainers to request from a cluster that grows. Default: all that fit now.")
]
Finalists = Annotated[int | None, typer.Option(help="Best trials to train again with fresh seeds; 0 for none.")]
WarmStart = Annotated[str | None, typer.Option(metavar="NAME", help="Search whose best trials to try first.")]
NewName = Annotated[str | None, typer.Option("--name", help="Name of the search. Default: the study's, numbered.")]
StoreFolder = Annotated[
    Path | None,
    typer.Option(
        "--store", envvar="GENSEEK_STORE", help="Folder of the store. Default: genseek-store.", show_default=False
    ),
]
CheckpointsUri = Annotated[
    str | None,
    typer.Option(
        "--checkpoints",
        envvar="GENSEEK_CHECKPOINTS",
        help="Checkpoint folder that all nodes see, or s3://BUCKET/FOLDER. Default: in the store.",
        show_default=False,
    ),
]
OtherCheckpoints = Annotated[
    str | None,
    typer.Option("--checkpoints", help="New checkpoint folder for the search.", show_default=False),
]
Address = Annotated[
    str | None,
    typer.Option(
        help="Ray cluster of this node: auto, or HEAD:6379. Default: RAY_ADDRESS, or none.",
        callback=use_address,
    ),
]
Tracking = Annotated[
    str | None,
    typer.Option(help="MLflow tracking URI instead of the embedded store. Default: MLFLOW_TRACKING_URI, if set."),
]
By = Annotated[
    str,
    typer.Option(help="Score to rank by: misfit, or any other score of the search.", autocompletion=scores),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
