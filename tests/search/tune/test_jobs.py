"""Jobs: what a cluster is asked to run, checked by running it in a shell, and what is made of its answers."""

import os
import shlex
import stat
import subprocess
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from search.errors import GenseekError
from search.tune import jobs
from search.tune.jobs import FILES, Jobs


class Client:
    """A Jobs API that remembers what it was asked."""

    def __init__(self, address: str = "") -> None:
        self.jobs: list[Any] = []
        self.stopped: list[str] = []
        self.sent = ["first\n", "second\nerror: third\n"]

    def submit_job(self, *, submission_id: str, entrypoint: str, metadata: dict[str, str], **given: Any) -> str:
        self.jobs.append(details(submission_id, metadata=metadata, start=1e3 * len(self.jobs), entrypoint=entrypoint))
        self.given = given
        return submission_id

    def list_jobs(self) -> list[Any]:
        return self.jobs

    def stop_job(self, job: str) -> None:
        self.stopped.append(job)
        next(each for each in self.jobs if each.submission_id == job).status.value = "STOPPED"

    async def tail_job_logs(self, job: str) -> AsyncIterator[str]:
        for part in self.sent:
            yield part

    def get_job_logs(self, job: str) -> str:
        return "first\nsecond\nerror: third\n"


def details(id: str, status: str = "RUNNING", metadata: Any = None, start: float = 0, **more: Any) -> Any:
    given = {"message": "", "driver_exit_code": None, "entrypoint": ""} | more
    return SimpleNamespace(
        submission_id=id, status=SimpleNamespace(value=status), metadata=metadata, start_time=start, **given
    )


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "http://of-another:8265")  # which Ray would rather ask
    made = Client()
    monkeypatch.setattr("ray.job_submission.JobSubmissionClient", lambda address: made)
    return made


