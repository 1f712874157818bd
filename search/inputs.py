"""A search's data set as an input of MLflow's runs, which its UI lists, filters and links by."""

import json

from mlflow.entities import Dataset, DatasetInput, InputTag

from search.data_set import DataSet

CONTEXT = InputTag("mlflow.data.context", "training")


def input_of(data: DataSet) -> DatasetInput:
    """MLflow's form of a data set."""
    columns = [{"type": "double", "name": name, "required": True} for name in data.columns]
    dataset = Dataset(
        data.name,
        data.digest,
        "local" if "uri" in data.source else "code",
        json.dumps(data.source),
        json.dumps({"mlflow_colspec": columns}),
        json.dumps(data.profile),
    )
    return DatasetInput(dataset, [CONTEXT])
