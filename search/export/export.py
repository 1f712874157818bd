"""Exports a generator: a folder that loads with torch alone, its program, and its model card."""

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
from models.program import drawn as drawn_by, exported
from search.errors import StoreError, StudyError
from search.formats import FORMAT, json_text
from search.log import show_traceback
from search.rank.leaderboard import Entry, Leaderboard
from search.record.layout import exported_folder
from search.record.store import Store
from search.study.plugins import merge_installed, merge_module
from search.text import code, markdown, markdown_table, pasted, shortened
from search.train.group import DESCRIPTION, PLUGIN, WEIGHTS

DRAWING = "-n 1000 --seed 0 --out rows.csv"
SAMPLER = f"From the exported folder, with torch alone: `python sampler.py {DRAWING}`."
PROGRAM = f"Without its folder `models`: `python sample_program.py {DRAWING}`, of other numbers for the same seed."
VERSIONS = ("genseek", "torch", "numpy", "ray", "optuna", "mlflow")
FEW = 1000  # training rows; with fewer, the largest values and rare combinations are mostly guessed
TRAINED = ("zeros", "deviation")  # figures of the trained weights, not of the architecture
COPULA = "gaussian copula"


def export_generator(
    store: Store, board: Leaderboard, trial: int, out: Path, *, program: bool = True, sampling: str = SAMPLER
) -> str:
    """Write trial `trial` of a search into the new folder `out`.

    This is the network that was trained on all rows if there is one, or else a confirmed trial's best fresh network.

    The folder holds `weights.safetensors`, `model.json`, `scores.json`, `provenance.json`, `card.md`, `sampler.py`, and
    a copy of the package `models`. `sampler.py` needs only this package and torch. If the model is a plug-in, the
    folder also holds its module, `plugin.py`. With `program` it holds `program.pt2` of `torch.export` and
    `sample_program.py`. `sampling` is the card's text on how to sample.

    Returns:
        why there is no program, in one line, or an empty string.

    Raises:
        StudyError: `out` exists and isn't an empty folder, or the code of the trial's model isn't known.
        StoreError: `out` can't be written, or the trial's checkpoint is missing or damaged.

    Examples:
        >>> from search import Store, load_generator
        >>> store = Store("genseek-store")
        >>> board = store.leaderboard("first")
        >>> missing = export_generator(store, board, board.winner().trial, Path("winner"), program=False)
        >>> load_generator(Path("winner")).sample(1000, seed=0).shape
        torch.Size([1000, 2])
    """
    entry = board.entry(trial)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise StudyError(f"--out {out}: exists already and isn't an empty folder")
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = store.fetch(entry.run_id, exported_folder(entry), Path(folder))
        made = Path(folder) / "made"
        try:
            made.mkdir()
            missing = _write(made, checkpoint, store, board, entry=entry, program=program, sampling=sampling)
            _place(made, out)
        except FileNotFoundError as error:
            gone = Path(str(error.filename)).name
            raise StoreError(f"trial {trial} of {board.name!r}: {gone} of its checkpoint is gone") from error
        except json.JSONDecodeError as error:
            raise StoreError(f"trial {trial} of {board.name!r}: its checkpoint is damaged ({error})") from error
        except OSError as error:
            raise StoreError(f"--out {out}: can't write there ({error.strerror or error})") from error
        return missing


