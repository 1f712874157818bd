"""The report's sections on settings: their importance, and each setting against misfit."""

import logging
import statistics
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import optuna
import plotly.graph_objects as go
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from search.log import hush
from search.rank.families import best_of_families, family_table
from search.rank.leaderboard import Entry, Leaderboard, scores_shown
from search.record.layout import EQUAL
from search.report.data import Contents, History
from search.report.page import OUTCOMES, SYMBOLS, Drawing, Row, Section, Table, level, styled
from search.report.results import FEW_TRIALS as SHOWN, listed
from search.study.configuration import Configuration
from search.study.goals import WORST
from search.study.space import Choice, Domain, Fixed
from search.study.study import Study, short_name

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
LEAST = 12  # least number of trials of a family: importances of fewer are noise
SLICES = 6  # keys of a family, most important first


@dataclass(frozen=True)
class Setting:
    """A setting in which trials differ: its key, its name in words, and the trials that have it."""

    key: str
    words: str
    entries: Sequence[Entry]

    def value(self, entry: Entry) -> float:
        """Return the trial's value of the setting."""
        return float((entry.configuration.flat() | entry.architecture)[self.key])


def settings(board: Leaderboard) -> list[Setting]:
    """Return those of `KEYS` that differ between trials with a misfit."""
    found = []
    judged = [entry for entry in board.entries if 0 < entry.misfit < SHOWN]
    for key, words in KEYS.items():
        setting = Setting(key, words, [each for each in judged if key in each.configuration.flat() | each.architecture])
        if len({setting.value(entry) for entry in setting.entries}) > 1:
            found.append(setting)
    return found


def setting_figure(setting: Setting) -> go.Figure:
    """Draw misfit against the setting; trials at full budget are filled, trials stopped before are hollow."""
    drawn = go.Figure()
    for outcome, color in OUTCOMES.items():
        some = [entry for entry in setting.entries if entry.outcome == outcome]
        if some:
            drawn.add_scatter(
                x=[setting.value(entry) for entry in some],
                y=[entry.misfit for entry in some],
                text=[f"trial {each.trial}, {short_name(each.configuration)}, epoch {each.epoch}" for each in some],
                mode="markers",
                marker={"color": color, "symbol": SYMBOLS[outcome], "size": 8},
                name=outcome,
                hovertemplate="%{text}<br>%{x}: misfit %{y:.2f}<extra></extra>",
            )
    level(drawn, 1.0, "real rows")
    values = [setting.value(entry) for entry in setting.entries]
    wide = min(values) > 0 and max(values) / min(values) > 10
    if min(values) == 0 and len(set(values)) <= 2 * GROUPS:  # strengths such as 0, 0.001, 0.01
        order = [f"{value:g}" for value in sorted(set(values))]
        drawn.for_each_trace(lambda trace: trace.update(x=[f"{value:g}" for value in trace.x]))
        drawn.update_xaxes(type="category", categoryorder="array", categoryarray=order)
    return styled(drawn, setting.words, "misfit", log="xy" if wide else "y")


def setting_table(setting: Setting, names: Sequence[str]) -> Table | None:
    """Return median misfit and scores of trials at full budget for each group of values; None for a single group."""
    finished = [entry for entry in setting.entries if entry.outcome == "finished"]
    rows = []
    for words, belongs in _groups(setting, finished):
        own = [entry for entry in finished if belongs(setting.value(entry))]
        if own:
            known = [name for name in names if all(name in entry.scores for entry in own)]
            scores = {name: statistics.median(entry.scores[name] for entry in own) for name in known}
            misfits = [entry.misfit for entry in own]
            rows.append(
                Row(
                    [
                        words,
                        str(len(own)),
                        f"{min(misfits):.2f}",
                        *scores_shown(scores, statistics.median(misfits), names),
                    ]
                )
            )
    headings = [
        setting.key if setting.key != ASYMMETRY else "parameters",
        "trials",
        "lowest misfit",
        "median misfit",
        *(f"median {name}" for name in names),
    ]
    return (
        Table(caption=f"Trials at full budget by {setting.words}", headings=headings, rows=rows)
        if len(rows) > 1
        else None
    )


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