@pytest.fixture
def shell(tmp_path: Path) -> Any:
    """Runs an entrypoint in a folder, as a cluster would; where it was run, and with what words."""
    (tmp_path / "bin").mkdir()
    fake = tmp_path / "bin" / "genseek"
    fake.write_text('#!/bin/sh\npwd\nfor word in "$@"; do echo "$word"; done\n')
    fake.chmod(fake.stat().st_mode | stat.S_IXUSR)

    def run(entrypoint: str, folder: Path, **env: str) -> list[str]:
        path = f"{tmp_path}/bin:{os.environ['PATH']}"
        done = subprocess.run(
            ["sh", "-c", entrypoint],
            cwd=folder,
            env={"PATH": path, "HOME": str(tmp_path / "home"), **env},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.splitlines()

    return run


@pytest.mark.parametrize("kept", ["odd 'store'; rm -rf *", None])
def test_the_driver_runs_in_a_copy_that_stays(kept: str | None, client: Client, shell: Any, tmp_path: Path) -> None:
    folder = tmp_path / "sent"
    (folder / FILES).mkdir(parents=True)
    (folder / FILES / "study.toml").write_text("trials = 3")
    store = str(tmp_path / kept) if kept else None
    words = ["run", "study.toml", "--data", "data/odd $HOME `x` name.csv"]
    job = Jobs("http://head:8265").submit("first", words, folder, store)
    assert (job.search, job.store, job.status) == ("first", store, "RUNNING")
    assert client.given["runtime_env"]["working_dir"] == str(folder)

    for env in [{}] if kept else [{}, {"GENSEEK_STORE": str(tmp_path / "of the node")}]:
        where, *said = shell(client.jobs[0].entrypoint, folder, **env)
        expected = store or env.get("GENSEEK_STORE", str(tmp_path / "home" / "genseek-store"))
        assert where == f"{expected}/submitted/{job.id}"
        assert said == [*words, "--address", "auto", "--store", expected]
        assert (Path(where) / "study.toml").read_text() == "trials = 3"

    client.jobs[0].status.value = "STOPPED"
    Jobs("http://head:8265").submit("first", ["resume", "first"], store=store)
    assert "working_dir" not in client.given["runtime_env"]
    _, *said = shell(client.jobs[1].entrypoint, tmp_path)
    assert said[-2:] == ["--store", store or str(tmp_path / "home" / "genseek-store")]


def test_no_secret_goes_with_a_job(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RAY_AUTH_TOKEN", "AWS_SECRET_ACCESS_KEY", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(name, "hunter2")
    Jobs("http://head:8265").submit("first", ["run", "gaussian_2d"], tmp_path)
    assert "hunter2" not in str(vars(client.jobs[0])) + str(client.given)


def test_a_search_runs_once_at_a_time(client: Client, tmp_path: Path) -> None:
    jobs = Jobs("http://head:8265")
    jobs.submit("first", ["run", "gaussian_2d"], tmp_path)
    with pytest.raises(
        GenseekError, match=r"^search 'first' runs in the cluster already: genseek attach first --address .*"
    ):
        jobs.submit("first", ["resume", "first"])
    assert jobs.stop(jobs.latest("first")).status == "STOPPED"
    jobs.submit("first", ["resume", "first"])
    assert [job.status for job in jobs.all()] == ["RUNNING", "STOPPED"]  # the newest first
    assert client.stopped == [jobs.all()[1].id]


def test_jobs_of_others_are_none_of_ours(client: Client) -> None:
    client.jobs = [details("x"), details("y", metadata={"team": "b"}), details("z", metadata={"genseek": "first"})]
    jobs = Jobs("http://head:8265")
    assert [job.search for job in jobs.all()] == ["first"]
    with pytest.raises(GenseekError, match="unknown search 'frist'; did you mean 'first'"):
        jobs.latest("frist")


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [("SUCCEEDED", 0, 0), ("FAILED", 2, 2), ("FAILED", None, 1), ("STOPPED", None, 130)],
)
def test_what_a_driver_prints_and_how_it_ends(status: str, code: int | None, expected: int, client: Client) -> None:
    client.jobs = [details("x", status, {"genseek": "first"}, driver_exit_code=code)]
    jobs, shown = Jobs("http://head:8265"), list[str]()
    assert jobs.follow(jobs.latest("first"), shown.append) == expected
    assert shown == ["first\n", "second\nerror: third\n"]


@pytest.mark.parametrize("sent", [[], ["first\n"], ["first\n", "sec"], ["first\nsecond\nerror: third"]])
def test_no_line_is_lost_where_the_stream_ends_early(sent: list[str], client: Client) -> None:
    client.jobs, client.sent = [details("x", "FAILED", {"genseek": "first"}, driver_exit_code=2)], sent
    jobs, shown = Jobs("http://head:8265"), list[str]()
    assert jobs.follow(jobs.latest("first"), shown.append) == 2
    assert "".join(shown) == "first\nsecond\nerror: third\n"


def test_what_goes_wrong_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(address: str) -> Any:
        raise RuntimeError("\nAuthentication failed: no.\n\nA long explanation")

    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "")
    monkeypatch.setattr("ray.job_submission.JobSubmissionClient", refuse)
    with pytest.raises(
        GenseekError, match=r"^--address http://head:8265: Authentication failed: no; set RAY_AUTH_MODE"
    ):
        Jobs("http://head:8265")


def test_a_dashboard_that_is_not_there(genseek: Any) -> None:
    code, _, said = genseek("status", "--address", "http://127.0.0.1:1")
    assert code == 2
    assert said.startswith("error: --address http://127.0.0.1:1: Failed to connect to Ray")
    assert said.count("\n") == 1


