"""The MLflow UI in a real browser: every link that genseek prints opens the right page in a fresh one.

Its views are kept in a format that MLflow doesn't document. What each test sees is kept in build/screenshots.
"""

import json
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed"),
]

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SHOTS = Path("build/screenshots")
WAIT = 30_000  # milliseconds
TRIALS = 24
STUDY = f"""
trials = {TRIALS}
epochs = 18
grace = 6
evaluations = 6
eval_samples = 2
finalists = 2

[problem]
name = "returns_4d"
validation = 300

[training]
features = "quantile_normal"
learning_rate = {{ low = 1e-3, high = 1e-2, log = true }}
batch = 128

[models.vae]
latent = [2, 3]
encoder_width = [8, 32]
decoder_width = [8, 32]
sigma = {{ low = 0.1, high = 0.8, log = true }}

[objectives.elbo]
beta = {{ low = 0.3, high = 1.0, log = true }}
"""


@pytest.fixture(scope="module")
def searched(
    ray_cluster: None, new_store: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Any, Any]:
    """A store with a search of autoencoders, confirmed, and its leaderboard."""
    from search import Store, confirm_search, plan_search, run_search
    from search.export.registry import register
    from search.report.build import keep_report
    from search.study.parse import parse_study

    store = Store(new_store(tmp_path_factory.mktemp("searched") / "store"))
    plan = plan_search(parse_study(STUDY, "autoencoders", "autoencoders.toml"), store, "first")
    run_search(plan)
    confirm_search(plan, store.leaderboard("first"), top=2, seeds=2)
    keep_report(store, "first")
    register(plan.store, plan.name, plan.study, plan.task)
    return store, store.leaderboard("first")


@pytest.fixture(scope="module")
def links(searched: tuple[Any, Any]) -> Iterator[dict[str, str]]:
    """What `genseek ui` prints, by what it shows, with its server up."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-c", "from search.cli.app import main; main()", "ui", "first", "--port", str(port)]
    with subprocess.Popen(
        [*command, "--store", str(searched[0].folder)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        assert server.stdout is not None
        lines = [server.stdout.readline() for _ in range(6)]
        for _ in range(120):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1).close()
                break
            except OSError:
                time.sleep(0.5)
        yield dict(line.strip().split(": ", 1) for line in lines[2:])
        server.terminate()  # not Ctrl-C's signal: what runs in the background of a shell is born deaf to it


@pytest.fixture
def opened(request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """Opens an address in a fresh browser, without the assistant that MLflow shows once; a picture at the end."""
    from playwright.sync_api import sync_playwright

    SHOTS.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_page(viewport={"width": 1700, "height": 1000})
        page.set_default_timeout(WAIT)

        def visit(address: str, fresh: bool = True) -> Any:
            page.goto(address)
            if fresh:
                page.get_by_role("button", name="Close", exact=True).first.click()
            return page

        yield visit
        page.wait_for_timeout(500)
        page.screenshot(path=SHOTS / f"{request.node.name}.png")
        browser.close()


def names(page: Any, least: int) -> list[str]:
    """Names of the runs of a table, from top to bottom, once it has so many."""
    page.wait_for_function(
        "least => document.querySelectorAll(\"[col-id='attributes.`Run Name`'] a\").length >= least", arg=least
    )
    return in_order(page, "[col-id='attributes.`Run Name`'] a", "aria-rowindex")


def in_order(page: Any, selector: str, index: str) -> list[str]:
    """Texts of a table's elements by their row or column: they stand in the document in any order."""
    return list(
        page.locator(selector).evaluate_all(
            """(elements, index) => elements
                .map(element => [Number(element.closest(`[${index}]`).getAttribute(index)), element.innerText.trim()])
                .sort((one, other) => one[0] - other[0])
                .map(([_, text]) => text)""",
            index,
        )
    )


def test_the_trials_stand_best_first_with_what_matters(links: dict[str, str], opened: Any, searched: Any) -> None:
    board = searched[1]
    page = opened(links["trials, best first"])
    shown = names(page, 10)
    best = sorted((entry for entry in board.entries), key=lambda entry: entry.misfit)
    assert [int(name.partition("#")[2]) for name in shown[:10]] == [entry.trial for entry in best[:10]]
    assert re.fullmatch(r"vae 2x(8|32)>[23]<2x(8|32) sigma 0\.\d+ beta 0\.\d+ #\d+", shown[0])
    page.get_by_text(f"{TRIALS} matching runs").wait_for()
    scores = ["misfit", "ad", "kendall", "mmd", "overfit"]
    heads = in_order(page, "[role=columnheader]", "aria-colindex")
    assert list(dict.fromkeys(head for head in heads if head in scores)) == scores
    first = page.locator("[row-index='0'] [col-id='metrics.`misfit`']").inner_text()
    assert float(first) == pytest.approx(best[0].misfit, rel=1e-5)


