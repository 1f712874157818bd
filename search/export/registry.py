"""The registered model of each problem: MLflow models of the winners, with champion and challenger."""

import hashlib
import json
import math
import re
import shutil
import tempfile
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import LoggedModelOutput
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.pyfunc import save_model
from mlflow.types import ColSpec, Schema

from models.latents import latent_columns
from objectives import PROBLEMS
from search.errors import StoreError, StudyError, redact_credentials
from search.export.export import card, export_generator, load_generator
from search.rank.leaderboard import Entry, Leaderboard
from search.record.client import found_or_made, pages, quoted
from search.record.layout import CONFIRMED_FIGURE, DATA_SHA256, JUDGED, LOST_TO, PROBLEM, SEARCH, TRIAL, VERSION, WINNER
from search.record.store import Store
from search.study.space import arguments_of
from search.study.study import Study
from search.train.context import TrialContext

CHAMPION, CHALLENGER = "champion", "challenger"
MISFIT = CONFIRMED_FIGURE.format("misfit")
LONGEST = 80  # letters of a registered model's name
MOST_LETTERS = 5000  # of a version's description in MLflow's databases; the full card lies beside the weights
SERVED = (
    "`mlflow models serve -m models:/{name}/VERSION`, or `predict` of what `mlflow.pyfunc.load_model` returns: both "
    "answer a frame of `rows` and `seed`."
)
READING = ("data", "columns", "drop_missing")  # arguments on how a table is read, not on which rows it has
NEEDED = ("mlflow", "torch", "pandas", "numpy")


