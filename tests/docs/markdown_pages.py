"""Pages of the documentation as a CommonMark parser reads them: blocks of code, links, anchors, code in the text."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parents[2]
FILE_NAME = re.compile(r"`([\w./-]+\.\w+)`:$")


@dataclass(frozen=True)
class Block:
    """A block of code; `file` is the name that the line before it gives, as in "`my_models.py`:"."""

    page: str
    line: int
    language: str
    file: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass(frozen=True)
class Page:
    """What a page holds; `spans` are the pieces of code within its text."""

    name: str
    blocks: tuple[Block, ...]
    links: tuple[tuple[int, str], ...]
    spans: tuple[tuple[int, str], ...]
    anchors: frozenset[str]


def paths() -> list[Path]:
    """All pages that come with the project."""
    folders = ("docs", "examples", "deploy", "benchmarks")
    found = [*ROOT.glob("*.md"), *(path for folder in folders for path in (ROOT / folder).rglob("*.md"))]
    return sorted(found)


def names() -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths()]


@cache
def page(name: str) -> Page:
    """A page by its name from the root of the project."""
    return parsed(name, (ROOT / name).read_text())


def parsed(name: str, text: str) -> Page:
    """A page of this text."""
    blocks, links, spans, headings = [], [], [], []
    before = ""
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    for previous, token in zip([None, *tokens], tokens, strict=False):
        line = token.map[0] + 1 if token.map else 0
        if token.type in ("fence", "code_block"):
            named = FILE_NAME.search(before)
            blocks.append(Block(name, line, token.info.strip(), named[1] if named else "", token.content))
            before = ""
        elif token.type == "inline":
            before = token.content
            if previous is not None and previous.type == "heading_open":
                headings.append("".join(child.content for child in token.children or ()))
            for child in token.children or ():
                if target := _target(child):
                    links.append((line, target))
                elif child.type == "code_inline":
                    spans.append((line, child.content))
    return Page(name, tuple(blocks), tuple(links), tuple(spans), frozenset(_anchors(headings)))


def _target(token: Token) -> str:
    name = {"link_open": "href", "image": "src"}.get(token.type)
    return str(token.attrs.get(name, "")) if name else ""


def _anchors(headings: list[str]) -> list[str]:
    """Anchors as GitHub makes them of headings: letters, digits, hyphens; a number behind those that are there."""
    made: list[str] = []
    for heading in headings:
        slug = re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        again = sum(re.fullmatch(rf"{re.escape(slug)}(-\d+)?", other) is not None for other in made)
        made.append(f"{slug}-{again}" if again else slug)
    return made
