"""The recorder: writes events to the store from a thread of its own, so that the search never waits for it."""

import contextlib
import math
import queue
import threading
import time
from pathlib import Path
from typing import final

from search.events import Ended, Event, Reported, Started
from search.store import Store

Point = tuple[str, float, int, float]

PERIOD = 2.0  # seconds between writes of what running trials reported
CLOSING = 20.0  # seconds that a failing store is tried again when the search is over


@final
class Recorder:
    """Listener that records every trial as a child run.

    Events go into a queue. The thread keeps what a store didn't take and tries again, in order; `close` says what
    could not be written.

    Args:
        store: where to write.
        parent: run id of the search.
        name: of the search.
    """

    def __init__(self, store: Store, parent: str, name: str) -> None:
        self._store, self._parent, self._name = store, parent, name
        self._queue: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._events: list[Event] = []
        self._points: dict[int, list[Point]] = {}
        self.run_ids: dict[int, str] = {}
        self.error = ""
        self._thread = threading.Thread(target=self._write, name="recorder", daemon=True)
        self._thread.start()

    def __call__(self, event: Event) -> None:
        self._queue.put(event)

    def close(self) -> str:
        """Write what is left; what could not be written, in one line, or an empty string."""
        self._queue.put(None)
        self._thread.join()
        left = len({event.trial for event in self._events} | set(self._points))
        return f"{left} trials are not fully recorded in {self._store.where()}: {self.error}" if left else ""

    def _write(self) -> None:
        closing: float | None = None
        while closing is None or ((self._events or self._points) and time.monotonic() < closing):
            if closing is None and self._take():
                closing = time.monotonic() + CLOSING
            # Whatever the store's client raises must not end this thread: it's tried again, and told at the end.
            try:
                self._flush()
            except Exception as error:
                self.error = str(error).splitlines()[0] if str(error) else type(error).__name__
                time.sleep(1)

    def _take(self) -> bool:
        """Collect the events of a period; whether the search is over."""
        until = time.monotonic() + PERIOD
        with contextlib.suppress(queue.Empty):
            while True:
                event = self._queue.get(timeout=max(0.0, until - time.monotonic()))
                if event is None:
                    return True
                self._events.append(event)
        return False

    def _flush(self) -> None:
        while self._events:
            event = self._events[0]
            if isinstance(event, Started):
                if event.trial not in self.run_ids:
                    self.run_ids[event.trial] = self._store.begin_trial(
                        self._parent, self._name, event.trial, event.configuration, event.seed, event.time
                    )
            elif isinstance(event, Reported):
                self._points.setdefault(event.trial, []).extend(points_of(event))
            else:
                self._end(event)
            self._events.pop(0)
        for trial in list(self._points):
            self._store.log(self.run_ids[trial], self._points[trial])
            del self._points[trial]

    def _end(self, event: Ended) -> None:
        run_id = self.run_ids[event.trial]
        tags = {"genseek.outcome": event.outcome} | ({"genseek.error": event.error[-4000:]} if event.error else {})
        self._store.log(run_id, self._points.pop(event.trial, ()), tags=tags)
        if event.checkpoint is not None:
            self._store.save(run_id, Path(event.checkpoint), "checkpoint")
        self._store.end(run_id, event.outcome, event.time)


def points_of(event: Reported) -> list[Point]:
    """Metrics of a report, rounded to what they are worth.

    Plain names are of the best checkpoint so far, `epoch/...` of this epoch, `network/...` of the architecture.
    """
    report = event.report
    values = {
        "epoch": report.epoch,
        "best_epoch": report.best_epoch,
        "fit": report.fit,
        **report.scores,
        "loss/train": report.loss,
        "loss/validation": report.validation_loss,
        "epoch/fit": report.epoch_fit,
        **{f"epoch/{name}": value for name, value in report.epoch_scores.items()},
        "network/zeros": report.zeros,
        **{f"network/{name}": value for name, value in event.facts.items()},
    }
    return [
        (name, float(f"{value:.6g}"), report.epoch, event.time)
        for name, value in values.items()
        if math.isfinite(value)
    ]
