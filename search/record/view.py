"""The page on which MLflow's UI opens: a search's trials, best first, with the columns and charts that matter.

MLflow keeps shared views in tags of an experiment, in an undocumented format: compressed JSON. A version of MLflow that
doesn't know the format shows the plain list of runs. tests/search/cli/test_browser.py checks the view.
"""

import base64
import json
import time
import zlib
from typing import Any

from objectives import STANDARD
from search.record.layout import CONFIG, CONFIRMED, GROUPS, LOSS, NETWORK, NODE, OUTCOME, TEST, TRIAL, VERDICT, Axes
from search.record.read import SearchInfo

NOTE = "Searches of one study by genseek. Open a search to read its description; its trials are nested below it."
BEST = ("model", "latent", "sigma", "lambda", "asymmetry")  # columns of parameters besides the searched ones
METRICS = ("misfit", *STANDARD, f"{CONFIRMED}/misfit", f"{TEST}/misfit", f"{NETWORK}/parameters", "rung", "seconds")
TAGS = (TRIAL, OUTCOME, VERDICT, NODE)
MOST_AXES = 9  # of the parallel coordinates: more can't be read
FIRST = ("model", "objective", "latent", "sigma", "lam", "beta")  # come first among them, if they are searched
SECTION, NAME = "genseek", "attributes.`Run Name`"


def tag_of(search: str) -> str:
    """Return the experiment's tag that holds the view of a search."""
    return f"mlflow.sharedViewState.{search}"


def runs_page(experiment: str) -> str:
    """Return the address of an experiment's runs below the server's address."""
    return f"#/experiments/{experiment}/runs"


def links(base: str, search: SearchInfo) -> dict[str, str]:
    """Return the addresses of a search's pages below the server's address `base`, by what they show."""
    # Without the workflow type a new browser opens another mode, with empty dashboards.
    mode = "workflowType=machine_learning"
    runs = f"{base.rstrip('/')}/{runs_page(search.experiment)}"
    view = f"{mode}&viewStateShareKey={search.name}"
    return {
        "trials, best first": f"{runs}?{view}",
        "charts": f"{runs}?{view}&compareRunsMode=CHART",
        "the search": f"{runs}/{search.run_id}?{mode}",
        "all searches of its study": f"{runs}?{mode}",
    }


def state_tag(search: str, run_id: str, axes: Axes) -> str:
    """Return the value of the tag `tag_of(search)`, for the search with this parent run and these axes."""
    columns = [
        *[f"metrics.`{name}`" for name in METRICS],
        *[f"params.`{name}`" for name in dict.fromkeys((*BEST, *map(axes.named, axes.searched)))],
        *[f"tags.`{name}`" for name in TAGS],
    ]
    state = {
        "searchFilter": f"tags.`mlflow.parentRunId` = '{run_id}'",
        "orderByKey": "metrics.`misfit`",
        "orderByAsc": True,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": [*columns, "attributes.`Models`"],
        "columnOrder": [NAME, *columns],
        "columnWidths": {NAME: 330},
        "runsHiddenMode": "FIRST_20_RUNS",
        "compareRunCharts": _charts(axes),
        "compareRunSections": [_section(SECTION, search, True), *(_section(name, name, False) for name in GROUPS)],
        "viewMaximized": False,
        "runListHidden": False,
        "isAccordionReordered": True,  # otherwise MLflow's own sections come first
        "useGroupedValuesInCharts": True,
        "hideEmptyCharts": True,
        "groupBy": None,
        "groupsExpanded": {},
        "globalLineChartConfig": {"xAxisKey": "step", "lineSmoothness": 0, "selectedXAxisMetricKey": ""},
    }
    packed = base64.b64encode(zlib.compress(json.dumps(state).encode(), 9)).decode()
    now = int(time.time() * 1000)
    return json.dumps({"name": search, "createdAt": now, "updatedAt": now, "state": f"deflate;{packed}"})


def _section(uuid: str, name: str, display: bool) -> dict[str, Any]:
    flags = {"isReordered": False, "deleted": False, "isGenerated": False}
    return {"uuid": uuid, "name": name, "display": display, **flags}


def _charts(axes: Axes) -> list[dict[str, Any]]:
    """Return the charts: misfit against the searched parameters, by epoch, and against sizes."""
    # A run that lacks a parameter isn't drawn, so only parameters that all runs have can be axes.
    parallel = sorted(axes.shared, key=lambda key: key not in FIRST)[:MOST_AXES]
    misfit = {"key": "misfit", "type": "METRIC"}
    charts: list[dict[str, Any]] = [
        {
            "type": "PARALLEL",
            "displayName": "what was searched, and the misfit",
            "selectedParams": [axes.named(key) for key in parallel],
            "selectedMetrics": ["misfit"],
            "showAllRuns": True,
        },
        _line("misfit of the best checkpoint, by epoch", "misfit"),
        _line("validation loss, by epoch", f"{LOSS}/validation"),
        _scatter(f"{NETWORK}/parameters"),
        _scatter("overfit"),
    ]
    if {"encoder_width", "encoder_depth", "decoder_width", "decoder_depth"} & set(axes.searched):
        charts.append(_scatter(f"{NETWORK}/log2_encoder_over_decoder"))
    charts += [_scatter(f"{CONFIG}/{key}") for key in ("latent", "sigma") if key in axes.searched]
    if "sigma" in axes.searched and {"lam", "beta"} & set(axes.searched):
        x, y = ({"key": f"{CONFIG}/{key}", "type": "METRIC"} for key in ("sigma", "lambda"))
        charts.append({"type": "CONTOUR", "displayName": "misfit", "xaxis": x, "yaxis": y, "zaxis": misfit})
    common = {"runsCountToCompare": 20, "metricSectionId": SECTION, "deleted": False, "isGenerated": False}
    return [{"uuid": f"chart-{number}", **common, **chart} for number, chart in enumerate(charts)]


def _line(title: str, metric: str) -> dict[str, Any]:
    return {
        "type": "LINE",
        "displayName": title,
        "metricKey": metric,
        "selectedMetricKeys": [metric],
        "lineSmoothness": 0,
        "xAxisScaleType": "linear",
        "scaleType": "log" if metric == "misfit" else "linear",
        "range": {},
        "xAxisKey": "step",
        "selectedXAxisMetricKey": "",
        "yAxisKey": "metric",
        "yAxisExpressions": [],
        "ignoreOutliers": False,
        "useGlobalXaxisKey": True,
        "useGlobalLineSmoothing": True,
    }


def _scatter(metric: str) -> dict[str, Any]:
    x, y = ({"key": key, "type": "METRIC"} for key in (metric, "misfit"))
    return {"type": "SCATTER", "displayName": f"misfit against {metric}", "xaxis": x, "yaxis": y}
