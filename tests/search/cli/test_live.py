"""What a user sees while a search runs."""

import io
import sys
import threading
import time

from rich.console import Console

from search.cli.live import LiveTable
from search.events.events import Ended, Event, RecordingStalled, Report, Reported, Started, TrainerHeartbeat, Troubled
from search.study.configuration import Configuration


def shown(terminal: bool, *events: Event) -> str:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=100, color_system=None)
    with LiveTable(console, "first", 4, 9, scores=["ad", "kendall"]) as live:
        for event in events:
            live(event)
        console.print(live.view())
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def some(now: float) -> list[Event]:
    return [
        Started(trial=0, configuration=Configuration(model="vae", objective="elbo"), seed=1, time=now),
        Started(trial=1, configuration=Configuration(model="pushforward", objective="mmd"), seed=2, time=now),
        Reported(trial=0, report=Report(epoch=3, misfit=2.5, scores={"ad": 1.25}), architecture={}, time=now),
        Reported(
            trial=1,
            report=Report(epoch=9, misfit=1.5, scores={"ad": 0.75, "kendall": 0.125}),
            architecture={},
            time=now,
        ),
        TrainerHeartbeat(trainer="x", networks=7, busy=0.5, time=now),
        Ended(trial=1, outcome="finished", time=now + 1),
    ]


def test_trials_progress_and_pace() -> None:
    said = shown(True, *some(time.time()))
    assert "1/4" in said
    assert "7 networks in training on 1 trainer, 50% busy" in said
    for words in ("0 vae running 3/9 2.50 1.25 -", "1 pushforward finished 9/9 1.50 0.75 0.1250"):
        assert any(" ".join(line.split()) == words for line in said.splitlines())


def test_a_store_that_is_away_is_told_until_it_is_back() -> None:
    now = time.time()
    away, back = RecordingStalled("connection refused", now), RecordingStalled("", now)
    assert "the store doesn't answer, results wait on disk: connection refused" in shown(True, *some(now), away)
    assert "connection refused" not in shown(True, *some(now), away, back).splitlines()[-3]
    assert "connection refused" in shown(False, *some(now), away, back)


def test_a_trouble_is_printed_wherever_it_is_shown() -> None:
    for terminal in (True, False):
        said = shown(terminal, *some(time.time()), Troubled("trials leave no checkpoints", time.time()))
        assert "warning: trials leave no checkpoints" in said


def test_it_is_looked_at_while_events_come() -> None:
    console = Console(file=io.StringIO(), width=100)
    live, errors, over = LiveTable(console, "first", 4, 9, scores=["ad"]), list[BaseException](), threading.Event()

    def look() -> None:
        try:
            while not over.is_set():
                live.view()
        except BaseException as error:
            errors.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        thread = threading.Thread(target=look)
        thread.start()
        for number in range(3000):
            live(
                Started(
                    trial=number, configuration=Configuration(model="vae", objective="elbo"), seed=1, time=time.time()
                )
            )
            live(Reported(trial=number, report=Report(epoch=3, misfit=2.5), architecture={}, time=time.time()))
            live(TrainerHeartbeat(trainer=f"{number}", networks=1, busy=0.5, time=time.time() + 99))
            if not thread.is_alive():
                break
        over.set()
        thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert errors == []
