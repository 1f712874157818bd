"""The leaderboard: all trials of a search, ranked beside reference generators, with the floors of their scores."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from objectives import SCORES, Floor
from search.errors import StudyError, unknown_name
from search.events.events import Ended, Event, RecordingStalled, Reported, Started, TrainerHeartbeat, Troubled
from search.study.configuration import Configuration
from search.study.goals import WORST, Goals, ObjectiveValues, front

SHOWN = 10
FORMATS = {"ad": ".2f", "mmd": ".5f", "overfit": ".3f", "misfit": ".2f", "parameters": ".0f"}
STYLES: dict[str, str] = {
    "running": "cyan",
    "finished": "green",
    "stopped": "dim",
    "diverged": "red",
    "failed": "bold red",
    "interrupted": "yellow",
}
UNKNOWN = {"problem": "unknown", "problem_arguments": {}, "data_sha256": "unknown", "versions": {"genseek": "unknown"}}


def unranked() -> tuple[str, ...]:
    """Return the registered scores, including plug-ins, of which lower isn't better."""
    return tuple(name for name, score in SCORES.items() if score.limit != 0)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """Result of one trial; `scores` and `misfit` are those of its best checkpoint on validation rows.

    `confirmed` holds the scores of a finalist's fresh networks on test rows, with `low` and `high` of their misfit.
    Figures of networks that could not be judged are missing. `verdict` is "winner", "tie" (with the winner), "breaks a
    bound", or "finalist". `test` holds the scores and misfit of the best checkpoint on test rows, only for trials at
    full budget. `spread` holds the standard deviations of misfit and scores over the trial's replicas, if it has
    several. `refitted` is the number of rows that a network for use was trained on once more; 0 if there is none.

    Examples:
        >>> from search import Store
        >>> entry = Store("genseek-store").leaderboard("first").winner()
        >>> entry.outcome, entry.epoch
        ('finished', 6)
    """

    trial: int
    configuration: Configuration
    outcome: str
    epoch: int
    best_epoch: int
    misfit: float
    scores: dict[str, float]
    architecture: dict[str, float]
    test: dict[str, float] = field(default_factory=dict)
    run_id: str = ""
    spread: dict[str, float] = field(default_factory=dict)
    confirmed: dict[str, float] = field(default_factory=dict)
    verdict: str = ""
    refitted: int = 0

    @property
    def finalist(self) -> bool:
        """Return whether fresh networks were trained, even if they could not be judged."""
        return bool(self.verdict or self.confirmed)

    @property
    def judged(self) -> bool:
        """Return whether its fresh networks have a misfit; then its network is the best of them."""
        return "misfit" in self.confirmed

    @property
    def confirmed_misfit(self) -> float:
        """Return the misfit of its fresh networks; infinity if they have none."""
        return self.confirmed.get("misfit", math.inf)

    def confirmed_text(self, *keys: str, form: str = ".2f", between: str = "-") -> str:
        """Return figures of its fresh networks, such as `low` and `high`, as text; a dash if they are missing."""
        values = [self.confirmed.get(key, math.nan) for key in keys]
        return between.join(format(value, form) for value in values) if all(map(math.isfinite, values)) else "-"

    def figures(self) -> tuple[str, dict[str, float]]:
        """Return the most telling rows ("test, fresh networks", "test", "validation"), with scores and misfit."""
        if self.judged:
            return "test, fresh networks", self.confirmed
        if self.test:
            return "test", {"misfit": math.inf} | self.test
        return "validation", self.scores | {"misfit": self.misfit}


