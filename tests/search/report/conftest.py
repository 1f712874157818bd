"""What tests of reports share: the contents of the finished search."""

from typing import Any

import pytest


@pytest.fixture(scope="session")
def contents(finished: Any) -> Any:
    """Contents of the report of the search "first"; for reading only."""
    from search import Store
    from search.report.data import collect

    return collect(Store(finished.folder), "first")
