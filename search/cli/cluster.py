"""The commands for a Ray cluster that this machine isn't part of: `submit`, `attach`, `stop` and `status`."""

from collections.abc import Mapping
from time import localtime, strftime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from search.cli.console import Printer, print_json
from search.cli.options import (
    Columns,
    Data,
    DropMissing,
    Epochs,
    Finalists,
    Json,
    NewName,
    PackSize,
    ProblemName,
    Replicas,
    SearchName,
    Seed,
    StudyName,
    Time,
    Tracking,
    Trainers,
    TrainOn,
    Trials,
    WarmStart,
)
from search.errors import StudyError
from search.text import command

if TYPE_CHECKING:
    from search.tune.jobs import Job, Jobs

LOCAL = "http://127.0.0.1:8265"  # the head itself, or this end of a tunnel to it
Api = Annotated[
    str,
    typer.Option(
        "--address", envvar="RAY_API_SERVER_ADDRESS", help="Jobs API of the cluster, such as http://HEAD:8265."
    ),
]


def submit(
    study: StudyName,
    address: Api = LOCAL,
    follow: Annotated[
        bool, typer.Option("--follow", help="Show the output; Ctrl-C leaves the search running.")
    ] = False,
    problem: ProblemName = None,
    data: Data = None,
    columns: Columns = None,
    drop_missing: DropMissing = False,
    trials: Trials = None,
    time: Time = None,
    epochs: Epochs = None,
    seed: Seed = None,
    pack_size: PackSize = None,
    replicas: Replicas = None,
    device: TrainOn = None,
    trainers: Trainers = None,
    finalists: Finalists = None,
    warm_start: WarmStart = None,
    name: NewName = None,
    checkpoints: Annotated[
        str | None, typer.Option(help="Checkpoint folder, as for `run`. Default: GENSEEK_CHECKPOINTS on the cluster.")
    ] = None,
    store: Annotated[
        str | None, typer.Option(help="Absolute path of the store on the cluster. Default: GENSEEK_STORE there.")
    ] = None,
    tracking_uri: Tracking = None,
) -> None:
    """Run a search on a cluster: send its study, table and plug-ins; the options are those of `run`."""
    from search.run.plan import check_name, stem
    from search.study.parse import load_study, problem_of, with_overrides
    from search.tune.jobs import Jobs, bundle, off_this_machine

    _check_places(store, checkpoints, tracking_uri)
    changed: dict[str, Any] = {
        "problem": problem,
        "columns": columns,
        "drop_missing": drop_missing,
        "trials": trials,
        "time": time,
        "epochs": epochs,
        "seed": seed,
        "pack_size": pack_size,
        "replicas": replicas,
        "device": device,
        "trainers": trainers,
        "finalists": finalists,
    }
    loaded = with_overrides(load_study(study), data=data, **changed)
    if not off_this_machine(loaded):
        problem_of(loaded)
    name = check_name(name or f"{stem(loaded)}-{strftime('%Y%m%d-%H%M%S')}")
    jobs = Jobs(address)
    with bundle(study, loaded) as (folder, sent, copied):
        rest = {"data": copied, **changed, "warm_start": warm_start, "name": name, "checkpoints": checkpoints}
        job = jobs.submit(name, ["run", sent, *_words(rest)], folder, store, tracking_uri=tracking_uri)
    _go_on(jobs, job, address, follow)


def resubmit(
    name: str,
    more: Mapping[str, object],
    store: str | None,
    checkpoints: str | None,
    *,
    tracking_uri: str | None,
    address: str,
) -> None:
    """Let a cluster go on with a search, by the options `more`, where its last job had its store and record."""
    from search.tune.jobs import Jobs

    _check_places(store, checkpoints, tracking_uri)
    jobs = Jobs(address)
    before = next(iter(jobs.of(name)), None)  # none is known after the head was started again
    arguments = ["resume", name, *_words({**more, "checkpoints": checkpoints})]
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
    """Show the output of a submitted search from beginning to end; Ctrl-C leaves it running."""
    from search.tune.jobs import Jobs

    jobs = Jobs(address)
    _follow(jobs, jobs.latest(name), address)


def stop(name: SearchName, address: Api = LOCAL) -> None:
    """End a submitted search; its results are recorded, and `resume` continues it."""
    from search.tune.jobs import Jobs

    jobs = Jobs(address)
    job = jobs.stop(jobs.latest(name))
    again = f"; it goes on with {command('resume', name, '--address', address)}" if job.status != "SUCCEEDED" else ""
    Printer().say(f"search {name}: {job.status.lower()}{again}")


def status(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Search to show. Default: all.", show_default=False)
    ] = None,
    address: Api = LOCAL,
    as_json: Json = False,
) -> None:
    """List the searches submitted to a cluster, newest first."""
    from search.cli.tables import Line, grid, put
    from search.tune.jobs import Jobs

    jobs = Jobs(address)
    found = jobs.all() if name is None else [jobs.latest(name)]
    if as_json:
        print_json([vars(job) for job in found])
        return
    lines, console = [], Printer()
    for job in found:
        began = strftime("%Y-%m-%d %H:%M:%S", localtime(job.began))
        said = job.message.partition("\n")[0] if job.status == "FAILED" else ""
        lines.append(Line([job.search, job.status.lower(), began, job.id, said]))
    if found:
        put(console, grid(("search", "status", "began", "job", "message"), lines, console.width))
    else:
        console.say(f"no search was submitted to {address}")


def _go_on(jobs: "Jobs", job: "Job", address: str, follow: bool = False) -> None:
    """Say how to get at a job, or show it."""
    console = Printer()
    console.say("search ", (job.search, "bold"), " runs in the cluster, whatever becomes of this machine")
    for verb in ("attach", "status", "stop"):
        console.say(f"    {command(verb, job.search, *_where(address))}")
    if follow:
        _follow(jobs, job, address)


def _follow(jobs: "Jobs", job: "Job", address: str) -> None:
    try:
        code = jobs.follow(job, lambda lines: print(lines, end="", flush=True))
    except KeyboardInterrupt:
        Printer().say(f"search {job.search} goes on: {command('attach', job.search, *_where(address))}")
        code = 0
    raise typer.Exit(code)


def _where(address: str) -> list[str]:
    return [] if address == LOCAL else ["--address", address]


def _words(options: Mapping[str, object]) -> list[str]:
    """Options of `run` as they are written on its command line."""
    words = []
    for name, value in options.items():
        if value is not None and value is not False:
            words += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
    return words
