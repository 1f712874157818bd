"""Sections on networks: samples against the target, losses, weights by strength, and latent spaces."""

import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from models.generator import Generator, read_safetensors
from objectives.problems.mixture import Mixture3D
from objectives.scores.anderson_darling import ad
from search.checkpoint import WEIGHTS
from search.errors import InputError
from search.exporting import opened
from search.leaderboard import CONFIRMED, Entry
from search.report import dependence, latent, margins, training
from search.report.contents import Contents
from search.report.page import Drawing, Row, Section, Table, plain
from search.report.training import Array, Weights
from search.tables import pair_shown

MOST_ROWS = 2000  # drawn of a sample; more make the page heavy, not clearer
MOST_PAIRS, MOST_COLUMNS, MOST_TAUS = 6, 6, 20
MOST_LOSSES = 6
STRENGTHS = 5
AUTOENCODERS = ("ae", "vae", "lars_vae")


def samples(contents: Contents) -> Section | None:
    """Samples of the winner against held-out rows: pairs, margins, tails, Kendall curve, matrices of tau."""
    winner = contents.winner
    if winner is None:
        return None
    look = (
        "Blue is real, orange is made, on rows that training never saw. Contours that coincide mean that a pair is right. "
        "In Q-Q plots points on the line mean equal quantiles, and the shaded band is where each quantile of 95 % of real samples "
        "would lie: some 5 % leave it by chance, and neighbours leave it together."
    )
    anchor, title = "samples", "Samples against target"
    generator = _generator(contents, winner)
    if contents.rows is None or contents.study is None or generator is None:
        why = contents.missing or (f"the checkpoint of trial {winner.trial} can't be read",)
        return Section(anchor, title, look, [f"Left out: {line}." for line in why])
    held = contents.rows.test if winner.confirmed else contents.rows.validation
    real = held[:MOST_ROWS]
    made = generator.sample(len(held), contents.study.budget.seed).numpy()[:MOST_ROWS]
    if not np.isfinite(made).all():
        return Section(anchor, title, look, [f"Left out: trial {winner.trial} makes rows that are not finite."])
    names, count = generator.columns, real.shape[1]
    kind = "test" if winner.confirmed else "validation"
    found = [
        f"{len(made)} samples of trial {winner.trial}, {pair_shown(winner.configuration)}, beside {len(real)} {kind} rows."
    ]
    drawings = []
    if count > 1:
        drawings += _dependence(real, made, names, found)
    drawings += _margins(real, made, names, found)
    return Section(anchor, title, look, found, (), drawings)


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


def losses(contents: Contents) -> Section | None:
    """Losses of the finalists, or of the best trials at full budget."""
    chosen = contents.finalists or contents.board.ranked()
    drawings = []
    for entry in [each for each in chosen if each.trial in contents.histories]:
        figure = training.losses(contents.histories[entry.trial])
        if figure is not None and len(drawings) < MOST_LOSSES:
            report = contents.histories[entry.trial].reports[-1].report
            caption = f"trial {entry.trial}, {pair_shown(entry.configuration)}"
            alt = f"training loss ends at {report.loss:.3g}, validation loss at {report.validation_loss:.3g}"
            drawings.append(Drawing(caption, alt, figure, height=280))
    if not drawings:
        return None
    return Section(
        "losses",
        "Loss curves",
        "A validation loss that rises while the training loss falls says that the network learns its rows by heart. The "
        "dotted line is the epoch of the checkpoint that was kept, by its scores and not by its loss. Losses of different "
        "objectives can't be compared, and those of adversarial ones don't fall as samples get better.",
        (),
        (),
        drawings,
    )


def weights(contents: Contents) -> Section | None:
    """Histograms of weights by L1 and by L2 strength, and how many of them are zero."""
    tables, drawings = [], []
    for key, words in (("l1", "L1: more weights at or near zero"), ("l2", "L2: a narrower, taller histogram")):
        networks = [each for entry in _strengths(contents, key) if (each := _weights(contents, entry)) is not None]
        if len(networks) < 2:
            continue
        alt = ", ".join(f"{key} {getattr(each, key):g}: deviation {each.values.std():.3f}" for each in networks)
        drawings.append(
            Drawing(f"Weights by {key.upper()} strength", alt, training.histograms(networks, key), height=380)
        )
        rows = [
            Row(
                [f"trial {each.trial}", f"{each.l1:g}", f"{each.l2:g}", f"{len(each.values)}"]
                + [f"{each.zeros:.1%}", f"{each.near:.1%}", f"{each.values.std():.4f}"]
            )
            for each in networks
        ]
        headings = ["", "L1", "L2", "weights", "exactly 0", f"within {training.NEAR:g}", "deviation"]
        tables.append(Table(f"Expected of {words}", headings, rows))
    winner = contents.winner
    own = None if winner is None else _weights(contents, winner)
    if own is not None:
        alt = f"{own.zeros:.1%} are exactly 0, deviation {own.values.std():.3f}"
        figure = training.histograms([own], "l2")
        drawings.append(Drawing(f"Weights of the winner, trial {own.trial}", alt, figure, height=380))
    if not drawings:
        return None
    return Section(
        "weights",
        "Weights by strength of the penalties",
        "One line is one network; the density is logarithmic. Stronger L1 should pile weights up at zero, stronger L2 should "
        "make the histogram narrow and tall. Of each strength the best trial is shown; its other settings differ too.",
        ()
        if tables
        else ["No family has networks at full budget with two strengths of L1 or L2, so only the winner's are shown."],
        tables,
        drawings,
    )


