"""What a user sees while a search runs."""

import math
import threading
import time
from collections.abc import Sequence
from statistics import fmean
from types import TracebackType
from typing import final

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from search.cli.tables import Line, fitting, grid
from search.events.events import Ended, Event, Outcome, RecordingStalled, Reported, Started, TrainerHeartbeat, Troubled
from search.rank.leaderboard import SHOWN, STYLES, scores_shown
from search.study.budget import UNBOUNDED
from search.study.study import short_name
from search.text import counted, shortened, visible

WIDEST = 26  # letters of a generator, for all to fit into 80
SILENT = 30.0  # seconds after which a trainer no longer counts


@final
class LiveTable:
    """Listener that shows progress, time left, and the best trials so far, while a `with` block runs."""

    def __init__(
        self, console: Console, name: str, trials: int, epochs: int, *, scores: Sequence[str], until: float = math.inf
    ) -> None:
        self._trials, self._epochs, self._until, self._console = trials, epochs, until, console
        self._shown = fitting(scores, console.width)
        self._bar = Progress(
            TextColumn("{task.description}", style="bold", markup=False),
            BarColumn(),
            TextColumn("{task.fields[count]}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
        )
        self._began, self._done = time.time(), 0  # trials that have ended since; a search may go on from before
        total = trials if self._counted else max(1.0, until - self._began)
        self._task = self._bar.add_task(name, total=total, left="", count="")
        self._trainers: dict[str, TrainerHeartbeat] = {}
        self._started: dict[int, Started] = {}
        self._reported: dict[int, Reported] = {}
        self._ended: dict[int, Outcome] = {}
        self._delayed = ""
        self._lock = threading.Lock()  # events come from the search's thread, and Rich looks from one of its own
        self._live = Live(console=console, get_renderable=self.view, refresh_per_second=2, transient=True)

    def __enter__(self) -> "LiveTable":
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def __call__(self, event: Event) -> None:
        with self._lock:
            line = self._note(event)
        if line:
            self._console.print(Text(visible(line), "yellow"), soft_wrap=True)

    def _note(self, event: Event) -> str:
        """Take in what happened; a line that is printed now, or none."""
        if isinstance(event, Started):
            self._started[event.trial] = event
        elif isinstance(event, Reported):
            self._reported[event.trial] = event
        elif isinstance(event, TrainerHeartbeat):
            self._trainers[event.trainer] = event
        elif isinstance(event, RecordingStalled):
            self._delayed = f"the store doesn't answer, results wait on disk: {event.error}" if event.error else ""
            return "" if self._console.is_terminal else self._delayed  # where no live table says it
        elif isinstance(event, Troubled):
            return f"warning: {event.trouble}"
        elif isinstance(event, Ended):
            self._ended[event.trial] = event.outcome
            self._done += event.time >= self._began
        return ""

    @property
    def _counted(self) -> bool:
        """Whether the number of trials says how far it is, rather than the time."""
        return self._trials < UNBOUNDED or math.isinf(self._until)

    def _move(self) -> None:
        """Move the bar to where the stage is."""
        ended = len(self._ended)
        count = f"{ended}/{self._trials} trials" if self._counted else counted(ended, "trial")
        done = ended if self._counted else time.time() - self._began
        self._bar.update(self._task, completed=done, count=count, left=self._left())

    def _left(self) -> str:
        if not self._ended:
            return ""
        if self._until < math.inf:
            seconds = max(0.0, self._until - time.time())
        else:
            seconds = (time.time() - self._began) / max(1, self._done) * (self._trials - len(self._ended))
        return f"about {seconds / 60:.0f} min left" if seconds >= 90 else f"about {seconds:.0f} s left"

    def view(self) -> Group:
        """What it shows now."""
        with self._lock:
            return self._view()

    def _view(self) -> Group:
        self._move()
        rows: list[Line] = []
        best = sorted(self._reported.values(), key=lambda r: (-r.report.epoch, r.report.misfit))
        running = [r for r in best if r.trial not in self._ended]
        for reported in [*running, *[r for r in best if r.trial in self._ended]][:SHOWN]:
            report, configuration = reported.report, self._started[reported.trial].configuration
            state = self._ended.get(reported.trial, "running")
            cells: list[str | Text] = [
                str(reported.trial),
                shortened(short_name(configuration), WIDEST),
                Text(state, STYLES[state]),
                f"{report.epoch}/{self._epochs}",
                *scores_shown(report.scores, report.misfit, self._shown),
            ]
            rows.append(Line(cells))
        headings = ("trial", "model", "state", "epoch", "misfit", *self._shown)
        right = [0, *range(3, len(headings))]
        table = grid(headings, rows, self._console.width, cropped=1, right=right)
        delayed = [Text(visible(self._delayed), style="yellow")] if self._delayed else []
        return Group(self._bar, Text(self._pace(), style="dim"), *delayed, table)

    def _pace(self) -> str:
        """Trials a minute, networks in training, and how much of their time trainers spend on these."""
        heard = [trained for trained in list(self._trainers.values()) if time.time() - trained.time < SILENT]
        if not heard:
            return "starting"
        rate = 60 * self._done / (time.time() - self._began)
        networks, busy = sum(trained.networks for trained in heard), fmean(trained.busy for trained in heard)
        training = f"{counted(networks, 'network')} in training on {counted(len(heard), 'trainer')}"
        return f"{rate:.0f} trials a minute, {training}, {busy:.0%} busy"
