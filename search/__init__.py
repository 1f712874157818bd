"""Searches: everything that chooses, runs, records and exports.

from search import Store, load_study, plan_search, search_and_publish

store = Store("genseek-store")
outcome = search_and_publish(plan_search(load_study("gaussian_2d"), store, name="first"))
print(outcome.board.winner().confirmed)
"""

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from search.errors import InputError, TrainingError
    from search.export.export import export_generator, load_generator
    from search.rank.finalist import Finalist
    from search.rank.leaderboard import Entry, Leaderboard
    from search.rank.score_tables import score_tables
    from search.record.store import Store
    from search.run.confirm import confirm_search
    from search.run.plan import plan_resume, plan_search
    from search.run.publish import Outcome, search_and_publish
    from search.run.search import run_search
    from search.study.parse import load_study, with_overrides
    from search.study.study import Study

# Ray and MLflow read these when they are imported, so they stand here, before any module of this package is. No usage
# reports or telemetry, none of Ray's own loggers and signal handler, no warnings about our pace, and short retries: a
# search must not wait for a server that is down.
DEFAULTS = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_MAX_PENDING_TRIALS_PG": "64",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
for _name, _value in DEFAULTS.items():
    os.environ.setdefault(_name, _value)

_HOMES = {
    "Entry": "rank.leaderboard",
    "Finalist": "rank.finalist",
    "InputError": "errors",
    "Outcome": "run.publish",
    "search_and_publish": "run.publish",
    "Leaderboard": "rank.leaderboard",
    "Store": "record.store",
    "Study": "study.study",
    "TrainingError": "errors",
    "confirm_search": "run.confirm",
    "export_generator": "export.export",
    "load_study": "study.parse",
    "load_generator": "export.export",
    "plan_resume": "run.plan",
    "plan_search": "run.plan",
    "run_search": "run.search",
    "score_tables": "rank.score_tables",
    "with_overrides": "study.parse",
}

__all__ = [
    "Entry",
    "Finalist",
    "InputError",
    "Leaderboard",
    "Outcome",
    "Store",
    "Study",
    "TrainingError",
    "confirm_search",
    "export_generator",
    "load_generator",
    "load_study",
    "plan_resume",
    "plan_search",
    "run_search",
    "score_tables",
    "search_and_publish",
    "with_overrides",
]


def __getattr__(name: str) -> Any:
    # Imported when first asked for: Ray, MLflow and torch take seconds, and `genseek --help` needs none of them.
    if name not in _HOMES:
        raise AttributeError(f"module 'search' has no attribute {name!r}")
    return getattr(importlib.import_module(f"search.{_HOMES[name]}"), name)
