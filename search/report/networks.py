"""Sections on networks: losses, weights by strength, and latent spaces."""

import tempfile
from pathlib import Path

import numpy as np

from models.generator import read_safetensors
from objectives.problems.mixture import Mixture3D
from search.errors import InputError
from search.log import show_traceback
from search.rank.leaderboard import Entry
from search.report import latent, training
from search.report.contents import Contents, fetched, kept_generator
from search.report.page import Drawing, Row, Section, Table
from search.report.training import Weights
from search.study.study import short_name
from search.train.group import WEIGHTS

MOST_LOSSES = 6
STRENGTHS = 5
AUTOENCODERS = ("ae", "vae", "lars_vae")


def losses(contents: Contents) -> Section | None:
    """Losses of the finalists, or of the best trials at full budget."""
    chosen = contents.finalists or contents.board.ranked()
    drawings: list[Drawing] = []
    for entry in [each for each in chosen if each.trial in contents.histories]:
        figure = training.losses(contents.histories[entry.trial])
        if figure is not None and len(drawings) < MOST_LOSSES:
            report = contents.histories[entry.trial].reports[-1].report
            caption = f"trial {entry.trial}, {short_name(entry.configuration)}"
            alt = f"training loss ends at {report.loss:.3g}, validation loss at {report.validation_loss:.3g}"
            drawings.append(Drawing(caption, alt, figure, height=280))
    if not drawings:
        return None
    return Section(
        "losses",
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
                [
                    f"trial {each.trial}",
                    *(f"{each.l1:g}", f"{each.l2:g}", f"{len(each.values)}"),
                    *(f"{each.zeros:.1%}", f"{each.near:.1%}", f"{each.values.std():.4f}"),
                ]
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
    generator = kept_generator(contents, entry)
    rows = contents.rows.validation[: latent.ROWS]
    codes = None if generator is None else latent.codes(generator, rows)
    if generator is None or codes is None or not np.isfinite(codes).all():
        return None
    mixture = contents.problem if isinstance(contents.problem, Mixture3D) else None
    values = rows[:, 0] if mixture is None else mixture.labels(rows).astype(float)
    color = "component" if mixture else generator.columns[0]
    if mixture is None:  # ranks, so that a heavy tail doesn't leave one colour to all others
        values, color = np.argsort(np.argsort(values)) / max(1, len(values) - 1), f"{color}, rank"
    dimensions, drawings = codes.shape[1], []
    if dimensions > 1:
        points = latent.embedded(codes, contents.study.budget.seed)
        alt = f"{len(points)} codes of {dimensions} dimensions, coloured by {color}"
        figure = latent.figure(points, values, ("t-SNE 1", "t-SNE 2"), color, mixture is not None)
        drawings.append(Drawing(f"t-SNE of {dimensions} latent dimensions", alt, figure, height=420))
    plane = codes[:, :2] if dimensions > 1 else np.stack([codes[:, 0], rows[:, 0]], 1)
    names = ("latent 1", "latent 2" if dimensions > 1 else generator.columns[0])
    caption = "Codes themselves" if dimensions < 3 else "The first two latent dimensions"
    figure = latent.figure(plane, values, names, color, mixture is not None)
    drawings.append(Drawing(caption, f"{len(plane)} codes against {names[1]}", figure, height=420))
    deviations = ", ".join(f"{each:.2f}" for each in codes.std(0))
    return Section(
        "latent",
        [
            f"Trial {entry.trial}, {short_name(entry.configuration)}, {len(codes)} validation rows. "
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
    with tempfile.TemporaryDirectory() as folder:
        try:
            tensors = read_safetensors(fetched(contents, entry, Path(folder)) / WEIGHTS)
        except (InputError, ValueError, OSError):
            show_traceback()
            return None
    parts = [each.double().numpy().ravel() for name, each in tensors.items() if name.endswith(".weight")]
    known = [part[np.isfinite(part)] for part in parts]
    if not sum(map(len, known)):
        return None
    chosen = entry.configuration.training
    return Weights(entry.trial, chosen.l1, chosen.l2, np.concatenate(known))
