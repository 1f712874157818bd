"""The recorder: writes events to the store from its own thread, so that the search never waits for it."""

import contextlib
import math
import queue
import threading
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, final

from search.checkpoints import CheckpointStorage
from search.events.events import Ended, Event, RecordingStalled, Reported, Started, TrainerHeartbeat, Troubled
from search.log import verbose
from search.record.client import refused
from search.record.dataset import DataSet
from search.record.layout import (
    CHECKPOINT,
    CONFIG,
    EPOCH,
    ERROR,
    KIND,
    LOSS,
    MISSING,
    NETWORK,
    NODE,
    OUTCOME,
    RUNNING,
    SPREAD,
    Axes,
    asymmetry,
)
from search.record.store import Store
from search.study.study import short_name

Point = tuple[str, float, int, float]
Piece = tuple[str, Any]  # "metric" and a point, or "parameter" or "tag" and a (name, value)
PERIOD = 2.0  # seconds between writes of running trials' reports
CLOSING = 20.0  # seconds to retry a failing store after the search is over
TRIES = 3  # attempts to write what the store refuses, before it is set aside
SHOWN = 3  # unrecorded things that one line names
ALIVE = {KIND: "search"}  # a tag that the search's run has already: writing it tests the store


class _RetryError(Exception):
    """The store answers but refused a write that may succeed later."""