def test_trials_can_be_filtered_by_the_numbers_of_their_configuration(
    links: dict[str, str], opened: Any, searched: Any
) -> None:
    board = searched[1]
    page = opened(links["trials, best first"])
    names(page, 10)
    query = page.get_by_placeholder(re.compile("metrics.rmse"))
    query.fill("metrics.`config/sigma` < 0.3 and params.asymmetry = 'encoder larger' and metrics.rung >= 6")
    query.press("Enter")
    expected = {
        entry.trial
        for entry in board.entries
        if entry.configuration.model_arguments["sigma"] < 0.3
        and entry.architecture["log2_encoder_over_decoder"] >= 0.1
        and entry.epoch >= 6
    }
    assert expected, "the search has none such"
    page.get_by_text(f"{len(expected)} matching run").wait_for()
    assert {int(name.partition("#")[2]) for name in names(page, len(expected))} == expected


def test_the_charts_begin_with_parallel_coordinates_of_all(links: dict[str, str], opened: Any) -> None:
    page = opened(links["charts"])
    page.get_by_text("Parallel Coordinates").first.wait_for()
    page.get_by_text("Showing all runs").wait_for()
    page.get_by_text(f"{TRIALS} matching runs").wait_for()
    for title in (
        "misfit",
        "loss/validation",
        "network/parameters vs. misfit",
        "network/log2_encoder_over_decoder vs. misfit",
    ):
        page.get_by_text(title, exact=True).first.wait_for()
    page.get_by_text(re.compile(r"^first\s*\(9\)$")).first.wait_for()
    # Lines are drawn, and not only axes: the canvases hold colours.
    page.wait_for_function(
        """() => [...document.querySelectorAll('canvas')].some(canvas => {
            const pixels = canvas.getContext('2d')?.getImageData(0, 0, canvas.width, canvas.height).data ?? [];
            let coloured = 0;
            for (let i = 3; i < pixels.length; i += 4) coloured += pixels[i] > 0;
            return coloured > 1000;
        })"""
    )


def test_twenty_runs_compared(links: dict[str, str], opened: Any, searched: Any) -> None:
    store, board = searched
    runs = json.dumps([entry.run_id for entry in board.ranked()[:20]], separators=(",", ":"))
    base, experiment = links["charts"].partition("#")[0], store.search("first").experiment
    page = opened(f'{base}#/compare-runs?runs={runs}&experiments=["{experiment}"]&workflowType=machine_learning')
    page.get_by_text("Comparing 20 Runs from 1 Experiment").wait_for()
    page.locator(".parcoords").first.wait_for()
    assert page.get_by_text("asymmetry", exact=True).count() >= 1


def test_trials_are_nested_below_their_search(links: dict[str, str], opened: Any) -> None:
    page = opened(links["all searches of its study"])
    assert names(page, 1) == ["first"]
    page.locator("[col-id='attributes.`Run Name`'] button").first.click()
    shown = names(page, 10)
    assert shown[0] == "first"
    assert all(name.startswith("vae ") for name in shown[1:])


def test_the_search_says_what_it_found(links: dict[str, str], opened: Any, searched: Any) -> None:
    board = searched[1]
    page = opened(links["the search"])
    page.get_by_text("Show more").click()
    page.get_by_role("heading", name="Fresh networks on test rows").wait_for()
    winner = board.winner()
    assert page.get_by_role("link", name=f"trial {winner.trial}").count() >= 2
    page.get_by_text(re.compile(r"returns_4d \([0-9a-f]{16}\)")).first.wait_for()  # its data set
    page.screenshot(path=SHOTS / "the_search.png")
    address = page.get_by_role("link", name=f"trial {winner.trial}").first.get_attribute("href")
    page.goto(f"{links['the search'].partition('#')[0]}#{address.partition('#')[2]}?workflowType=machine_learning")
    page.get_by_role("heading", name=re.compile(rf"^vae .*#{winner.trial}$")).wait_for()


def test_pictures_are_artifacts_of_their_runs(links: dict[str, str], opened: Any, searched: Any) -> None:
    store, board = searched
    mode = "?workflowType=machine_learning"
    for run_id in (store.search("first").run_id, board.winner().run_id):
        runs = links["the search"].rpartition("/")[0]
        page = opened(f"{runs}/{run_id}/artifacts{mode}", fresh=run_id != board.winner().run_id)
        page.get_by_text("samples.png").first.click()
        page.wait_for_function(
            "() => [...document.querySelectorAll('img')].some(image => image.naturalWidth > 500 && image.complete)"
        )


def test_the_report_is_shown_among_the_artifacts_of_its_search(links: dict[str, str], opened: Any) -> None:
    address, _, mode = links["the search"].partition("?")
    page = opened(f"{address}/artifacts?{mode}")
    page.get_by_text("report.html").first.click()
    shown = page.frame_locator("iframe")
    shown.get_by_role("heading", name="first: a search on returns_4d").wait_for()
    shown.locator(".js-plotly-plot .main-svg").first.wait_for()


def test_the_winner_is_a_registered_model_with_its_alias(links: dict[str, str], opened: Any, searched: Any) -> None:
    base, winner = links["the search"].partition("#")[0], searched[1].winner()
    page = opened(f"{base}#/models/returns_4d?workflowType=machine_learning")
    page.get_by_text("@ champion").or_(page.get_by_text("@champion")).first.wait_for()
    page.goto(f"{base}#/models/returns_4d/versions/1?workflowType=machine_learning")
    page.get_by_role("heading", name=re.compile("vae of returns_4d")).wait_for()  # the model card
    page.get_by_text(f"#{winner.trial}").first.wait_for()  # its source run
