"""A page of sections, tables and plotly figures, as one HTML file that asks the network for nothing."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from search.report.words import LOOK, TITLES
from search.text import letters


@dataclass(frozen=True)
class Drawing:
    """A plotly figure with its caption, what it shows in words, and its height in pixels; a `wide` one has a row."""

    caption: str
    alt: str
    figure: go.Figure
    wide: bool = False
    height: int = 340

    @property
    def shown(self) -> Any:
        """What plotly draws, as JSON has it, each text letter by letter."""
        return letters(json.loads(self.figure.to_json()))


@dataclass(frozen=True)
class Row:
    """Cells of a table, and what kind of row it is: "best", "floor", "reference", "other" or plain."""

    cells: Sequence[str]
    kind: str = ""


@dataclass(frozen=True)
class Table:
    """A table; its first `words` columns hold words, the others figures."""

    caption: str
    headings: Sequence[str]
    rows: Sequence[Row]
    words: int = 1


@dataclass(frozen=True)
class Section:
    """A part of a page.

    Args:
        anchor: its name in links, and that of its heading and words.
        found: what the figures say, a paragraph each.
        tables, drawings: in order.
        text: shown as it is written, such as a study.
    """

    anchor: str
    found: Sequence[str] = ()
    tables: Sequence[Table] = ()
    drawings: Sequence[Drawing] = ()
    text: str = ""

    @property
    def title(self) -> str:
        """Its heading."""
        return TITLES[self.anchor]

    @property
    def look(self) -> str:
        """What a reader should look at."""
        return " ".join(LOOK[self.anchor].split())


@dataclass(frozen=True)
class Page:
    """A whole page; `facts` are what it says at the top, name and value."""

    title: str
    summary: Sequence[str]
    facts: Sequence[tuple[str, str]] = ()
    sections: Sequence[Section] = field(default_factory=tuple)


def rendered(page: Page) -> str:
    """HTML of a page, with style, script and plotly.js in it."""
    loader = PackageLoader("search.report", ".")
    place = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    parts = {name: Markup(loader.get_source(place, f"page.{name}")[0]) for name in ("css", "js")}
    return place.get_template("page.html").render(page=page, plotly=Markup(get_plotlyjs()), **parts)


def write(page: Page, path: Path) -> None:
    """Write a page into a file, whose folder is made.

    Raises:
        OSError: it can't be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(rendered(page), encoding="utf-8")
