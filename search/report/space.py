"""Sections on the space that was searched: what mattered in it, and fit and scores by setting."""

from search.rank.leaderboard import Leaderboard
from search.report import importance, settings
from search.report.contents import Contents
from search.report.page import Drawing, Row, Section, Table
from search.report.results import listed
from search.report.style import styled

SLICES = 6  # keys of a family, most important first


def mattered(contents: Contents) -> Section | None:
    """Importances and slices of each family that has enough trials."""
    if contents.study is None or not contents.histories:
        return None
    families = importance.rebuilt(contents)
    found, drawings = [], []
    for family in families:
        shares = importance.importances(family)
        full = "their full budget" if family.epoch == contents.study.budget.epochs else f"epoch {family.epoch}"
        said = f"{family.family}: {family.count} of {family.all} trials reached {full}, and count by their fit there."
        if not shares:
            found.append(f"{said} They don't differ in any setting.")
            continue
        first, share = next(iter(shares.items()))
        found.append(f"{said} {first} has the largest share of the importance, {share:.0%}.")
        figure = styled(importance.importance_figure(family), "share of importance", legend=False)
        figure.update_yaxes(title=None)
        height = 110 + 24 * len(shares)
        drawings.append(
            Drawing(f"{family.family}: importance", f"{first} {share:.0%}", figure, wide=True, height=height)
        )
        for key in list(shares)[:SLICES]:
            figure = styled(importance.slice_figure(family, key), key, "fit", log="y", legend=False)
            figure.update_traces(marker={"showscale": False})
            alt = f"fit of {family.count} trials over {key}"
            drawings.append(Drawing(f"{family.family}: fit by {key}", alt, figure, height=280))
    few = [name for name in contents.study.models if name not in [family.family for family in families]]
    if few:
        found.append(f"Fewer than {importance.LEAST} trials, too few to tell what mattered: {listed(few)}.")
    return Section(
        "mattered",
        found,
        [_families(contents.board)],
        drawings,
    )


def by_setting(contents: Contents) -> Section | None:
    """Fit and scores by asymmetry, latent dimensions, sigma, and the weights of penalties."""
    board = contents.board
    found = settings.settings(board)
    names = [name for name in board.floors["validation"] if name in ("ad", "kendall", "mmd")]
    tables = [table for setting in found if (table := settings.table(setting, names)) is not None]
    drawings = []
    for setting in found:
        best = min(setting.entries, key=lambda entry: entry.fit)
        alt = f"best fit {best.fit:.2f} at {setting.value(best):.3g}, of {len(setting.entries)} trials"
        drawings.append(Drawing(f"Fit by {setting.words}", alt, settings.figure(setting)))
    grid = settings.grid(board)
    if grid is not None:
        drawings.append(Drawing("Best fit by L1 and L2", "best fit at each pair of strengths", grid))
    if not drawings:
        return None
    return Section(
        "settings",
        (),
        tables,
        drawings,
    )


def _families(board: Leaderboard) -> Table:
    rows = []
    for family in sorted({entry.configuration.model for entry in board.entries}):
        own = [entry for entry in board.entries if entry.configuration.model == family]
        fits = sorted(entry.fit for entry in board.finished() if entry in own)
        middle = f"{fits[len(fits) // 2]:.2f}" if fits else "-"
        rows.append(Row([family, str(len(own)), str(len(fits)), f"{fits[0]:.2f}" if fits else "-", middle]))
    return Table("Families", ["family", "trials", "at full budget", "best fit", "median fit"], rows)
