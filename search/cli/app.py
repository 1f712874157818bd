"""The command `genseek`: check, list, ui and doctor, and the commands of the other modules."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from search.cli import cluster, results, run
from search.cli.console import (
    UNREAD,
    Printer,
    Quiet,
    Verbose,
    call,
    check_tracking,
    flushed,
    mannered,
    prepare,
    print_json,
    print_links,
    print_note,
    set_level,
    store_of,
    version,
)
from search.cli.options import (
    LISTED,
    Address,
    CheckpointsUri,
    Columns,
    Data,
    DropMissing,
    Json,
    ProblemName,
    StoreFolder,
    StudyName,
    Tracking,
    listings,
)
from search.environment import MLFLOW, RAY, set_defaults
from search.errors import StudyError, unknown_name
from search.log import quiet

# Ray, MLflow and torch take seconds to import: each command imports what it needs, so that --help answers at once.

DRAWS = 5  # of the floors, which a check only tries out
COLOURS = {"ok": "green", "warning": "yellow", "error": "red"}

app = typer.Typer(
    name="genseek",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def everywhere(
    quiet: Quiet = False,
    verbose: Verbose = False,
    told: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=version, is_eager=True)
    ] = False,
) -> None:
    """Find the best small generative model for a data set."""
    set_level(quiet, verbose)


app.command(epilog="Example: genseek run returns_4d --trials 40 --name first")(run.run)
app.command(epilog="Example: genseek resume returns_4d-1 --more-trials 20")(run.resume)
app.command(epilog="Example: genseek confirm returns_4d-1 --top 5")(run.confirm)
app.command(epilog="Example: genseek submit table --data prices.csv --address http://10.0.0.5:8265")(cluster.submit)
app.command(epilog="Example: genseek attach prices --address http://10.0.0.5:8265")(cluster.attach)
app.command(epilog="Example: genseek status --address http://10.0.0.5:8265")(cluster.status)
app.command(epilog="Example: genseek stop prices --address http://10.0.0.5:8265")(cluster.stop)
app.command(epilog="Example: genseek best returns_4d-1 --by kendall --json")(results.best)
app.command(epilog="Example: genseek export returns_4d-1 --out winner")(results.export)
app.command(epilog="Example: genseek sample winner -n 1000 --seed 0 --out rows.csv")(results.sample)
app.command(epilog="Example: genseek score real.csv samples.csv --train train.csv --json")(results.score)
app.command(epilog="Example: genseek report returns_4d-1 --out report.html")(results.report)
app.command(epilog="Example: genseek compare returns_4d-1 returns_4d-2")(results.compare)


@app.command(epilog="Example: genseek check table --data prices.csv")
def check(
    study: StudyName,
    problem: ProblemName = None,
    data: Data = None,
    columns: Columns = None,
    drop_missing: DropMissing = False,
    address: Address = None,
    checkpoints: CheckpointsUri = None,
    store: StoreFolder = None,
    tracking_uri: Tracking = None,
    as_json: Json = False,
) -> None:
    """Check a study, its data, the store, and this machine or the cluster, without starting anything."""
    from search.checkpoints import CheckpointStorage, could_write, leaving_nothing
    from search.run.prepare import check as check_study, task_of
    from search.study.parse import load_study, problem_of, with_overrides
    from search.tune.cluster import room

    loaded = with_overrides(load_study(study), problem=problem, data=data, columns=columns, drop_missing=drop_missing)
    made = problem_of(loaded)
    task = task_of(loaded, made, repeats=DRAWS)
    rows, count = task.rows, check_study(loaded, task)
    folder = store or Path("genseek-store")
    could_write(folder)
    check_tracking(tracking_uri)
    with leaving_nothing(checkpoints or str(folder)):  # nodes of a cluster try to write there
        trainers, warnings = room(loaded.budget, CheckpointStorage.named(checkpoints or str(folder)))
    pairs = [f"{model} with {objective}" for model, names in loaded.pairs().items() for objective in names]
    found = {
        "study": loaded.name,
        "problem": loaded.problem,
        "columns": list(made.columns),
        "notes": list(made.notes),
        "rows": {"train": len(rows.train), "validation": len(rows.validation), "test": len(rows.test)},
        "pairs": pairs,
        "extreme_configurations": count,
        "trainers": trainers,
        "store": str(folder),
        "warnings": warnings,
    }
    if as_json:
        print_json(found)
        return
    console = Printer()
    console.say(f"study {loaded.name}: keys, types and ranges are right")
    sizes = f"{len(rows.train)} + {len(rows.validation)} + {len(rows.test)} rows"
    console.say(f"data: {len(made.columns)} columns, {sizes}")
    for note in made.notes:
        print_note(console, note)
    console.say(f"pairs: {', '.join(pairs)}")
    console.say(f"space: {count} extreme configurations built, and trained for one step each")
    console.say(f"trainers: {trainers['gpu']} on GPUs, {trainers['cpu']} on cores")
    console.say(f"store: {folder} can be written")
    for line in warnings:
        console.warn(line)


@app.command("list", epilog="Example: genseek list searches --json")
def list_(
    what: Annotated[
        str,
        typer.Argument(
            metavar="WHAT",
            help=f"{', '.join(LISTED[:-1])} or {LISTED[-1]}.",
            autocompletion=listings,
        ),
    ],
    store: StoreFolder = None,
    tracking_uri: Tracking = None,
    as_json: Json = False,
) -> None:
    """List problems, families, objectives, scores, studies, searches or the registry of winners."""
    from search.cli.listings import LISTINGS
    from search.cli.tables import Line, grid, put

    if what == "searches":
        rows = [vars(found) for found in store_of(store, tracking_uri).searches()]
    elif what == "registry":
        from search.export.registry import registered

        rows = [each.to_dict() for each in registered(store_of(store, tracking_uri))]
    elif what in LISTINGS:
        rows = LISTINGS[what]()
    else:
        raise StudyError(unknown_name("listing", what, LISTED))
    if as_json:
        print_json(rows)
        return
    everything, console = rows[0] if rows else [f"no {what}"], Printer()
    headings = [heading for heading in everything if heading not in ("run_id", "experiment", "winner")]
    put(console, grid(headings, [Line([_cell(row[heading]) for heading in headings]) for row in rows], console.width))


@app.command(epilog="Example: genseek ui returns_4d-1 --port 5001")
def ui(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Search to show. Default: the newest.", show_default=False)
    ] = None,
    store: StoreFolder = None,
    port: Annotated[int, typer.Option(help="Port on this machine's loopback address.", min=1, max=65535)] = 5000,
) -> None:
    """Open the MLflow UI on the store."""
    from search.record.server import serve
    from search.record.store import Store
    from search.record.view import links

    opened, console = Store(store or Path("genseek-store"), None, create=False), Printer()
    opened.prepare()
    base, shown = f"http://127.0.0.1:{port}", [opened.search(name)] if name else opened.searches()[:1]

    def answers() -> None:
        console.say(f"MLflow UI on {opened.where()}, until Ctrl-C: {base}")
        for found in shown:
            print_links(console, found.name, links(base, found))

    raise typer.Exit(serve(opened, port, answers))


@app.command(epilog="Example: genseek doctor --store /data/genseek --json")
def doctor(
    store: StoreFolder = None,
    tracking_uri: Tracking = None,
    address: Address = None,
    patience: Annotated[float, typer.Option(help="Seconds to wait for a store or a server.", min=1)] = 20,
    as_json: Json = False,
) -> None:
    """Report what is installed, what is reachable, and what is wrong; exit code 1 for an error."""
    from search.cli.checks import findings

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


for _registered in app.registered_commands:
    _registered.callback = mannered(_registered.callback)  # type: ignore[arg-type]


def main() -> None:
    """Run the command; a user's mistake is one line on standard error and exit code 2.

    Where the reader of the output has gone the command ends in silence, as programs do that the signal ends.
    """
    prepare()
    set_defaults(RAY | MLFLOW)
    try:
        code = call(app)
    except BrokenPipeError:
        code = UNREAD
    except SystemExit as error:  # by Rich, of its own, on a broken pipe
        if not isinstance(error.__context__, BrokenPipeError):
            raise
        code = UNREAD
    sys.exit(flushed() or code)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    return ", ".join(value) if isinstance(value, list) else str("-" if value is None else value)
