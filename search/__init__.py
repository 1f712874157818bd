"""Searches: everything that chooses, runs, records and exports.

The rooms, in the order in which data flows through them: `study` (what to search), `events` (what happened), `train`
(stacked networks), `schedule` (what to try next, who stops), `rank` (who is best), `tune` (Ray), `record` (MLflow),
`export`, `report`, `run` (the use cases) and `cli`. The names below are the public face; a room is imported when one of
its names is first asked for, so that `genseek --help` needs neither Ray nor torch.

Examples:
    >>> from search import load_study
    >>> study = load_study("gaussian_2d")
    >>> study.problem, study.budget.trials
    ('gaussian_2d', 40)
"""

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from search.errors import (
        ClusterError as ClusterError,
        DataError as DataError,
        GenseekError as GenseekError,
        StoreError as StoreError,
        StudyError as StudyError,
        TrainingError as TrainingError,
    )
    from search.export.export import export_generator as export_generator, load_generator as load_generator
    from search.rank.finalist import Finalist as Finalist
    from search.rank.leaderboard import Entry as Entry, Leaderboard as Leaderboard
    from search.rank.score_tables import score_tables as score_tables
    from search.record.store import Store as Store
    from search.run.confirm import confirm_search as confirm_search
    from search.run.plan import plan_resume as plan_resume, plan_search as plan_search
    from search.run.publish import Outcome as Outcome, search_and_publish as search_and_publish
    from search.run.search import run_search as run_search
    from search.study.parse import load_study as load_study, with_overrides as with_overrides
    from search.study.study import Study as Study

for _name in ("models", "objectives"):
    _spec = importlib.util.find_spec(_name)
    if _spec is None or _spec.origin is None or Path(_spec.origin).parents[1] != Path(__file__).parents[1]:
        raise ImportError(f"{_spec and _spec.origin} hides genseek's package {_name!r}; rename it")

_HOMES = {
    "errors": ("ClusterError", "DataError", "GenseekError", "StoreError", "StudyError", "TrainingError"),
    "export.export": ("export_generator", "load_generator"),
    "rank.finalist": ("Finalist",),
    "rank.leaderboard": ("Entry", "Leaderboard"),
    "rank.score_tables": ("score_tables",),
    "record.store": ("Store",),
    "run.confirm": ("confirm_search",),
    "run.plan": ("plan_resume", "plan_search"),
    "run.publish": ("Outcome", "search_and_publish"),
    "run.search": ("run_search",),
    "study.parse": ("load_study", "with_overrides"),
    "study.study": ("Study",),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}
__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'search' has no attribute {name!r}")
    return getattr(importlib.import_module(f"search.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
