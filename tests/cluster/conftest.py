"""What tests on several hosts share: the hosts, and a Ray cluster on them."""

import time
from collections.abc import Iterator

import pytest
from hosts import Hosts, available
from ray_hosts import RayHosts

S3_PORT = 5555
S3 = {
    "AWS_ACCESS_KEY_ID": "a",
    "AWS_SECRET_ACCESS_KEY": "b",
    "AWS_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@pytest.fixture(scope="session")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    """No host yet; whatever is added goes when all tests have run."""
    if reason := available():
        pytest.skip(reason)
    with Hosts(tmp_path_factory.mktemp("shared")) as hosts:
        yield hosts


@pytest.fixture(scope="session")
def cluster(hosts: Hosts) -> RayHosts:
    """A head without CPUs on h0, workers with one CPU each on w1 and w2."""
    cluster = RayHosts(hosts, {**S3, "AWS_ENDPOINT_URL": f"http://h0:{S3_PORT}"})
    cluster.start_head()
    cluster.add_workers("w1", "w2")
    return cluster


@pytest.fixture(scope="session")
def s3(cluster: RayHosts) -> str:
    """A bucket that every node sees, of a server on the head that speaks S3."""
    make = f"import boto3; boto3.client('s3', endpoint_url='http://h0:{S3_PORT}').create_bucket(Bucket='kept')"
    head = cluster.head
    head.start("moto_server", "-H", head.address, "-p", str(S3_PORT), log=head.tmp / "s3.log")
    until = time.monotonic() + 60
    while head.run("python", "-c", make, env=cluster.env | {"AWS_DEFAULT_REGION": "us-east-1"}, check=False).returncode:
        assert time.monotonic() < until, (head.tmp / "s3.log").read_text()
    return "s3://kept"
