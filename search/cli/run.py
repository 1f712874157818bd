"""The commands that train: `run` begins a search, `resume` goes on with it, and `confirm` tries its best again."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, final

import typer

from search.cli.console import ENDED, Printer, aside, print_json, print_links, print_note, results, store_of, tell
from search.cli.options import (
    Address,
    CheckpointsUri,
    Columns,
    Data,
    DropMissing,
    Epochs,
    Finalists,
    Json,
    NewName,
    OtherCheckpoints,
    PackSize,
    ProblemName,
    Replicas,
    SearchName,
    Seed,
    StoreFolder,
    StudyName,
    Time,
    Tracking,
    Trainers,
    TrainOn,
    Trials,
    WarmStart,
)
from search.errors import GenseekError, StudyError, TrainingError, redact_credentials
from search.study.budget import SEEDS, UNBOUNDED, Budget
from search.text import command, counted

if TYPE_CHECKING:
    from search.events.events import Event, Listener
    from search.rank.finalist import Finalist
    from search.rank.leaderboard import Leaderboard
    from search.record.store import Store
    from search.run.plan import Plan
    from search.run.publish import Published
    from search.run.search import Result


def run(
    study: StudyName,
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
    address: Address = None,
    checkpoints: CheckpointsUri = None,
    store: StoreFolder = None,
    tracking_uri: Tracking = None,
    as_json: Json = False,
) -> None:
    """Search for the best generator and print the leaderboard."""
    from search.run.plan import plan_search, start_from
    from search.study.parse import load_study, with_overrides

    loaded = with_overrides(
        load_study(study),
        problem=problem,
        data=data,
        columns=columns,
        drop_missing=drop_missing,
        trials=trials,
        time=time,
        epochs=epochs,
        seed=seed,
        pack_size=pack_size,
        replicas=replicas,
        device=device,
        trainers=trainers,
        finalists=finalists,
    )
    opened = store_of(store, tracking_uri, create=True)
    if warm_start is not None:
        loaded = start_from(loaded, opened.leaderboard(warm_start))
    _search(plan_search(loaded, opened, name, checkpoints), _where(store, tracking_uri, address), as_json)


def resume(
    context: typer.Context,
    name: SearchName,
    more_trials: Annotated[int, typer.Option(help="Number of configurations to add.", min=0)] = 0,
    time: Time = None,
    address: Address = None,
    checkpoints: OtherCheckpoints = None,
    store: StoreFolder = None,
    tracking_uri: Tracking = None,
    as_json: Json = False,
) -> None:
    """Continue an interrupted search, or add configurations to a finished one."""
    from search.run.plan import plan_resume

    if address is not None and address.startswith("http"):
        from search.cli.cluster import resubmit

        source = context.get_parameter_source("store")
        own = None if source is None or source.name == "ENVIRONMENT" else store  # this machine's says nothing of theirs
        more: dict[str, object] = {"more_trials": more_trials or None, "time": time}
        resubmit(name, more, str(own) if own else None, checkpoints, tracking_uri=tracking_uri, address=address)
        return
    plan = plan_resume(store_of(store, tracking_uri), name, more_trials, checkpoints, time=time)
    _search(plan, _where(store, tracking_uri, address), as_json)


def confirm(
    name: SearchName,
    top: Annotated[int | None, typer.Option(help="Number of best trials to confirm. Default: 3.", min=1)] = None,
    seeds: Annotated[int, typer.Option(help="Fresh networks per trial.", min=2)] = SEEDS,
    address: Address = None,
    checkpoints: OtherCheckpoints = None,
    store: StoreFolder = None,
    tracking_uri: Tracking = None,
    as_json: Json = False,
) -> None:
    """Train the best trials of a finished search again with fresh seeds, and choose the winner on test rows."""
    from search.cli.tables import show_families
    from search.run.plan import plan_resume
    from search.run.publish import confirm_best, publish

    console, opened = results(as_json), store_of(store, tracking_uri)
    opened.leaderboard(name)  # tells where there is none
    if opened.search(name).status != "FINISHED":
        again = command("resume", name, *_where(store, tracking_uri, address))
        raise StudyError(f"search {name!r} has not finished; go on with it first: {again}")
    plan = plan_resume(opened, name, checkpoints=checkpoints)
    count = top or plan.study.budget.finalists or Budget().finalists
    where = _where(store, tracking_uri, address)
    shown = _Shown(console, plan, where, as_json, confirm=("--top", count, "--seeds", seeds))
    with shown.until_interrupted():
        finalists = confirm_best(plan, top=count, seeds=seeds, progress=shown)
        show_families(console, opened.leaderboard(name))
        _published(aside(console), publish(plan), opened.leaderboard(name))
    if as_json:
        print_json([each.to_dict() for each in finalists])


def _search(plan: "Plan", where: Sequence[object], as_json: bool) -> None:
    """Run what is planned, try its best again, and show how it ends."""
    from search.cli.tables import show_families
    from search.run.publish import search_and_publish

    console, study, rows = results(as_json), plan.study, plan.task.rows
    beside = aside(console)
    beside.say(
        "search ",
        (plan.name, "bold"),
        f": {study.data_name}, {len(rows.train)} training, {len(rows.validation)} validation and {len(rows.test)} test "
        f"rows, {_bounds(plan)} of up to {counted(study.budget.epochs, 'epoch')}",
    )
    for note in plan.problem.notes:
        print_note(beside, note)
    shown = _Shown(console, plan, where, as_json)
    with shown.until_interrupted():
        outcome = search_and_publish(plan, seeds=SEEDS, progress=shown)
        if outcome.interrupted:
            raise KeyboardInterrupt
    show_families(console, outcome.board)
    _published(beside, outcome.published, outcome.board)
    if as_json:
        print_json(outcome.board.to_dict(outcome.board.winner()))
    here = where[: where.index("--address")] if "--address" in where else where
    following = [command("export", plan.name, "--out", "DIR", *here)]
    following += [command("ui", plan.name, *here)] if plan.store.embedded else []
    beside.print()
    beside.say("    ".join(["next:", *following]))


def _bounds(plan: "Plan") -> str:
    """Trials and time of a search, in words."""
    budget, fits = plan.study.budget, plan.trials - plan.study.budget.trials
    bounds = [] if budget.trials >= UNBOUNDED else [counted(budget.trials, "trial")]
    bounds += [f"{budget.time / 60:g} min"] if budget.time else []
    return ", ".join([*([counted(fits, "closed-form fit")] if fits else []), " or ".join(bounds)])


@final
class _Shown:
    """Shows a search on the terminal; where one can't go on, ends the command and says how it goes on."""

    def __init__(
        self, console: Printer, plan: "Plan", where: Sequence[object], as_json: bool, *, confirm: Sequence[object] = ()
    ) -> None:
        self._console, self._beside, self._plan, self._as_json = console, aside(console), plan, as_json
        finalists = confirm or ("--top", plan.study.budget.finalists, "--seeds", SEEDS)
        self._again = command("resume", plan.name, *where)
        self._confirm_again = command("confirm", plan.name, *finalists, *where)
        self._whole_again = self._confirm_again if confirm else self._again  # the finalists of `run` go on as well
        self._ended = bool(confirm)  # the search itself

    @contextmanager
    def until_interrupted(self) -> Iterator[None]:
        """Say how it goes on where Ctrl-C comes between the stages, or after them."""
        try:
            yield
        except KeyboardInterrupt:
            from search.events.journal import JOURNAL, begun

            if not self._ended and not begun(self._plan.folder / JOURNAL):
                raise
            _cut_off(self._console, f"; what was done so far is recorded, and goes on with: {self._whole_again}")
            raise typer.Exit(ENDED) from None

    @contextmanager
    def stage(self, title: str, trials: int, until: float = math.inf) -> Iterator[Sequence["Listener"]]:
        from search.cli.live import LiveTable

        again = self._confirm_again if self._ended else self._again
        links = [] if self._ended else _announced(self._beside, self._plan.store, self._plan.name)
        scores, epochs = list(self._plan.task.judge.floors), self._plan.study.budget.epochs
        with LiveTable(self._beside, title, trials, epochs, scores=scores, until=until) as live:
            try:
                yield [live, *links]
            except TrainingError as error:
                raise TrainingError(f"{error}; when that is mended, it goes on with: {again}") from error

    def warned(self, line: str) -> None:
        self._beside.warn(line)

    def searched(self, result: "Result") -> None:
        from search.cli.tables import show

        self._ended = True
        for line in result.failures:
            self._beside.warn(line)
        if result.interrupted:
            _cut_off(self._console, f"; what was trained so far is recorded, and goes on with: {self._again}")
        show(self._console, result.board)
        for line in result.unrecorded:
            tell(f"not all is recorded: {line}; {self._again} writes the rest")
        if result.interrupted or result.unrecorded:
            if self._as_json and result.board.eligible():
                print_json(result.board.to_dict(result.board.winner()))
            raise typer.Exit(ENDED if result.interrupted else 2)

    def confirmed(self, finalists: Sequence["Finalist"], board: "Leaderboard") -> None:
        from search.cli.tables import show_finalists

        if not finalists:
            _cut_off(self._console, f"; the finalists go on with: {self._confirm_again}")
            raise typer.Exit(ENDED)
        self._beside.print()
        show_finalists(self._console, self._plan.name, finalists, board.references["test"])
        if not any(each.verdict == "winner" for each in finalists):
            self._beside.warn(
                "fresh networks of every finalist diverged, so none is confirmed; the winner is the search's own"
            )


