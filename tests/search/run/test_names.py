"""Names of searches: reserved when a search is planned, free again when the plan is gone, and never another's."""

import gc
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from search import GenseekError, Store, load_study, plan_search, run_search
from search.run.plan import stem

PLANS = """
import sys, time
from search import Store, load_study, plan_search
plan = plan_search(load_study(sys.argv[1]), Store(sys.argv[2]), *sys.argv[3:])
print(plan.name, flush=True)
time.sleep(60)
"""


def planner(*arguments: Any) -> subprocess.Popen[str]:
    """A process that plans a search, says its name, and waits."""
    command = [sys.executable, "-c", PLANS, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def killed(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


@pytest.mark.slow
def test_plans_of_one_instant_have_names_of_their_own(tiny_study: Path, store_folder: Path) -> None:
    study, plans = load_study(str(tiny_study)), []
    start = threading.Barrier(4)

    def plan() -> None:
        store = Store(store_folder)
        start.wait()
        plans.append(plan_search(study, store))

    threads = [threading.Thread(target=plan) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(plan.name for plan in plans) == ["tiny-1", "tiny-2", "tiny-3", "tiny-4"]


@pytest.mark.slow
def test_a_name_is_held_by_the_process_that_plans(tiny_study: Path, store_folder: Path, genseek: Any) -> None:
    study = load_study(str(tiny_study))
    holder = planner(tiny_study, store_folder)
    try:
        assert said(holder) == "tiny-1"
        assert plan_search(study, Store(store_folder)).name == "tiny-2"
        code, _, err = genseek("run", tiny_study, "--name", "tiny-1", "--store", store_folder)
        assert (code, err.count("\n")) == (2, 1)
        assert "--name tiny-1: another process begins a search of that name" in err
    finally:
        killed(holder)
    assert plan_search(study, Store(store_folder)).name == "tiny-1"  # what was killed holds nothing


@pytest.mark.slow
def test_a_plan_that_is_dropped_leaves_nothing(tiny_study: Path, store_folder: Path) -> None:
    study, store = load_study(str(tiny_study)), Store(store_folder)
    plan = plan_search(study, store, "mine")
    with pytest.raises(GenseekError, match="--name mine: another process begins a search of that name"):
        plan_search(study, store, "mine")
    del plan
    gc.collect()
    assert list((store_folder / "ray").iterdir()) == []
    assert plan_search(study, store, "mine").name == "mine"


def test_what_cannot_be_planned_holds_no_name(tiny_study: Path, store_folder: Path) -> None:
    study, store = load_study(str(tiny_study)), Store(store_folder)
    for _ in range(2):
        with pytest.raises(GenseekError, match="cpus = 10000"):
            plan_search(replace(study, budget=replace(study.budget, cpus=10000)), store, "mine")
    assert plan_search(study, store, "mine").name == "mine"


def test_what_a_crash_left_of_a_reservation_is_free(tiny_study: Path, store_folder: Path) -> None:
    (store_folder / "ray" / "tiny-1").mkdir(parents=True)
    for name in ("reserved", "journal.jsonl"):
        (store_folder / "ray" / "tiny-1" / name).write_text("")
    assert plan_search(load_study(str(tiny_study)), Store(store_folder)).name == "tiny-1"


def test_a_search_never_takes_the_run_of_another_machine(
    ray_cluster: None, tiny_study: Path, store_folder: Path
) -> None:
    store = Store(store_folder)
    plan = plan_search(load_study(str(tiny_study)), store, "mine")
    other = Store(store_folder).begin("mine", {}, {})  # as a machine whose folder is another does, on a server
    with pytest.raises(GenseekError, match="a search named 'mine' exists already in"):
        run_search(plan)
    assert [found.run_id for found in store.searches()] == [other]
    assert not (store_folder / "ray" / "mine" / "journal.jsonl").exists()


def test_of_two_that_begin_at_once_the_later_withdraws(store_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Store(store_folder).begin("mine", {}, {})
    store = Store(store_folder)
    seen: list[Any] = []
    look = Store._searches

    def late(self: Store, name: str | None = None) -> Any:
        seen.append(name)
        return [] if len(seen) == 1 else look(self, name)  # the other's run isn't there yet

    monkeypatch.setattr(Store, "_searches", late)
    with pytest.raises(GenseekError, match="a search named 'mine' exists already in"):
        store.begin("mine", {}, {})
    monkeypatch.undo()
    assert [found.run_id for found in store.searches()] == [first]


@pytest.mark.parametrize(
    ("study", "expected"),
    [
        ("tiny", "tiny"),
        ("it's", "it-s"),
        ("-v", "v"),
        ("数据", "search"),
        (".hidden", "hidden"),
        ("x" * 250, "x" * 80),
        ("a b", "a-b"),
    ],
)
def test_names_can_be_written_on_a_command_line(study: str, expected: str, tiny_study: Path) -> None:
    assert stem(replace(load_study(str(tiny_study)), name=study)) == expected


@pytest.mark.slow
def test_two_unnamed_searches_begun_together_both_run(tiny_study: Path, store_folder: Path) -> None:
    words = ["run", str(tiny_study), "--trials", "2", "--epochs", "2", "--store", str(store_folder)]
    command = [sys.executable, "-c", "from search.cli.app import main; main()", *words]
    searches = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ))
        for _ in range(2)
    ]
    for search in searches:
        _, error = search.communicate(timeout=400)
        assert search.returncode == 0, error
    found = Store(store_folder).searches()
    assert sorted((each.name, each.status) for each in found) == [("tiny-1", "FINISHED"), ("tiny-2", "FINISHED")]
