"""The data set of a search, as MLflow records it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow.entities import Dataset, DatasetInput, InputTag

from objectives import Rows
from search.study.study import Study

LETTERS = 16  # of the hash that MLflow shows; the search's tag `genseek.data_sha256` has the whole hash
MOST_LETTERS = 1_000_000  # MLflow's limit for a schema
CONTEXT = InputTag("mlflow.data.context", "training")


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """The data set that trials are trained and judged on.

    Args:
        name: the table's file without its ending, or the problem.
        digest: first letters of the sha256 of all rows of the three splits.
        source: the file of a table, or the arguments of a known distribution.
        columns: names of the columns.
        profile: numbers of rows.
    """

    name: str
    digest: str
    source: dict[str, Any]
    columns: tuple[str, ...]
    profile: dict[str, int]

    @classmethod
    def of(cls, study: Study, rows: Rows, columns: Sequence[str]) -> "DataSet":
        """Return the data set of a study with these rows and columns."""
        arguments = study.problem_arguments
        path = arguments.get("data")
        parts = {"train": rows.train, "validation": rows.validation, "test": rows.test}
        return cls(
            name=Path(study.data_name).stem,
            digest=rows.digest()[:LETTERS],
            source={"uri": str(path)} if path else {"problem": study.problem, **arguments},
            columns=tuple(columns),
            profile={f"{name}_rows": len(part) for name, part in parts.items()},
        )


def input_of(data: DataSet) -> DatasetInput:
    """Return the data set in MLflow's form."""
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