def latents(contents: Contents) -> Section | None:
    """Codes of held-out rows by t-SNE, of the winner or else of the best autoencoder at full budget."""
    entry = contents.winner
    if entry is None or entry.configuration.model not in AUTOENCODERS:
        entry = next((one for one in contents.board.ranked() if _coded(one)), None)
    if entry is None or contents.rows is None or contents.study is None:
        return None
    generator = _generator(contents, entry)
    rows = contents.rows.validation[: latent.ROWS]
    codes = None if generator is None else latent.codes(generator, rows)
    if generator is None or codes is None or not np.isfinite(codes).all():
        return None
    mixture = contents.problem if isinstance(contents.problem, Mixture3D) else None
    values = rows[:, 0] if mixture is None else mixture.labels(rows).astype(float)
    color = "component" if mixture else plain(generator.columns[0])
    if mixture is None:  # ranks, so that a heavy tail doesn't leave one colour to all others
        values, color = np.argsort(np.argsort(values)) / max(1, len(values) - 1), f"{color}, rank"
    dimensions, drawings = codes.shape[1], []
    if dimensions > 1:
        points = latent.embedded(codes, contents.study.budget.seed)
        alt = f"{len(points)} codes of {dimensions} dimensions, coloured by {color}"
        figure = latent.figure(points, values, ("t-SNE 1", "t-SNE 2"), color, mixture is not None)
        drawings.append(Drawing(f"t-SNE of {dimensions} latent dimensions", alt, figure, height=420))
    plane = codes[:, :2] if dimensions > 1 else np.stack([codes[:, 0], rows[:, 0]], 1)
    names = ("latent 1", "latent 2" if dimensions > 1 else plain(generator.columns[0]))
    caption = "Codes themselves" if dimensions < 3 else "The first two latent dimensions"
    figure = latent.figure(plane, values, names, color, mixture is not None)
    drawings.append(Drawing(caption, f"{len(plane)} codes against {names[1]}", figure, height=420))
    deviations = ", ".join(f"{each:.2f}" for each in codes.std(0))
    return Section(
        "latent",
        "Latent space",
        "Where the encoder puts held-out rows (means, where codes are random). Colours that lie together mean that the code "
        "orders the data. t-SNE keeps neighbours, and neither distances nor sizes of groups. A dimension whose codes hardly "
        "spread isn't used; the prior expects a deviation of 1 in all of them together with the posterior's own.",
        [
            f"Trial {entry.trial}, {pair_shown(entry.configuration)}, {len(codes)} validation rows. "
            f"Deviation of the codes by dimension: {deviations}."
        ],
        (),
        drawings,
    )


def _coded(entry: Entry) -> bool:
    return entry.outcome == "finished" and entry.configuration.model in AUTOENCODERS


def _strengths(contents: Contents, key: str) -> list[Entry]:
    """The best trial at full budget of each of at most five strengths, of the family that has the most of them."""
    families: dict[str, dict[float, Entry]] = {}
    for entry in sorted(contents.board.finished(), key=lambda each: each.fit):
        own = families.setdefault(entry.configuration.model, {})
        own.setdefault(getattr(entry.configuration.training, key), entry)
    networks = {
        model: own for model, own in families.items() if _weights(contents, next(iter(own.values()))) is not None
    }
    own = max(networks.values(), key=len, default={})
    strengths = sorted(own)
    places = {round(place) for place in np.linspace(0, len(strengths) - 1, min(STRENGTHS, len(strengths)))}
    return [own[strengths[place]] for place in sorted(places)] if strengths else []


def _weights(contents: Contents, entry: Entry) -> Weights | None:
    """Weights of a trial's network; None where it has none, or they can't be read."""
    with tempfile.TemporaryDirectory() as folder, suppress(InputError, ValueError, OSError):
        tensors = read_safetensors(_fetched(contents, entry, folder) / WEIGHTS)
        parts = [each.double().numpy().ravel() for name, each in tensors.items() if name.endswith(".weight")]
        if parts:
            chosen = entry.configuration.training
            return Weights(entry.trial, chosen.l1, chosen.l2, np.concatenate(parts))
    return None


def _generator(contents: Contents, entry: Entry) -> Generator | None:
    with tempfile.TemporaryDirectory() as folder, suppress(InputError):
        return opened(_fetched(contents, entry, folder))
    return None


def _fetched(contents: Contents, entry: Entry, folder: str) -> Path:
    return contents.store.fetch(entry.run_id, CONFIRMED if entry.confirmed else "checkpoint", Path(folder))
