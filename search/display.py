"""What a user sees while a search runs, and at its end."""

import time
from collections.abc import Sequence
from statistics import fmean
from types import TracebackType
from typing import TYPE_CHECKING, final

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from search.budget import Budget
from search.configuration import Configuration
from search.events import Ended, Event, Outcome, Reported, Started, Trained
from search.leaderboard import Entry, Leaderboard

if TYPE_CHECKING:
    from search.confirming import Finalist  # with Ray, which `best` doesn't need

SHOWN = 10
FORMATS = {"ad": ".2f", "mmd": ".5f", "overfit": ".3f"}
SILENT = 30.0  # seconds after which a trainer no longer counts
NARROW = 4  # scores that even a narrow terminal shows
WIDTHS = {"fit": 4, "ad": 5, "mmd": 8}
STYLES: dict[str, str] = {
    "running": "cyan",
    "finished": "green",
    "stopped": "dim",
    "diverged": "red",
    "failed": "bold red",
    "interrupted": "yellow",
}


@final
class LiveTable:
    """Listener that shows progress, time left, and the best trials so far, while a `with` block runs."""

    def __init__(self, console: Console, name: str, budget: Budget, scores: Sequence[str]) -> None:
        self._budget = budget
        self._shown = _fitting(scores, console.width)
        self._bar = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("trials"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
        )
        self._task = self._bar.add_task(name, total=budget.trials, left="")
        self._trainers: dict[str, Trained] = {}
        self._began, self._done = time.time(), 0  # trials that have ended since; a search may go on from before
        self._started: dict[int, Started] = {}
        self._reported: dict[int, Reported] = {}
        self._ended: dict[int, Outcome] = {}
        self._live = Live(console=console, get_renderable=self._view, refresh_per_second=2, transient=True)

    def __enter__(self) -> "LiveTable":
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def __call__(self, event: Event) -> None:
        if isinstance(event, Started):
            self._started[event.trial] = event
        elif isinstance(event, Reported):
            self._reported[event.trial] = event
        elif isinstance(event, Trained):
            self._trainers[event.trainer] = event
        elif isinstance(event, Ended):
            self._ended[event.trial] = event.outcome
            self._done += event.time >= self._began
            self._bar.update(self._task, completed=len(self._ended), left=self._left())

    def _left(self) -> str:
        seconds = (time.time() - self._began) / max(1, self._done) * (self._budget.trials - len(self._ended))
        return f"about {seconds / 60:.0f} min left" if seconds >= 90 else f"about {seconds:.0f} s left"

    def _view(self) -> Group:
        table = Table(box=None, header_style="bold", pad_edge=False)
        for heading in ("trial", "generator", "state", "epoch", "fit", *self._shown):
            table.add_column(heading, justify="left" if heading in ("generator", "state") else "right")
        best = sorted(self._reported.values(), key=lambda r: (-r.report.epoch, r.report.fit))
        running = [r for r in best if r.trial not in self._ended]
        for reported in [*running, *[r for r in best if r.trial in self._ended]][:SHOWN]:
            report, configuration = reported.report, self._started[reported.trial].configuration
            state = self._ended.get(reported.trial, "running")
            table.add_row(
                str(reported.trial),
                pair_shown(configuration),
                f"[{STYLES[state]}]{state}[/]",
                f"{report.epoch}/{self._budget.epochs}",
                *scores_shown(report.scores, report.fit, self._shown),
            )
        return Group(self._bar, Text(self._pace(), style="dim"), table)

    def _pace(self) -> str:
        """Trials a minute, networks in training, and how much of their time trainers spend on these."""
        heard = [trained for trained in self._trainers.values() if time.time() - trained.time < SILENT]
        if not heard:
            return "starting"
        rate = 60 * self._done / (time.time() - self._began)
        networks, busy = sum(trained.networks for trained in heard), fmean(trained.busy for trained in heard)
        return f"{rate:.0f} trials a minute, {networks} networks in training on {len(heard)} trainers, {busy:.0%} busy"


