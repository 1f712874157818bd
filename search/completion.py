"""What a shell may complete, without the seconds that torch and MLflow take to import.

Searches aren't among it: to ask the store for their names takes three seconds.
"""

import tomllib
from importlib import resources
from pathlib import Path

from search.study.presets import shipped

BY = (
    "fit",
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
)
LISTED = ("problems", "models", "objectives", "scores", "studies", "searches", "registered")


def studies(incomplete: str) -> list[str]:
    """Shipped studies, and study files below what is typed."""
    files = [str(path) for path in Path().glob(f"{incomplete}*.toml")] if not incomplete.startswith("/") else []
    return [name for name in (*shipped(), *files) if name.startswith(incomplete)]


def problems(incomplete: str) -> list[str]:
    """Problems of the shipped studies; each problem has one."""
    folder = resources.files("search.study.presets")
    read = (tomllib.loads((folder / f"{name}.toml").read_text()) for name in shipped())
    return sorted({name for study in read if (name := study["problem"]["name"]).startswith(incomplete)})


def scores(incomplete: str) -> list[str]:
    """What --by takes."""
    return [name for name in BY if name.startswith(incomplete)]


def listings(incomplete: str) -> list[str]:
    """What `list` takes."""
    return [name for name in LISTED if name.startswith(incomplete)]