@dataclass(frozen=True, kw_only=True)
class Leaderboard:
    """All entries of a search, the reference generators' scores, and the floors, on validation and on test rows.

    `references` and `floors` have the keys "validation" and "test"; below these, the reference's or score's name.
    `provenance` says where the results come from: problem, data hash, seed, versions. `unranked` are the scores of
    which lower isn't better.

    Examples:
        >>> from search import Store
        >>> board = Store("genseek-store").leaderboard("first")
        >>> board.winner() == board.ranked()[0]
        True
        >>> board.floors["validation"].keys() == board.winner().scores.keys()
        True
    """

    name: str
    entries: list[Entry]
    references: dict[str, dict[str, dict[str, float]]]
    floors: dict[str, dict[str, Floor]]
    provenance: dict[str, Any]
    goals: Goals = field(default_factory=Goals)
    unranked: tuple[str, ...] = field(default_factory=unranked)

    @property
    def origin(self) -> dict[str, Any]:
        """Return `provenance`, with defaults for parts that a damaged record lacks."""
        return UNKNOWN | self.provenance

    def finished(self) -> list[Entry]:
        """Return the trials at full budget that could be judged, unordered."""
        return [entry for entry in self.entries if entry.outcome == "finished" and entry.misfit < WORST]

    def eligible(self) -> list[Entry]:
        """Return those of `finished` that keep the bounds."""
        return [entry for entry in self.finished() if self.standing(entry).violation == 0]

    def standing(self, entry: Entry) -> ObjectiveValues:
        """Return a trial's values for the goals of the search."""
        return self.goals.standing(entry.misfit, entry.scores, entry.architecture)

    def ranked(self, by: str = "misfit") -> list[Entry]:
        """Return the trials, best first by misfit or a score: those at full budget within the bounds, then all others.

        These are trials at full budget that break bounds, by how much, and then the rest by how long they were trained.
        """
        finished = self.finished()
        others = [entry for entry in self.entries if entry not in finished]
        return sorted(finished, key=lambda e: (self.standing(e).violation, _value(e, by))) + sorted(
            others, key=lambda e: (-e.epoch, e.misfit, e.trial)
        )

    def front(self) -> list[Entry]:
        """Return the trials of `eligible` that no other of them beats in all goals, ordered by the first goal."""
        eligible = self.eligible()
        places = front([self.standing(entry).values for entry in eligible])
        return sorted((eligible[place] for place in places), key=lambda entry: self.standing(entry).values)

    def winner(self, by: str = "misfit") -> Entry:
        """Return the best trial at full budget; if finalists were confirmed and `by` is misfit, the winner among these.

        Raises:
            StudyError: no trial was trained at full budget within the bounds, or `by` isn't a score that ranks.
        """
        known = ["misfit", *(name for name in self.floors["validation"] if name not in self.unranked)]
        if by not in known:
            raise StudyError(f"--by: {unknown_name('score', by, known)}")
        if not self.finished():
            raise StudyError(f"search {self.name!r}: no trial was trained at full budget, so there is no winner")
        best = self.ranked(by)[0]
        violations = {
            name: over for name, over in self.goals.violations(best.scores, best.architecture).items() if over > 0
        }
        if violations:
            said = ", ".join(f"{name} by {over:.0%}" for name, over in violations.items())
            raise StudyError(
                f"search {self.name!r}: no trial at full budget keeps the constraints; "
                f"the nearest, trial {best.trial}, exceeds {said}"
            )
        confirmed = [entry for entry in self.entries if entry.verdict == "winner"] if by == "misfit" else []
        return confirmed[0] if confirmed else best

    def entry(self, trial: int) -> Entry:
        """Return the entry of a trial's number.

        Raises:
            StudyError: there is no such trial, or it wasn't trained at full budget.
        """
        for entry in self.entries:
            if entry.trial == trial:
                if entry.outcome != "finished" and not entry.judged:
                    raise StudyError(f"trial {trial} of {self.name!r} was {entry.outcome}, not trained at full budget")
                return entry
        raise StudyError(f"search {self.name!r} has no trial {trial}")

    def to_dict(self, entry: Entry) -> dict[str, Any]:
        """Return an entry with its floors for JSON: trial, model, objective, configuration, scores, test, run id."""
        return {
            "search": self.name,
            "trial": entry.trial,
            "model": entry.configuration.model,
            "objective": entry.configuration.objective,
            "configuration": entry.configuration.flat(),
            "scores": with_floors(entry.scores | {"misfit": entry.misfit}, self.floors["validation"]),
            "test": with_floors(entry.test, self.floors["test"]) if entry.test else None,
            "spread": entry.spread,
            "confirmed": entry.confirmed or None,
            "verdict": entry.verdict or None,
            "refitted": entry.refitted or None,
            "architecture": entry.architecture,
            "violation": self.standing(entry).violation,
            "epoch": entry.epoch,
            "best_epoch": entry.best_epoch,
            "outcome": entry.outcome,
            "run_id": entry.run_id,
        }


