"""The commands that read what a search has found: `best` shows it, `export` takes it out of the store."""

from pathlib import Path
from typing import Annotated

import typer

from search.cli_output import Printer, print_json, store_of
from search.errors import InputError
from search.options import By, Json, SearchName, StoreFolder, Tracking
from search.text import command


def best(
    name: SearchName,
    by: By = "fit",
    pareto: Annotated[bool, typer.Option("--pareto", help="The trials that no other beats in all goals.")] = False,
    store: StoreFolder = None,
    tracking_uri: Tracking = None,
    as_json: Json = False,
) -> None:
    """Show the best trial of a search, or the Pareto front, among those trained at full budget."""
    from search.tables import show, show_front

    board, console = store_of(store, tracking_uri).leaderboard(name), Printer()
    if pareto and len(board.goals.rank) < 2:
        raise InputError(f"--pareto: search {name!r} has one goal, fit; a study names several with rank = [...]")
    entry = board.winner(by)
    winner = board.described(entry)
    if as_json:
        print_json([board.described(each) for each in board.front()] if pareto else winner)
        return
    if pareto:
        show_front(console, board)
        return
    show(console, board, by)
    console.print()
    console.say(f"best by {by}: trial {winner['trial']}, run {winner['run_id']}")
    if entry.finalist:
        fit, span = entry.confirmed_text("fit"), entry.confirmed_text("low", "high")
        gap = entry.confirmed_text("optimism", form="+.0%")
        console.say(f"confirmed by fresh networks on test rows: fit {fit}, 95 % {span}, gap {gap}")
    for key, value in winner["configuration"].items():
        console.say(f"  {key} = {value}")


def export(
    name: SearchName,
    out: Annotated[Path, typer.Option(help="New folder to write.")],
    by: By = "fit",
    trial: Annotated[int | None, typer.Option(help="Another trial than the best.")] = None,
    store: StoreFolder = None,
    tracking_uri: Tracking = None,
) -> None:
    """Write the best trial's generator into a folder that samples with torch alone."""
    from search.export.export import export as write
    from search.run.publish import enclose_report

    opened = store_of(store, tracking_uri)
    board = opened.leaderboard(name)
    number = board.winner(by).trial if trial is None else trial
    missing = write(opened, board, number, out)
    enclose_report(opened, name, out)
    console, following = Printer(), command("sample", out, "-n", 1000, "--out", "rows.csv")
    console.say(f"trial {number} of {name} is in {out}; next: {following}")
    if missing:
        console.say(f"no program.pt2: {missing}")
