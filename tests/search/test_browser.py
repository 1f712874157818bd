"""The MLflow UI in a real browser: the view that `genseek ui` links to, in a format that MLflow doesn't document."""

import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

pytestmark = pytest.mark.browser

CHROMIUM = shutil.which("chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]


@pytest.fixture(scope="module")
def address(finished: Any) -> Iterator[str]:
    """What `genseek ui` prints, with its server up."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-c", "from search.cli import main; main()", "ui", "--store", str(finished.folder)]
    with subprocess.Popen(
        [*command, "--port", str(port)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        assert server.stdout is not None
        line = server.stdout.readline()
        for _ in range(120):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1)
                break
            except OSError:
                time.sleep(0.5)
        yield line[line.index("http") :].strip()
        server.terminate()  # not Ctrl-C's signal: what runs in the background of a shell is born deaf to it


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_the_ui_opens_on_trials_best_first_with_scores(address: str, finished: Any) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1800, "height": 900})
        page.goto(address)
        page.get_by_role("link", name="first-0").first.wait_for(timeout=60_000)
        text = page.locator("body").inner_text()
        best = min(finished.result.board.entries, key=lambda entry: entry.fit)
        first = page.locator("a", has_text="first-").first.inner_text()
        browser.close()
    assert {"fit", "ad", "kendall"} <= set(text.split())
    assert first == f"first-{best.trial}"