def _published(console: Printer, published: "Published", board: "Leaderboard") -> None:
    """Say what the winner for use knows, and where the report and the registered winner are."""
    console.print()
    winner = board.winner()
    if winner.refitted:
        console.say(f"trained once more on all {winner.refitted} rows, for export and registry: trial {winner.trial}")
    if published.report:
        console.say(f"report: {published.report}")
    if published.registered:
        console.say(f"registered: {published.registered.in_words()}")


def _where(store: Path | None, tracking_uri: str | None, address: str | None) -> list[object]:
    """Options by which the same search goes on."""
    given = {
        "--store": store,
        "--tracking-uri": tracking_uri and redact_credentials(tracking_uri),
        "--address": address,
    }
    return [word for option, value in given.items() if value is not None for word in (option, value)]


def _announced(console: Printer, store: "Store", name: str) -> list["Listener"]:
    """Listener that says where MLflow's UI shows a search, once it has begun; of an MLflow server, whose UI it has."""
    from search.record.view import links

    said = False

    def listen(event: "Event") -> None:
        nonlocal said
        if not said:
            said = True
            with suppress(GenseekError):  # the server may be away by now
                print_links(console, name, links(redact_credentials(store.uri), store.search(name)))

    return [listen] if store.uri.startswith("http") else []


def _cut_off(console: Printer, line: str) -> None:
    """Say how it goes on, whatever else is kept quiet."""
    (Printer(stderr=True) if console.quiet else console).say(("interrupted", "yellow"), line)