def show(console: Console, board: Leaderboard, by: str = "fit") -> None:
    """Print a leaderboard: best trials and references on validation rows, then the winner on test rows."""
    names = _fitting(list(board.floors["validation"]), console.width)
    console.print(_ranking(board, by, names))
    counts = {outcome: sum(e.outcome == outcome for e in board.entries) for outcome in STYLES}
    console.print(", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count), style="dim")
    if board.finished() and board.winner(by).test:
        console.print()
        console.print(_test(board, board.winner(by), names))


def show_finalists(
    console: Console, name: str, finalists: Sequence["Finalist"], references: dict[str, dict[str, float]]
) -> None:
    """Print what fresh networks scored on test rows, and who won."""
    title = f"{name}: fresh networks on test rows"
    table = Table(title=title, title_justify="left", title_style="bold", box=None, header_style="bold", pad_edge=False)
    for heading in ("", "generator", "size", "fit", "95 %", "p", "gap", ""):
        table.add_column(heading, justify="left" if heading in ("", "generator") else "right", no_wrap=True)
    for each in finalists:
        table.add_row(
            f"trial {each.trial}",
            pair_shown(each.configuration),
            f"{each.parameters:.0f}",
            f"{each.fit:.2f}",
            f"{each.low:.2f}-{each.high:.2f}",
            f"{each.p_value:.3f}",
            f"{each.optimism:+.0%}",
            each.verdict,
            style="bold" if each.verdict == "winner" else "",
        )
    for reference, scores in references.items():
        table.add_row("reference", reference, "", f"{scores['fit']:.2f}", style="blue")
    console.print(table)
    console.print(
        "size: parameters; p: that the winner is better by chance; gap, the search's optimism: how much worse fresh "
        "networks are on validation rows than the one that it found",
        style="dim",
    )


def scores_shown(scores: dict[str, float], fit: float, names: Sequence[str]) -> list[str]:
    """Cells of fit and the scores `names`; a dash where one doesn't exist."""
    cells = [f"{scores[name]:{FORMATS.get(name, '.4f')}}" if name in scores else "-" for name in names]
    return [f"{fit:.2f}" if fit < 1e5 else "-", *cells]


def pair_shown(configuration: Configuration) -> str:
    """Model and objective, or one name where both are called the same."""
    return ", ".join(dict.fromkeys([configuration.model, configuration.objective]))


def _fitting(names: Sequence[str], width: int) -> list[str]:
    """The first scores, as many as fit beside each other; the others are in MLflow and in `best --json`."""
    return list(names)[: max(NARROW, (width - 40) // 10)]


def _table(title: str, names: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, header_style="bold", pad_edge=False)
    table.add_column("", no_wrap=True)
    table.add_column("generator", no_wrap=True, max_width=18 if len(names) <= NARROW else None)
    for heading in ("fit", *names):  # a long name gives way, and no figure does
        table.add_column(heading, justify="right", no_wrap=True, min_width=WIDTHS.get(heading, 7))
    return table


def _ranking(board: Leaderboard, by: str, names: Sequence[str]) -> Table:
    table = _table(f"{board.name}: best trials on validation rows" + (f", by {by}" if by != "fit" else ""), names)
    for entry in board.ranked(by)[:SHOWN]:
        done = entry.outcome == "finished"
        label = f"trial {entry.trial}" if done else f"trial {entry.trial} ({entry.outcome})"
        cells = scores_shown(entry.scores, entry.fit, names)
        table.add_row(label, pair_shown(entry.configuration), *cells, style="" if done else "dim")
    _add_real(table, board, "validation", names)
    return table


def _test(board: Leaderboard, winner: Entry, names: Sequence[str]) -> Table:
    table = _table("the winner on test rows, which decided nothing", names)
    cells = scores_shown(winner.test, winner.test["fit"], names)
    table.add_row(f"trial {winner.trial}", pair_shown(winner.configuration), *cells)
    floors = board.floors["test"]
    marks = ["-" if name not in floors else _mark(winner, board, name) for name in names]
    table.add_row("inside the 95 %", "", "", *marks)
    _add_real(table, board, "test", names)
    return table


def _mark(winner: Entry, board: Leaderboard, name: str) -> str:
    return "[green]yes[/]" if winner.test[name] <= board.floors["test"][name].upper else "[red]no[/]"


def _add_real(table: Table, board: Leaderboard, split: str, names: Sequence[str]) -> None:
    """Rows of the reference generators, and of what one real sample scores against another."""
    for name, scores in board.references[split].items():
        table.add_row(name, "reference", *scores_shown(scores, scores["fit"], names), style="blue")
    floors = board.floors[split]
    for name, figures in (
        ("real rows, median", {score: floor.median for score, floor in floors.items()}),
        ("real rows, 95 %", {score: floor.upper for score, floor in floors.items()}),
    ):
        table.add_row(name, "floor", "", *scores_shown(figures, 1.0, names)[1:], style="magenta")
