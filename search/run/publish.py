"""All of a search in one call: search, confirm the finalists, keep the report, register the winner.

The command line and Python both come here. A `Progress` hears what happens on the way; the command line's prints it.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, final

from search.errors import GenseekError, StudyError
from search.events.events import Listener
from search.export.registry import Registered, register
from search.log import decoration
from search.rank.finalist import Finalist
from search.rank.leaderboard import Leaderboard
from search.record.layout import REPORT
from search.record.store import Store
from search.report.build import keep_report, write_report
from search.run.confirm import CONFIRMED_BY, candidates, confirm_search
from search.run.plan import Plan
from search.run.refit import REFITTED_BY, refit_winner, wants_refit
from search.run.search import TRAINED, Result, noting, run_search
from search.study.budget import SEEDS
from search.tune.cluster import cluster


@dataclass(frozen=True)
class Published:
    """What a search left beside its record: where its report is, and its registered winner; None where it failed."""

    report: str | None = None
    registered: Registered | None = None


class Progress(Protocol):
    """What hears how a search goes on; whatever it raises ends the search where it is, and loses nothing."""

    def stage(self, title: str, trials: int, until: float = math.inf) -> AbstractContextManager[Sequence[Listener]]:
        """Listeners of a stage, the search or its finalists; left when the stage ends, however it ends.

        It trains so many trials, or those that it can until a moment in seconds since the epoch of the clock.
        """

    def warned(self, line: str) -> None:
        """The cluster isn't all that was asked for."""

    def searched(self, result: Result) -> None:
        """The search has ended, or was interrupted."""

    def confirmed(self, finalists: Sequence[Finalist], board: Leaderboard) -> None:
        """The finalists were judged; none are there if that was interrupted."""