def test_options_of_run_go_along(client: Client, genseek: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("GENSEEK_STORE", "GENSEEK_CHECKPOINTS", "MLFLOW_TRACKING_URI"):
        monkeypatch.setenv(name, "of this machine")
    (tmp_path / "rows.csv").write_text("x,y\n" + "".join(f"{row},{row % 7}\n" for row in range(50)))
    options = ["--data", "rows.csv", "--columns", "x,y", "--drop-missing", "--trials", "7", "--warm-start", "other"]
    options += ["--finalists", "0"]
    options += ["--checkpoints", "s3://bucket/x", "--name", "mine", "--tracking-uri", "http://10.0.0.1:5000"]
    code, said, error = genseek("submit", "table", *options)
    assert (code, error) == (0, "")
    assert said.startswith("search mine runs in the cluster")
    command = client.jobs[0].entrypoint.partition("exec ")[2]
    assert "of this machine" not in command
    words = shlex.split(command)
    assert words[:3] == ["genseek", "run", "table"]
    assert "--drop-missing" in words
    given = dict(pairwise(words))
    expected = {
        "--data": "data/rows.csv",
        "--columns": "x,y",
        "--trials": "7",
        "--warm-start": "other",
        "--checkpoints": "s3://bucket/x",
        "--name": "mine",
        "--finalists": "0",
        "--tracking-uri": "http://10.0.0.1:5000",
    }
    assert {name: given[name] for name in expected} == expected
    assert given["--address"] == "auto"


def test_a_password_is_no_option_of_a_job(client: Client, genseek: Any) -> None:
    code, _, said = genseek("submit", "gaussian_2d", "--tracking-uri", "http://me:hunter2@10.0.0.1:5000")
    assert (code, client.jobs) == (2, [])
    assert "set MLFLOW_TRACKING_URI on the head" in said and "hunter2" not in said


def test_a_search_in_the_cluster_goes_on_where_its_store_is(
    client: Client, genseek: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENSEEK_STORE", "of this machine")
    store = {"genseek": "first", "genseek-store": "/kept", "genseek-tracking-uri": "http://10.0.0.1:5000"}
    tail = "--tracking-uri http://10.0.0.1:5000 --address auto --store /kept"
    client.jobs = [details("x", "STOPPED", store)]
    assert genseek("resume", "first", "--more-trials", "5", "--address", "http://10.0.0.1:8265")[0] == 0
    assert client.jobs[1].entrypoint == f"exec genseek resume first --more-trials 5 {tail}"
    assert Jobs("http://10.0.0.1:8265").latest("first").tracking_uri == "http://10.0.0.1:5000"


def test_the_address_that_is_named_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with pytest.raises(GenseekError, match=r"^--address http://127.0.0.1:2: Failed to connect to Ray.*127.0.0.1:2"):
        Jobs("http://127.0.0.1:2")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--checkpoints", "s3://key:secret@bucket/x"], "--checkpoints: credentials would be shown"),
        (["--checkpoints", "here"], "--checkpoints here: expected a whole path"),
        (["--store", "here"], "--store here: expected a whole path"),
    ],
)
def test_places_are_those_of_the_cluster(options: list[str], said: str, client: Client, genseek: Any) -> None:
    for command in (["submit", "gaussian_2d"], ["resume", "first", "--address", "http://10.0.0.1:8265"]):
        code, _, error = genseek(*command, *options)
        assert (code, client.jobs) == (2, [])
        assert said in error and error.count("\n") == 1


def test_what_the_head_forgot_goes_on_all_the_same(client: Client, genseek: Any) -> None:
    assert genseek("resume", "first", "--address", "http://10.0.0.1:8265")[0] == 0
    assert "genseek-store" in client.jobs[0].entrypoint


def test_stopping_a_job_that_is_gone_is_one_line(client: Client, genseek: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    client.jobs.append(details("first-1", metadata={"genseek": "first"}))
    monkeypatch.setattr(client, "stop_job", lambda job: client.jobs.clear())
    code, _, err = genseek("stop", "first", "--address", "http://10.0.0.5:8265")
    assert code == 2
    assert err == "error: search 'first': the cluster doesn't know of its job first-1 any more\n"


def test_stopping_does_not_wait_for_ever(client: Client, genseek: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    client.jobs.append(details("first-1", metadata={"genseek": "first"}))
    monkeypatch.setattr(client, "stop_job", lambda job: None)
    monkeypatch.setattr(jobs, "GONE", 0.2)
    monkeypatch.setattr(jobs, "POLL", 0.1)
    code, _, err = genseek("stop", "first", "--address", "http://10.0.0.5:8265")
    assert code == 2
    assert err == (
        "error: search 'first': its job first-1 has not ended within 0 seconds; "
        "look at it with: genseek attach first --address http://10.0.0.5:8265\n"
    )