def with_floors(values: dict[str, float], floors: dict[str, Floor]) -> dict[str, Any]:
    """Return `{"ad": {"value", "floor", "upper", "inside"}, ..., "misfit"}`; upper is the floor's 95 % quantile."""
    scores: dict[str, Any] = {
        name: {
            "value": values[name],
            "floor": floor.median,
            "upper": floor.upper,
            "inside": values[name] <= floor.upper,
        }
        for name, floor in floors.items()
        if name in values
    }
    return scores | {"misfit": values.get("misfit", math.inf)}


def floors_from(written: dict[str, Any]) -> dict[str, dict[str, Floor]]:
    """Return floors from their JSON form, in which null stands for nan."""
    return {
        rows: {
            name: Floor(**dict.fromkeys(("median", "upper", "positive"), math.nan) | _known(floor))
            for name, floor in floors.items()
        }
        for rows, floors in written.items()
    }


def _known(written: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in written.items() if value is not None}


def floors_json(floors: dict[str, dict[str, Floor]]) -> dict[str, Any]:
    """Return the JSON form of floors."""
    return {rows: {name: asdict(floor) for name, floor in by_name.items()} for rows, by_name in floors.items()}


class Entries:
    """Listener that keeps the present state of every trial."""

    def __init__(self) -> None:
        self._started: dict[int, Started] = {}
        self._reported: dict[int, Reported] = {}
        self._ended: dict[int, Ended] = {}

    def __call__(self, event: Event) -> None:
        kept: dict[type, dict[int, Any]] = {
            Started: self._started,
            Reported: self._reported,
            Ended: self._ended,
        }
        if not isinstance(event, TrainerHeartbeat | RecordingStalled | Troubled):
            kept[type(event)][event.trial] = event

    def finished(self) -> Iterable[Ended]:
        """Return the ends of trials at full budget."""
        return [ended for ended in self._ended.values() if ended.outcome == "finished"]

    def failures(self) -> Sequence[Ended]:
        """Return the ends of trials that failed."""
        return [ended for ended in self._ended.values() if ended.outcome == "failed"]

    def entries(self, tests: dict[int, dict[str, float]], run_ids: dict[int, str]) -> list[Entry]:
        """Return the entry of every trial that ended."""
        return [self._entry(trial, tests.get(trial, {}), run_ids.get(trial, "")) for trial in self._ended]

    def _entry(self, trial: int, test: dict[str, float], run_id: str) -> Entry:
        configuration, outcome = self._started[trial].configuration, self._ended[trial].outcome
        reported = self._reported.get(trial)
        if reported is None:
            return Entry(
                trial=trial,
                configuration=configuration,
                outcome=outcome,
                epoch=0,
                best_epoch=0,
                misfit=WORST,
                scores={},
                architecture={},
                test=test,
                run_id=run_id,
            )
        report = reported.report
        return Entry(
            trial=trial,
            configuration=configuration,
            outcome=outcome,
            epoch=report.epoch,
            best_epoch=report.best_epoch,
            misfit=report.misfit,
            scores=report.scores,
            architecture=reported.architecture,
            test=test,
            run_id=run_id,
            spread=report.spread,
        )


def _value(entry: Entry, by: str) -> float:
    value = (entry.scores | {"misfit": entry.misfit}).get(by, math.inf)
    return value if math.isfinite(value) else math.inf


def shortfall(board: Leaderboard, entry: Entry) -> str:
    """Return why a trial can't win: its outcome, or that it breaks a bound; empty if it can."""
    if entry.outcome != "finished":
        return entry.outcome
    return "breaks a bound" if board.standing(entry).violation > 0 else ""


def scores_shown(scores: dict[str, float], misfit: float, names: Sequence[str]) -> list[str]:
    """Return the cells of misfit and the scores `names`; a dash for a missing score."""
    cells = [f"{scores[name]:{FORMATS.get(name, '.4f')}}" if name in scores else "-" for name in names]
    return [f"{misfit:.2f}" if misfit < 1e5 else "-", *cells]


def real_rows(board: Leaderboard, split: str, names: Sequence[str]) -> Iterator[list[str]]:
    """Return leaderboard rows of the reference generators, and of the floors: scores between two real samples."""
    for name, scores in board.references[split].items():
        yield [name, "reference", *scores_shown(scores, scores["misfit"], names)]
    floors = board.floors[split]
    for name, figures in (
        ("real rows, median", {score: floor.median for score, floor in floors.items()}),
        ("real rows, 95 %", {score: floor.upper for score, floor in floors.items()}),
    ):
        yield [name, "floor", "", *scores_shown(figures, 1.0, names)[1:]]
