"""What tests on several hosts share: the hosts, and a Ray cluster on them."""

from collections.abc import Iterator

import pytest
from hosts import Hosts, available
from ray_hosts import RayHosts


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    """No host yet; whatever is added goes when the module's tests have run."""
    if reason := available():
        pytest.skip(reason)
    with Hosts(tmp_path_factory.mktemp("shared")) as hosts:
        yield hosts


@pytest.fixture(scope="module")
def cluster(hosts: Hosts) -> RayHosts:
    """A head without CPUs on h0, workers with one CPU each on w1 and w2."""
    cluster = RayHosts(hosts)
    cluster.start_head()
    cluster.add_workers("w1", "w2")
    return cluster
