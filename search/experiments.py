"""Experiments in a tracking store: one for each study."""

from mlflow import MlflowClient
from mlflow.entities import Experiment

from search.tracking import found_or_made, pages
from search.view import NOTE

PREFIX = "genseek"  # of their names


def experiment_of(client: MlflowClient, study: str, location: str | None) -> str:
    """Id of a study's experiment, genseek/STUDY; made, with a place for its files, if there is none."""
    name = f"{PREFIX}/{study}" if study else PREFIX
    experiment = found_or_made(
        lambda: client.get_experiment_by_name(name),
        lambda: client.create_experiment(name, location, {"mlflow.note.content": NOTE}),
    )
    return str(experiment.experiment_id)


def every_experiment(client: MlflowClient) -> list[Experiment]:
    """The experiments of all studies."""
    found = pages(lambda token: client.search_experiments(filter_string=f"name LIKE '{PREFIX}%'", page_token=token))
    return [experiment for experiment in found if experiment.name == PREFIX or experiment.name.startswith(f"{PREFIX}/")]
