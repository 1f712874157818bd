"""Exports: the folder of a trained generator, which samples with torch alone, and anywhere with genseek."""

import json
import platform
import shutil
import tempfile
import uuid
from collections.abc import Sequence
from contextlib import suppress
from importlib import metadata
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import torch

import models
from models.generator import Generator, load
from models.program import drawn as drawn_by
from models.program import exported
from search.card import card
from search.errors import InputError
from search.log import show_traceback
from search.rank.leaderboard import Entry, Leaderboard
from search.record.store import Store
from search.study.plugins import merge_installed, merge_module
from search.text import json_text, markdown, pasted, shortened
from search.train.group import DESCRIPTION, PLUGIN, WEIGHTS

DRAWING = "-n 1000 --seed 0 --out rows.csv"
SAMPLER = f"From the exported folder, with torch alone: `python sampler.py {DRAWING}`."
PROGRAM = f"Without its folder `models`: `python sample_program.py {DRAWING}`, of other numbers for the same seed."
VERSIONS = ("genseek", "torch", "numpy", "ray", "optuna", "mlflow")


def export(
    store: Store, board: Leaderboard, trial: int, out: Path, program: bool = True, sampling: str = SAMPLER
) -> str:
    """Write trial `trial` of a search into the new folder `out`; of a confirmed one, its best fresh network.

    The folder holds `weights.safetensors`, `model.json`, `scores.json`, `provenance.json`, `card.md`, `sampler.py`, and
    a copy of the package `models`, which is all that `sampler.py` needs beside torch; `plugin.py`, the module of a
    model that is a plug-in; and, if asked for, `program.pt2` of `torch.export`, with `sample_program.py`. `sampling` is
    what the card says of how to sample.

    Returns:
        why there is no program, in one line, or an empty string.

    Raises:
        InputError: `out` isn't empty or can't be written, the trial has no checkpoint, or its model's code isn't known.
    """
    entry = board.entry(trial)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"--out {out}: exists already and isn't an empty folder")
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = store.fetch(entry.run_id, entry.kept, Path(folder))
        made = Path(folder) / "made"
        try:
            made.mkdir()
            missing = _write(made, checkpoint, store, board, entry, program, sampling)
            _place(made, out)
        except FileNotFoundError as error:
            gone = Path(str(error.filename)).name
            raise InputError(f"trial {trial} of {board.name!r}: {gone} of its checkpoint is gone") from error
        except json.JSONDecodeError as error:
            raise InputError(f"trial {trial} of {board.name!r}: its checkpoint is damaged ({error})") from error
        except OSError as error:
            raise InputError(f"--out {out}: can't write there ({error.strerror or error})") from error
        return missing


def _write(
    out: Path, checkpoint: Path, store: Store, board: Leaderboard, entry: Entry, program: bool, sampling: str
) -> str:
    """Write the export of an entry into a folder; why there is no program, as `export` returns it."""
    described, kept = board.described(entry), [WEIGHTS, DESCRIPTION]
    description = json.loads((checkpoint / DESCRIPTION).read_text())
    if description.get("plugin"):
        kept.append(PLUGIN)
        if not (checkpoint / PLUGIN).exists():
            raise InputError(
                f"trial {entry.trial}: the code of its model {entry.configuration.model!r}, defined in a program, "
                "isn't known; define it in a module of its own, which the program imports or the study names"
            )
    parts = {
        "scores.json": {key: described[key] for key in ("scores", "test", "confirmed")},
        "provenance.json": board.provenance
        | {key: described[key] for key in ("search", "trial", "configuration", "epoch", "best_epoch", "run_id")}
        | {"store": store.where(), "exported_with": versions()},
    }
    for name in kept:
        shutil.copyfile(checkpoint / name, out / name)
    for name, content in parts.items():
        (out / name).write_text(json_text(content) + "\n")
    with as_file(files(models)) as package:
        shutil.copytree(package, out / "models", ignore=shutil.ignore_patterns("__pycache__"))
    (out / "models" / "sampler.py").rename(out / "sampler.py")
    script = (out / "models" / "sample_program.py").rename(out / "sample_program.py")
    missing = write_program(out) if program else ""
    if missing or not program:
        script.unlink()
    if program:
        sampling += f" There is no `program.pt2`: {markdown(missing)}." if missing else f" {PROGRAM}"
    (out / "card.md").write_text(card(board, entry, description["columns"], sampling), encoding="utf-8")
    return missing


def _place(made: Path, out: Path) -> None:
    """Copy a folder to a new place, or into one that is empty; what fails, or is cut off, leaves neither half of it.

    Raises:
        OSError: it can't be written; not a `FileNotFoundError`.
    """
    there = out.exists()  # it may be a mount, or where the user stands, so it stays
    place = out if there else out.absolute().with_name(f".{uuid.uuid4().hex}")
    try:
        out.absolute().parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(made, place, dirs_exist_ok=True)
        if not there:
            place.rename(out)
    except BaseException:
        for path in place.iterdir() if there else [place]:
            shutil.rmtree(path, ignore_errors=True)
            with suppress(OSError):
                path.unlink()
        raise


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
    except Exception as error:  # a plug-in's code may raise anything
        if (folder / PLUGIN).exists() and not plugins:
            raise InputError(
                f"{folder}: its model is a plug-in; trust its code with --plugins {pasted(folder / PLUGIN)}, or run it "
                f"alone: python {pasted(folder / 'sampler.py')}"
            ) from error
        raise InputError(f"{folder}: not an exported generator ({_line(error)})") from error


def write_program(folder: Path) -> str:
    """Write `program.pt2` and `program.json` into an exported folder; if that can't be, the reason in one line.

    `program.json` says how many normal and uniform numbers a row needs, the names of the columns, and which are whole.
    """
    if (folder / PLUGIN).exists():
        return "its model is a plug-in"  # whose code an export doesn't run
    try:
        generator = opened(folder)
        program = exported(generator)
        torch.export.save(program, folder / "program.pt2")
    except Exception as error:  # torch.export's own are of many kinds
        (folder / "program.pt2").unlink(missing_ok=True)
        show_traceback()
        said = next((line for line in str(error).splitlines() if line.strip()), "")
        return shortened(f"torch.export can't trace it ({type(error).__name__}: {said.strip()}", 200) + ")"
    normal, uniform = (drawn.shape[1] for drawn in drawn_by(generator, 1, 0))
    described = {"columns": generator.columns, "whole": generator.whole, "normal": normal, "uniform": uniform}
    (folder / "program.json").write_text(json_text(described) + "\n")
    return ""


def _line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def versions() -> dict[str, Any]:
    """Versions of what a result may depend on."""
    return {"python": platform.python_version()} | {name: metadata.version(name) for name in VERSIONS}
