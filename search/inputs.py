"""A search's data set as an input of MLflow's runs, which its UI lists, filters and links by."""

import json

from mlflow.entities import Dataset, DatasetInput, InputTag

from search.data_set import DataSet

MOST_LETTERS = 1_000_000  # of a schema that MLflow takes
CONTEXT = InputTag("mlflow.data.context", "training")


def input_of(data: DataSet) -> DatasetInput:
    """MLflow's form of a data set."""
    columns = [{"type": "double", "name": name, "required": True} for name in data.columns]
    schema = json.dumps({"mlflow_colspec": columns})
    dataset = Dataset(
        data.name,
        data.digest,
        "local" if "uri" in data.source else "code",
        json.dumps(data.source),
        schema if len(schema) <= MOST_LETTERS else None,
        json.dumps(data.profile),
    )
    return DatasetInput(dataset, [CONTEXT])
