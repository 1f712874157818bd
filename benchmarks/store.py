"""How a store of thousands of trials feels: the command line, MLflow's client, and its UI in a headless Chromium.

    python benchmarks/store.py [--trials 5000] [--rounds 3] [--quick]

Trials are recorded by genseek's own recorder, as a search tells them, eight judgements each; nothing is trained. A page
counts as there when its first row, its order, or its first chart is. Seconds, medians of the rounds.
"""

import argparse
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from mlflow import MlflowClient
from page import table, write

from search import Store, load_study
from search.events.events import Ended, Report, Reported, Started
from search.rank.leaderboard import floors_json
from search.record.dataset import DataSet
from search.record.layout import Axes
from search.record.recorder import Recorder
from search.schedule.suggest import Suggester

SCORES = ("ad", "kendall", "mmd", "overfit", "tail", "tau_error")
JUDGED = (10, 20, 30, 60, 90, 150, 210, 270)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
PATIENCE = 120_000  # milliseconds for a page
ROW = "[col-id='attributes.`Run Name`'] a"
CHARTED = "text=Parallel Coordinates"


def fill(store: Store, trials: int) -> float:
    """Record a search of so many trials; how many a second that were."""
    study = load_study("returns_4d")
    study = replace(study, sampler="random", budget=replace(study.budget, trials=trials))
    proposer, generator = Suggester(study, 0), np.random.default_rng(0)
    axes = Axes.of(study)
    parent = store.begin("many", {"problem": study.problem, "trials": trials}, {}, study.name, axes=axes)
    columns = ("r1", "r2", "r3", "r4")
    data = DataSet(
        name="returns_4d",
        digest="0" * 16,
        source={"problem": "returns_4d"},
        columns=columns,
        profile={"train_rows": 720},
    )
    recorder, began = Recorder(store, parent, axes=axes, data=data), time.perf_counter()
    for number in range(trials):
        _, configuration = proposer.ask()
        recorder(Started(trial=number, configuration=configuration, seed=number, time=time.time()))
        last = int(generator.integers(1, len(JUDGED) + 1))
        level = float(generator.lognormal(1.0, 0.7))
        for epoch in JUDGED[:last]:
            misfit = level * (1 + 30 / epoch)
            scores = {name: misfit * (1 + place) for place, name in enumerate(SCORES)}
            report = Report(
                epoch=epoch,
                loss=1 / epoch,
                validation_loss=1.2 / epoch,
                misfit=misfit,
                scores=scores,
                epoch_misfit=misfit,
                epoch_scores=scores,
                best_epoch=epoch,
            )
            architecture = {"parameters": float(generator.integers(100, 40000))}
            recorder(
                Reported(trial=number, report=report, architecture=architecture, time=time.time(), node="10.0.0.1")
            )
        outcome = "finished" if last == len(JUDGED) else "stopped"
        recorder(Ended(trial=number, outcome=outcome, time=time.time()))  # type: ignore[arg-type]
        proposer.tell(number, outcome, [level], {})
    if recorder.close():
        raise SystemExit("the record is not whole")
    rate = trials / (time.perf_counter() - began)
    splits: dict[str, Any] = {"validation": {}, "test": {}}
    store.save_json(parent, "search.json", {"references": splits, "floors": floors_json(splits), "provenance": {}})
    store.end(parent, "finished", time.time())
    store.tidy()
    return rate


@contextmanager
def served(store: Store) -> Iterator[dict[str, str]]:
    """`genseek ui` on the store; the addresses that it prints."""
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-c", "from search.cli.app import main; main()", "ui", "many", "--port", str(port)]
    with subprocess.Popen(
        [*command, "--store", str(store.folder)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        assert server.stdout is not None
        lines = [server.stdout.readline().strip() for _ in range(6)]
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1).close()
                break
            except OSError:
                time.sleep(0.2)
        try:
            yield dict(line.split(": ", 1) for line in lines[2:])
        finally:
            server.terminate()


def pages(store: Store, rounds: int) -> list[list[str]]:
    """Rows of the pages of MLflow's UI, each in a fresh browser."""
    from playwright.sync_api import sync_playwright

    best = [entry.run_id for entry in store.leaderboard("many").ranked()[:20]]
    found = store.search("many")
    rows = []
    with served(store) as links, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        base, runs = links["charts"].partition("#")[0], ",".join(f'"{run_id}"' for run_id in best)
        compared = f"{base}#/compare-runs?runs=[{runs}]&experiments=[%22{found.experiment}%22]"
        for what, address, sign in (
            ("the list of searches, first row", links["all searches of its study"], ROW),
            ("the search's view, sorted by misfit, first row", links["trials, best first"], ROW),
            ("its charts, parallel coordinates", links["charts"], CHARTED),
            ("the 20 best compared", f"{compared}&workflowType=machine_learning", ".parcoords"),
            ("the page of the search", links["the search"], "text=Child runs"),
        ):

            def load(address: str = address, sign: str = sign) -> None:
                page = browser.new_context().new_page()
                page.set_default_timeout(PATIENCE)
                page.goto(address)
                page.locator(sign).first.wait_for()
                page.close()

            def rest() -> None:
                """Let the server end what a page that was closed had asked for."""
                urllib.request.urlopen(f"{base}health", timeout=PATIENCE).close()
                time.sleep(2)

            rows.append([f"MLflow UI: {what}", *timed(load, rounds, rest)])
        browser.close()
    return rows


def timed(action: Callable[[], Any], rounds: int, between: Callable[[], Any] = lambda: None) -> list[str]:
    """Median, least and most seconds."""
    seconds = []
    for _ in range(rounds):
        between()
        began = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - began)
    return [f"{each:.2f}" for each in (statistics.median(seconds), min(seconds), max(seconds))]


def main() -> None:
    """Fill a store, and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="50 trials, one round, nothing written")
    arguments = parser.parse_args()
    trials, rounds = (50, 1) if arguments.quick else (arguments.trials, arguments.rounds)
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "store")
        rate = fill(store, trials)
        client = MlflowClient(store.uri)
        best: dict[str, Any] = {"order_by": ["metrics.misfit ASC"], "max_results": 100}
        rows = [
            ["genseek list searches", *timed(store.searches, rounds)],
            ["genseek best: the whole leaderboard", *timed(lambda: store.leaderboard("many").ranked(), rounds)],
            ["MLflow's client: the 100 best", *timed(lambda: client.search_runs(store.experiments(), **best), rounds)],
            *pages(store, rounds),
        ]
        size = sum(path.stat().st_size for path in store.folder.glob("mlflow.db*")) / 2**20
    text = table(["what", "seconds", "least", "most"], rows)
    settings = f"{trials} trials, recorded at {rate:.0f} a second, {size:.0f} MB of sqlite; medians of {rounds} rounds"
    if arguments.quick:
        print(settings, text, sep="\n")
    else:
        write("store", text, settings)


if __name__ == "__main__":
    main()
