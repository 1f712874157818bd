"""The commands that write pages: `report` on one search, `compare` on several."""

from pathlib import Path
from typing import Annotated

import typer

from search.cli_output import Printer, print_json, store_of
from search.errors import InputError
from search.options import Json, SearchName, StoreFolder, Tracking


def report(
    name: SearchName,
    out: Annotated[Path | None, typer.Option(help="HTML file to write. Default: NAME.html.")] = None,
    store: StoreFolder = None,
    tracking_uri: Tracking = None,
) -> None:
    """Write the report of a search that has ended: one HTML file that needs no network."""
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
    """Compare searches: winners, floors, intervals, score against budget, and what was set differently."""
    from search.report.compare import compared, write_comparison
    from search.tables import show_comparison as show

    if len(set(names)) < max(2, len(names)):
        raise InputError("compare: expected two names of searches or more, each once")
    opened = store_of(store, tracking_uri)
    found = compared(opened, names)
    path = write_comparison(found, out or Path(f"{'-'.join(names)}.html"))
    if as_json:
        print_json(found.described() | {"report": str(path)})
        return
    console = Printer()
    show(console, found)
    console.print()
    console.say(f"the same with its figures is in {path}")
