"""The section on samples of the winner against held-out rows: pairs, Kendall curve, tau, margins, tails."""

from collections.abc import Sequence

import numpy as np

from objectives.scores.anderson_darling import ad
from search.density import LARGEST
from search.report import dependence, margins
from search.report.contents import Contents, kept_generator
from search.report.page import Drawing, Section
from search.report.training import Array
from search.study.study import short_name

MOST_ROWS = 2000  # drawn of a sample; more make the page heavy, not clearer
MOST_PAIRS, MOST_COLUMNS, MOST_TAUS = 6, 6, 20


def samples(contents: Contents) -> Section | None:
    """Samples of the winner against held-out rows: pairs, margins, tails, Kendall curve, matrices of tau."""
    winner = contents.winner
    if winner is None:
        return None
    generator = kept_generator(contents, winner)
    if contents.rows is None or contents.study is None or generator is None:
        why = contents.missing or (f"the checkpoint of trial {winner.trial} can't be read",)
        return Section("samples", [f"Left out: {line}." for line in why])
    held = contents.rows.test if winner.judged else contents.rows.validation
    real = held[:MOST_ROWS]
    made = generator.sample(len(held), contents.study.budget.seed).numpy()[:MOST_ROWS]
    if not np.isfinite(made).all():
        return Section("samples", [f"Left out: trial {winner.trial} makes rows that are not finite."])
    real, made = (np.clip(rows, -LARGEST, LARGEST) for rows in (real, made))
    names, count = generator.columns, real.shape[1]
    kind = "test" if winner.judged else "validation"
    found = [
        f"{len(made)} samples of trial {winner.trial}, {short_name(winner.configuration)}, "
        f"beside {len(real)} {kind} rows."
    ]
    drawings = []
    if count > 1:
        drawings += _dependence(real, made, names, found)
    drawings += _margins(real, made, names, found)
    return Section("samples", found, (), drawings)


def _dependence(real: Array, made: Array, names: Sequence[str], found: list[str]) -> list[Drawing]:
    count, before, after = real.shape[1], dependence.taus(real), dependence.taus(made)
    shown = dependence.pairs(real, made, MOST_PAIRS)
    if count * (count - 1) // 2 > MOST_PAIRS:
        found.append(
            f"Of {count * (count - 1) // 2} pairs of columns those {MOST_PAIRS} are drawn whose tau differs most."
        )
    drawings = []
    for one, other in shown:
        two, alt = [one, other], f"tau {before[one, other]:.2f} of real rows, {after[one, other]:.2f} of samples"
        figure = dependence.pair(real[:, two], made[:, two], [names[one], names[other]])
        drawings.append(Drawing(f"{names[one]}, {names[other]}: {alt}", alt, figure))
    apart = float(np.abs(dependence.shares(real) - dependence.shares(made)).mean()) if len(real) == len(made) else None
    if apart is not None:
        found.append(
            f"The two Kendall curves are {apart:.4f} apart on average, the largest difference of a tau is "
            f"{np.abs(before - after).max():.3f}. A curve of samples above the real one means too much dependence."
        )
        alt = f"mean distance {apart:.4f}"
        drawings.append(Drawing("Kendall curve", alt, dependence.kendall_curve(real, made)))
    if count > MOST_TAUS:
        found.append(f"Matrices of tau show the first {MOST_TAUS} of {count} columns.")
    some, labels = slice(MOST_TAUS), names[:MOST_TAUS]
    difference = (after - before)[some, some]
    for caption, matrix, span in (
        ("Kendall's tau, held-out rows", before[some, some], 1.0),
        ("Kendall's tau, samples", after[some, some], 1.0),
        ("Difference of tau, samples less real", difference, max(0.1, float(np.abs(difference).max()))),
    ):
        inner = matrix[np.triu_indices(len(matrix), 1)]
        alt = f"from {inner.min():.2f} to {inner.max():.2f} off the diagonal"
        drawings.append(Drawing(caption, alt, dependence.tau_matrix(matrix, labels, span), height=320))
    return drawings


def _margins(real: Array, made: Array, names: Sequence[str], found: list[str]) -> list[Drawing]:
    each = [float(ad(real[:, [place]], made[:, [place]])) for place in range(real.shape[1])]
    order = [int(place) for place in np.argsort(-np.array(each), kind="stable")[:MOST_COLUMNS]]
    worst = order[0]
    found.append(
        f"By Anderson-Darling {names[worst]} has the worst margin ({each[worst]:.2f}; about 2 of real samples)."
    )
    if len(each) > MOST_COLUMNS:
        found.append(f"Of {len(each)} margins those {MOST_COLUMNS} are drawn that are worst by Anderson-Darling.")
    drawings = []
    for place in sorted(order):
        x, y, name = real[:, place], made[:, place], names[place]
        share = margins.outside(x, y)
        if len(each) == 1:
            drawings.append(
                Drawing(f"{name}: densities", "histograms over each other", dependence.histogram(x, y, name))
            )
        alt = f"{share:.0%} of the quantiles lie outside the band of real samples"
        drawings.append(Drawing(f"{name}: Q-Q, {share:.0%} outside the band", alt, margins.marginal(x, y)))
        end = "upper tail, logarithmic" if x.min() >= 0 else "tails"
        alt = f"largest real value {x.max():.4g}, of samples {y.max():.4g}"
        drawings.append(Drawing(f"{name}: {end}, beyond the 5 %", alt, margins.tail(x, y)))
    return drawings
