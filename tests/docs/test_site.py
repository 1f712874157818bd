"""The strict build: every page is made, and none loads from or links to elsewhere."""

import os
import re
import subprocess
import sys
from pathlib import Path

import hook
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_the_strict_build_has_every_page_and_keeps_to_itself(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(tmp_path / "site")]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    pages = {str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")} | set(hook.generated())
    html = {str(path.relative_to(tmp_path / "site")): path.read_text() for path in (tmp_path / "site").rglob("*.html")}
    assert {page.removesuffix(".md") + ".html" for page in pages} <= set(html)
    loaded = {address for text in html.values() for address in re.findall(r'(?:src|href)="(https?://[^"]*)"', text)}
    assert loaded == set()
