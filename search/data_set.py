"""The data set of a search, as its record names it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.study.study import Study
from search.train.context import Task

LETTERS = 16  # of the hash, which MLflow shows; the tag `genseek.data_sha256` of the search has all of it


@dataclass(frozen=True)
class DataSet:
    """What trials are trained and judged on.

    Args:
        name: the table's file without its ending, or the problem.
        digest: first letters of the sha256 of all rows of the three splits.
        source: of a table its file, of a known distribution the problem's arguments.
        columns: their names.
        profile: numbers of rows.
    """

    name: str
    digest: str
    source: dict[str, Any]
    columns: tuple[str, ...]
    profile: dict[str, int]

    @classmethod
    def of(cls, study: Study, task: Task) -> "DataSet":
        """Data set of a study's task."""
        rows, arguments = task.rows, study.problem_arguments
        path = arguments.get("data")
        parts = {"train": rows.train, "validation": rows.validation, "test": rows.test}
        return cls(
            Path(study.data_name).stem,
            rows.digest()[:LETTERS],
            {"uri": str(path)} if path else {"problem": study.problem, **arguments},
            tuple(task.columns),
            {f"{name}_rows": len(part) for name, part in parts.items()},
        )
