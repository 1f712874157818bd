"""A report in a real browser: nothing asked of the network, nothing complained of, no scrolling sideways on a phone."""

import shutil
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.browser

CHROMIUM = shutil.which("chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_a_report_on_a_phone_on_a_desk_and_on_paper(finished: Any, tmp_path: Path) -> None:
    from playwright.sync_api import sync_playwright

    from search import Store
    from search.report.build import write_report

    path = write_report(Store(finished.folder), "first", tmp_path / "first.html")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for width, height in ((390, 844), (1400, 900)):
            page: Any = browser.new_page(viewport={"width": width, "height": height})
            said: list[str] = []
            asked: list[str] = []
            page.on("console", lambda message, said=said: said.append(message.text))
            page.on("pageerror", lambda error, said=said: said.append(str(error)))
            page.on("request", lambda request, asked=asked: asked.append(request.url))
            page.goto(path.as_uri())
            page.wait_for_selector("body[data-drawn]")
            plots = page.locator(".plot .main-svg").count()
            assert plots > 10
            assert (said, asked) == ([], [path.as_uri()])
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        printed = page.pdf()
        assert printed.count(b"/Type /Page\n") + printed.count(b"/Type /Page ") > 3
        browser.close()