def strength_grid(board: Leaderboard) -> go.Figure | None:
    """Draw the lowest misfit at full budget for each L1 and L2 strength; return None unless both have few values."""
    best: dict[tuple[float, float], float] = {}
    for entry in board.finished():
        if not {"l1", "l2"} <= entry.configuration.flat().keys():
            continue
        place = entry.configuration.training.l1, entry.configuration.training.l2
        best[place] = min(entry.misfit, best.get(place, entry.misfit))
    l1, l2 = (sorted({place[axis] for place in best}) for axis in (0, 1))
    if not (2 <= len(l1) <= 8 and 2 <= len(l2) <= 8):
        return None
    misfits = [[best.get((one, two)) for one in l1] for two in l2]
    drawn = go.Figure(
        go.Heatmap(
            z=misfits,
            x=[f"{each:g}" for each in l1],
            y=[f"{each:g}" for each in l2],
            colorscale="Cividis",
            reversescale=True,
            texttemplate="%{z:.2f}",
            colorbar={"title": "misfit", "thickness": 10},
            hovertemplate="L1 %{x}, L2 %{y}: misfit %{z:.2f}<extra></extra>",
        )
    )
    drawn.update_xaxes(type="category")
    drawn.update_yaxes(type="category")
    return styled(drawn, "L1 strength", "L2 strength", legend=False)


@dataclass(frozen=True, kw_only=True)
class Rebuilt:
    """Trials of a family as an Optuna study of their misfits after `epoch` epochs, which `count` of `all` reached."""

    family: str
    epoch: int
    count: int
    all: int
    study: optuna.Study


