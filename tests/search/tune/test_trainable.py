"""A trainer's process: its messages, the orders that it obeys, and what it leaves on disk; here without Ray."""

import math
import pickle
import queue
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from objectives import OBJECTIVES, SCORES
from search import load_study, with_overrides
from search.checkpoints import CheckpointStorage
from search.events.events import Report
from search.events.messages import Assignment, Commands, TrainerStatus, TrialUpdate
from search.export.export import load_generator
from search.run.prepare import task_of
from search.study.configuration import Configuration, Training, stack_key
from search.study.parse import problem_of
from search.train.group import Checkpoint, Group
from search.train.stacking import UNMEASURED
from search.train.trainer import Trainer
from search.train.trial import Trial
from search.tune import trainable as worker
from search.tune.trainable import STATES, TuneTrainer


class Desk:
    """Queues of orders, which are handed out like Ray's references."""

    def __init__(self) -> None:
        self.orders: dict[str, queue.SimpleQueue[Commands | None]] = defaultdict(queue.SimpleQueue)
        self.take = SimpleNamespace(remote=lambda name: lambda: self.taken(name))
        self.left = threading.Event()

    def taken(self, name: str) -> bytes:
        orders = self.orders[name].get()
        if orders is None:
            self.left.set()
            threading.Event().wait()  # for good: what listens must not come to know the real Ray
        return pickle.dumps(orders)

    def put(
        self,
        name: str,
        begin: list[Assignment] | None = None,
        stop: list[int] | None = None,
        hand_in: dict[int, int] | None = None,
    ) -> None:
        self.orders[name].put(Commands(begin or [], stop or [], hand_in or {}))


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorter waits, and references that are functions."""
    util = SimpleNamespace(get_node_ip_address=lambda: "10.0.0.1")
    monkeypatch.setattr(worker, "ray", SimpleNamespace(get=lambda reference: reference(), util=util))
    monkeypatch.setattr(worker, "HEARTBEAT", 0.2)
    monkeypatch.setattr(worker, "PAUSE", 0.0)
    monkeypatch.setattr(worker, "PATIENCE", (0.01,))


DISCRETE: dict[str, Callable[[int, np.random.Generator], Any]] = {
    "flags": lambda n, draw: (draw.random((n, 3)) < (0.5, 0.2, 0.03)) * 1.0,
    "counts": lambda n, draw: draw.poisson((0.5, 3, 30), (n, 3)) * 1.0,
    "half zeros": lambda n, draw: np.where(draw.random((n, 3)) < 0.5, 0.0, draw.lognormal(size=(n, 3))),
    "every row twice": lambda n, draw: np.repeat(draw.standard_normal((n // 2, 3)), 2, axis=0),
}

Started = Callable[..., tuple[Any, Desk, TrainerStatus]]


@pytest.fixture
def started(soon: None, tmp_path: Path) -> Iterator[Started]:
    """Starts a trainer, and gives its desk and its first message; at the end all of them let go of their trials."""
    names: list[tuple[Desk, str]] = []

    def start(
        task: Any, device: str = "cpu", most: int | None = 8, every: float = 1e9
    ) -> tuple[Any, Desk, TrainerStatus]:
        desk: Any = Desk()
        trainer = TuneTrainer.__new__(TuneTrainer)  # what Tune's own constructor does needs a cluster
        trainer.setup({"device": device}, task, desk, most, 1, CheckpointStorage(str(tmp_path)), every)
        first: TrainerStatus = trainer.step()["message"]
        names.append((desk, first.trainer))
        return trainer, desk, first

    yield start
    for desk, name in names:
        desk.put(name, stop=list(range(100)))
        desk.orders[name].put(None)
        assert desk.left.wait(10)


def configuration(width: int = 6, **training: Any) -> Configuration:
    training = {"batch": 20, "learning_rate": 0.01, **training}
    return Configuration(
        model="pushforward", objective="energy", model_arguments={"width": width}, training=Training(**training)
    )


def assignments(*widths: int) -> list[Assignment]:
    return [
        Assignment(trial=number, configuration=configuration(width), seed=70 + number)
        for number, width in enumerate(widths)
    ]


def heard(trainer: Any, until: Callable[[list[TrainerStatus]], bool], seconds: float = 60) -> list[TrainerStatus]:
    """Messages until there are those that a test waits for."""
    messages: list[TrainerStatus] = []
    latest = time.monotonic() + seconds
    while not until(messages):
        assert time.monotonic() < latest, "waited too long"
        messages.append(trainer.step()["message"])
    return messages


def all_news(messages: list[TrainerStatus]) -> list[TrialUpdate]:
    return [each for message in messages for each in message.news]


def over(*numbers: int, epochs: int = 6) -> Callable[[list[TrainerStatus]], bool]:
    """Whether these trials were all told of to their end."""

    def check(messages: list[TrainerStatus]) -> bool:
        ended = {each.trial for each in all_news(messages) if each.error or each.report.epoch >= epochs}
        return ended >= set(numbers) and not messages[-1].trials

    return check


def alone(assignment: Assignment, task: Any) -> list[Report]:
    trial = Trial(assignment.configuration, task, assignment.seed)
    group = Group.of(trial)
    found = []
    while group.epoch(trial) < task.epochs:
        if group.advance():
            found.append(trial.report)
    return found


def test_the_first_message_asks_for_work(started: Started, make_task: Any) -> None:
    trainer, _, first = started(make_task())
    if not first.room:  # it is still measuring this machine
        first = heard(trainer, lambda messages: bool(messages) and messages[-1].room > 0)[-1]
    assert (first.news, first.trials, first.networks, first.device) == ([], frozenset(), 0, "cpu")
    assert first.room == UNMEASURED


def test_trials_are_trained_told_of_and_kept(
    started: Started, make_task: Any, tmp_path: Path, assert_alike: Any
) -> None:
    task = make_task()
    trainer, desk, first = started(task)
    given = assignments(4, 8, 6)
    desk.put(first.trainer, given[:1])
    desk.put(first.trainer, given[1:])
    messages = heard(trainer, over(0, 1, 2))
    told = all_news(messages)
    for each in given:
        own = [one for one in told if one.trial == each.trial]
        assert_alike([one.report for one in own], alone(each, task))
        assert {one.error for one in own} == {""}
        assert all(one.architecture["parameters"] > 0 for one in own)
        assert len(load_generator(tmp_path / f"{each.trial:05d}").sample(9)) == 9
    assert {message.trainer for message in messages} == {first.trainer}
    assert {key for message in messages for key in message.kinds} == {stack_key(given[0].configuration)}
    assert max(message.networks for message in messages) == 3
    assert all(0 <= message.busy <= 1 for message in messages)
    assert max(message.busy for message in messages) > 0
    assert any(message.seconds for message in messages)


def test_stopped_trials_leave(started: Started, make_task: Any, tmp_path: Path) -> None:
    trainer, desk, first = started(make_task((1, 100_000)))
    desk.put(first.trainer, assignments(4, 8))
    heard(trainer, lambda messages: bool(messages) and messages[-1].networks == 2)
    desk.put(first.trainer, stop=[0, 55])
    heard(trainer, lambda messages: bool(messages) and messages[-1].trials == {1})
    desk.put(first.trainer, stop=[1])
    heard(trainer, lambda messages: bool(messages) and not messages[-1].trials)
    assert not (tmp_path / "00000").exists()


def test_trials_are_handed_in_once_they_are_as_far_as_they_are_known_for(
    started: Started, make_task: Any, tmp_path: Path
) -> None:
    trainer, desk, first = started(make_task((1, 5, 100_000)))
    desk.put(first.trainer, assignments(4, 8))
    heard(trainer, lambda messages: {each.trial for each in all_news(messages) if each.report.epoch == 5} == {0, 1})
    desk.put(first.trainer, hand_in={0: 5, 1: 100_000, 55: 1})
    told = all_news(heard(trainer, lambda messages: bool(messages) and messages[-1].trials == {1}))
    assert [(each.trial, each.report.epoch, each.error) for each in told if each.handed_in] == [(0, 5, "")]
    assert len(load_generator(tmp_path / "00000").sample(9)) == 9
    assert not (tmp_path / "00001").exists()


def test_a_silent_trainer_says_that_it_lives(started: Started, make_task: Any) -> None:
    trainer, _, _ = started(make_task())
    trainer.step()
    began = time.monotonic()
    message = trainer.step()["message"]
    assert 0.1 < time.monotonic() - began < 5
    assert message.news == []


def test_what_cannot_be_built_is_told(started: Started, make_task: Any) -> None:
    trainer, desk, first = started(make_task())
    impossible = Assignment(
        trial=0, configuration=configuration(features="log1p"), seed=1
    )  # of rows with negative ones
    none = Assignment(trial=1, configuration=configuration(width=0), seed=1)
    desk.put(first.trainer, [impossible, none, Assignment(trial=2, configuration=configuration(), seed=1)])
    told = all_news(heard(trainer, over(0, 1, 2)))
    errors = {each.trial: each.error for each in told if each.error}
    assert set(errors) == {0, 1}
    assert errors[0].startswith("ValueError: log1p features need rows of at least 0")
    assert errors[1].startswith("ValueError: width")


def test_a_diverged_trial_leaves_no_checkpoint(started: Started, make_task: Any, tmp_path: Path) -> None:
    trainer, desk, first = started(make_task())
    desk.put(
        first.trainer, [Assignment(trial=0, configuration=configuration(learning_rate=1e30, optimizer="sgd"), seed=1)]
    )
    told = all_news(heard(trainer, lambda messages: bool(all_news(messages)) and not messages[-1].trials))
    assert told[-1].report.diverged
    assert not (tmp_path / "00000").exists()


def test_another_trainer_goes_on_from_the_checkpoint(started: Started, make_task: Any, tmp_path: Path) -> None:
    task = make_task(tuple(range(1, 2000)))
    trainer, desk, first = started(task, every=0.0)
    (given,) = assignments(4)
    desk.put(first.trainer, [given])
    state = tmp_path / STATES / "00000"
    heard(trainer, lambda messages: state.exists() and len(all_news(messages)) >= 3)
    desk.put(first.trainer, stop=[0])
    heard(trainer, lambda messages: bool(messages) and not messages[-1].trials)
    for thread in threading.enumerate():
        if thread.name == "saving":
            thread.join()
    saved = Checkpoint.load(CheckpointStorage(str(state)))
    assert saved is not None
    assert len(saved.reports) >= 1

    again, desk, second = started(task)
    desk.put(second.trainer, [replace(given, begun=True)])
    told = all_news(heard(again, lambda messages: len(all_news(messages)) > len(saved.reports)))
    assert second.trainer != first.trainer
    group = Group.of(Trial(given.configuration, task, given.seed))
    for _ in range(len(told)):
        group.advance()
    # What the first one may not have been able to tell is told again, and then what is new.
    assert [each.report for each in told] == group.trials[0].reports
    assert {tuple(each.architecture.items()) for each in told} == {tuple(group.trials[0].architecture.items())}


def test_a_torn_checkpoint_is_none(started: Started, make_task: Any, tmp_path: Path) -> None:
    trainer, desk, first = started(make_task())
    (given,) = assignments(4)
    (tmp_path / STATES).mkdir()
    (tmp_path / STATES / "00000").write_bytes(b"\x10\0\0\0\0\0\0\0{")
    desk.put(first.trainer, [replace(given, begun=True)])
    assert [each.report for each in all_news(heard(trainer, over(0)))] == alone(given, trainer._task)


def test_a_write_that_fails_once_is_tried_again(
    started: Started, make_task: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[CheckpointStorage] = []

    def once(trial: Trial, place: CheckpointStorage) -> None:
        tried.append(place)
        if len(tried) == 1:
            raise OSError("the link is down")

    monkeypatch.setattr(worker, "save_best", once)
    trainer, desk, first = started(make_task())
    desk.put(first.trainer, assignments(4))
    assert {each.error for each in all_news(heard(trainer, over(0)))} == {""}
    assert tried == [CheckpointStorage(f"{tmp_path}/00000")] * 2


def test_a_full_disk_fails_the_trial_and_not_the_trainer(
    started: Started, make_task: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(trial: Trial, place: CheckpointStorage) -> None:
        if place.uri.endswith("00000"):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(worker, "save_best", full)
    trainer, desk, first = started(make_task())
    desk.put(first.trainer, assignments(4, 6))
    told = all_news(heard(trainer, over(0, 1)))
    errors = {each.trial: each.error for each in told if each.error}
    assert errors == {0: "its checkpoint can't be kept: No space left on device"}


def test_a_plugin_whose_tensors_cannot_be_written_fails_alone(
    started: Started, make_task: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shared(trial: Trial, place: CheckpointStorage) -> None:
        if place.uri.endswith("00000"):
            raise RuntimeError("Some tensors share\nmemory")

    monkeypatch.setattr(worker, "save_best", shared)
    trainer, desk, first = started(make_task())
    desk.put(first.trainer, assignments(4, 6))
    told = all_news(heard(trainer, over(0, 1)))
    errors = {each.trial: each.error for each in told if each.error}
    assert errors == {0: "its checkpoint can't be kept: RuntimeError: Some tensors share memory"}


def test_checkpoints_that_cannot_be_written_are_told(
    started: Started, make_task: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def full(checkpoint: Checkpoint, place: CheckpointStorage) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Checkpoint, "save", full)
    trainer, desk, first = started(make_task((1, 100_000)), every=0.0)
    assert first.trouble == ""
    desk.put(first.trainer, assignments(4))
    said = heard(trainer, lambda messages: bool(messages) and messages[-1].trouble != "")[-1].trouble
    assert said.startswith("trials in training leave no checkpoints, and begin anew if their trainer dies: ")
    assert said.endswith("No space left on device")
    assert "OSError" in capfd.readouterr().err  # in the worker's log, which --verbose shows


def test_orders_are_known_of_at_once_and_obeyed_once(
    started: Started, make_task: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go = list[int](), threading.Event()

    class Slow(Trial):  # type: ignore[misc]
        def __init__(self, configuration: Configuration, task: Any, seed: int, device: str) -> None:
            begun.append(seed)
            go.wait(30)
            super().__init__(configuration, task, seed, device)

    monkeypatch.setattr(worker, "Trial", Slow)
    trainer, desk, first = started(make_task())
    room = (
        heard(trainer, lambda messages: bool(messages) and messages[-1].room > 0)[-1].room
        if not first.room
        else first.room
    )
    desk.put(first.trainer, assignments(4))
    message = heard(trainer, lambda messages: bool(messages) and messages[-1].trials == {0})[-1]
    assert message.room == room - 1
    desk.put(first.trainer, assignments(4))  # as if the first had been lost
    go.set()
    told = all_news(heard(trainer, over(0)))
    assert [each.report.epoch for each in told] == [1, 2, 4, 6]
    assert begun == [70]


def test_what_breaks_a_trainer_ends_it(started: Started, make_task: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: Any) -> None:
        raise AssertionError("of genseek's own making")

    monkeypatch.setattr(Trainer, "advance", broken)
    trainer, desk, first = started(make_task())
    desk.put(first.trainer, assignments(4))
    with pytest.raises(RuntimeError, match="AssertionError: of genseek's own making"):
        heard(trainer, over(0))


def test_a_lost_desk_ends_its_trainer(make_task: Any, tmp_path: Path) -> None:
    lost = threading.Event()

    def take() -> bytes:
        lost.wait()
        raise ConnectionError("the driver is gone")

    desk = SimpleNamespace(take=SimpleNamespace(remote=lambda name: take))
    trainer: Any = TuneTrainer.__new__(TuneTrainer)
    trainer.setup({"device": "cpu"}, make_task(), desk, 8, 1, CheckpointStorage(str(tmp_path)))
    trainer.step()
    lost.set()
    with pytest.raises(RuntimeError, match="ConnectionError: the driver is gone"):
        heard(trainer, lambda messages: False, 10)


def test_a_gpu_that_is_only_logical_trains_on_the_cores(
    started: Started, make_task: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    trainer, desk, first = started(make_task(), device="gpu")
    desk.put(first.trainer, assignments(4))
    messages = heard(trainer, over(0))
    assert {message.device for message in messages} == {"gpu"}


@pytest.mark.slow
@pytest.mark.parametrize("name", DISCRETE)
def test_every_score_judges_discrete_rows_in_a_trainer(name: str, started: Started, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    rows = DISCRETE[name](300, np.random.default_rng(0))
    np.savetxt(table, rows, delimiter=",", header="a,b,c", comments="", fmt="%.17g")
    study = with_overrides(load_study("table"), data=str(table), epochs=6, trials=1)
    study = replace(study, scores=tuple(SCORES))
    task = replace(task_of(study, problem_of(study)), objectives=OBJECTIVES)
    trainer, desk, first = started(task)
    desk.put(first.trainer, assignments(4, 8))
    news = all_news(heard(trainer, over(0, 1)))
    assert not [each.error for each in news if each.error]
    judged = news[-1].report.scores
    assert set(judged) == set(task.judge.floors) >= {"ad", "kendall", "mmd", "overfit", "modes", "clusters"}
    assert all(map(math.isfinite, judged.values())) and 0 < news[-1].report.misfit < 1e5
