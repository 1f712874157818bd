"""The model card of a trial: what it was trained on, what it scores, and what its figures say against it."""

from collections.abc import Sequence
from typing import Any

from search.rank.leaderboard import Entry, Leaderboard
from search.text import code, markdown, markdown_table

FEW = 1000  # training rows, below which the largest values and rare combinations are mostly guessed
TRAINED = ("zeros", "deviation")  # facts of training, not of the architecture
COPULA = "gaussian copula"


def card(board: Leaderboard, entry: Entry, columns: Sequence[str], sampling: str) -> str:
    """The card in Markdown; `sampling` says how to sample from where the card lies."""
    described, provenance = board.described(entry), board.origin
    parts = [
        f"# {markdown(entry.configuration.model)} of {markdown(provenance['problem'])}",
        f"Trial {entry.trial} of the search {code(board.name)}, found by genseek {provenance['versions']['genseek']}. "
        "It draws rows that shall look like those below.",
        "## Trained on",
        _listed(_data(provenance, columns)),
        "## Architecture and training",
        _listed([f"{markdown(name)}: {_number(value)}" for name, value in entry.facts.items() if name not in TRAINED]),
        markdown_table(
            ["key", "value"],
            [[markdown(key), markdown(str(value))] for key, value in described["configuration"].items()],
            words=2,
        ),
        "## Scores",
        "Lower is better. Floor and 95 % are quantiles of what one real sample scores against another.",
        *_scores("On validation rows, by which the search chose", described["scores"]),
        *(_scores("On test rows", described["test"]) if described["test"] else []),
        *_confirmed(board, entry),
        "## Limits",
        _listed(limits(board, entry)),
        "## Sampling",
        sampling,
        "## Licence",
        "The training rows are yours or your source's, and their licence says what may be done with the model.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def limits(board: Leaderboard, entry: Entry) -> list[str]:
    """What the figures say against the model, a sentence each."""
    rows, own = entry.figures()
    split = rows.partition(",")[0]
    floors, found = board.floors[split], []
    outside = [name for name, floor in floors.items() if own.get(name, 0) > floor.upper]
    where = f"on {split} rows"
    if "overfit" in outside:
        found.append(
            f"Overfit {own['overfit']:.3f} {where} is above {floors['overfit'].upper:.3f}, 95 % of real rows': "
            "more generated rows than by chance lie nearest to a training row, so some may all but repeat one."
        )
    for name in (name for name in outside if name != "overfit"):
        found.append(
            f"{markdown(name)} {_number(own[name])} {where} is above the 95 % quantile of real rows, "
            f"{_number(floors[name].upper)}: of 20 real samples, one scores as badly."
        )
    copula = board.references.get(split, {}).get(COPULA, {}).get("fit")
    if copula is not None and copula <= own["fit"]:
        found.append(
            f"A Gaussian copula, which needs no search, is as good: fit {copula:.2f} against {own['fit']:.2f}."
        )
    if not entry.judged:
        found.append("No fresh networks confirm it: its scores are the best of many, so partly luck.")
    train = board.origin.get("rows", {}).get("train")
    if train is not None and train < FEW:
        found.append(f"{train} training rows: the largest values and rare combinations are mostly guessed.")
    if entry.configuration.training.features == "quantile_normal" or entry.configuration.model == "gaussian_copula":
        found.append("It never draws a value beyond the least and largest of the training rows.")
    return [*found, "It knows the rows that it was trained on, not what changes after them, or what they leave out."]


def _data(provenance: dict[str, Any], columns: Sequence[str]) -> list[str]:
    arguments = ", ".join(f"{key} {_said(value)}" for key, value in provenance["problem_arguments"].items())
    sizes = [f"{count} {split}" for split, count in provenance.get("rows", {}).items()]
    return [
        f"problem: {markdown(provenance['problem'])}" + (f" ({arguments})" if arguments else ""),
        *([f"rows: {', '.join(sizes)}"] if sizes else []),
        f"columns: {', '.join(map(code, columns))}",
        f"sha256 of the rows: `{provenance['data_sha256']}`",
    ]


def _scores(title: str, scores: dict[str, Any]) -> list[str]:
    rows = [
        [
            markdown(name),
            *(_number(each[key]) for key in ("value", "floor", "upper")),
            "yes" if each["inside"] else "no",
        ]
        for name, each in scores.items()
        if name != "fit"
    ]
    rows.append(["fit", _number(scores["fit"]), "1", "", ""])
    return [f"{title}:", markdown_table(["score", "value", "floor", "95 %", "inside"], rows)]


def _confirmed(board: Leaderboard, entry: Entry) -> list[str]:
    own = entry.confirmed
    if not entry.judged:
        return []
    floors = board.floors["test"]
    span = f", 95 % interval {own['low']:.2f} to {own['high']:.2f}" if "low" in own and "high" in own else ""
    gap = (
        f"; on validation rows they are {own['optimism']:+.0%} off the network that the search found"
        if "optimism" in own
        else ""
    )
    overfit = (
        f" Overfit is {own['overfit']:.3f} ({floors['overfit'].median:.3f} for real rows)."
        if "overfit" in own and "overfit" in floors
        else ""
    )
    return [f"Fresh networks of this configuration, on test rows: **fit {own['fit']:.2f}**{span}{gap}.{overfit}"]


def _listed(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _said(value: Any) -> str:
    return code(value) if isinstance(value, str) else str(value)


def _number(value: float) -> str:
    return f"{value:.4g}" if value < 1e4 else f"{value:.0f}"