@final
class Silent:
    """A progress that nobody watches."""

    @contextmanager
    def stage(self, title: str, trials: int, until: float = math.inf) -> Iterator[Sequence[Listener]]:
        yield ()

    def warned(self, line: str) -> None: ...

    def searched(self, result: Result) -> None: ...

    def confirmed(self, finalists: Sequence[Finalist], board: Leaderboard) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a search has found, and what it left.

    Args:
        board: the leaderboard, with what was confirmed.
        finalists: those that were trained again, best first; empty where the study wants none, or it was interrupted.
        published: the report and the registered winner.
        interrupted: whether Ctrl-C ended it; `plan_resume` goes on.
        warnings: of the cluster, of trials that an error ended, and of what the store didn't take, a line each.
    """

    board: Leaderboard
    finalists: Sequence[Finalist] = ()
    published: Published = field(default_factory=Published)
    interrupted: bool = False
    warnings: Sequence[str] = ()


def search_and_publish(plan: Plan, *, seeds: int = SEEDS, progress: Progress | None = None) -> Outcome:
    """Do what `genseek run` does: search, train finalists with fresh seeds, and publish the winner.

    If the study says `refit`, the winner is trained once more on all rows. The report is kept, the winner registered.

    A search that was interrupted, or whose record is incomplete, isn't confirmed or published. One that was confirmed
    before isn't confirmed again.

    Args:
        plan: of a new search or, by `plan_resume`, of one that goes on.
        seeds: fresh networks of each finalist.
        progress: hears what happens on the way.

    Raises:
        GenseekError: the cluster or the store can't do what was asked, or no trial can win.
        TrainingError: trainers keep dying; the search can go on when that is mended.

    Examples:
        >>> from search import Store, load_study, plan_search, with_overrides
        >>> study = with_overrides(load_study("gaussian_2d"), trials=4, epochs=4, finalists=2)
        >>> outcome = search_and_publish(plan_search(study, Store("genseek-store")), seeds=2)
        >>> outcome.board.winner().verdict, Path(outcome.published.report).suffix
        ('winner', '.html')
    """
    progress, budget, finalists = progress or Silent(), plan.study.budget, list[Finalist]()
    with cluster(budget, plan.storage) as lines:
        warnings = list(lines)
        for line in warnings:
            progress.warned(line)
        with progress.stage(plan.name, plan.trials, plan.moment(TRAINED)) as listeners:
            result = run_search(plan, listeners)
        progress.searched(result)
        warnings += [*result.failures, *result.unrecorded, *result.troubles]
        if result.interrupted or result.unrecorded:
            return Outcome(board=result.board, interrupted=result.interrupted, warnings=warnings)
        _check_winner(plan, result.board)
        if budget.finalists and not plan.store.confirmed(plan.name):
            finalists, troubles = _confirmed(plan, budget.finalists, seeds, progress=progress)
            warnings += troubles
            if not (finalists or troubles):
                return Outcome(board=result.board, interrupted=True, warnings=warnings)
        complete, troubles = _refitted(plan, progress)
        warnings += troubles
    board = plan.store.leaderboard(plan.name)
    if not complete:
        return Outcome(board=board, finalists=finalists, interrupted=True, warnings=warnings)
    published = publish(plan)
    return Outcome(board=board, finalists=finalists, published=published, warnings=warnings)


def confirm_best(plan: Plan, *, top: int, seeds: int = SEEDS, progress: Progress | None = None) -> list[Finalist]:
    """Train the `top` best of a recorded search again with `seeds` fresh seeds each; none if it was interrupted.

    If the study says `refit`, the winner is trained once more on all rows.

    Raises:
        GenseekError: as `search_and_publish`.
        KeyboardInterrupt: Ctrl-C, when the finalists are recorded and the winner isn't trained on all rows yet.
    """
    progress = progress or Silent()
    finalists, _ = _confirmed(plan, top, seeds, progress=progress)
    if finalists and not _refitted(plan, progress)[0]:
        raise KeyboardInterrupt
    return finalists


def _check_winner(plan: Plan, board: Leaderboard) -> None:
    """Tell why there is no winner, if there is none."""
    try:
        board.winner()
    except StudyError as error:
        if not plan.study.budget.time or board.finished():
            raise
        raise StudyError(f"{error}; give it more time, or trials fewer epochs") from error


def _confirmed(plan: Plan, top: int, seeds: int, *, progress: Progress) -> tuple[list[Finalist], list[str]]:
    """Confirmed finalists, and what there was no time for; neither if it was interrupted."""
    board, said = plan.store.leaderboard(plan.name), list[str]()
    count = len(candidates(board, top)) * seeds
    with progress.stage(f"{plan.name}, finalists", count, plan.moment(CONFIRMED_BY)) as listeners:
        finalists = confirm_search(plan, board, top, seeds, listeners=[*listeners, noting(said)])
    if finalists or not said:
        progress.confirmed(finalists, board)
    return finalists, said


def _refitted(plan: Plan, progress: Progress) -> tuple[bool, list[str]]:
    """Whether the winner's network on all rows wasn't interrupted, and why there is none."""
    board, said = plan.store.leaderboard(plan.name), list[str]()
    if not wants_refit(plan, board):
        return True, said
    with progress.stage(f"{plan.name}, winner on all rows", 1, plan.moment(REFITTED_BY)) as listeners:
        complete = refit_winner(plan, board, listeners=[*listeners, noting(said)])
    return complete, said


def publish(plan: Plan) -> Published:
    """Keep the report of a search and register its winner.

    A failure is a warning of the logger `genseek`: the search itself is complete.
    """
    report, registered = None, None
    with decoration("no report was written"):
        report = str(keep_report(plan.store, plan.name))
    with decoration("the winner isn't registered"):
        registered = register(plan.store, plan.name, plan.study, plan.task)
    return Published(report, registered)


def enclose_report(store: Store, name: str, folder: Path) -> None:
    """Put the report of a search into an exported folder: the kept one or, failing that, a new one."""
    try:
        store.fetch(store.search(name).run_id, REPORT, folder)
    except GenseekError:
        with decoration("no report was written"):
            write_report(store, name, folder / REPORT)
