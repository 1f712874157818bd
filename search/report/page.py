"""The page of a report: its parts, texts and style, and its HTML."""

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
        Lower is better. Compare each score with the floor rows: the median and the 95 % quantile of the score between
        two real samples. References need no network; a trial that doesn't beat the Gaussian copula adds nothing. Trials
        called a tie can't be told apart from the winner. An overfit near 1 means that training rows were copied. For
        finalists, p is the share of relabellings of the networks with at least the winner's lead, corrected for the
        number of finalists compared (Holm), optimism is how much worse fresh networks are on validation rows than the
        network that was found, and size is the number of parameters.""",
    "front": """
        Trials at full budget that no other trial beats in all of these goals; if the study has one goal, in misfit and
        size. Along the front, one goal improves as another gets worse: look for the place where the price rises.""",
    "budget": """
        ASHA stopped the trials whose lines end early; its rungs are where many lines end together. If lines of good
        trials still fall at the right edge, more epochs may help. If the best misfit has been constant for long, more
        trials will hardly help.""",
    "mattered": """
        The first table has the best trial of each family: on test rows, by fresh networks, if it is a finalist, else on
        validation rows, which flatter it. lambda is the weight of the penalty on the code; encoder/decoder is the ratio
        of their parameters. Importance (PED-ANOVA, Optuna) measures how much a setting distinguishes the best tenth of
        a family's trials from the others. It doesn't show the direction. The slices do; their darker points are later
        trials. A learning sampler tries most configurations where results were good, so an empty region isn't a bad
        one. With few trials, importances are rough.""",
    "settings": """
        Each point is a trial. Other settings differ too, so trust only a pattern of many points. Compare filled points,
        trained at full budget, with each other. Medians of few trials mean little.""",
    "samples": """
        Blue rows are real, orange rows are generated; training never saw these real rows. If contours coincide, a pair
        of columns is right. In Q-Q plots, points on the line mean equal quantiles. The shaded band is where each
        quantile of 95 % of real samples would lie: some 5 % leave it by chance, and neighbouring quantiles leave it
        together.""",
    "losses": """
        If the validation loss rises while the training loss falls, the network memorises its rows. The dotted line is
        the epoch of the kept checkpoint, which is chosen by its scores and not by its loss. Losses of different
        objectives can't be compared, and adversarial losses don't fall as samples get better.""",
    "weights": """
        Each line is one network; the density is logarithmic. Stronger L1 should concentrate weights at zero, stronger
        L2 should make the histogram narrow and tall. The best trial of each strength is shown; its other settings
        differ too, including the size of its network.""",
    "latent": """
        Codes of held-out rows (means, if codes are random). If equal colours lie together, the code orders the data.
        t-SNE keeps neighbours, but neither distances nor sizes of groups. A dimension whose codes hardly spread isn't
        used.""",
    "run": "Everything that another machine needs to run the same search, and the conditions of this run.",
    "winners": """
        Winners whose intervals overlap can't be told apart. Compare misfits and scores only between searches on the
        same rows. Fresh networks on test rows show what a winner is worth; scores on validation rows flatter it.""",
    "progress": """
        The lowest misfit at full budget against the epochs of all trials. At the same budget, the lower line is better.
        Each search is one random draw, so small differences are luck.""",
    "differences": """
        Settings in which the studies differ. A dash means that a study leaves the key at its default, or doesn't have
        it.""",
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
    """Return the figure in the report's style, with named axes; those in `log` ("x", "y" or "xy") are logarithmic."""
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
    """Draw a horizontal line with a label on a logarithmic axis."""
    said = {"text": words, "font": {"size": 10, "color": color}, "xanchor": "right", "x": 1, "yanchor": "bottom"}
    # Shapes on a logarithmic axis take values, annotations take logarithms.
    figure.add_hline(
        y=value, line={"color": color, "width": 1.2, "dash": dash}, annotation={**said, "y": math.log10(value)}
    )


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A plotly figure with its caption, its text alternative and its height in pixels; a `wide` one fills the row."""

    caption: str
    alt: str
    figure: go.Figure
    wide: bool = False
    height: int = 340

    @property
    def shown(self) -> Any:
        """Return what plotly draws, for JSON, with texts letter by letter."""
        return letters(json.loads(self.figure.to_json()))


@dataclass(frozen=True)
class Row:
    """Cells of a table, and the kind of row: "best", "floor", "reference", "other" or plain."""

    cells: Sequence[str]
    kind: str = ""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table; its first `words` columns hold words, the others numbers."""

    caption: str
    headings: Sequence[str]
    rows: Sequence[Row]
    words: int = 1


@dataclass(frozen=True, kw_only=True)
class Section:
    """A section of a page.

    Args:
        anchor: its name in links; it selects its heading and explanation.
        found: what the figures say, one paragraph each.
        tables, drawings: in order.
        text: text shown verbatim, such as a study.
    """

    anchor: str
    found: Sequence[str] = ()
    tables: Sequence[Table] = ()
    drawings: Sequence[Drawing] = ()
    text: str = ""

    @property
    def title(self) -> str:
        """Return the heading."""
        return TITLES[self.anchor]

    @property
    def look(self) -> str:
        """Return the explanation: what a reader should look at."""
        return " ".join(LOOK[self.anchor].split())


@dataclass(frozen=True, kw_only=True)
class Page:
    """A whole page; `facts` are the names and values at its top."""

    title: str
    summary: Sequence[str]
    facts: Sequence[tuple[str, str]] = ()
    sections: Sequence[Section] = field(default_factory=tuple)


def rendered(page: Page) -> str:
    """Return the HTML of a page, including style, script and plotly.js."""
    loader = PackageLoader("search.report", ".")
    place = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    parts = {name: Markup(loader.get_source(place, f"page.{name}")[0]) for name in ("css", "js")}
    return place.get_template("page.html").render(page=page, plotly=Markup(get_plotlyjs()), **parts)


def write(page: Page, path: Path) -> None:
    """Write a page into a file, and make the file's folder.

    Raises:
        OSError: it can't be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(rendered(page), encoding="utf-8")
