"""Links of all pages: the files, pictures and anchors that they name exist."""

from urllib.parse import unquote

import pytest
from markdown_pages import ROOT, Page, names, page, parsed


def dead(shown: Page) -> list[str]:
    """Internal links of a page that lead nowhere."""
    found = []
    for line, link in shown.links:
        if "://" in link or link.startswith("mailto:"):
            continue
        file, _, anchor = unquote(link).partition("#")
        target = ((ROOT / shown.name).parent / file).resolve() if file else ROOT / shown.name
        if file and not target.exists():
            found.append(f"{shown.name}:{line}: no file {file}")
        elif anchor and (not file or target.suffix == ".md"):
            anchors = page(str(target.relative_to(ROOT))).anchors if file else shown.anchors
            if anchor not in anchors:
                found.append(f"{shown.name}:{line}: no heading #{anchor} in {target.name}; there are {sorted(anchors)}")
    return found


@pytest.mark.parametrize("name", names())
def test_links_lead_somewhere(name: str) -> None:
    assert dead(page(name)) == []


def test_dead_links_are_noticed() -> None:
    text = "# A `b`, c\n\n[1](#a-b-c) [2](#a) ![3](docs/no.png) [4](README.md#nothing) [5](https://example.org/x)"
    assert [each.partition("; ")[0] for each in dead(parsed("page.md", text))] == [
        "page.md:3: no heading #a in page.md",
        "page.md:3: no file docs/no.png",
        "page.md:3: no heading #nothing in README.md",
    ]
