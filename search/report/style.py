"""How all figures of a report look: colours that can be told apart without colour vision, one size of letters."""

import math
from typing import Any

import plotly.graph_objects as go

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


def styled(figure: go.Figure, x: str = "", y: str = "", log: str = "", legend: bool = True) -> go.Figure:
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


def level(figure: go.Figure, value: float, words: str, color: str = GREEN, dash: str = "dash") -> None:
    """Draw a horizontal line on a logarithmic axis and say what it is."""
    said = {"text": words, "font": {"size": 10, "color": color}, "xanchor": "right", "x": 1, "yanchor": "bottom"}
    # Shapes stand at values of a logarithmic axis, annotations at their logarithms.
    figure.add_hline(
        y=value, line={"color": color, "width": 1.2, "dash": dash}, annotation={**said, "y": math.log10(value)}
    )
