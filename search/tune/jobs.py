"""Searches as jobs of a Ray cluster: the folder that is sent, and the Jobs API."""

import asyncio
import logging
import os
import shlex
import shutil
import time
import tomllib
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, final

from search.errors import ClusterError, GenseekError, StudyError, unknown_name
from search.log import verbose
from search.study.study import Study
from search.text import command

KEY = "genseek"  # key in a job's metadata for the search's name
STORE, TRACKING = "genseek-store", "genseek-tracking-uri"  # keys for what else is given
ADDRESS = "RAY_API_SERVER_ADDRESS"
DEFAULT = '"${GENSEEK_STORE:-$HOME/genseek-store}"'  # for the shell of the driver's node
STOPPING = "60"  # seconds for a stopped driver to record its state
GONE = 120.0  # seconds after which a driver that was stopped, or whose output has ended, should have ended too
POLL = 1.0
ENDED = ("SUCCEEDED", "FAILED", "STOPPED")
CURES = {
    "Authentication": "; set RAY_AUTH_MODE=token and give the cluster's token, in RAY_AUTH_TOKEN or ~/.ray/auth_token",
    "ray[default]": "; or pip install 'genseek[cluster]'",
    "Failed to connect": " (is the dashboard of the head there, or a tunnel to it?)",
}
DATA = "data"
FILES = "files"  # a subfolder, because Python can import what is at the top of a job's folder


@final
@dataclass(frozen=True, kw_only=True)
class Job:
    """One run of a driver: its search and store, id and status, start time, and Ray's message."""

    search: str
    id: str
    status: str
    began: float
    message: str
    code: int | None
    store: str | None
    tracking_uri: str | None


