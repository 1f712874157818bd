"""The command that says what is wrong with an installation: `doctor`."""

from typing import Annotated

import typer

from search.cli_output import Printer, print_json
from search.log import quiet
from search.options import Address, Json, StoreFolder, Tracking

COLOURS = {"ok": "green", "warning": "yellow", "error": "red"}


def doctor(
    store: StoreFolder = None,
    tracking_uri: Tracking = None,
    address: Address = None,
    patience: Annotated[float, typer.Option(help="Seconds for a store or a server to answer.", min=1)] = 20,
    as_json: Json = False,
) -> None:
    """Say what is installed and reachable, and what is wrong with it; exit code 1 if something is."""
    from search.doctor import findings

    found, console = [], Printer(stderr=as_json)
    for each in findings(store, tracking_uri, patience):
        found.append(each)
        if as_json or (quiet() and each.state == "ok"):
            continue
        console.say((f"{each.state:7}", COLOURS[each.state]), f" {each.what}: {each.found}")
        if each.cure:
            console.say(f"        {each.cure}")
    if as_json:
        print_json([vars(each) for each in found])
    if any(each.state == "error" for each in found):
        raise typer.Exit(1)
