"""The recorder: writes events to the store from a thread of its own, so that the search never waits for it."""

import contextlib
import math
import queue
import threading
import time
from collections.abc import Mapping
from typing import Any, final

from search.axes import Axes, asymmetry
from search.data_set import DataSet
from search.events import Delayed, Ended, Event, Reported, Started, Trained
from search.naming import short_name
from search.recorded import OUTCOME, RUNNING
from search.store import Store

Point = tuple[str, float, int, float]

PERIOD = 2.0  # seconds between writes of what running trials reported
CLOSING = 20.0  # seconds that a failing store is tried again when the search is over


@final
class Recorder:
    """Listener that records every trial as a child run.

    Events go into a queue. The thread keeps what a store didn't take and tries again, in order; `close` says what
    could not be written. Of a search that goes on it hears everything again, and writes what is missing: MLflow keeps
    a number that is written twice once.

    Args:
        store: where to write.
        parent: run id of the search.
        known: run ids of trials that the store has already, and whether all of a trial is there.
        axes: what the search varies.
        data: what its trials are trained on.
    """

    def __init__(
        self,
        store: Store,
        parent: str,
        known: Mapping[int, tuple[str, bool]] | None = None,
        axes: Axes | None = None,
        data: DataSet | None = None,
    ) -> None:
        self._store, self._parent = store, parent
        self._known, self._axes, self._data = dict(known or {}), axes or Axes(), data
        self._queue: queue.SimpleQueue[Started | Reported | Ended | None] = queue.SimpleQueue()
        self._events: list[Started | Reported | Ended] = []
        self._points: dict[int, list[Point]] = {}
        self._params: dict[int, dict[str, Any]] = {}
        self._nodes: dict[int, list[str]] = {}
        self._begun: dict[int, float] = {}
        self.run_ids = {trial: run_id for trial, (run_id, _) in self._known.items()}
        self.error, self.waiting = "", ""  # the last error of the store; the same, while it doesn't take what is told
        self._thread = threading.Thread(target=self._write, name="recorder", daemon=True)
        self._thread.start()

    def __call__(self, event: Event) -> None:
        if not isinstance(event, Trained | Delayed) and not self._known.get(event.trial, ("", False))[1]:
            self._queue.put(event)

    def close(self) -> str:
        """Write what is left; what could not be written, in one line, or an empty string."""
        self._queue.put(None)
        self._thread.join()
        left = len({event.trial for event in self._events} | set(self._points))
        said = "trial is" if left == 1 else "trials are"
        return f"{left} {said} not fully recorded in {self._store.where()}: {self.error}" if left else ""

    def _write(self) -> None:
        closing: float | None = None
        while closing is None or ((self._events or self._points) and time.monotonic() < closing):
            if closing is None and self._take():
                closing = time.monotonic() + CLOSING
            # Whatever the store's client raises must not end this thread: it's tried again, and told at the end.
            try:
                self._flush()
                self.waiting = ""
            except Exception as error:
                self.error = self.waiting = str(error).splitlines()[0] if str(error) else type(error).__name__
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
                self._begin(event)
            elif isinstance(event, Reported):
                self._points.setdefault(event.trial, []).extend(points_of(event, self._begun[event.trial], self._axes))
                larger = asymmetry(event.facts)
                if larger is not None:
                    self._params.setdefault(event.trial, {})["asymmetry"] = larger
                self._nodes.setdefault(event.trial, []).append(event.node)
            else:
                self._end(event)
            self._events.pop(0)
        for trial in list(self._points):
            self._log(trial)

    def _begin(self, event: Started) -> None:
        trial = event.trial
        if trial in self._known:
            self._store.reopen(self.run_ids[trial])
            self._store.log(self.run_ids[trial], tags={OUTCOME: RUNNING})
        elif trial not in self.run_ids:
            # After a failure the run may be there all the same: a request can time out that the server has served.
            run_id = self._store.trial_run(self._parent, trial) if self.error else None
            name = f"{short_name(event.configuration)} #{trial}"
            self.run_ids[trial] = run_id or self._store.begin_trial(self._parent, name, event)
        if self._data is not None:
            self._store.log_data(self.run_ids[trial], self._data)
        self._begun[trial] = event.time
        self._params[trial] = self._axes.parameters(event.configuration) | {"seed": event.seed}
        numbers = self._axes.numbers(event.configuration)
        self._points[trial] = [(f"config/{key}", _rounded(value), 0, event.time) for key, value in numbers.items()]

    def _log(self, trial: int, tags: dict[str, str] | None = None) -> None:
        # Forgotten only once they are written; parameters go with the first metrics, which spares a call.
        self._store.log(self.run_ids[trial], self._points.get(trial, ()), self._params.get(trial), tags)
        self._points.pop(trial, None)
        self._params.pop(trial, None)

    def _end(self, event: Ended) -> None:
        error = {"genseek.error": event.error[-4000:]} if event.error else {}
        nodes = ", ".join(filter(None, dict.fromkeys(self._nodes.get(event.trial, ()))))
        self._log(event.trial, {OUTCOME: event.outcome, "genseek.node": nodes} | error)
        if event.checkpoint is not None:
            with event.checkpoint.fetched() as folder:
                self._store.save(self.run_ids[event.trial], folder, "checkpoint")
        self._store.end(self.run_ids[event.trial], event.outcome, event.time)
        self._nodes.pop(event.trial, None)
        self._begun.pop(event.trial, None)


def points_of(event: Reported, begun: float, axes: Axes) -> list[Point]:
    """Metrics of a report, rounded to what they are worth, of a trial that has `begun` at that time.

    Plain names are of the best checkpoint so far, `epoch/...` of this epoch, `network/...` of the architecture.
    """
    report = event.report
    values = {
        "epoch": report.epoch,
        "best_epoch": report.best_epoch,
        "rung": axes.rung(report.epoch),
        "seconds": event.time - begun,
        "fit": report.fit,
        **report.scores,
        "loss/train": report.loss,
        "loss/validation": report.validation_loss,
        "epoch/fit": report.epoch_fit,
        **{f"epoch/{name}": value for name, value in report.epoch_scores.items()},
        **{f"spread/{name}": value for name, value in report.spread.items()},
        "network/zeros": report.zeros,
        "network/deviation": report.deviation,
        **{f"network/{name}": value for name, value in event.facts.items()},
    }
    return [(name, _rounded(value), report.epoch, event.time) for name, value in values.items() if math.isfinite(value)]


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")
