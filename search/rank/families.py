"""What each family of a search could do: its best configuration, what that scored, and its main settings."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from search.rank.leaderboard import Entry, Leaderboard, scores_shown, shortfall
from search.study.study import WEIGHTS

SCORES_SHOWN = ("ad", "kendall", "mmd")
SETTINGS = ("latent", "sigma", "lambda", "encoder/decoder")  # the last is the ratio of their parameters


@dataclass(frozen=True, kw_only=True)
class FamilyBest:
    """The best trial of a family.

    Args:
        family: name of the model.
        entry: the trial.
        rows: "test" if `misfit` and `scores` are those of its fresh networks on test rows, else "validation".
        misfit, scores: on these rows.
        trials, finished: number of the family's trials, and of those at full budget.
    """

    family: str
    entry: Entry
    rows: Literal["test", "validation"]
    misfit: float
    scores: dict[str, float]
    trials: int
    finished: int

    @property
    def settings(self) -> dict[str, str]:
        """Return those of `SETTINGS` that its model and objective have, as text."""
        chosen, found = self.entry.configuration, {}
        arguments = chosen.model_arguments
        if "latent" in arguments:
            found["latent"] = f"{arguments['latent']}"
        if "sigma" in arguments:
            found["sigma"] = "learned" if arguments.get("learn_sigma") else f"{arguments['sigma']:.3g}"
        for key in WEIGHTS:
            if key in chosen.objective_arguments:
                found["lambda"] = f"{chosen.objective_arguments[key]:.3g}"
        ratio = self.entry.architecture.get("log2_encoder_over_decoder")
        return found if ratio is None else found | {"encoder/decoder": f"{2**ratio:.2g}"}

    @property
    def told(self) -> str:
        """Return its settings in one line, such as `latent 2, sigma 0.3`."""
        return ", ".join(f"{name} {value}" for name, value in self.settings.items())


def best_of_families(board: Leaderboard) -> list[FamilyBest]:
    """Return the best trial of each family: those judged on test rows first, those that can't win last, by misfit.

    If the family's best trial on validation rows is a finalist, its finalists count by their misfit on test rows.
    Its other finalists, which the front brought, say nothing about what it could do.

    Examples:
        >>> from search import Store
        >>> sorted(best.family for best in best_of_families(Store("genseek-store").leaderboard("first")))
        ['pushforward', 'vae']
    """
    families: dict[str, list[Entry]] = {}
    for entry in board.ranked():
        families.setdefault(entry.configuration.model, []).append(entry)
    found = [_best(board, family, own) for family, own in families.items()]
    return sorted(found, key=lambda best: (shortfall(board, best.entry) != "", best.rows != "test", best.misfit))


def _best(board: Leaderboard, family: str, own: Sequence[Entry]) -> FamilyBest:
    judged = [entry for entry in own if entry.judged] if own[0].finalist else []
    judged.sort(key=lambda entry: (entry.verdict == "breaks a bound", entry.confirmed_misfit))
    entry = [*judged, own[0]][0]
    return FamilyBest(
        family=family,
        entry=entry,
        rows="test" if judged else "validation",
        misfit=entry.confirmed_misfit if judged else entry.misfit,
        scores=entry.confirmed if judged else entry.scores,
        trials=len(own),
        finished=sum(each.outcome == "finished" for each in own),
    )


def family_table(
    board: Leaderboard, families: Sequence[FamilyBest], settings: Sequence[str] = SETTINGS
) -> tuple[list[str], list[list[str]]]:
    """Return headings and rows of a table of families, with those of `settings` that any of them has."""
    names = [name for name in SCORES_SHOWN if name in board.floors["validation"]]
    told = [name for name in settings if any(name in best.settings for best in families)]
    rows = []
    for best in families:
        why = shortfall(board, best.entry)
        label = f"{best.entry.trial}" + (f" ({why})" if why else "")
        size = best.entry.architecture.get("parameters")
        figures = [*scores_shown(best.scores, best.misfit, names), "-" if size is None else f"{size:.0f}"]
        rows.append([best.family, label, best.rows, *figures, *(best.settings.get(name, "") for name in told)])
    return ["family", "trial", "rows", "misfit", *names, "size", *told], rows
