"""Exports: the folder of a trained generator, which samples with torch alone, and anywhere with genseek."""

import json
import platform
import shutil
import tempfile
from collections.abc import Sequence
from importlib import metadata
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import models
from models.generator import Generator, load
from search.checkpoint import DESCRIPTION, PLUGIN, WEIGHTS
from search.errors import InputError
from search.leaderboard import CONFIRMED, Leaderboard
from search.plugins import merge_installed, merge_module
from search.store import Store

VERSIONS = ("genseek", "torch", "numpy", "ray", "optuna", "mlflow")


def export(store: Store, board: Leaderboard, trial: int, out: Path) -> None:
    """Write trial `trial` of a search into the new folder `out`; of a confirmed one, its best fresh network.

    The folder holds `weights.safetensors`, `model.json`, `scores.json`, `provenance.json`, `sampler.py`, and a copy of
    the package `models`, which is all that `sampler.py` needs beside torch; and `plugin.py`, the module of a model that
    is a plug-in.

    Raises:
        InputError: `out` isn't empty or can't be written, the trial has no checkpoint, or its model's code isn't known.
    """
    entry = board.entry(trial)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"--out {out}: exists already and isn't an empty folder")
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = store.fetch(entry.run_id, CONFIRMED if entry.confirmed else "checkpoint", Path(folder))
        described, kept = board.described(entry), [WEIGHTS, DESCRIPTION]
        if json.loads((checkpoint / DESCRIPTION).read_text()).get("plugin"):
            kept.append(PLUGIN)
            if not (checkpoint / PLUGIN).exists():
                raise InputError(
                    f"trial {trial}: the code of its model {entry.configuration.model!r}, defined in a program, isn't "
                    "known; define it in a module of its own, which the program imports or the study names"
                )
        parts = {
            "scores.json": {key: described[key] for key in ("scores", "test", "confirmed")},
            "provenance.json": board.provenance
            | {key: described[key] for key in ("search", "trial", "configuration", "epoch", "best_epoch", "run_id")}
            | {"store": store.where(), "exported_with": versions()},
        }
        try:
            out.mkdir(parents=True, exist_ok=True)
            for name in kept:
                shutil.copyfile(checkpoint / name, out / name)
            for name, content in parts.items():
                (out / name).write_text(json.dumps(content, indent=2) + "\n")
            with as_file(files(models)) as package:
                shutil.copytree(package, out / "models", ignore=shutil.ignore_patterns("__pycache__"))
            (out / "models" / "sampler.py").rename(out / "sampler.py")
        except OSError as error:
            raise InputError(f"--out {out}: can't write there ({error.strerror})") from error


def opened(folder: Path, plugins: Sequence[str] = ()) -> Generator:
    """Generator of an exported folder, whose own code is never run: that of a plug-in is in the modules `plugins`.

    Raises:
        InputError: it isn't one, a file is damaged, or its model is an unknown plug-in.
    """
    merge_installed()
    for name in plugins:
        merge_module(name, Path())
    try:
        return load(folder, models.MODELS)
    except FileNotFoundError as error:
        raise InputError(
            f"{folder}: not an exported generator ({Path(str(error.filename)).name} is missing)"
        ) from error
    except (ValueError, KeyError, TypeError, RuntimeError, OSError) as error:
        if (folder / PLUGIN).exists() and not plugins:
            raise InputError(
                f"{folder}: its model is a plug-in; run {folder / 'sampler.py'}, or trust its code with "
                f"--plugins {folder / PLUGIN}"
            ) from error
        raise InputError(f"{folder}: not an exported generator ({str(error).splitlines()[0]})") from error


def versions() -> dict[str, Any]:
    """Versions of what a result may depend on."""
    return {"python": platform.python_version()} | {name: metadata.version(name) for name in VERSIONS}
