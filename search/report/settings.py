"""Fit and scores by what was set: asymmetry, latent dimensions, sigma, penalties and their weights."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import plotly.graph_objects as go

from search.rank.leaderboard import Entry, Leaderboard, scores_shown
from search.record.layout import EQUAL
from search.report.page import Row, Table
from search.report.style import OUTCOMES, SYMBOLS, level, styled
from search.report.trials import SHOWN
from search.study.study import short_name

ASYMMETRY = "log2_encoder_over_decoder"
GROUPS = 4  # of a setting with many values
KEYS = {
    ASYMMETRY: "log2 of encoder over decoder parameters",
    "latent": "latent dimensions",
    "sigma": "sigma of the decoder, in feature units",
    "lam": "lambda, weight of the penalty on the code",
    "beta": "beta, weight of the divergence from the prior",
    "l1": "L1 strength",
    "l2": "L2 strength",
    "dropout": "dropout",
}


@dataclass(frozen=True)
class Setting:
    """One setting that trials differ in: its key, what it is, and the trials that have it."""

    key: str
    words: str
    entries: Sequence[Entry]

    def value(self, entry: Entry) -> float:
        """The trial's value of it."""
        return float((entry.configuration.flat() | entry.facts)[self.key])


def settings(board: Leaderboard) -> list[Setting]:
    """Those of `KEYS` that at least two trials with a fit differ in."""
    found = []
    judged = [entry for entry in board.entries if 0 < entry.fit < SHOWN]
    for key, words in KEYS.items():
        setting = Setting(key, words, [each for each in judged if key in each.configuration.flat() | each.facts])
        if len({setting.value(entry) for entry in setting.entries}) > 1:
            found.append(setting)
    return found


def figure(setting: Setting) -> go.Figure:
    """Fit against the setting; trials at full budget are filled, those that were stopped before are hollow."""
    drawn = go.Figure()
    for outcome, color in OUTCOMES.items():
        some = [entry for entry in setting.entries if entry.outcome == outcome]
        if some:
            drawn.add_scatter(
                x=[setting.value(entry) for entry in some],
                y=[entry.fit for entry in some],
                text=[f"trial {each.trial}, {short_name(each.configuration)}, epoch {each.epoch}" for each in some],
                mode="markers",
                marker={"color": color, "symbol": SYMBOLS[outcome], "size": 8},
                name=outcome,
                hovertemplate="%{text}<br>%{x}: fit %{y:.2f}<extra></extra>",
            )
    level(drawn, 1.0, "real rows")
    values = [setting.value(entry) for entry in setting.entries]
    wide = min(values) > 0 and max(values) / min(values) > 10
    if min(values) == 0 and len(set(values)) <= 2 * GROUPS:  # strengths such as 0, 0.001, 0.01
        order = [f"{value:g}" for value in sorted(set(values))]
        drawn.for_each_trace(lambda trace: trace.update(x=[f"{value:g}" for value in trace.x]))
        drawn.update_xaxes(type="category", categoryorder="array", categoryarray=order)
    return styled(drawn, setting.words, "fit", log="xy" if wide else "y")


def table(setting: Setting, names: Sequence[str]) -> Table | None:
    """Medians of fit and scores of trials at full budget in each group of the setting's values, if there are two."""
    finished = [entry for entry in setting.entries if entry.outcome == "finished"]
    rows = []
    for words, belongs in _groups(setting, finished):
        own = [entry for entry in finished if belongs(setting.value(entry))]
        if own:
            known = [name for name in names if all(name in entry.scores for entry in own)]
            scores = {name: statistics.median(entry.scores[name] for entry in own) for name in known}
            fits = [entry.fit for entry in own]
            rows.append(
                Row([words, str(len(own)), f"{min(fits):.2f}", *scores_shown(scores, statistics.median(fits), names)])
            )
    headings = [
        setting.key if setting.key != ASYMMETRY else "parameters",
        "trials",
        "best fit",
        "median fit",
        *(f"median {name}" for name in names),
    ]
    return Table(f"Trials at full budget by {setting.words}", headings, rows) if len(rows) > 1 else None


def _groups(setting: Setting, entries: Sequence[Entry]) -> list[tuple[str, Callable[[float], bool]]]:
    if setting.key == ASYMMETRY:
        return [
            ("encoder smaller", lambda value: value <= -EQUAL),
            ("about equal", lambda value: abs(value) < EQUAL),
            ("encoder larger", lambda value: value >= EQUAL),
        ]
    values = sorted({setting.value(entry) for entry in entries})
    if len(values) <= GROUPS:
        return [(f"{value:.4g}", _between(value, value, True)) for value in values]
    bounds = [values[round(place * (len(values) - 1) / GROUPS)] for place in range(GROUPS + 1)]
    return [(f"{low:.3g} to {high:.3g}", _between(low, high, high == bounds[-1])) for low, high in pairwise(bounds)]


def _between(low: float, high: float, closed: bool) -> Callable[[float], bool]:
    return lambda value: low <= value < high or (closed and value == high)


def grid(board: Leaderboard) -> go.Figure | None:
    """Best fit at full budget for each L1 and L2 strength, where both were searched over few values."""
    best: dict[tuple[float, float], float] = {}
    for entry in board.finished():
        place = entry.configuration.training.l1, entry.configuration.training.l2
        best[place] = min(entry.fit, best.get(place, entry.fit))
    l1, l2 = (sorted({place[axis] for place in best}) for axis in (0, 1))
    if not (2 <= len(l1) <= 8 and 2 <= len(l2) <= 8):
        return None
    fits = [[best.get((one, two)) for one in l1] for two in l2]
    drawn = go.Figure(
        go.Heatmap(
            z=fits,
            x=[f"{each:g}" for each in l1],
            y=[f"{each:g}" for each in l2],
            colorscale="Cividis",
            reversescale=True,
            texttemplate="%{z:.2f}",
            colorbar={"title": "fit", "thickness": 10},
            hovertemplate="L1 %{x}, L2 %{y}: fit %{z:.2f}<extra></extra>",
        )
    )
    drawn.update_xaxes(type="category")
    drawn.update_yaxes(type="category")
    return styled(drawn, "L1 strength", "L2 strength", legend=False)
