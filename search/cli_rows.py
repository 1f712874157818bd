"""The commands about rows in files: `sample` draws them, `score` judges them."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from search.cli_output import Printer, aside, print_json, print_note, prints_aside, write
from search.errors import InputError
from search.options import Columns, DropMissing, Json


def sample(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="An exported folder.")],
    rows: Annotated[int, typer.Option("-n", help="Rows to draw.", min=1)] = 1000,
    seed: Annotated[int, typer.Option(help="The same seed draws the same rows.", min=0)] = 0,
    out: Annotated[Path | None, typer.Option(help="CSV or Parquet file. Default: CSV on standard output.")] = None,
    plugins: Annotated[
        list[str] | None, typer.Option(metavar="FILE", help="Code of a plug-in to run, such as DIR/plugin.py.")
    ] = None,
) -> None:
    """Draw rows from an exported generator, in the data's own units and columns."""
    import pandas as pd

    from search.export.export import opened

    with prints_aside():
        generator = opened(folder, plugins or ())
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
            raise InputError(f"--out {out}: expected a name that ends in .csv or .parquet")
    except BrokenPipeError:
        raise
    except OSError as error:
        raise InputError(f"--out {out}: can't write there ({error.strerror or error})") from error
    if out is not None:
        Printer().say(f"{rows} rows of {', '.join(generator.columns)} are in {out}")


def score(
    real: Annotated[str, typer.Argument(metavar="REAL.csv", help="Real rows that the generator never saw.")],
    samples: Annotated[str, typer.Argument(metavar="SAMPLES.csv", help="Generated rows.")],
    train: Annotated[str | None, typer.Option(help="The generator's training rows: adds overfit.")] = None,
    seed: Annotated[int, typer.Option(help="Of the floors.", min=0)] = 0,
    columns: Columns = None,
    drop_missing: DropMissing = False,
    as_json: Json = False,
) -> None:
    """Score generated rows against real ones, each score with its floor."""
    from search.rank.score_tables import score_tables
    from search.tables import Line, grid, put

    scores = score_tables(
        real,
        samples,
        train,
        seed,
        columns=columns or "",
        drop_missing=drop_missing,
        tell=partial(print_note, aside(Printer(stderr=True))),
    )
    if as_json:
        print_json(scores)
        return
    lines, console = [], Printer()
    for name, figures in scores.items():
        if name == "fit":
            lines.append(Line([name, f"{figures:.3f}", "1.000", "", ""]))
        else:
            numbers = [f"{figures[key]:.5g}" for key in ("value", "floor", "upper")]
            lines.append(Line([name, *numbers, "yes" if figures["inside"] else "no"]))
    headings = ("score", "value", "real, median", "real, 95 %", "inside")
    put(console, grid(headings, lines, console.width, right=range(1, 5)))