@dataclass(frozen=True, kw_only=True)
class Registered:
    """A version of a registered model: its alias, confirmed misfit, and the champion that it met, if any."""

    name: str
    version: int
    alias: str
    misfit: float | None
    search: str
    trial: int
    against: tuple[int, float] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the version as a row of a listing, for JSON."""
        return {key: getattr(self, key) for key in ("name", "version", "alias", "misfit", "search", "trial")}

    def in_words(self) -> str:
        """Return the version in one line."""
        misfit = "misfit not confirmed" if self.misfit is None else f"misfit {self.misfit:.2f}"
        beside = f" against {self.against[1]:.2f} of version {self.against[0]}" if self.against else ""
        return f"{self.name} version {self.version}, {self.alias} ({misfit}{beside})"


def register(store: Store, search: str, study: Study, task: TrialContext) -> Registered:
    """Register the winner of a finished search with the problem's other winners, unless it is registered already.

    It becomes `champion` if its confirmed misfit is below the champion's, or if there is no champion; else
    `challenger`.

    Raises:
        StoreError: there is no winner, its model's code isn't known, or the store has no registry.
    """
    board = store.leaderboard(search)
    entry = board.winner()
    misfit = entry.confirmed.get("misfit")
    store.prepare()  # otherwise MLflow would write the model to the store's former place
    with _one_line_errors(store):
        client = _client(store)
        name = _registered_name(client, study, identity(study, task))
        known = ["" if misfit is None else f"{misfit:.6g}", f"refit {entry.refitted}" if entry.refitted else ""]
        winner = " ".join([entry.run_id, *filter(None, known)])
        versions = _versions(client, name)
        version = next((each for each in versions if each.tags.get(WINNER) == winner), None)
        if version is not None and JUDGED in version.tags:
            return _registered(client.get_model_version(name, version.version))
        if version is None:
            version = _new_version(client, store, board, entry, name=name, winner=winner, columns=task.columns)
        return _judged(client, version, misfit)


def registered(store: Store) -> list[Registered]:
    """Return champion and challenger of every problem, by name."""
    with _one_line_errors(store):
        client = _client(store)
        return [
            _registered(client.get_model_version(model.name, version), alias)
            for model in sorted(client.search_registered_models(), key=lambda model: str(model.name))
            if PROBLEM in model.tags
            for alias, version in sorted(model.aliases.items())
            if alias in (CHAMPION, CHALLENGER)
        ]


def identity(study: Study, task: TrialContext) -> str:
    """Return a hash of a problem: of its name, arguments, columns, and the rows of a table.

    The order of a table's rows doesn't matter, so neither the seed of the split nor the file's name does. The rows of a
    known distribution are drawn anew for each seed and don't count.
    """
    defaults = {name: argument.default for name, argument in arguments_of(PROBLEMS[study.problem]).items()}
    arguments = defaults | study.problem_arguments
    content = ""
    if "data" in defaults:
        rows = np.concatenate([task.rows.train, task.rows.validation, task.rows.test]).astype("<f8")
        content = hashlib.sha256(rows[np.lexsort(rows.T)].tobytes()).hexdigest()
        arguments = {name: value for name, value in arguments.items() if name not in READING}
    said = json.dumps([study.problem, arguments, list(task.columns), content], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()


def _registered_name(client: MlflowClient, study: Study, own: str) -> str:
    """Return the problem's name or its file's; if another problem has this name, append a part of the hash."""
    plain = _plain(Path(study.data_name).stem) or study.problem
    for name in (plain, f"{plain}-{own[:8]}"):
        model = found_or_made(partial(_model, client, name), partial(_new_model, client, name, study.problem, own))
        if model.tags.get(PROBLEM) == own:
            return name
    raise StudyError(f"registered model {name} belongs to another problem")


def _plain(text: str) -> str:
    """Replace all but letters and digits of any language: other characters may be special in MLflow."""
    kept = [letter if unicodedata.category(letter)[0] in "LMN" or letter == "_" else "-" for letter in text]
    return re.sub("-+", "-", unicodedata.normalize("NFC", "".join(kept))).strip("-")[:LONGEST]


def _model(client: MlflowClient, name: str) -> Any:
    """Return the registered model of this name, or None."""
    return next(iter(client.search_registered_models(f"name = {quoted(name)}")), None)


def _new_model(client: MlflowClient, name: str, problem: str, own: str) -> None:
    client.create_registered_model(name, {PROBLEM: own}, f"Generators of {problem}, by genseek.")


def _new_version(
    client: MlflowClient,
    store: Store,
    board: Leaderboard,
    entry: Entry,
    *,
    name: str,
    winner: str,
    columns: Sequence[str],
) -> ModelVersion:
    run = client.get_run(entry.run_id)
    figures = {key: f"{value:.6g}" for key, value in entry.confirmed.items()}
    tags = {
        WINNER: winner,
        SEARCH: board.name,
        TRIAL: str(entry.trial),
        DATA_SHA256: board.origin["data_sha256"],
        VERSION: metadata.version("genseek"),
        **{CONFIRMED_FIGURE.format(key): figures[key] for key in ("misfit", "low", "high") if key in figures},
    }
    sampling = SERVED.format(name=name)
    with tempfile.TemporaryDirectory() as folder:
        export_generator(store, board, entry.trial, Path(folder) / "generator", program=False, sampling=sampling)
        logged = client.create_logged_model(
            run.info.experiment_id, "generator", entry.run_id, tags, model_type=entry.configuration.model
        )
        package(Path(folder) / "generator", Path(folder) / "model", logged.model_id, entry.run_id)
        client.log_model_artifacts(logged.model_id, str(Path(folder) / "model"))
    client.finalize_logged_model(logged.model_id, "READY")
    client.log_outputs(entry.run_id, [LoggedModelOutput(logged.model_id, 0)])
    written = card(board, entry, columns, sampling)
    return client.create_model_version(
        name, logged.artifact_location, entry.run_id, tags, description=written[:MOST_LETTERS], model_id=logged.model_id
    )


def _judged(client: MlflowClient, version: ModelVersion, misfit: float | None) -> Registered:
    """Give the version its alias, and tag the champion that it beats."""
    name, number = version.name, str(version.version)
    settled = {str(each.version) for each in _versions(client, name) if JUDGED in each.tags}
    standing, beaten = _champion(client, name), None
    while misfit is not None:
        # Another search that ends now may have set the alias since it was read, or may be about to.
        rivals = [each for each in _versions(client, name) if str(each.version) not in settled]
        best = min([*rivals, *([standing] if standing else [])], key=lambda each: (_misfit(each), int(each.version)))
        if standing is not None and str(standing.version) == str(best.version):
            break
        beaten = standing or beaten
        client.set_registered_model_alias(name, CHAMPION, str(best.version))
        standing = _champion(client, name)
    wins = standing is not None and str(standing.version) == number
    alias = CHAMPION if wins else CHALLENGER
    against = beaten if wins else standing
    if not wins:
        client.set_registered_model_alias(name, CHALLENGER, number)
    elif str(client.get_registered_model(name).aliases.get(CHALLENGER)) == number:
        client.delete_registered_model_alias(name, CHALLENGER)
    if wins and beaten is not None and misfit is not None:
        its = f"{_misfit(beaten):.6g}" if MISFIT in beaten.tags else "none that is confirmed"
        client.set_model_version_tag(
            name, str(beaten.version), LOST_TO, f"version {number}: misfit {misfit:.6g} against {its}"
        )
    client.set_model_version_tag(name, number, JUDGED, alias)
    known = (int(against.version), _misfit(against)) if against is not None and MISFIT in against.tags else None
    return _registered(client.get_model_version(name, number), alias, known)


def _versions(client: MlflowClient, name: str) -> list[ModelVersion]:
    return pages(lambda token: client.search_model_versions(f"name = {quoted(name)}", page_token=token))


def _champion(client: MlflowClient, name: str) -> ModelVersion | None:
    """Return the version with the champion's alias, or None."""
    number = str(client.get_registered_model(name).aliases.get(CHAMPION))
    return next((each for each in _versions(client, name) if str(each.version) == number), None)