def _write(
    out: Path, checkpoint: Path, store: Store, board: Leaderboard, *, entry: Entry, program: bool, sampling: str
) -> str:
    """Write the export of an entry into a folder; return why there is no program, as `export_generator` does."""
    described, kept = board.to_dict(entry), [WEIGHTS, DESCRIPTION]
    description = json.loads((checkpoint / DESCRIPTION).read_text())
    if description.get("plugin"):
        kept.append(PLUGIN)
        if not (checkpoint / PLUGIN).exists():
            raise StudyError(
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
        (out / name).write_text(json_text({"format": FORMAT} | content) + "\n")
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
    """Copy a folder to `out`, which is new or empty. If this fails or is interrupted, `out` is left as it was.

    Raises:
        OSError: `out` can't be written; never a `FileNotFoundError`.
    """
    there = out.exists()  # keep it: it may be a mount, or the current directory
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


def load_generator(folder: Path, plugins: Sequence[str] = ()) -> Generator:
    """Return the generator of an exported folder, whose own code is never run; `plugins` are modules of plug-ins.

    Raises:
        StoreError: it isn't one, a file is damaged, or its model is an unknown plug-in.
    """
    merge_installed()
    for name in plugins:
        merge_module(name, Path())
    try:
        return load(folder, models.MODELS)
    except FileNotFoundError as error:
        raise StoreError(
            f"{folder}: not an exported generator ({Path(str(error.filename)).name} is missing)"
        ) from error
    except Exception as error:  # a plug-in's code may raise anything
        if (folder / PLUGIN).exists() and not plugins:
            raise StoreError(
                f"{folder}: its model is a plug-in; trust its code with --plugins {pasted(folder / PLUGIN)}, or run it "
                f"alone: python {pasted(folder / 'sampler.py')}"
            ) from error
        raise StoreError(f"{folder}: not an exported generator ({_line(error)})") from error


def write_program(folder: Path) -> str:
    """Write `program.pt2` and `program.json` into an exported folder; if that fails, return the reason in one line.

    `program.json` says how many normal and uniform numbers a row needs, the names of the columns, and which are whole.
    """
    if (folder / PLUGIN).exists():
        return "its model is a plug-in"  # an export doesn't run its code
    try:
        generator = load_generator(folder)
        program = exported(generator)
        torch.export.save(program, folder / "program.pt2")
    except Exception as error:  # torch.export raises many kinds of errors
        (folder / "program.pt2").unlink(missing_ok=True)
        show_traceback()
        said = next((line for line in str(error).splitlines() if line.strip()), "")
        return shortened(f"torch.export can't trace it ({type(error).__name__}: {said.strip()}", 200) + ")"
    normal, uniform = (drawn.shape[1] for drawn in drawn_by(generator, 1, 0))
    described = {"columns": generator.columns, "whole": generator.whole, "normal": normal, "uniform": uniform}
    (folder / "program.json").write_text(json_text({"format": FORMAT} | described) + "\n")
    return ""


def _line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def versions() -> dict[str, Any]:
    """Return the versions of Python and of the packages that a result may depend on."""
    return {"python": platform.python_version()} | {name: metadata.version(name) for name in VERSIONS}


def card(board: Leaderboard, entry: Entry, columns: Sequence[str], sampling: str) -> str:
    """Return the model card in Markdown; `sampling` says how to sample from the card's folder."""
    described, provenance = board.to_dict(entry), board.origin
    parts = [
        f"# {markdown(entry.configuration.model)} of {markdown(provenance['problem'])}",
        f"Trial {entry.trial} of the search {code(board.name)}, found by genseek {provenance['versions']['genseek']}. "
        "It draws rows that shall look like those below.",
        "## Trained on",
        _listed(_data(provenance, columns, entry.refitted)),
        "## Architecture and training",
        _listed(
            [f"{markdown(name)}: {_number(value)}" for name, value in entry.architecture.items() if name not in TRAINED]
        ),
        markdown_table(
            ["key", "value"],
            [[markdown(key), markdown(str(value))] for key, value in described["configuration"].items()],
            words=2,
        ),
        "## Scores",
        "Lower is better. Floor and 95 % are quantiles of what one real sample scores against another.",
        *_scores("On validation rows, by which the search chose", described["scores"]),
        *(_scores("On test rows", described["test"]) if described["test"] else []),
        *_confirmed(board, entry),
        "## Limits",
        _listed(limits(board, entry)),
        "## Sampling",
        sampling,
        "## Licence",
        "The training rows are yours or your source's, and their licence says what may be done with the model.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def limits(board: Leaderboard, entry: Entry) -> list[str]:
    """Return what the figures say against the model, one sentence each."""
    rows, own = entry.figures()
    split = rows.partition(",")[0]
    floors, found = board.floors[split], []
    outside = [name for name, floor in floors.items() if own.get(name, 0) > floor.upper]
    where = f"on {split} rows"
    if "overfit" in outside:
        found.append(
            f"Overfit {own['overfit']:.3f} {where} is above {floors['overfit'].upper:.3f}, 95 % of real rows': "
            "more generated rows than by chance lie nearest to a training row, so some may all but repeat one."
        )
    for name in (name for name in outside if name != "overfit"):
        found.append(
            f"{markdown(name)} {_number(own[name])} {where} is above the 95 % quantile of real rows, "
            f"{_number(floors[name].upper)}: of 20 real samples, one scores as badly."
        )
    copula = board.references.get(split, {}).get(COPULA, {}).get("misfit")
    if copula is not None and copula <= own["misfit"]:
        found.append(
            f"A Gaussian copula, which needs no search, is as good: misfit {copula:.2f} against {own['misfit']:.2f}."
        )
    if not entry.judged:
        found.append("No fresh networks confirm it: its scores are the best of many, so partly luck.")
    train = board.origin.get("rows", {}).get("train")
    if train is not None and train < FEW:
        found.append(f"{train} training rows: the largest values and rare combinations are mostly guessed.")
    if entry.configuration.training.features == "quantile_normal" or entry.configuration.model in (
        "gaussian_copula",
        "t_copula",
    ):
        found.append("It never draws a value beyond the least and largest of the training rows.")
    return [*found, "It knows the rows that it was trained on, not what changes after them, or what they leave out."]


def _data(provenance: dict[str, Any], columns: Sequence[str], refitted: int) -> list[str]:
    arguments = ", ".join(f"{key} {_said(value)}" for key, value in provenance["problem_arguments"].items())
    sizes = [f"{count} {split}" for split, count in provenance.get("rows", {}).items()]
    return [
        f"problem: {markdown(provenance['problem'])}" + (f" ({arguments})" if arguments else ""),
        *([f"rows: {', '.join(sizes)}"] if sizes else []),
        *([f"trained once more on all {refitted} rows; the scores are of networks that had not"] if refitted else []),
        f"columns: {', '.join(map(code, columns))}",
        f"sha256 of the rows: `{provenance['data_sha256']}`",
    ]


def _scores(title: str, scores: dict[str, Any]) -> list[str]:
    rows = [
        [
            markdown(name),
            *(_number(each[key]) for key in ("value", "floor", "upper")),
            "yes" if each["inside"] else "no",
        ]
        for name, each in scores.items()
        if name != "misfit"
    ]
    rows.append(["misfit", _number(scores["misfit"]), "1", "", ""])
    return [f"{title}:", markdown_table(["score", "value", "floor", "95 %", "inside"], rows)]


def _confirmed(board: Leaderboard, entry: Entry) -> list[str]:
    own = entry.confirmed
    if not entry.judged:
        return []
    floors = board.floors["test"]
    span = f", 95 % interval {own['low']:.2f} to {own['high']:.2f}" if "low" in own and "high" in own else ""
    gap = (
        f"; on validation rows they are {own['optimism']:+.0%} off the network that the search found"
        if "optimism" in own
        else ""
    )
    overfit = (
        f" Overfit is {own['overfit']:.3f} ({floors['overfit'].median:.3f} for real rows)."
        if "overfit" in own and "overfit" in floors
        else ""
    )
    return [f"Fresh networks of this configuration, on test rows: **misfit {own['misfit']:.2f}**{span}{gap}.{overfit}"]


def _listed(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _said(value: Any) -> str:
    return code(value) if isinstance(value, str) else str(value)


def _number(value: float) -> str:
    return f"{value:.4g}" if value < 1e4 else f"{value:.0f}"
