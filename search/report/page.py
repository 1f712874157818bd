"""The page of a report: its parts, words and style, and the HTML they become."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from search.text import letters

TITLES = {
    "leaderboard": "Leaderboard",
    "front": "Pareto front",
    "budget": "Score against budget",
    "mattered": "What mattered",
    "settings": "By asymmetry, latent dimensions, sigma and penalties",
    "samples": "Samples against target",
    "losses": "Loss curves",
    "weights": "Weights by strength of the penalties",
    "latent": "Latent space",
    "run": "What was run",
    "winners": "Winners",
    "progress": "Score against budget",
    "differences": "What was set differently",
}
LOOK = {
    "leaderboard": """
        Lower is better. Read each score against the floor rows: the median and the 95 % quantile of what two real
        samples score against each other. References need no network; a trial that doesn't beat the Gaussian copula adds
        nothing. Intervals that overlap can't be told apart. An overfit near 1 means that training rows were copied. Of
        finalists, p is the share of relabelings of the networks with at least the winner's lead, optimism how much
        worse fresh networks are on validation rows than the one that was found, and size the number of parameters.""",
    "front": """
        Trials at full budget that no other beats in all of these goals; where a study has one goal, in misfit and size.
        Along the front one goal is paid for with another: look for the place where the price rises.""",
    "budget": """
        Lines that end early were stopped by ASHA, whose rungs are where many end together. If lines of good trials
        still fall at the right edge, more epochs may help; if the best so far has long been flat, more trials hardly
        will.""",
    "mattered": """
        Importance (PED-ANOVA, Optuna) says how much a setting distinguishes the best tenth of a family's trials from
        the others. It says nothing of the direction: that is for the slices, where darker points came later. A sampler
        that learns looks most where it did well, so an empty region is not a bad one. Importances of few trials are
        rough.""",
    "settings": """
        Each point is a trial; everything else differs as well, so a pattern counts only where many points make it.
        Compare filled points, trained at full budget, with each other. Medians of few trials mean little.""",
    "samples": """
        Blue is real, orange is made, on rows that training never saw. Contours that coincide mean that a pair is right.
        In Q-Q plots points on the line mean equal quantiles, and the shaded band is where each quantile of 95 % of real
        samples would lie: some 5 % leave it by chance, and neighbours leave it together.""",
    "losses": """
        A validation loss that rises while the training loss falls says that the network learns its rows by heart. The
        dotted line is the epoch of the checkpoint that was kept, by its scores and not by its loss. Losses of different
        objectives can't be compared, and those of adversarial ones don't fall as samples get better.""",
    "weights": """
        One line is one network; the density is logarithmic. Stronger L1 should pile weights up at zero, stronger L2
        should make the histogram narrow and tall. Of each strength the best trial is shown; its other settings differ
        too, the size of its network among them.""",
    "latent": """
        Where the encoder puts held-out rows (means, where codes are random). Colours that lie together mean that the
        code orders the data. t-SNE keeps neighbours, and neither distances nor sizes of groups. A dimension whose codes
        hardly spread isn't used.""",
    "run": "All that another machine needs to run the same search, and what it was run with here.",
    "winners": """
        Intervals that meet can't be told apart. Misfits and scores count only between searches on the same rows; those
        of fresh networks on test rows are what a winner is worth, those on validation rows flatter it.""",
    "progress": """
        The lowest misfit at full budget by the epochs that were spent on all trials. The lower line at the same budget
        did better; one search of each is one draw, and small differences are luck.""",
    "differences": """
        Settings in which the studies differ. A dash means that a study leaves it at its default, or has no such
        key.""",
}
REAL, MADE = "#24609a", "#c2570c"  # held-out rows, samples
GREY, RED, GREEN, BLACK = "#8d959d", "#b3261e", "#1f7a4d", "#1c2733"
SEVERAL = ("#24609a", "#c2570c", "#1f7a4d", "#7b3f98", "#a07800", "#b3261e", "#3b8f9c", "#6b6b6b")
OUTCOMES = {"finished": REAL, "stopped": GREY, "diverged": RED, "failed": RED, "interrupted": "#a07800"}
SYMBOLS = {
    "finished": "circle",
    "stopped": "circle-open",
    "diverged": "x",
    "failed": "x",
    "interrupted": "diamond-open",
}
_AXIS = {"showline": True, "linecolor": "#9aa3ab", "gridcolor": "#e6eaee", "zeroline": False, "automargin": True}


def styled(figure: go.Figure, x: str = "", y: str = "", log: str = "", *, legend: bool = True) -> go.Figure:
    """The figure in the report's style, its axes named; those in `log` ("x", "y" or "xy") are logarithmic."""
    layout: dict[str, Any] = {
        "template": go.layout.Template(),
        "paper_bgcolor": "#fff",
        "plot_bgcolor": "#fff",
        "font": {"size": 12, "color": BLACK, "family": "system-ui, Roboto, Helvetica, Arial, sans-serif"},
        "margin": {"l": 8, "r": 8, "t": 10, "b": 8},
        "title": None,
        "showlegend": legend,
        "legend": {
            "orientation": "h",
            "x": 0,
            "y": -0.22,
            "yanchor": "top",
            "font": {"size": 11},
            "itemsizing": "constant",
        },
        "hoverlabel": {"font": {"size": 12}},
        "colorway": list(SEVERAL),
    }
    figure.update_layout(**layout)
    for axis, name, update in (("x", x, figure.update_xaxes), ("y", y, figure.update_yaxes)):
        update(**_AXIS)
        if name:
            update(title={"text": name, "standoff": 6})
        if axis in log:
            update(type="log")
    return figure


def level(figure: go.Figure, value: float, words: str, color: str = GREEN, *, dash: str = "dash") -> None:
    """Draw a horizontal line on a logarithmic axis and say what it is."""
    said = {"text": words, "font": {"size": 10, "color": color}, "xanchor": "right", "x": 1, "yanchor": "bottom"}
    # Shapes stand at values of a logarithmic axis, annotations at their logarithms.
    figure.add_hline(
        y=value, line={"color": color, "width": 1.2, "dash": dash}, annotation={**said, "y": math.log10(value)}
    )


@dataclass(frozen=True, kw_only=True)
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


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table; its first `words` columns hold words, the others figures."""

    caption: str
    headings: Sequence[str]
    rows: Sequence[Row]
    words: int = 1


@dataclass(frozen=True, kw_only=True)
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


@dataclass(frozen=True, kw_only=True)
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
