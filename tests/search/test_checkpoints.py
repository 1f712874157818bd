"""CheckpointStorage: the same on a disk, in an object store that speaks S3, and in a file system of fsspec's."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from search.checkpoints import CheckpointStorage
from search.errors import GenseekError
from search.train.group import Checkpoint, Group
from search.train.trial import Trial


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """URI of a bucket in a server that speaks S3, on this machine."""
    import boto3
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ACCESS_KEY_ID": "a",
            "AWS_SECRET_ACCESS_KEY": "b",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        }.items():
            patch.setenv(name, value)
        boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="bucket")
        yield "s3://bucket"
    server.stop()


@pytest.fixture(params=["disk", "s3", "fsspec"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> CheckpointStorage:
    """A storage of each kind that nothing else uses."""
    if request.param == "disk":
        return CheckpointStorage.named(str(tmp_path / "kept"))
    if request.param == "s3":
        bucket = request.getfixturevalue("s3")
        return CheckpointStorage.named(f"{bucket}/{tmp_path.name}/kept?region=us-east-1")
    return CheckpointStorage.named(f"memory://{tmp_path.name}/kept")


def test_what_is_written_is_there(storage: CheckpointStorage) -> None:
    file = storage.at("00001").at("weights")
    assert file.read() is None
    assert storage.names() == []
    file.write(b"first")
    file.write(b"second")
    storage.at("00002").at("weights").write(b"")
    assert file.read() == b"second"
    assert CheckpointStorage(file.uri).read() == b"second"  # whoever names it
    assert storage.at("00002").at("weights").read() == b""
    assert storage.names() == ["00001", "00002"]
    assert storage.at("00001").names() == ["weights"]


def test_a_folder_is_fetched_whole(storage: CheckpointStorage) -> None:
    contents = {"weights": b"1" * 100_000, "model.json": b"{}"}
    for name, content in contents.items():
        storage.at("00003").at(name).write(content)
    storage.at("00004").at("weights").write(b"of another")
    with storage.at("00003").fetched() as folder:
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == contents


def test_what_is_removed_is_gone(storage: CheckpointStorage) -> None:
    for name in ("00001", "00002"):
        storage.at(name).at("weights").write(b"1")
    storage.at("00001").remove()
    storage.at("00001").remove()
    assert storage.names() == ["00002"]
    assert storage.at("00001").at("weights").read() is None


def test_a_checkpoint_comes_back_as_it_was(storage: CheckpointStorage, make_task) -> None:  # type: ignore[no-untyped-def]
    from search.study.configuration import Configuration, Training

    task = make_task()
    trial = Trial(
        Configuration(model="pushforward", objective="mmd", model_arguments={"width": 6}, training=Training(batch=20)),
        task,
        5,
    )
    group = Group.of(trial)
    for _ in range(2):
        group.advance()
    saved = Checkpoint.of(group, trial)
    saved.save(storage.at("states").at("00000"))
    loaded = Checkpoint.load(storage.at("states").at("00000"))
    assert loaded is not None
    assert (list(loaded.reports), loaded.architecture) == (list(saved.reports), saved.architecture)
    for ours, theirs in ((saved.state, loaded.state), (saved.best, loaded.best)):
        assert {name: tensor.tolist() for name, tensor in ours.items()} == {
            name: tensor.tolist() for name, tensor in theirs.items()
        }


def test_paths_are_whole_and_hold_any_letter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    odd = CheckpointStorage.named("what? is 100% #1 here")
    assert odd.uri == f"{tmp_path}/what? is 100% #1 here"
    odd.at("file").write(b"1")
    assert (tmp_path / "what? is 100% #1 here" / "file").read_bytes() == b"1"


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("s3://key:secret@bucket/x", "credentials in a URI would be recorded"),
        ("s4://bucket/x", "--checkpoints s4://bucket/x: .*s4"),
    ],
)
def test_what_is_no_storage(named: str, said: str) -> None:
    with pytest.raises(GenseekError, match=said) as raised:
        CheckpointStorage.named(named)
    assert "secret" not in str(raised.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OSError, match="Permission"):
        CheckpointStorage.named(str(tmp_path / "kept")).at("file").write(b"1")


def test_a_bucket_that_is_not_there(s3: str) -> None:
    with pytest.raises(OSError, match="NO_SUCH_BUCKET"):
        CheckpointStorage.named("s3://nobody?region=us-east-1").at("file").write(b"1")
