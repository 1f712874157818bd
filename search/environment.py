"""Environment variables that Ray and MLflow read; genseek sets those that the user hasn't, just before it starts them.

No usage reports or telemetry, none of Ray's own loggers and signal handler, no warnings about genseek's pace, and short
retries: a search must not wait for a server that is down.
"""

import os
from collections.abc import Mapping

RAY = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_MAX_PENDING_TRIALS_PG": "64",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}
MLFLOW = {
    "MLFLOW_DISABLE_TELEMETRY": "true",  # read when MLflow is imported: a Python program sets it itself
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


def set_defaults(variables: Mapping[str, str]) -> None:
    """Set the variables that are not set yet."""
    for name, value in variables.items():
        os.environ.setdefault(name, value)
