"""The store: MLflow's tracking database, with a parent run for each search and a child run for each trial.

By default it's an sqlite file in a folder of its own, in write-ahead mode; any tracking URI will do.
"""

import json
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, final

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException

from search import view
from search.embedded import make_database
from search.errors import InputError, public, unknown
from search.events import Started
from search.folder import writable
from search.leaderboard import Leaderboard, floors_from
from search.recorded import Found, entry, found, whole
from search.study_json import goals_from
from search.verbosity import hush

EXPERIMENT = "genseek"
DATABASE, ARTIFACTS, TUNE = "mlflow.db", "artifacts", "ray"
SUMMARY = "search.json"
STATUS = {
    "finished": "FINISHED",
    "stopped": "FINISHED",
    "interrupted": "KILLED",
    "diverged": "FAILED",
    "failed": "FAILED",
}


CURE = "; is it an MLflow server, does it run, and do MLFLOW_TRACKING_USERNAME and PASSWORD fit?"
MOST_LETTERS = 500  # of a parameter's value, in some stores


@final
class Store:
    """Reads and writes one tracking store; what it can't do is an `InputError` of one line.

    Args:
        folder: of the embedded store, and of Ray Tune's files while a search runs.
        tracking_uri: MLflow's, if not the embedded store.
        create: make an embedded store where there is none.

    Raises:
        InputError: the folder can't be written, or the store can't be opened.
    """

    def __init__(self, folder: Path | str, tracking_uri: str | None = None, create: bool = True) -> None:
        # What goes wrong is raised as well, and told in one line: their tracebacks would come before it.
        hush("alembic", "mlflow")
        self.folder = Path(folder).resolve()
        self.embedded = tracking_uri is None
        self.uri = tracking_uri or f"sqlite:///{self.folder / DATABASE}"
        if self.embedded:
            if not create and not (self.folder / DATABASE).exists():
                raise InputError(f"no store in {self.folder} yet; a search makes one, or name another with --store")
            writable(self.folder)
            with _told(self.uri):
                make_database(self.folder / DATABASE)
        with _told(self.uri, CURE if self.uri.startswith("http") else ""):
            self._client = MlflowClient(self.uri)
            self.experiment = self._experiment()

    def begin(self, name: str, params: dict[str, Any], tags: dict[str, str]) -> str:
        """Parent run of a new search; its run id.

        Raises:
            InputError: there is a search of this name already.
        """
        if self._searches(name):
            raise InputError(f"a search named {name!r} exists already in {self.where()}; choose another --name")
        with _told(self.uri):
            run = self._client.create_run(self.experiment, run_name=name, tags={**tags, "genseek.kind": "search"})
        self.log(run.info.run_id, params=params)
        return str(run.info.run_id)

    def begin_trial(self, parent: str, search: str, started: Started) -> str:
        """Child run of a trial; its run id."""
        tags = {
            "genseek.kind": "trial",
            "genseek.trial": str(started.trial),
            "genseek.configuration": json.dumps(started.configuration.nested()),
            "mlflow.parentRunId": parent,
        }
        begun, name = int(started.time * 1000), f"{search}-{started.trial}"
        with _told(self.uri):
            return str(self._client.create_run(self.experiment, begun, tags, name).info.run_id)

    def trial_run(self, parent: str, trial: int) -> str | None:
        """Run id of a trial's child run, if there is one."""
        runs = self._runs(f"{_children(parent)} and tags.genseek.trial = '{trial}'")
        return str(runs[0].info.run_id) if runs else None

    def trial_runs(self, parent: str) -> dict[int, tuple[str, bool]]:
        """Run id of every trial's child run, by its number, and whether all of the trial is recorded there."""
        return {
            int(run.data.tags["genseek.trial"]): (str(run.info.run_id), whole(run))
            for run in self._runs(_children(parent))
        }

    def search_run(self, name: str) -> str | None:
        """Run id of a search, if there is one of this name."""
        runs = self._searches(name)
        return str(runs[0].info.run_id) if runs else None

    def confirmed(self, name: str) -> bool:
        """Whether the finalists of a search, among all the trials that it has now, were confirmed."""
        return any(found(run).confirmed for run in self._searches(name))

    def reopen(self, run_id: str) -> None:
        """Let a run that has ended go on."""
        with _told(self.uri):
            self._client.update_run(run_id, status="RUNNING")

    def log(
        self,
        run_id: str,
        metrics: Sequence[tuple[str, float, int, float]] = (),
        params: dict[str, Any] | None = None,
        tags: dict[str, str] | None = None,
    ) -> None:
        """Write metrics (name, value, step, time in seconds), parameters and tags of a run in few calls."""
        points = [Metric(name, value, int(time * 1000), step) for name, value, step, time in metrics]
        settings = [Param(key, _shortened(str(value))) for key, value in (params or {}).items()]
        labels = [RunTag(key, value) for key, value in (tags or {}).items()]
        with _told(self.uri):  # the client cuts them into batches of what a server takes at once
            self._client.log_batch(run_id, points, settings, labels, synchronous=True)

    def save(self, run_id: str, path: Path, folder: str = "") -> None:
        """Keep a file or a folder with a run."""
        log = self._client.log_artifacts if path.is_dir() else self._client.log_artifact
        with _told(self.uri):
            log(run_id, str(path), folder or None)

    def save_json(self, run_id: str, name: str, value: Any) -> None:
        """Keep a JSON file with a run."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            path.write_text(json.dumps(value, indent=2))
            self.save(run_id, path)

    def fetch(self, run_id: str, name: str, into: Path) -> Path:
        """Path below `into` of a copy of a run's file or folder.

        Raises:
            InputError: there is none.
        """
        with _told(self.uri):
            return Path(self._client.download_artifacts(run_id, name, str(into)))

    def end(self, run_id: str, outcome: str, time: float) -> None:
        """End a run (`finished`, `stopped`, `diverged`, `failed`, `interrupted`); `time` in seconds."""
        with _told(self.uri):
            self._client.set_terminated(run_id, STATUS[outcome], int(time * 1000))

    def tidy(self) -> None:
        """Let sqlite count its rows: a search by metric over thousands of runs takes seconds without, 0.04 s with."""
        if self.embedded:
            with _told(self.uri), sqlite3.connect(self.folder / DATABASE) as database:
                database.execute("ANALYZE")

    def searches(self) -> list[Found]:
        """All searches, newest first."""
        return [found(run) for run in self._searches()]

    def leaderboard(self, name: str) -> Leaderboard:
        """Leaderboard of a search that has ended.

        Raises:
            InputError: there is no such search, or it hasn't ended.
        """
        runs = self._searches(name)
        if not runs:
            names = [search.name for search in self.searches()]
            raise InputError(f"{unknown('search', name, names)} (in {self.where()})")
        parent = runs[0].info.run_id
        children = self._runs(_children(parent))
        with tempfile.TemporaryDirectory() as folder:
            try:
                summary = json.loads(self.fetch(parent, SUMMARY, Path(folder)).read_text())
            except InputError as error:
                raise InputError(
                    f"search {name!r} has not ended: it has no summary yet (if it was cut off: genseek resume {name})"
                ) from error
        entries = sorted((entry(run) for run in children), key=lambda each: each.trial)
        return Leaderboard(
            name,
            entries,
            summary["references"],
            floors_from(summary["floors"]),
            summary["provenance"],
            goals_from(summary.get("goals", {})),
        )

    def where(self) -> str:
        """The store, as a user knows it."""
        return str(self.folder) if self.embedded else public(self.uri)

    def _searches(self, name: str | None = None) -> list[Run]:
        if "'" in (name or ""):
            return []  # a name that no search can have, and a filter that MLflow can't read
        named = f" and tags.mlflow.runName = '{name}'" if name else ""
        return self._runs(f"tags.genseek.kind = 'search'{named}")

    def _runs(self, filter_string: str) -> list[Run]:
        runs: list[Run] = []
        token = None
        with _told(self.uri):
            while True:
                page = self._client.search_runs([self.experiment], filter_string, max_results=1000, page_token=token)
                runs += page
                token = page.token
                if not token:
                    return runs

    def _experiment(self) -> str:
        experiment = self._client.get_experiment_by_name(EXPERIMENT)
        if experiment is not None:
            return str(experiment.experiment_id)
        location = (self.folder / ARTIFACTS).as_uri() if self.embedded else None
        return str(self._client.create_experiment(EXPERIMENT, location, {view.TAG: view.state_tag()}))


def _shortened(value: str) -> str:
    return value if len(value) <= MOST_LETTERS else f"{value[: MOST_LETTERS - 3]}..."


def _children(parent: str) -> str:
    return f"tags.genseek.kind = 'trial' and tags.`mlflow.parentRunId` = '{parent}'"


@contextmanager
def _told(uri: str, cure: str = "") -> Iterator[None]:
    """Tell a failing store in one line."""
    try:
        yield
    except (MlflowException, ImportError, OSError, sqlite3.Error) as error:
        raise InputError(public(f"store {uri}: {str(error).splitlines()[0]}{cure}")) from error
