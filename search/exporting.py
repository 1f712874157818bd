"""Exports: the folder of a trained generator, which samples with torch alone, and anywhere with genseek."""

import json
import platform
import shutil
import tempfile
from importlib import metadata
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import models
from models.generator import Generator, load
from search.errors import InputError
from search.leaderboard import Leaderboard
from search.store import Store
from search.worker import DESCRIPTION, WEIGHTS

VERSIONS = ("genseek", "torch", "numpy", "ray", "optuna", "mlflow")


def export(store: Store, board: Leaderboard, trial: int, out: Path) -> None:
    """Write trial `trial` of a search into the new folder `out`.

    The folder holds `weights.safetensors`, `model.json`, `scores.json`, `provenance.json`, `sampler.py`, and a copy of
    the package `models`, which is all that `sampler.py` needs beside torch.

    Raises:
        InputError: `out` isn't empty or can't be written, or the trial has no checkpoint.
    """
    entry = board.entry(trial)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"--out {out}: exists already and isn't an empty folder")
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = store.fetch(entry.run_id, "checkpoint", Path(folder))
        described = board.described(entry)
        parts = {
            "scores.json": {key: described[key] for key in ("scores", "test")},
            "provenance.json": board.provenance
            | {key: described[key] for key in ("search", "trial", "configuration", "epoch", "best_epoch", "run_id")}
            | {"store": store.where(), "exported_with": versions()},
        }
        try:
            out.mkdir(parents=True, exist_ok=True)
            for name in (WEIGHTS, DESCRIPTION):
                shutil.copyfile(checkpoint / name, out / name)
            for name, content in parts.items():
                (out / name).write_text(json.dumps(content, indent=2) + "\n")
            with as_file(files(models)) as package:
                shutil.copytree(package, out / "models", ignore=shutil.ignore_patterns("__pycache__"))
            (out / "models" / "sampler.py").rename(out / "sampler.py")
        except OSError as error:
            raise InputError(f"--out {out}: can't write there ({error.strerror})") from error


def opened(folder: Path) -> Generator:
    """Generator of an exported folder.

    Raises:
        InputError: it isn't one, or a file is damaged.
    """
    try:
        return load(folder, models.MODELS)
    except FileNotFoundError as error:
        raise InputError(
            f"{folder}: not an exported generator ({Path(str(error.filename)).name} is missing)"
        ) from error
    except (ValueError, KeyError, TypeError, RuntimeError, OSError) as error:
        raise InputError(f"{folder}: not an exported generator ({str(error).splitlines()[0]})") from error


def versions() -> dict[str, Any]:
    """Versions of what a result may depend on."""
    return {"python": platform.python_version()} | {name: metadata.version(name) for name in VERSIONS}