def rebuilt(contents: Contents) -> list[Rebuilt]:
    """Return an Optuna study for each family of which enough trials reached one epoch: the last such epoch."""
    study = contents.study
    if study is None:
        return []
    families = []
    for family in study.models:
        own = [each for each in contents.histories.values() if each.configuration.model == family]
        reached = sorted({epoch for history in own for epoch in _misfits(history)}, reverse=True)
        epoch = next((each for each in reached if sum(each in _misfits(one) for one in own) >= LEAST), None)
        if epoch is None:
            continue
        counted = [history for history in own if epoch in _misfits(history)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            hush("optuna", below=logging.WARNING)
            again = optuna.create_study(direction="minimize")
            for history in counted:
                again.add_trial(_trial(study, history.configuration, _misfits(history)[epoch]))
        families.append(Rebuilt(family=family, epoch=epoch, count=len(counted), all=len(own), study=again))
    return families


def importances(family: Rebuilt) -> dict[str, float]:
    """Return the importance of each key, largest first; they sum to 1, and are empty if nothing varied."""
    varied = _varied(family)
    return dict(optuna.importance.get_param_importances(family.study, params=varied)) if varied else {}


def importance_figure(family: Rebuilt) -> go.Figure:
    """Draw the importances as Optuna's bars."""
    return optuna.visualization.plot_param_importances(family.study, params=_varied(family))


def slice_figure(family: Rebuilt, key: str) -> go.Figure:
    """Draw the misfits over one key as Optuna's scatter plot."""
    return optuna.visualization.plot_slice(family.study, params=[key], target_name="misfit")


def _misfits(history: History) -> Mapping[int, float]:
    return {each.report.epoch: each.report.misfit for each in history.reports if each.report.misfit < WORST}


def _varied(family: Rebuilt) -> list[str]:
    """Return the keys that act in every trial and differ between trials; Optuna compares no others."""
    params = [trial.params for trial in family.study.get_trials(deepcopy=False)]
    shared = [key for key in params[0] if all(key in each for each in params)]
    return [key for key in shared if len({each[key] for each in params}) > 1]


def _trial(study: Study, configuration: Configuration, misfit: float) -> optuna.trial.FrozenTrial:
    domains = study.models[configuration.model] | study.objectives[configuration.objective] | study.training
    spread = {key: _distribution(domain) for key, domain in domains.items() if not isinstance(domain, Fixed)}
    objectives = study.pairs()[configuration.model]
    if len(objectives) > 1:
        spread["objective"] = CategoricalDistribution(objectives)
    chosen = configuration.flat()
    acting = {key: distribution for key, distribution in spread.items() if key in chosen}
    return optuna.trial.create_trial(params={key: chosen[key] for key in acting}, distributions=acting, value=misfit)


def _distribution(domain: Domain) -> BaseDistribution:
    assert not isinstance(domain, Fixed)
    if isinstance(domain, Choice):
        return CategoricalDistribution(domain.values)
    if isinstance(domain.low, int):
        return IntDistribution(domain.low, domain.high, log=domain.log, step=domain.step or 1)
    return FloatDistribution(domain.low, domain.high, log=domain.log, step=domain.step)


def mattered(contents: Contents) -> Section | None:
    """Return the section with importances and slices of each family that has enough trials."""
    if contents.study is None or not contents.histories:
        return None
    families = rebuilt(contents)
    found, drawings = [], []
    for family in families:
        shares = importances(family)
        full = "their full budget" if family.epoch == contents.study.budget.epochs else f"epoch {family.epoch}"
        said = f"{family.family}: {family.count} of {family.all} trials reached {full}; their misfit there is used."
        if not shares:
            found.append(f"{said} They don't differ in any setting.")
            continue
        first, share = next(iter(shares.items()))
        found.append(f"{said} {first} has the largest importance, {share:.0%}.")
        figure = styled(importance_figure(family), "share of importance", legend=False)
        figure.update_yaxes(title=None)
        height = 110 + 24 * len(shares)
        drawings.append(
            Drawing(
                caption=f"{family.family}: importance",
                alt=f"{first} {share:.0%}",
                figure=figure,
                wide=True,
                height=height,
            )
        )
        for key in list(shares)[:SLICES]:
            figure = styled(slice_figure(family, key), key, "misfit", log="y", legend=False)
            figure.update_traces(marker={"showscale": False})
            alt = f"misfit of {family.count} trials over {key}"
            drawings.append(Drawing(caption=f"{family.family}: misfit by {key}", alt=alt, figure=figure, height=280))
    few = [name for name in contents.study.models if name not in [family.family for family in families]]
    if few:
        found.append(f"Fewer than {LEAST} comparable trials, too few for importances: {listed(few)}.")
    return Section(
        anchor="mattered",
        found=found,
        tables=[_families(contents.board)],
        drawings=drawings,
    )


def by_setting(contents: Contents) -> Section | None:
    """Return the section on misfit and scores by asymmetry, latent dimensions, sigma, and weights of penalties."""
    board = contents.board
    found = settings(board)
    names = [name for name in board.floors["validation"] if name in ("ad", "kendall", "mmd")]
    tables = [table for setting in found if (table := setting_table(setting, names)) is not None]
    drawings = []
    for setting in found:
        best = min(setting.entries, key=lambda entry: entry.misfit)
        alt = f"lowest misfit {best.misfit:.2f} at {setting.value(best):.3g}, of {len(setting.entries)} trials"
        drawings.append(Drawing(caption=f"Misfit by {setting.words}", alt=alt, figure=setting_figure(setting)))
    grid = strength_grid(board)
    if grid is not None:
        drawings.append(
            Drawing(caption="Lowest misfit by L1 and L2", alt="lowest misfit at each pair of strengths", figure=grid)
        )
    if not drawings:
        return None
    return Section(
        anchor="settings",
        found=(),
        tables=tables,
        drawings=drawings,
    )


def _families(board: Leaderboard) -> Table:
    families = best_of_families(board)
    headings, cells = family_table(board, families)
    rows = [
        Row(
            [*own[:3], str(best.trials), str(best.finished), *own[3:]], "best" if best.entry.verdict == "winner" else ""
        )
        for best, own in zip(families, cells, strict=True)
    ]
    headings = [*headings[:3], "trials", "at full budget", *headings[3:]]
    return Table(caption="Best of each family", headings=headings, rows=rows, words=3)
