"""The store: MLflow's tracking database, with a parent run for each search and a child run for each trial.

By default it is a folder with an sqlite file in write-ahead mode and the files of the runs. The folder can be moved:
files are found relative to it. Any other tracking URI works too.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag

from search.checkpoints import CheckpointStorage, writable
from search.environment import MLFLOW, set_defaults
from search.errors import GenseekError, StoreError, StudyError, redact_credentials, unknown_name
from search.events.events import Started
from search.formats import FORMAT, check_format, json_text
from search.log import decoration, hush
from search.rank.leaderboard import Leaderboard
from search.record import view
from search.record.client import CURE, every_experiment, experiment_of, mlflow_errors, pages, quoted
from search.record.dataset import DataSet, input_of
from search.record.layout import CONFIGURATION, FORMAT_TAG, KIND, OUTCOME, PARENT, RUNNING, SUMMARY, TRIAL, Axes
from search.record.read import SearchInfo, leaderboard_of, search_info, trial_of, whole
from search.record.sqlite import ARTIFACTS, analyse, database_of, make_database, readable_uri, relocate, uri_of
from search.text import command

FOLDER = "genseek-store"  # default folder of a store
DATABASE, TUNE = "mlflow.db", "ray"
STATUS = {
    "finished": "FINISHED",
    "stopped": "FINISHED",
    "interrupted": "KILLED",
    "diverged": "FAILED",
    "failed": "FAILED",
}
MOST_LETTERS = 500  # of a parameter's value, the limit of some stores


@final
class Store:
    """Reads and writes one tracking store; its errors are a `GenseekError` of one line.

    Opening a store writes nothing in it; `prepare` does, and each search calls it first.

    Args:
        folder: folder of the embedded store, and of Ray Tune's files while a search runs.
        tracking_uri: MLflow's tracking URI, if not the embedded store.
        create: make an embedded store if there is none.

    Raises:
        StoreError: there is no store and none can be made, or it can't be opened.

    Examples:
        >>> [search.name for search in Store("genseek-store").searches()]
        ['first']
    """

    def __init__(self, folder: Path | str, tracking_uri: str | None = None, create: bool = True) -> None:
        # Errors are raised too, and shown in one line: the loggers would print tracebacks before it.
        set_defaults(MLFLOW)
        hush("alembic", "mlflow")
        self.folder = Path(folder).resolve()
        database = self.folder / DATABASE
        self.embedded = tracking_uri is None or database_of(tracking_uri) == database
        self.uri = uri_of(database) if self.embedded or tracking_uri is None else tracking_uri
        if self.embedded and not database.exists():
            if not create:
                raise StoreError(f"no store in {self.folder} yet; a search makes one, or name another with --store")
            writable(self.folder)
            with mlflow_errors(self.uri):
                make_database(database)
        if self.embedded:
            with mlflow_errors(self.uri):
                self.uri = readable_uri(database)
        places = (database, self.folder) if self.embedded else ()
        self.read_only = not all(os.access(place, os.W_OK) for place in places)
        self._prepared = False
        self._connect()
        self._homes: dict[str, str] = {}  # experiment of each parent run

    def prepare(self) -> None:
        """Check that the folder can be written, and update the file addresses in an embedded store's record.

        Raises:
            StoreError: it can't be written.
        """
        if self._prepared:
            return
        writable(self.folder)
        if self.embedded:
            with mlflow_errors(self.uri):
                relocate(self.folder / DATABASE, self._artifacts())
            self.uri, self.read_only = uri_of(self.folder / DATABASE), False  # it may have been opened read-only
            self._connect()
        self._prepared = True

    def moved_from(self) -> list[str]:
        """Return the recorded addresses of an embedded store's files, if it was moved or copied since."""
        with mlflow_errors(self.uri):
            found = {experiment.artifact_location for experiment in every_experiment(self._client)}
        return sorted(found - {self._artifacts().as_uri()}) if self.embedded else []

    def begin(
        self, name: str, params: dict[str, Any], tags: dict[str, str], study: str = "", *, axes: Axes | None = None
    ) -> str:
        """Create the parent run of a new search in its study's experiment, with a view of its trials; return its id.

        Raises:
            StudyError: there is a search of this name already.
        """
        if self._searches(name):
            raise StudyError(self._taken(name))
        if self.embedded:
            self.prepare()
        location = self._artifacts().as_uri() if self.embedded else None
        with mlflow_errors(self.uri):
            experiment = experiment_of(self._client, study, location)
            run = self._client.create_run(
                experiment, run_name=name, tags={**tags, KIND: "search", FORMAT_TAG: str(FORMAT)}
            )
            run_id = str(run.info.run_id)
        first = min(self._searches(name), key=lambda each: (each.info.start_time, each.info.run_id), default=run)
        if first.info.run_id != run_id:  # another machine took the name meanwhile
            with mlflow_errors(self.uri):
                self._client.delete_run(run_id)
            raise StudyError(self._taken(name))
        with decoration("no view of the search in MLflow"):
            state = view.state_tag(name, run_id, axes or Axes())
            self._client.set_experiment_tag(experiment, view.tag_of(name), state)
        self.log(run_id, params=params)
        return run_id

    def begin_trial(self, parent: str, name: str, started: Started) -> str:
        """Create the child run of a trial; return its run id."""
        tags = {
            KIND: "trial",
            TRIAL: str(started.trial),
            CONFIGURATION: json.dumps(started.configuration.nested()),
            OUTCOME: RUNNING,
            PARENT: parent,
        }
        with mlflow_errors(self.uri):
            return str(self._client.create_run(self._home(parent), int(started.time * 1000), tags, name).info.run_id)

    def trial_run(self, parent: str, trial: int) -> str | None:
        """Return the run id of a trial's child run; None if there is none."""
        runs = self._runs(f"{_children(parent)} and tags.{TRIAL} = '{trial}'")
        return str(runs[0].info.run_id) if runs else None

    def trial_runs(self, parent: str) -> dict[int, tuple[str, bool]]:
        """Return for each trial number the run id of its child run, and whether the trial is recorded completely."""
        runs = self._runs(_children(parent))
        return {number: (str(run.info.run_id), whole(run)) for run in runs if (number := trial_of(run)) is not None}

    def search_run(self, name: str) -> str | None:
        """Return the run id of a search; None if there is none of this name."""
        runs = self._searches(name)
        return str(runs[0].info.run_id) if runs else None

    def confirmed(self, name: str) -> bool:
        """Return whether finalists among all present trials of a search were confirmed."""
        return any(search_info(run).confirmed for run in self._searches(name))

    def reopen(self, run_id: str) -> None:
        """Set the status of a run that has ended back to running."""
        with mlflow_errors(self.uri):
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
        with mlflow_errors(self.uri):  # the client cuts them into batches that a server accepts
            self._client.log_batch(run_id, points, settings, labels, synchronous=True)

    def log_data(self, run_id: str, data: DataSet) -> None:
        """Record the data set of a run; MLflow keeps the same data set once."""
        with mlflow_errors(self.uri):
            self._client.log_inputs(run_id, [input_of(data)])

    def save(self, run_id: str, path: Path, folder: str = "") -> None:
        """Save a file, or the content of a folder, with a run."""
        with mlflow_errors(self.uri):
            if not self.embedded:
                log = self._client.log_artifacts if path.is_dir() else self._client.log_artifact
                log(run_id, str(path), folder or None)
                return
            files = [each for each in path.rglob("*") if each.is_file()] if path.is_dir() else [path]
            for file in files:
                below = file.relative_to(path if path.is_dir() else path.parent)
                CheckpointStorage(str(self._kept(run_id, folder) / below)).write(file.read_bytes())

    def save_json(self, run_id: str, name: str, value: Any) -> None:
        """Save a JSON file with a run."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            path.write_text(json_text({"format": FORMAT} | value))
            self.save(run_id, path)

    def fetch(self, run_id: str, name: str, into: Path) -> Path:
        """Copy a run's file or folder below `into`; return the path of the copy.

        Raises:
            StoreError: the run has no such file.
        """
        with mlflow_errors(self.uri):
            if not self.embedded:
                return Path(self._client.download_artifacts(run_id, name, str(into)))
            kept, copy = self._kept(run_id, name), into / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            if kept.is_dir():
                return Path(shutil.copytree(kept, copy, dirs_exist_ok=True))
            return Path(shutil.copyfile(kept, copy))

    def end(self, run_id: str, outcome: str, time: float) -> None:
        """End a run (`finished`, `stopped`, `diverged`, `failed`, `interrupted`) at `time`, in seconds."""
        with mlflow_errors(self.uri):
            self._client.set_terminated(run_id, STATUS[outcome], int(time * 1000))

    def tidy(self) -> None:
        """Make reading an embedded store fast again after many runs were written."""
        if self.embedded:
            with mlflow_errors(self.uri):
                analyse(self.folder / DATABASE)

    def searches(self) -> list[SearchInfo]:
        """Return all searches, newest first."""
        return [search_info(run) for run in self._searches()]

    def search(self, name: str) -> SearchInfo:
        """Return the search of a name.

        Raises:
            StudyError: there is none.
            StoreError: another version of genseek recorded it in another format.
        """
        runs = self._searches(name)
        if not runs:
            names = [search.name for search in self.searches()]
            raise StudyError(f"{unknown_name('search', name, names)} (in {self.where()})")
        tags = {"format": runs[0].data.tags.get(FORMAT_TAG, 0)}
        check_format(tags, f"search {name!r} in {self.where()}", "search anew, under another name")
        return search_info(runs[0])

    def leaderboard(self, name: str) -> Leaderboard:
        """Return the leaderboard of a search that has ended.

        Raises:
            StudyError: there is no such search, or it hasn't ended.
        """
        parent = self.search(name).run_id
        children = self._runs(_children(parent))
        with tempfile.TemporaryDirectory() as folder:
            try:
                summary = json.loads(self.fetch(parent, SUMMARY, Path(folder)).read_text())
            except (GenseekError, ValueError) as error:
                raise StudyError(
                    f"search {name!r} has not ended: it has no summary yet "
                    f"(if it was cut off: {command('resume', name, *self.options())})"
                ) from error
        return leaderboard_of(name, summary, children)

    def experiments(self) -> list[str]:
        """Return the ids of the experiments of all studies."""
        with mlflow_errors(self.uri):
            return [str(experiment.experiment_id) for experiment in every_experiment(self._client)]

    def where(self) -> str:
        """Return the store's folder or URI, without credentials."""
        return str(self.folder) if self.embedded else redact_credentials(self.uri)

    def options(self) -> list[str]:
        """Return the command-line options that select this store; none if it is the default."""
        words = []
        if self.folder != Path(os.environ.get("GENSEEK_STORE") or FOLDER).resolve():
            words += ["--store", str(self.folder)]
        if not self.embedded and self.uri != os.environ.get("MLFLOW_TRACKING_URI"):
            words += ["--tracking-uri", redact_credentials(self.uri)]
        return words

    def _connect(self) -> None:
        with mlflow_errors(self.uri, CURE if self.uri.startswith("http") else ""):
            self._client = MlflowClient(self.uri)
            self._client.search_experiments(max_results=1)  # fails if it isn't a store

    def _artifacts(self) -> Path:
        return self.folder / ARTIFACTS

    def _kept(self, run_id: str, name: str) -> Path:
        """Return where MLflow keeps a run's file or folder in an embedded store.

        MLflow's client isn't asked. It caches the place of a run's first file for the life of the process, and would
        write files meant for a copy of a store into the original.
        """
        return self._artifacts() / run_id / "artifacts" / name

    def _taken(self, name: str) -> str:
        return f"a search named {name!r} exists already in {self.where()}; choose another --name"

    def _searches(self, name: str | None = None) -> list[Run]:
        # A name may have letters that MLflow's filters can't express, so the filter is applied here.
        runs = self._runs("tags.genseek.kind = 'search'")
        return [run for run in runs if name is None or run.data.tags.get("mlflow.runName") == name]

    def _runs(self, filter_string: str) -> list[Run]:
        experiments = self.experiments()
        if not experiments:
            return []
        with mlflow_errors(self.uri):
            return pages(
                lambda token: self._client.search_runs(experiments, filter_string, max_results=1000, page_token=token)
            )

    def _home(self, parent: str) -> str:
        """Return the experiment of a parent run."""
        if parent not in self._homes:
            self._homes[parent] = str(self._client.get_run(parent).info.experiment_id)
        return self._homes[parent]


def _shortened(value: str) -> str:
    return value if len(value) <= MOST_LETTERS else f"{value[: MOST_LETTERS - 3]}..."


def _children(parent: str) -> str:
    return f"tags.{KIND} = 'trial' and tags.`{PARENT}` = {quoted(parent)}"