@final
class Recorder:
    """Listener that records every trial as a child run.

    Events go into a queue, which a thread writes. If the store is away, the thread keeps the events and retries them in
    order. If the store answers but refuses something, the thread sets that aside and goes on; `close` says what is not
    recorded. A resumed search sends all its events again, and the recorder writes what is missing: MLflow stores a
    number that is written twice only once.

    Args:
        store: where to write.
        parent: run id of the search.
        known: run ids of the trials that the store has already, and whether each is recorded completely.
        axes: the keys that the search varies.
        data: the data set of the trials.
    """

    def __init__(
        self,
        store: Store,
        parent: str,
        known: Mapping[int, tuple[str, bool]] | None = None,
        axes: Axes | None = None,
        *,
        data: DataSet | None = None,
    ) -> None:
        self._store, self._parent = store, parent
        self._known, self._axes, self._data = dict(known or {}), axes or Axes(), data
        self._queue: queue.SimpleQueue[Started | Reported | Ended | None] = queue.SimpleQueue()
        self._events: deque[Started | Reported | Ended] = deque()
        self._points: dict[int, list[Point]] = {}
        self._params: dict[int, dict[str, Any]] = {}
        self._nodes: dict[int, list[str]] = {}
        self._begun: dict[int, float] = {}
        self._tries: Counter[tuple[int, str]] = Counter()
        self._aside: dict[str, dict[int, str]] = {}  # refused writes, the trials they belong to, and the reason
        self.run_ids = {trial: run_id for trial, (run_id, _) in self._known.items()}
        self.error, self.waiting = "", ""  # the store's last error; the same while the store is away
        self._thread = threading.Thread(target=self._write, name="recorder", daemon=True)
        self._thread.start()

    def __call__(self, event: Event) -> None:
        if (
            not isinstance(event, TrainerHeartbeat | RecordingStalled | Troubled)
            and not self._known.get(event.trial, ("", False))[1]
        ):
            self._queue.put(event)

    def close(self) -> str:
        """Write what is left; return one line on what could not be written, or an empty string."""
        self._queue.put(None)
        self._thread.join()
        left = len({event.trial for event in self._events} | set(self._points))
        said = "trial is" if left == 1 else "trials are"
        away = [f"{left} {said} not fully recorded in {self._store.where()}: {self.error}"] if left else []
        return "; ".join([*away, *self._set_aside()])

    def _set_aside(self) -> list[str]:
        """Return one line on what the store refused, if anything."""
        if not self._aside:
            return []
        lines = []
        for what, trials in self._aside.items():
            whose = f"trial {next(iter(trials))}" if len(trials) == 1 else f"{len(trials)} trials"
            lines.append(f"{what} of {whose} ({next(iter(trials.values()))})")
        more = f" and {len(lines) - SHOWN} other things" if len(lines) > SHOWN else ""
        return [f"{self._store.where()} doesn't take {', '.join(lines[:SHOWN])}{more}"]

    def _write(self) -> None:
        closing: float | None = None
        while closing is None or ((self._events or self._points) and time.monotonic() < closing):
            if closing is None and self._take():
                closing = time.monotonic() + CLOSING
            # No error of the store's client may end this thread: it retries, and `close` reports the error.
            try:
                self._flush()
                self.waiting = ""
            except Exception as error:
                self.error = _said(error)
                self.waiting = "" if isinstance(error, _RetryError) else self.error
                time.sleep(1)

    def _take(self) -> bool:
        """Collect the events of a period; return whether the search is over."""
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
            what = {Started: "the start", Reported: "a report", Ended: "the end"}[type(event)]
            self._kept(event.trial, what, partial(self._hear, event))
            self._events.popleft()
        for trial in list(self._points):
            self._log(trial)

    def _kept(self, trial: int, what: str, write: Callable[[], Any]) -> bool:
        """Write something of a trial; return False if the store answers but refuses it.

        Raises:
            Exception: the store is away, or may accept it later.
        """
        try:
            write()
            return True
        except _RetryError:
            raise
        except Exception as error:
            self._store.log(self._parent, tags=ALIVE)  # raises if the store itself fails
            self._tries[trial, what] += 1
            if not refused(error) and what not in self._aside and self._tries[trial, what] < TRIES:
                raise _RetryError(_said(error)) from error
            self._aside.setdefault(what, {})[trial] = _said(error)
            if verbose():
                traceback.print_exception(error)
            return False

    def _hear(self, event: Started | Reported | Ended) -> None:
        if isinstance(event, Started):
            self._begin(event)
        elif event.trial not in self._begun:
            return  # its run could not be created, which `close` reports
        elif isinstance(event, Reported):
            self._note(event)
        else:
            self._end(event)

    def _begin(self, event: Started) -> None:
        trial = event.trial
        if not self._kept(trial, "the run", lambda: self._open(event)):
            return
        if (data := self._data) is not None:
            self._kept(trial, "the data set", lambda: self._store.log_data(self.run_ids[trial], data))
        self._begun[trial] = event.time
        self._params[trial] = self._axes.parameters(event.configuration) | {"seed": event.seed}
        numbers = self._axes.numbers(event.configuration)
        self._points[trial] = [(f"{CONFIG}/{key}", _rounded(value), 0, event.time) for key, value in numbers.items()]

    def _open(self, event: Started) -> None:
        """Create the run of a trial, or reopen it."""
        trial = event.trial
        if trial in self._known:
            self._store.reopen(self.run_ids[trial])
            self._store.log(self.run_ids[trial], tags={OUTCOME: RUNNING, MISSING: ""})
        elif trial not in self.run_ids:
            # After a failure the run may exist: a request can time out although the server has served it.
            run_id = self._store.trial_run(self._parent, trial) if self.error else None
            name = f"{short_name(event.configuration)} #{trial}"
            self.run_ids[trial] = run_id or self._store.begin_trial(self._parent, name, event)

    def _note(self, event: Reported) -> None:
        """Collect what a report says, to be written later."""
        points = points_of(event, self._begun[event.trial], self._axes)
        larger = asymmetry(event.architecture)
        self._points.setdefault(event.trial, []).extend(points)
        if larger is not None:
            self._params.setdefault(event.trial, {})["asymmetry"] = larger
        self._nodes.setdefault(event.trial, []).append(event.node)

    def _log(self, trial: int, tags: dict[str, str] | None = None) -> None:
        # Cleared only after they are written. Parameters go with the first metrics, which saves a call.
        points, params = self._points.get(trial, ()), self._params.get(trial, {})
        pieces = [("metric", point) for point in points]
        self._write_all(trial, [*pieces, *_named("parameter", params), *_named("tag", tags or {})])
        self._points.pop(trial, None)
        self._params.pop(trial, None)

    def _write_all(self, trial: int, pieces: Sequence[Piece]) -> None:
        """Write pieces of a trial's run at once; if the store refuses, write all pieces that it accepts."""
        points, params, tags = (
            [own for kind, own in pieces if kind == each] for each in ("metric", "parameter", "tag")
        )
        write = partial(self._store.log, self.run_ids[trial], points, dict(params), dict(tags))
        if len(pieces) == 1:
            self._kept(trial, f"{pieces[0][0]} {pieces[0][1][0]!r}", write)
            return
        try:
            write()
        except Exception as error:
            self._store.log(self._parent, tags=ALIVE)
            self._tries[trial, ""] += 1
            if not refused(error) and self._tries[trial, ""] < TRIES:
                raise _RetryError(_said(error)) from error
            for some in (pieces[: len(pieces) // 2], pieces[len(pieces) // 2 :]):
                self._write_all(trial, some)

    def _end(self, event: Ended) -> None:
        trial = event.trial
        error = {ERROR: event.error[-4000:]} if event.error else {}
        nodes = ", ".join(filter(None, dict.fromkeys(self._nodes.get(trial, ()))))
        self._log(trial, {OUTCOME: event.outcome, NODE: nodes} | error)
        if event.checkpoint is not None:
            self._kept(trial, "the checkpoint", partial(self._keep, trial, event.checkpoint))
        missing = [what for what, trials in self._aside.items() if trial in trials]
        if missing:
            self._store.log(self.run_ids[trial], tags={MISSING: ", ".join(missing)[:4000]})
        self._store.end(self.run_ids[trial], event.outcome, event.time)
        self._nodes.pop(trial, None)
        self._begun.pop(trial, None)

    def _keep(self, trial: int, checkpoint: CheckpointStorage) -> None:
        with checkpoint.fetched() as folder:
            self._store.save(self.run_ids[trial], folder, CHECKPOINT)


def points_of(event: Reported, begun: float, axes: Axes) -> list[Point]:
    """Return the metrics of a report, rounded; `begun` is the time at which the trial began.

    Plain names are of the best checkpoint so far, `epoch/...` of this epoch, `network/...` of the architecture.
    """
    report = event.report
    values = {
        "epoch": report.epoch,
        "best_epoch": report.best_epoch,
        "rung": axes.rung(report.epoch),
        "seconds": event.time - begun,
        "misfit": report.misfit,
        **report.scores,
        f"{LOSS}/train": report.loss,
        f"{LOSS}/validation": report.validation_loss,
        f"{EPOCH}/misfit": report.epoch_misfit,
        **{f"{EPOCH}/{name}": value for name, value in report.epoch_scores.items()},
        **{f"{SPREAD}/{name}": value for name, value in report.spread.items()},
        f"{NETWORK}/zeros": report.zeros,
        f"{NETWORK}/deviation": report.deviation,
        **{f"{NETWORK}/{name}": value for name, value in event.architecture.items()},
    }
    return [(name, _rounded(value), report.epoch, event.time) for name, value in values.items() if math.isfinite(value)]


def _named(kind: str, values: Mapping[str, Any]) -> Iterator[Piece]:
    return ((kind, pair) for pair in values.items())


def _said(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")
