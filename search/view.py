"""The view that MLflow's UI opens on: trials, best first, with their scores as columns.

MLflow keeps shared views in tags of an experiment, in a format that it doesn't document: a compressed JSON state. Where
a version of MLflow doesn't know it, the link still opens the plain list of runs; tests/search/test_browser.py looks.
"""

import base64
import json
import time
import zlib

from objectives import STANDARD

KEY = "genseek"
TAG = f"mlflow.sharedViewState.{KEY}"
METRICS = ("fit", *STANDARD, "test/fit", "network/log2_encoder_over_decoder")
PARAMETERS = ("model", "objective", "features", "learning_rate", "batch")


def link(base: str, experiment: str) -> str:
    """Address of the view below the server's `base` address."""
    return f"{base}/#/experiments/{experiment}/runs?workflowType=machine_learning&viewStateShareKey={KEY}"


def state_tag() -> str:
    """Value of the experiment's tag `TAG`."""
    state = {
        "searchFilter": 'tags.genseek.kind = "trial"',
        "orderByKey": "metrics.`fit`",
        "orderByAsc": True,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": [
            *[f"params.`{name}`" for name in PARAMETERS],
            *[f"metrics.`{name}`" for name in METRICS],
            "tags.`genseek.outcome`",
        ],
        "columnOrder": [],
        "columnWidths": {},
        "runsHiddenMode": "FIRST_20_RUNS",
        "viewMaximized": False,
        "runListHidden": False,
        "isAccordionReordered": False,
        "groupBy": None,
        "groupsExpanded": {},
        "globalLineChartConfig": {"xAxisKey": "step", "lineSmoothness": 0, "selectedXAxisMetricKey": ""},
    }
    packed = base64.b64encode(zlib.compress(json.dumps(state).encode())).decode()
    now = int(time.time() * 1000)
    return json.dumps({"name": "Trials", "createdAt": now, "updatedAt": now, "state": f"deflate;{packed}"})
