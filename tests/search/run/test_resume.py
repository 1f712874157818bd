"""A search goes on after SIGKILL at any moment: no trial is lost, none repeated, and MLflow shows each once."""

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient

from search import Store, load_study, plan_search, with_overrides
from search.events.events import Ended, Reported, Started
from search.events.journal import JOURNAL, Journal, begun as begun_journal, without_interruptions
from search.record.layout import Axes
from search.record.recorder import points_of
from search.run.plan import RESERVED
from search.study.serialize import study_from, study_json

STUDY = """
trials = 8
epochs = 40
grace = {grace}
evaluations = 8
eval_samples = 1
sampler = "random"
finalists = 0

[problem]
name = "gaussian_2d"
train = 100
validation = 60
test = 60

[training]
learning_rate = {{ low = 1e-3, high = 1e-2, log = true }}
batch = 20

[models.pushforward]
width = [4, 8]
[objectives.mmd]
"""
KILLS = int(os.environ.get("GENSEEK_TEST_KILLS", "3"))  # `make soak` has 20


def command(folder: Path, *words: object) -> list[str]:
    start = "from search.cli.app import main; main()"
    return [sys.executable, "-c", start, *map(str, words), "--store", str(folder)]


def finished(folder: Path, *words: object) -> str:
    done = subprocess.run(command(folder, *words), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


def check_whole(folder: Path, name: str, trials: int, uri: str | None = None) -> dict[int, float]:
    """Every trial begins once, ends once, and is once in MLflow with all its numbers; misfit of each."""
    store = Store(folder, uri)
    assert {found.name: (found.status, found.trials) for found in store.searches()}[name] == ("FINISHED", trials)
    parent = store.search_run(name)
    assert parent is not None
    fetched = store.fetch(parent, JOURNAL, folder)
    with Journal(fetched) as journal:
        head, lines = journal.read()
    events, axes = without_interruptions(lines), Axes.of(study_from(head["study"]))
    started = {event.trial: event for event in events if isinstance(event, Started)}
    assert [event.trial for event in events if isinstance(event, Started)] == list(range(trials))
    ends = {event.trial: event for event in events if isinstance(event, Ended)}
    assert len([event for event in events if isinstance(event, Ended)]) == len(ends) == trials
    assert {end.outcome for end in ends.values()} <= {"finished", "stopped"}
    reports = Counter((event.trial, event.report.epoch) for event in events if isinstance(event, Reported))
    assert set(reports.values()) == {1}
    client = MlflowClient(store.uri)
    runs = client.search_runs(store.experiments(), f"tags.`mlflow.parentRunId` = '{parent}'")
    assert sorted(int(run.data.tags["genseek.trial"]) for run in runs) == list(range(trials))
    assert not client.search_runs(store.experiments(), "attributes.status = 'RUNNING'")
    misfits = {}
    for run in runs:
        trial = int(run.data.tags["genseek.trial"])
        assert run.data.tags["genseek.outcome"] == ends[trial].outcome
        told_of = [event for event in events if isinstance(event, Reported) and event.trial == trial]
        begun = started[trial].time
        points = [point for each in told_of for point in points_of(each, begun, axes)]
        expected = sorted((name, step, value) for name, value, step, _ in points)
        names = {name for name, _, _ in expected}
        searched = {f"config/{key}" for key in axes.numbers(started[trial].configuration)}
        history = [point for name in names for point in client.get_metric_history(run.info.run_id, name)]
        assert sorted((point.key, point.step, point.value) for point in history) == expected
        assert {name for name in run.data.metrics if not name.startswith(("test/", "confirmed/"))} == names | searched
        misfits[trial] = told_of[-1].report.misfit
        kept = {entry.path for entry in client.list_artifacts(run.info.run_id)}
        assert ("checkpoint" in kept) == (ends[trial].outcome == "finished")
    return misfits


def killed(folder: Path, seconds: float, *words: object) -> bool:
    """Begin a search, or go on with it, and kill its driver after a while; whether it had ended before."""
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(command(folder, *words), stdout=log, stderr=log, start_new_session=True)
    try:
        process.wait(seconds)
        assert process.returncode == 0, (folder / "log").read_text()
        return True
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return False


@pytest.fixture
def begin(store_folder: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Begins a search, or goes on with it; what it says is in `log`. None outlives its test."""
    begun: list[subprocess.Popen[bytes]] = []

    def start(*words: object) -> subprocess.Popen[bytes]:
        with (store_folder / "log").open("wb") as log:
            begun.append(
                subprocess.Popen(command(store_folder, *words), stdout=log, stderr=log, start_new_session=True)
            )
        return begun[-1]

    yield start
    for process in begun:
        process.kill()
        process.wait()


Begin = Callable[..., subprocess.Popen[bytes]]


def wait_for(what: Callable[[], bool], seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "waited too long"
        time.sleep(0.2)


@pytest.fixture
def study(tmp_path: Path) -> Callable[..., Path]:
    def write(grace: int = 40) -> Path:
        path = tmp_path / "small.toml"
        path.write_text(STUDY.format(grace=grace))
        return path

    return write


@pytest.mark.slow
def test_killed_at_many_moments(store_folder: Path, study: Callable[..., Path], tmp_path: Path) -> None:
    dice = np.random.default_rng(0)
    undisturbed = tmp_path / "undisturbed"
    began = time.monotonic()
    finished(undisturbed, "run", study(), "--name", "cut")
    whole = time.monotonic() - began
    expected = check_whole(undisturbed, "cut", 8)
    kills, searches = 0, 0
    while kills < KILLS:
        name, begun = f"cut-{searches}", False
        over = False
        while not over and kills < KILLS:
            words = ("resume", name) if begun else ("run", study(), "--name", name)
            wait = whole * float(dice.uniform(0.2, 1.0))
            over = killed(store_folder, wait, *words)
            kills += not over
            whole = min(whole, wait) if over else whole  # the first may have been slow beside other tests
            # Once a search has ended its journal is in the store, and its driver may still be killed on its way out.
            journal = store_folder / "ray" / name / JOURNAL
            known = begun_journal(journal) or name in {found.name for found in Store(store_folder).searches()}
            begun = begun or known
        if not over and begun:
            finished(store_folder, "resume", name)
        searches += 1
        if begun:
            misfits = check_whole(store_folder, name, 8)
            assert misfits == pytest.approx(expected, rel=0.03)
    # Of a search that was killed before it began nothing is left but its name, which nobody holds any more.
    assert {path.name for path in (store_folder / "ray").rglob("*") if path.is_file()} <= {RESERVED}


@pytest.mark.slow
def test_after_ctrl_c_it_goes_on(begin: Begin, store_folder: Path, study: Callable[..., Path]) -> None:
    path = study(grace=10)
    path.write_text(
        path.read_text().replace("epochs = 40", "epochs = 1000").replace("evaluations = 8", "evaluations = 200")
    )
    process = begin("run", path, "--name", "cut")
    journal = store_folder / "ray" / "cut" / JOURNAL
    wait_for(lambda: journal.exists() and journal.read_text().count("Reported") > 30)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert "genseek resume cut" in (store_folder / "log").read_text()
    before = journal.read_text()
    assert '"interrupted"' in before
    assert "8/8" not in (store_folder / "log").read_text()
    finished(store_folder, "resume", "cut")
    check_whole(store_folder, "cut", 8)


@pytest.mark.slow
def test_a_running_search_is_left_alone(begin: Begin, store_folder: Path, study: Callable[..., Path]) -> None:
    path = study()
    path.write_text(path.read_text().replace("epochs = 40", "epochs = 100000").replace("grace = 40", "grace = 100000"))
    begin("run", path, "--name", "cut")
    journal = store_folder / "ray" / "cut" / JOURNAL
    wait_for(lambda: journal.exists() and "Started" in journal.read_text())
    for words in (("resume", "cut"), ("run", path, "--name", "cut")):
        done = subprocess.run(command(store_folder, *words), capture_output=True, text=True, timeout=120)
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1
        expected = "search 'cut' is running in another process" if words[0] == "resume" else "exists already"
        assert expected in done.stderr


@pytest.mark.slow
def test_more_trials_after_the_end(store_folder: Path, study: Callable[..., Path]) -> None:
    finished(store_folder, "run", study(grace=5), "--name", "cut")
    first = check_whole(store_folder, "cut", 8)
    said = finished(store_folder, "resume", "cut", "--more-trials", "5")
    assert "13 trials of up to 40 epochs" in said
    whole = check_whole(store_folder, "cut", 13)
    assert {trial: whole[trial] for trial in first} == first
    board = Store(store_folder).leaderboard("cut")
    assert all(entry.test for entry in board.finished())
    finished(store_folder, "resume", "cut")
    assert check_whole(store_folder, "cut", 13) == whole


@pytest.mark.slow
@pytest.mark.parametrize("back", [True, False], ids=["back in time", "gone for good"])
def test_a_tracking_server_killed_on_the_way(
    back: bool, serve: Any, begin: Begin, store_folder: Path, study: Callable[..., Path]
) -> None:
    address, server = serve()
    path = study(grace=10)
    path.write_text(
        path.read_text().replace("epochs = 40", "epochs = 600").replace("evaluations = 8", "evaluations = 60")
    )
    process = begin("run", path, "--name", "cut", "--tracking-uri", address)
    journal = store_folder / "ray" / "cut" / JOURNAL
    wait_for(lambda: journal.exists() and journal.read_text().count("Reported") > 20)
    os.killpg(server.pid, signal.SIGKILL)
    server.wait()
    before = journal.read_text().count("Reported")
    wait_for(lambda: not journal.exists() or journal.read_text().count("Reported") > before + 20)
    if back:
        serve()
    assert process.wait(180) == (0 if back else 2), (store_folder / "log").read_text()
    if not back:
        said = " ".join((store_folder / "log").read_text().split())
        # As many as had not ended, all told, when the server went.
        assert re.search(r"error: not all is recorded: [1-8] trials are not fully recorded", said), said
        assert "genseek resume cut" in said
        assert "cut: best trials on validation rows" in said
        serve()
        finished(store_folder, "resume", "cut", "--tracking-uri", address)
    check_whole(store_folder, "cut", 8, address)


Genseek = Callable[..., tuple[int, str, str]]


def test_cut_off_before_it_began(genseek: Genseek, store_folder: Path) -> None:
    store = Store(store_folder)
    journal = store_folder / "ray" / "cut" / JOURNAL
    journal.parent.mkdir(parents=True)
    journal.write_text('{"search": {"study"')
    code, _, error = genseek("resume", "cut", "--store", store_folder)
    assert (code, len(error.splitlines())) == (2, 1)
    assert "search 'cut' was cut off before it began: run it again" in error
    assert plan_search(load_study("gaussian_2d"), store, "cut").name == "cut"


@pytest.mark.slow
def test_a_parent_run_without_its_parameters_gets_them(store_folder: Path, study: Callable[..., Path]) -> None:
    plan = plan_search(load_study(str(study())), Store(store_folder), "cut")
    with Journal(plan.folder / JOURNAL) as journal:
        rows = plan.task.rows.digest()
        journal.begin({"study": study_json(plan.study), "data_sha256": rows, "params": {"trials": "8", "problem": "x"}})
    plan.store.begin("cut", {}, {})
    finished(store_folder, "resume", "cut")
    check_whole(store_folder, "cut", 8)
    (found,) = Store(store_folder).searches()
    assert (found.problem, found.trials) == ("x", 8)


@pytest.mark.slow
def test_other_rows_are_refused(store_folder: Path, tmp_path: Path, genseek: Genseek) -> None:
    table = tmp_path / "rows.csv"
    rows = np.random.default_rng(0).normal(size=(200, 2))
    np.savetxt(table, rows, delimiter=",", header="a,b", comments="")
    plan = plan_search(with_overrides(load_study("table"), data=str(table)), Store(store_folder), "cut")
    with Journal(plan.folder / JOURNAL) as journal:
        journal.begin({"study": study_json(plan.study), "data_sha256": plan.task.rows.digest(), "params": {}})
    np.savetxt(table, rows + 1, delimiter=",", header="a,b", comments="")
    code, _, error = genseek("resume", "cut", "--store", store_folder)
    assert (code, len(error.splitlines())) == (2, 1)
    assert "search 'cut' can't go on: the rows of problem 'table' are not what they were" in error


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nothing",), "nothing"),
        (("first", "--more-trials", "-5"), "'--more-trials': Input should be greater than or equal to 0"),
        (("first", "--more-trials", "x"), "'--more-trials': Input should be a valid integer"),
    ],
)
def test_what_cannot_go_on(words: Any, said: str, genseek: Genseek, store_folder: Path) -> None:
    Store(store_folder)
    code, _, error = genseek("resume", *words, "--store", store_folder)
    assert code == 2
    assert said in error
    assert len(error.splitlines()) == 1


@pytest.mark.slow
def test_killed_among_its_finalists(begin: Begin, store_folder: Path, study: Callable[..., Path]) -> None:
    path = study(grace=10)
    path.write_text(path.read_text().replace("finalists = 0", "finalists = 1").replace("epochs = 40", "epochs = 400"))
    folder = store_folder / "ray" / "cut"
    process = begin("run", path, "--name", "cut")
    wait_for(lambda: any("Reported" in path.read_text() for path in folder.glob(f"finalists-*/{JOURNAL}")), 120)
    (journal,) = folder.glob(f"finalists-*/{JOURNAL}")
    process.kill()
    process.wait()
    check_whole(store_folder, "cut", 8)
    seen = last = journal.read_text().splitlines()
    process = begin("resume", "cut")
    until = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < until:
        with suppress(FileNotFoundError):  # it goes when all is recorded
            last = journal.read_text().splitlines()
        time.sleep(0.05)
    assert process.wait(10) == 0, (store_folder / "log").read_text()
    assert last[: len(seen)] == seen
    assert len(last) > len(seen)
    assert "fresh networks on test rows" in (store_folder / "log").read_text()
    check_whole(store_folder, "cut", 8)
    assert not (store_folder / "ray" / "cut").exists()