@final
class Jobs:
    """Searches that were submitted to a cluster.

    Args:
        address: address of its Jobs API, such as http://10.0.0.5:8265.

    Raises:
        ClusterError: nothing answers there, the token is wrong, or this installation has no Jobs API.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        with self._one_line_errors():
            from ray.job_submission import JobSubmissionClient

            if not verbose():
                logging.getLogger("ray").setLevel(logging.WARNING)  # silence uploads and closed sockets
            os.environ[ADDRESS] = address  # Ray prefers it to any argument
            self._client = JobSubmissionClient(address)

    def submit(
        self,
        name: str,
        arguments: Sequence[str],
        folder: Path | None = None,
        store: str | None = None,
        *,
        tracking_uri: str | None = None,
    ) -> Job:
        """Start `genseek` with these arguments in the cluster, in a copy of `folder` that is kept in the store."""
        if any(job.status not in ENDED for job in self.of(name)):
            attach = command("attach", name, "--address", self._address)
            raise ClusterError(f"search {name!r} runs in the cluster already: {attach}")
        where, id = shlex.quote(store) if store else DEFAULT, f"{name}-{uuid.uuid4().hex[:8]}"
        there = f"{where}/submitted/{shlex.quote(id)}"
        recorded = ["--tracking-uri", tracking_uri] if tracking_uri else []
        driver = shlex.join(["genseek", *arguments, *recorded, "--address", "auto"])
        # Ray removes a job's own folder some day, and the search may be resumed later.
        kept = f"mkdir -p {there} && cp -r {FILES}/. {there} && cd {there} && " if folder else ""
        with self._one_line_errors():
            self._client.submit_job(
                entrypoint=f"{kept}exec {driver} --store {where}",
                submission_id=id,
                runtime_env={
                    **({"working_dir": str(folder)} if folder else {}),
                    "env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": STOPPING},
                },
                metadata={
                    key: value for key, value in ((KEY, name), (STORE, store), (TRACKING, tracking_uri)) if value
                },
            )
        return next(job for job in self.of(name) if job.id == id)

    def all(self) -> list[Job]:
        """Return the jobs of all searches, newest first."""
        with self._one_line_errors():
            found = [(job, (job.metadata or {}).get(KEY)) for job in self._client.list_jobs()]
        jobs = [
            Job(
                search=name,
                id=job.submission_id or "",
                status=str(job.status.value),
                began=(job.start_time or 0) / 1000,
                message=job.message or "",
                code=job.driver_exit_code,
                store=(job.metadata or {}).get(STORE),
                tracking_uri=(job.metadata or {}).get(TRACKING),
            )
            for job, name in found
            if name is not None
        ]
        return sorted(jobs, key=lambda job: job.began, reverse=True)

    def of(self, name: str) -> list[Job]:
        """Return the jobs of one search, newest first."""
        return [job for job in self.all() if job.search == name]

    def latest(self, name: str) -> Job:
        """Return the newest job of a search.

        Raises:
            ClusterError: there is none.
        """
        found = self.of(name)
        if not found:
            names = sorted({job.search for job in self.all()})
            raise ClusterError(f"{unknown_name('search', name, names)} (submitted to {self._address})")
        return found[0]

    def follow(self, job: Job, show: Callable[[str], Any]) -> int:
        """Show everything that a driver prints until it ends; return its exit code."""
        shown = ""

        async def tail() -> None:
            nonlocal shown
            async for lines in self._client.tail_job_logs(job.id):
                shown += lines
                show(lines)

        with self._one_line_errors():
            asyncio.run(tail())
        now = self._ended(job)
        # The cluster closes the stream when the driver has ended, at times before it has sent the last lines.
        partial = shown.rpartition("\n")[2]
        with self._one_line_errors():
            rest = self._client.get_job_logs(job.id).split("\n", shown.count("\n"))[-1][len(partial) :]
        if rest:
            show(rest)
        return 0 if now.status == "SUCCEEDED" else 130 if now.status == "STOPPED" else now.code or 1

    def stop(self, job: Job) -> Job:
        """Stop a driver after it has recorded its state; return the ended job."""
        with self._one_line_errors():
            self._client.stop_job(job.id)
        return self._ended(job)

    def _ended(self, job: Job) -> Job:
        """Wait until a job has ended, and return it.

        Raises:
            ClusterError: the cluster doesn't know it any more, or it doesn't end.
        """
        latest = time.monotonic() + GONE
        while True:
            now = next((each for each in self.all() if each.id == job.id), None)
            if now is None:
                raise ClusterError(f"search {job.search!r}: the cluster doesn't know of its job {job.id} any more")
            if now.status in ENDED:
                return now
            if time.monotonic() > latest:
                raise ClusterError(
                    f"search {job.search!r}: its job {job.id} has not ended within {GONE:.0f} seconds; "
                    f"look at it with: genseek attach {job.search} --address {self._address}"
                )
            time.sleep(POLL)

    @contextmanager
    def _one_line_errors(self) -> Iterator[None]:
        """Raise an error of the cluster as one line."""
        try:
            yield
        except (GenseekError, BrokenPipeError):  # already one line, or nobody reads the output
            raise
        except Exception as error:
            said = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
            cure = next((cure for words, cure in CURES.items() if words in str(error)), "")
            raise ClusterError(f"--address {self._address}: {said.rstrip('.')}{cure}") from error


@contextmanager
def bundle(name: str, study: Study) -> Iterator[tuple[Path, str, str | None]]:
    """Give a folder to send, with everything below `FILES`, and there the name or file of the study and of its table.

    Args:
        name: name of a shipped study, or a file that ends in .toml.
        study: the study that was read from it, with the table from the command line.

    Raises:
        StudyError: a plug-in has an absolute path, which another machine may not have.
    """
    with TemporaryDirectory() as temporary:
        folder = Path(temporary) / FILES
        folder.mkdir()
        written, table = name, study.problem_arguments.get(DATA)
        if name.endswith(".toml"):
            written = _with_plugins(Path(name).resolve(), folder)
        if isinstance(table, str) and not off_this_machine(study):
            (folder / DATA).mkdir()
            shutil.copyfile(table, folder / DATA / Path(table).name)
            table = f"{DATA}/{Path(table).name}"
        yield Path(temporary), written, table


def off_this_machine(study: Study) -> bool:
    """Return whether the study's table has an absolute path that isn't on this machine, and so is on the cluster."""
    table = Path(str(study.problem_arguments.get(DATA, "")))
    return table.is_absolute() and not table.exists()


def _with_plugins(path: Path, folder: Path) -> str:
    """Copy a study and its plug-ins' files, keeping their relative paths; return the study's path in the folder."""
    files = [path]
    for plugin in _plugins(path):
        if Path(plugin).is_absolute():
            raise StudyError(f"{path.name}: plug-in {plugin}: name it by its path from the study, to send it along")
        files.append((path.parent / plugin).resolve())
    top = Path(os.path.commonpath([file.parent for file in files]))
    for file in files:
        place = folder / file.relative_to(top)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, place)
    return str(path.relative_to(top))


def _plugins(path: Path) -> list[Any]:
    return [each for each in tomllib.loads(path.read_text(encoding="utf-8")).get("plugins", []) if each.endswith(".py")]
