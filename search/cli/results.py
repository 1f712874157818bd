"""The commands on results: best, export, sample, score, report and compare."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from search.cli.console import Printer, aside, print_json, print_note, prints_aside, store_of, write
from search.cli.options import By, Columns, DropMissing, Json, SearchName, StoreFolder, Tracking
from search.errors import StoreError, StudyError
from search.text import command


def best(
    name: SearchName,
    by: By = "misfit",
    pareto: Annotated[bool, typer.Option("--pareto", help="Show the trials that no other beats in all goals.")] = False,
    store: StoreFolder = None,
    tracking_uri: Tracking = None,
    as_json: Json = False,
) -> None:
    """Show the best trial of a search, or the Pareto front, among fully trained trials."""
    from search.cli.tables import show, show_families, show_front

    board, console = store_of(store, tracking_uri).leaderboard(name), Printer()
    if pareto and len(board.goals.rank) < 2:
        raise StudyError(f"--pareto: search {name!r} has one goal, misfit; a study names several with rank = [...]")
    entry = board.winner(by)
    winner = board.to_dict(entry)
    if as_json:
        print_json([board.to_dict(each) for each in board.front()] if pareto else winner)
        return
    if pareto:
        show_front(console, board)
        return
    show(console, board, by)
    show_families(console, board)
    console.print()
    console.say(f"best by {by}: trial {winner['trial']}, run {winner['run_id']}")
    if entry.finalist:
        misfit, span = entry.confirmed_text("misfit"), entry.confirmed_text("low", "high")
        optimism = entry.confirmed_text("optimism", form="+.0%")
        console.say(f"confirmed by fresh networks on test rows: misfit {misfit}, 95 % {span}, optimism {optimism}")
    for key, value in winner["configuration"].items():
        console.say(f"  {key} = {value}")


def export(
    name: SearchName,
    out: Annotated[Path, typer.Option(help="New folder to write.")],
    by: By = "misfit",
    trial: Annotated[int | None, typer.Option(help="Number of the trial. Default: the best.")] = None,
    store: StoreFolder = None,
    tracking_uri: Tracking = None,
) -> None:
    """Write the best trial's generator into a folder that samples with torch alone."""
    from search.export.export import export_generator as write
    from search.run.publish import enclose_report

    load_generator = store_of(store, tracking_uri)
    board = load_generator.leaderboard(name)
    number = board.winner(by).trial if trial is None else trial
    missing = write(load_generator, board, number, out)
    enclose_report(load_generator, name, out)
    console, following = Printer(), command("sample", out, "-n", 1000, "--out", "rows.csv")
    console.say(f"trial {number} of {name} is in {out}; next: {following}")
    if missing:
        console.say(f"no program.pt2: {missing}")


def sample(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="An exported folder.")],
    rows: Annotated[int, typer.Option("-n", help="Rows to draw.", min=1)] = 1000,
    seed: Annotated[int, typer.Option(help="Random seed; the same seed draws the same rows.", min=0)] = 0,
    out: Annotated[Path | None, typer.Option(help="CSV or Parquet file. Default: CSV on standard output.")] = None,
    plugins: Annotated[
        list[str] | None, typer.Option(metavar="FILE", help="Plug-in code that may run, such as DIR/plugin.py.")
    ] = None,
) -> None:
    """Draw rows from an exported generator, in the units and columns of the data."""
    import pandas as pd

    from search.export.export import load_generator

    with prints_aside():
        generator = load_generator(folder, plugins or ())
        table = pd.DataFrame(generator.sample(rows, seed).numpy(), columns=list(generator.columns))
    for name, whole in zip(generator.columns, generator.whole, strict=True):
        if whole and (table[name].abs() < 2**53).all():
            table[name] = table[name].astype("int64")
    try:
        if out is None:
            write(table.to_csv(index=False))
        elif out.suffix.lower() == ".parquet":
            table.to_parquet(out, index=False)
        elif out.suffix.lower() == ".csv":
            table.to_csv(out, index=False)
        else:
            raise StudyError(f"--out {out}: expected a name that ends in .csv or .parquet")
    except BrokenPipeError:
        raise
    except OSError as error:
        raise StoreError(f"--out {out}: can't write there ({error.strerror or error})") from error
    if out is not None:
        Printer().say(f"{rows} rows of {', '.join(generator.columns)} are in {out}")


def score(
    real: Annotated[str, typer.Argument(metavar="REAL.csv", help="Real rows that the generator never saw.")],
    samples: Annotated[str, typer.Argument(metavar="SAMPLES.csv", help="Generated rows.")],
    train: Annotated[str | None, typer.Option(help="Training rows of the generator; adds overfit.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the floors.", min=0)] = 0,
    columns: Columns = None,
    drop_missing: DropMissing = False,
    scores: Annotated[str, typer.Option(help="More scores than the standard ones: NAME,NAME or all.")] = "",
    as_json: Json = False,
) -> None:
    """Score generated rows against real ones, and show each floor, of 60 draws of real rows."""
    from search.cli.tables import Line, grid, put
    from search.rank.score_tables import score_tables

    found = score_tables(
        real,
        samples,
        train,
        seed,
        columns=columns or "",
        drop_missing=drop_missing,
        scores=scores,
        tell=partial(print_note, aside(Printer(stderr=True))),
    )
    if as_json:
        print_json(found)
        return
    lines, console = [], Printer()
    for name, figures in found.items():
        if name == "misfit":
            lines.append(Line([name, f"{figures:.3f}", "1.000", "", ""]))
        else:
            numbers = [f"{figures[key]:.5g}" for key in ("value", "floor", "upper")]
            lines.append(Line([name, *numbers, "yes" if figures["inside"] else "no"]))
    headings = ("score", "value", "real, median", "real, 95 %", "inside")
    put(console, grid(headings, lines, console.width, right=range(1, 5)))


def report(
    name: SearchName,
    out: Annotated[Path | None, typer.Option(help="HTML file to write. Default: NAME.html.")] = None,
    store: StoreFolder = None,
    tracking_uri: Tracking = None,
) -> None:
    """Write the report of a finished search: one HTML file that needs no network."""
    from search.report.build import write_report

    path = write_report(store_of(store, tracking_uri), name, out or Path(f"{name}.html"))
    Printer().say(f"the report of {name} is in {path}")


def compare(
    names: Annotated[list[str], typer.Argument(metavar="NAME NAME ...", help="Names of searches in the store.")],
    out: Annotated[Path | None, typer.Option(help="HTML file to write. Default: NAME-NAME.html.")] = None,
    store: StoreFolder = None,
    tracking_uri: Tracking = None,
    as_json: Json = False,
) -> None:
    """Compare searches: winners, floors, intervals, score against budget, and settings that differ."""
    from search.cli.tables import show_comparison as show
    from search.report.compare import compare, write_comparison

    if len(set(names)) < max(2, len(names)):
        raise StudyError("compare: expected two names of searches or more, each once")
    load_generator = store_of(store, tracking_uri)
    found = compare(load_generator, names)
    path = write_comparison(found, out or Path(f"{'-'.join(names)}.html"))
    if as_json:
        print_json(found.to_dict() | {"report": str(path)})
        return
    console = Printer()
    show(console, found)
    console.print()
    console.say(f"the same with its figures is in {path}")
