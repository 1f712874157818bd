"""Searches on a real Ray: what trainers find is what each trial finds alone, and killing them changes nothing."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import ray

from objectives import OBJECTIVES
from objectives.losses import ELBO, Energy
from search.errors import GenseekError, TrainingError
from search.events.events import Ended, Event, Report, Reported, Started, TrainerHeartbeat
from search.events.messages import Commands, TrainerStatus
from search.export.export import load_generator
from search.schedule.suggest import Suggester
from search.study.budget import Budget
from search.study.parse import parse_study
from search.study.study import Study
from search.train.group import Group
from search.train.trial import Trial
from search.tune.cluster import slots as slots_of
from search.tune.run import MUTE, _DirectorCallback, _TrainerSearcher, tune_trials

ROOT = Path(__file__).resolve().parents[3]


def study(count: int) -> Study:
    """A list of points, by turns a map and an autoencoder."""
    points = [
        f'[[points]]\nmodel = "{model}"\nlearning_rate = {0.001 * (number + 1)}\n'
        for number, model in zip(range(count), ["pushforward", "vae"] * count, strict=False)
    ]
    head = 'sampler = "points"\n[problem]\nname = "gaussian_2d"\n[training]\nbatch = 20\n'
    head += "learning_rate = { low = 0.0001, high = 1.0 }\n[models.pushforward]\nwidth = 8\n[models.vae]\n"
    return parse_study(head + "[objectives.energy]\n[objectives.elbo]\n" + "".join(points), "points", "points.toml")


def searched(task: Any, folder: Path, count: int, listener: Any = None, **budget: Any) -> tuple[bool, list[Event]]:
    """Whether a search of `count` trials was complete, and its events."""
    events: list[Event] = []
    listeners = [events.append, *([listener] if listener else [])]
    chosen = Budget(**{"trials": count, "epochs": task.epochs, "grace": task.epochs, **budget})
    seeds = [900 + number for number in range(count)]
    complete = tune_trials(
        Suggester(study(count), 0), task, chosen, seeds, folder=folder / "search", listeners=listeners
    )
    return complete, events


def alone(started: Started, task: Any) -> list[Report]:
    trial = Trial(started.configuration, task, started.seed)
    group = Group.of(trial)
    found = []
    while group.epoch(trial) < task.epochs:
        if group.advance():
            found.append(trial.report)
    return found


def check(events: list[Event], task: Any, count: int, assert_alike: Any) -> None:
    """Every trial ended once, at full budget, and reported each epoch once, as it would alone."""
    ended = [event for event in events if isinstance(event, Ended)]
    assert sorted(event.trial for event in ended) == list(range(count))
    assert {event.outcome for event in ended} == {"finished"}
    for event in ended:
        assert event.checkpoint is not None
        assert len(load_generator(Path(event.checkpoint.uri)).sample(5)) == 5
    for started in (event for event in events if isinstance(event, Started)):
        told = [each.report for each in events if isinstance(each, Reported) and each.trial == started.trial]
        assert_alike(told, alone(started, task))


@pytest.mark.slow
def test_what_a_search_finds_is_what_each_trial_finds_alone(
    ray_cluster: None, make_task: Any, tmp_path: Path, assert_alike: Any
) -> None:
    task = make_task((1, 2, 4, 6))
    complete, events = searched(task, tmp_path, 8)
    assert complete
    check(events, task, 8, assert_alike)
    spoke = [event for event in events if isinstance(event, TrainerHeartbeat)]
    assert 1 <= len({event.trainer for event in spoke}) <= 2
    assert max(event.networks for event in spoke) >= 1
    assert all(0 <= event.busy <= 1 for event in spoke)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"device": "gpu"}, r"^gpus = 1: one trainer wants more than any node has \(0 GPU\)"),
        ({"cpus": 99}, r"^cpus = 99: one trainer wants more than any node has \(2 CPU\)"),
    ],
)
def test_what_a_cluster_cannot_give(
    wanted: dict[str, Any], said: str, ray_cluster: None, make_task: Any, tmp_path: Path
) -> None:
    with pytest.raises(GenseekError, match=said):
        searched(make_task(), tmp_path, 1, **wanted)


@pytest.mark.parametrize(
    ("have", "wanted", "slots"),
    [
        ({"CPU": 16.0, "GPU": 1.0}, {"gpus": 0.1}, (10, 6)),
        ({"CPU": 1.0}, {"cpus": 0.1}, (0, 10)),
        ({"CPU": 3.0, "GPU": 2.0}, {"cpus": 0.3, "gpus": 0.7}, (2, 8)),
        ({"CPU": 2.0, "GPU": 8.0}, {}, (2, 0)),  # none without a core
        ({"CPU": 4.0, "GPU": 2.0}, {"device": "gpu"}, (2, 0)),
        ({"CPU": 4.0, "GPU": 2.0}, {"device": "cpu"}, (0, 4)),
    ],
)
def test_shares_that_make_a_whole_are_all_taken(
    have: dict[str, float], wanted: dict[str, Any], slots: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.tune.cluster.ray.nodes", lambda: [{"Alive": True, "Resources": have}])
    assert slots_of(Budget(**wanted)) == {"gpu": slots[0], "cpu": slots[1]}


@pytest.mark.parametrize(
    ("wanted", "room", "left", "expected"),
    [
        (0, {"gpu": 1, "cpu": 2}, 9, ["gpu", "cpu", "cpu"]),
        (2, {"gpu": 1, "cpu": 2}, 9, ["gpu", "cpu"]),
        (4, {"gpu": 0, "cpu": 1}, 9, ["cpu"] * 4),  # three of them wait for nodes
        (4, {"gpu": 0, "cpu": 0}, 9, ["cpu"] * 4),
        (4, {"gpu": 0, "cpu": 0}, 2, ["cpu"] * 2),
        (0, {"gpu": 0, "cpu": 0}, 9, []),
    ],
)
def test_as_many_trainers_as_have_room_or_are_wanted(
    wanted: int, room: dict[str, int], left: int, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.tune.run.slots", lambda budget: room)
    director: Any = SimpleNamespace(done=False, left=left, trainers=1)
    fleet = _TrainerSearcher(director, Budget(trainers=wanted))
    asked = [fleet.suggest(f"{number}") for number in range(6)]
    assert [config["device"] for config in asked if config] == expected
    assert director.trainers == max(1, min(sum(room.values()), wanted or 9, left))  # those that wait take no share
    if expected:
        fleet.on_trial_complete("0")
        assert fleet.suggest("again") == {"device": expected[0]}


def test_only_trainers_that_die_without_a_word_between_end_a_search(monkeypatch: pytest.MonkeyPatch) -> None:
    abandoned, lost = list[str](), list[tuple[str, bool, str]]()
    monkeypatch.setattr("search.tune.run.nodes", lambda: [{"NodeManagerAddress": "10.0.0.1"}])
    director: Any = SimpleNamespace(
        abandon=abandoned.append,
        lose=lambda name, alone, death: lost.append((name, alone, death.cause)),
        hear=lambda message: Commands(),
    )
    post, trial = _DirectorCallback(director, None), SimpleNamespace(trial_id="a", error_file=None)
    for number in range(3):
        for _ in range(MUTE - 1):
            post.on_trial_recover(0, [], trial)
        node = "10.0.0.1" if number else "10.0.0.2"
        post.on_trial_result(
            0,
            [],
            trial,
            {
                "message": TrainerStatus(
                    trainer=f"{number}",
                    news=[],
                    trials=frozenset(),
                    kinds=frozenset(),
                    room=1,
                    networks=0,
                    busy=0.0,
                    node=node,
                )
            },
        )
        post.on_trial_error(0, [], trial)
    assert lost == [(f"{number}", number > 0, "an unknown error") for number in range(3)]
    for dead in range(MUTE):
        assert abandoned == [], dead
        post.on_trial_recover(0, [], trial)
    assert abandoned == ["an unknown error"]


def test_orders_that_cannot_be_left_are_given_again(ray_cluster: None) -> None:
    unsent: list[tuple[str, Commands]] = []
    orders = Commands([], [3])
    director: Any = SimpleNamespace(hear=lambda message: orders, unsent=lambda *given: unsent.append(given))

    @ray.remote(num_cpus=0)
    class Broken:
        def put(self, trainer: str, content: bytes) -> None:
            raise OSError("no such desk")

    post = _DirectorCallback(director, cast(Any, Broken).remote())
    trial = SimpleNamespace(trial_id="a", error_file=None)
    message = TrainerStatus(trainer="x", news=[], trials=frozenset(), kinds=frozenset(), room=1, networks=0, busy=0.0)
    latest = time.monotonic() + 60
    while not unsent:
        assert time.monotonic() < latest
        post.on_trial_result(0, [], trial, {"message": message})
        time.sleep(0.2)
    assert unsent[0] == ("x", orders)


class Unreadable:
    """What can be written and not read: no worker gets it."""

    def __reduce__(self) -> Any:
        return int, ("no number",)


@pytest.mark.slow
def test_a_search_whose_trainers_never_start(ray_cluster: None, make_task: Any, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"^no trainer can start: .*invalid literal for int.*'no number'$"):
        searched(make_task(sources={"none": Unreadable()}), tmp_path, 4)


def seen_by(folder: Path) -> dict[str, Any]:
    """Objectives, two of which note the process of each trial; classes of this function travel by value."""

    def note() -> None:
        with (folder / "processes").open("a") as file:
            file.write(f"{os.getpid()} {os.environ.get('CUDA_VISIBLE_DEVICES') or '-'}\n")

    class SeenEnergy(Energy):  # type: ignore[misc]
        def __init__(self, rows: Any, seed: int) -> None:
            super().__init__(rows, seed)
            note()

    class SeenELBO(ELBO):  # type: ignore[misc]
        def __init__(self, rows: Any, seed: int, **arguments: Any) -> None:
            super().__init__(rows, seed, **arguments)
            note()

    return {**OBJECTIVES, "energy": SeenEnergy, "elbo": SeenELBO}


def processes(folder: Path) -> list[list[str]]:
    return [line.split() for line in (folder / "processes").read_text().splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize("kills", [1, 2])
def test_a_killed_trainer_changes_nothing(
    kills: int, ray_cluster: None, make_task: Any, tmp_path: Path, assert_alike: Any
) -> None:
    task = make_task(tuple(range(20, 201, 20)), objectives=seen_by(tmp_path))
    killed: list[int] = []

    def kill(event: Event) -> None:
        if len(killed) < kills and isinstance(event, Reported) and event.report.epoch >= 60 * (len(killed) + 1):
            pid = next((int(pid) for pid, _ in reversed(processes(tmp_path)) if int(pid) not in killed), None)
            if pid is not None:
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)

    complete, events = searched(task, tmp_path, 8, kill)
    assert complete
    assert len(killed) == kills
    check(events, task, 8, assert_alike)


GPUS = """
import json, sys
from pathlib import Path
import ray
sys.path.insert(0, sys.argv[1])
from test_run import made_for_gpus, processes, searched
import search  # sets what Ray reads when it starts
folder = Path(sys.argv[2])
folder.mkdir()
ray.init(num_cpus=2, num_gpus=1, include_dashboard=False, object_store_memory=2**28, log_to_driver=False)
complete, events = searched(made_for_gpus(folder), folder, 12, device=sys.argv[3])
outcomes = [event.outcome for event in events if type(event).__name__ == "Ended"]
print(json.dumps([complete, outcomes, processes(folder)]))
"""


def made_for_gpus(folder: Path) -> Any:
    """A task for another process, long enough for all trainers to take part."""
    from models import Shape
    from objectives import judge_for
    from objectives.problems.known import Gaussian2D
    from search.train.context import TrialContext

    problem = Gaussian2D(train=100, validation=60, test=60)
    rows = problem.rows(0)
    judge = judge_for(problem, rows.train, rows.validation, 60, repeats=20)
    shape = Shape(2, "normal", 2)
    return TrialContext(
        rows=rows,
        columns=("a", "b"),
        shape=shape,
        judge=judge,
        epochs=300,
        evaluations=tuple(range(30, 301, 30)),
        eval_samples=2,
        objectives=seen_by(folder),
    )


@pytest.mark.slow
@pytest.mark.parametrize(("device", "kinds"), [("auto", {"0", "-"}), ("cpu", {"-"}), ("gpu", {"0"})])
def test_trainers_of_each_device(device: str, kinds: set[str], tmp_path: Path) -> None:
    command: list[str | Path] = [sys.executable, "-c", GPUS, Path(__file__).parent, tmp_path / device, device]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    complete, outcomes, seen = json.loads(done.stdout.splitlines()[-1])
    assert complete
    assert outcomes == ["finished"] * 12
    assert {gpu for _, gpu in seen} == kinds
    trainers = {(pid, gpu) for pid, gpu in seen}
    assert len([gpu for _, gpu in trainers if gpu == "0"]) == (device != "cpu")  # one GPU, one trainer