def _misfit(version: ModelVersion) -> float:
    """Return the confirmed misfit of a version; infinity if it has none, so that any other beats it."""
    return float(version.tags.get(MISFIT, math.inf))


def _registered(version: Any, alias: str = "", against: tuple[int, float] | None = None) -> Registered:
    tags = version.tags
    return Registered(
        name=version.name,
        version=int(version.version),
        alias=alias or (", ".join(sorted(version.aliases)) if version.aliases else f"was {tags[JUDGED]}"),
        misfit=float(tags[MISFIT]) if MISFIT in tags else None,
        search=tags.get(SEARCH, ""),
        trial=int(tags.get(TRIAL, -1)),
        against=against,
    )


def _client(store: Store) -> MlflowClient:
    return MlflowClient(store.uri, store.uri)


@contextmanager
def _one_line_errors(store: Store) -> Iterator[None]:
    try:
        yield
    except (MlflowException, OSError) as error:
        raise StoreError(redact_credentials(f"registry of {store.where()}: {str(error).splitlines()[0]}")) from error


def package(folder: Path, out: Path, model_id: str, run_id: str) -> None:
    """Write the MLflow model of an exported `folder` into the new folder `out`; this moves files out of `folder`.

    Args:
        folder: an exported folder, as `export_generator` writes it.
        out: new folder.
        model_id, run_id: of MLflow's logged model, and of the run that it belongs to.
    """
    generator = load_generator(folder)
    asked = Schema(
        [
            ColSpec("long", "rows", required=False),
            ColSpec("long", "seed", required=False),
            *(ColSpec("double", f"z{column}", required=False) for column in range(latent_columns(generator))),
        ]
    )
    answered = Schema([ColSpec("double", name) for name in generator.columns])
    code = folder.with_name(f"{folder.name}-code")
    code.mkdir()
    shutil.move(folder / "models", code / "models")
    (folder / "sampler.py").unlink()
    save_model(
        out,
        python_model=str(Path(__file__).with_name("mlflow_predictor.py")),
        artifacts={"generator": str(folder)},
        code_paths=[str(code / "models")],
        signature=ModelSignature(asked, answered),
        input_example=pd.DataFrame({"rows": [5], "seed": [0]}),
        # pip doesn't know the version of a local build of torch ("+cpu").
        pip_requirements=[f"{name}=={metadata.version(name).partition('+')[0]}" for name in NEEDED],
        mlflow_model=Model(model_id=model_id, run_id=run_id),
    )
