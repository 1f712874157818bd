"""The commands for a Ray cluster that this machine isn't part of: `submit`, `attach`, `stop` and `status`."""

import inspect
import time
from typing import Annotated, Any

import typer

from search.cli import run
from search.cli.console import Printer, print_json
from search.cli.options import Json, SearchName, StudyName
from search.errors import StudyError
from search.text import command

LOCAL = "http://127.0.0.1:8265"  # the head itself, or this end of a tunnel to it
ELSEWHERE = ("name", "warm")  # options of `run` that aren't of its study
Api = Annotated[
    str,
    typer.Option(
        "--address", envvar="RAY_API_SERVER_ADDRESS", help="The cluster's Jobs API, such as http://HEAD:8265."
    ),
]


def submit(
    study: StudyName,
    address: Api = LOCAL,
    follow: Annotated[bool, typer.Option("--follow", help="Show what it prints; Ctrl-C leaves it running.")] = False,
    store: Annotated[
        str | None,
        typer.Option(help="Folder of the store there, a whole path. Default: GENSEEK_STORE there."),
    ] = None,
    checkpoints: Annotated[
        str | None,
        typer.Option(
            "--checkpoints", help="Where trials keep them, as `run` has it. Default: GENSEEK_CHECKPOINTS there."
        ),
    ] = None,
    **options: Any,
) -> None:
    """Let a cluster run a search, with its study, table and plug-ins; the other options are those of `run`."""
    from search.run.plan import check_name, stem
    from search.study.parse import load_study, problem_of, with_overrides
    from search.tune.jobs import Jobs, bundle, off_this_machine

    tracking_uri = options.pop("tracking_uri")
    _check_places(store, checkpoints, tracking_uri)
    given = {key: value for key, value in options.items() if key not in ELSEWHERE}
    loaded = with_overrides(load_study(study), **given)
    if not off_this_machine(loaded):
        problem_of(loaded)
    name = check_name(options["name"] or f"{stem(loaded)}-{time.strftime('%Y%m%d-%H%M%S')}")
    jobs = Jobs(address)
    with bundle(study, loaded) as (folder, sent, data):
        rest = options | {"name": name, "data": data, "checkpoints": checkpoints}
        job = jobs.submit(name, ["run", sent, *_written(rest)], folder, store, tracking_uri=tracking_uri)
    _go_on(jobs, job, address, follow)


def resubmit(
    name: str, more_trials: int, store: str | None, checkpoints: str | None, tracking_uri: str | None, address: str
) -> None:
    """Let a cluster go on with a search, where its last job had its store and record unless others are named."""
    from search.tune.jobs import Jobs

    _check_places(store, checkpoints, tracking_uri)
    jobs = Jobs(address)
    before = next(iter(jobs.of(name)), None)  # none is known after the head was started again
    arguments = [
        "resume",
        name,
        *(["--more-trials", str(more_trials)] if more_trials else []),
        *(["--checkpoints", checkpoints] if checkpoints else []),
    ]
    store, tracking_uri = store or (before and before.store), tracking_uri or (before and before.tracking_uri)
    _go_on(jobs, jobs.submit(name, arguments, None, store, tracking_uri=tracking_uri), address)


def _check_places(store: str | None, checkpoints: str | None, tracking_uri: str | None) -> None:
    """Refuse what another machine would read otherwise, and passwords: a job's command line can be read."""
    if store is not None and not store.startswith("/"):
        raise StudyError(f"--store {store}: expected a whole path, of the cluster's own")
    if checkpoints is not None and "://" not in checkpoints and not checkpoints.startswith("/"):
        raise StudyError(
            f"--checkpoints {checkpoints}: expected a whole path that all nodes see, or such as s3://bucket/folder"
        )
    if "@" in (tracking_uri or ""):
        raise StudyError("--tracking-uri: a password would be shown with the job; set MLFLOW_TRACKING_URI on the head")
    if "@" in (checkpoints or ""):
        raise StudyError("--checkpoints: credentials would be shown with the job; give them to each node")


def attach(name: SearchName, address: Api = LOCAL) -> None:
    """Show what a submitted search prints, from its beginning until it ends; Ctrl-C leaves it running."""
    from search.tune.jobs import Jobs

    jobs = Jobs(address)
    _follow(jobs, jobs.latest(name), address)


def stop(name: SearchName, address: Api = LOCAL) -> None:
    """End a submitted search; what it has done is recorded, and `resume` goes on with it."""
    from search.tune.jobs import Jobs

    jobs = Jobs(address)
    job = jobs.stop(jobs.latest(name))
    again = f"; it goes on with {command('resume', name, '--address', address)}" if job.status != "SUCCEEDED" else ""
    Printer().say(f"search {name}: {job.status.lower()}{again}")


def status(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Of one search.", show_default=False)] = None,
    address: Api = LOCAL,
    as_json: Json = False,
) -> None:
    """List the searches that were submitted to a cluster, the newest first."""
    from search.cli.tables import Line, grid, put
    from search.tune.jobs import Jobs

    jobs = Jobs(address)
    found = jobs.all() if name is None else [jobs.latest(name)]
    if as_json:
        print_json([vars(job) for job in found])
        return
    lines, console = [], Printer()
    for job in found:
        began = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(job.began))
        said = job.message.partition("\n")[0] if job.status == "FAILED" else ""
        lines.append(Line([job.search, job.status.lower(), began, job.id, said]))
    if found:
        put(console, grid(("search", "status", "began", "job", "message"), lines, console.width))
    else:
        console.say(f"no search was submitted to {address}")


def _go_on(jobs: Any, job: Any, address: str, follow: bool = False) -> None:
    """Say how to get at a job, or show it."""
    console = Printer()
    console.say("search ", (job.search, "bold"), " runs in the cluster, whatever becomes of this machine")
    for verb in ("attach", "status", "stop"):
        console.say(f"    {command(verb, job.search, *_where(address))}")
    if follow:
        _follow(jobs, job, address)


def _follow(jobs: Any, job: Any, address: str) -> None:
    try:
        code = jobs.follow(job, lambda lines: print(lines, end="", flush=True))
    except KeyboardInterrupt:
        Printer().say(f"search {job.search} goes on: {command('attach', job.search, *_where(address))}")
        code = 0
    raise typer.Exit(code)


def _where(address: str) -> list[str]:
    return [] if address == LOCAL else ["--address", address]


def _shared() -> list[inspect.Parameter]:
    """Options of `run` that `submit` has too."""
    own = [*inspect.signature(submit).parameters, "as_json"]
    return [each for each in inspect.signature(run.run).parameters.values() if each.name not in own]


def _written(options: dict[str, Any]) -> list[str]:
    """Options of `run` as they are written on its command line."""
    alone = typer.Typer(add_completion=False)
    alone.command()(run.run)
    words = []
    for parameter in typer.main.get_command(alone).params:
        value = options.get(parameter.name or "")
        if value is True:
            words.append(parameter.opts[0])
        elif value is not None and value is not False:
            words += [parameter.opts[0], str(value)]
    return words


def _with_shared(command: Any) -> Any:
    """`submit` with all of its options spelt out, as the command line reads them from its signature."""
    own = [each for each in inspect.signature(command).parameters.values() if each.kind is not each.VAR_KEYWORD]
    every = [*own, *_shared()]
    command.__signature__ = inspect.Signature(every)
    command.__annotations__ = {each.name: each.annotation for each in every}
    return command


_with_shared(submit)
