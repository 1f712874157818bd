"""`genseek doctor`: every fault is named, with what to do about it, and nothing makes it wait for long."""

import http.server
import json
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from search.cli import checks
from search.cli.checks import findings
from search.environment import MLFLOW, RAY


def diagnosed(genseek: Any, *arguments: object) -> tuple[int, dict[str, dict[str, str]]]:
    """Exit code, and findings by what they are of."""
    code, out, err = genseek("doctor", "--json", *arguments)
    assert err == ""
    return code, {each["what"]: each for each in json.loads(out)}


@contextmanager
def answering(status: int, text: str) -> Iterator[str]:
    """Address of a server that gives one answer to everything."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@contextmanager
def silent() -> Iterator[int]:
    """Port that takes connections and never says a word."""
    with closing(socket.create_server(("127.0.0.1", 0))) as deaf:
        yield deaf.getsockname()[1]


def test_a_sound_installation_is_said_to_be_sound(finished: Any, genseek: Any) -> None:
    code, found = diagnosed(genseek, "--store", finished.folder)
    assert code == 0
    assert found["torch"]["found"] == torch.__version__
    assert "1 searches" in found["store"]["found"]
    assert {"python", "cores", "memory", "GPUs", "Ray cluster", "disk of the store"} <= found.keys()
    assert {each["what"] for each in found.values() if each["state"] == "error"} == set()
    code, out, _ = genseek("doctor", "--store", finished.folder)
    assert code == 0
    assert f"ok      mlflow: {found['mlflow']['found']}" in out


@pytest.mark.parametrize("fault", ["newer", "torn", "not a database"])
def test_a_store_that_cannot_be_read(fault: str, store_folder: Path, genseek: Any) -> None:
    database = store_folder / "mlflow.db"
    if fault == "newer":
        with closing(sqlite3.connect(database)) as connection, connection:
            connection.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
    elif fault == "torn":
        with closing(sqlite3.connect(database)) as connection, connection:
            connection.execute("DROP TABLE experiments")
    else:
        database.write_bytes(b"not a database" * 1000)
    code, found = diagnosed(genseek, "--store", store_folder)
    assert (code, found["store"]["state"]) == (1, "error")
    assert "MLflow" in found["store"]["cure"]
    assert "\n" not in found["store"]["found"]


def test_a_store_that_is_not_there_yet(tmp_path: Path, genseek: Any) -> None:
    code, found = diagnosed(genseek, "--store", tmp_path / "new" / "store")
    assert (code, found["store"]["state"]) == (0, "ok")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    code, found = diagnosed(genseek, "--store", tmp_path / "file" / "store")
    assert (code, found["store"]["state"]) == (1, "error")


def test_tracking_servers(tmp_path: Path, genseek: Any) -> None:
    for status, text, said in (
        (200, "3.17.2", None),
        (200, "<html>", "answers, but not as MLflow does"),
        (401, "", "401 Unauthorized"),
    ):
        with answering(status, text) as uri:
            code, found = diagnosed(genseek, "--store", tmp_path / "new", "--tracking-uri", uri)
        assert code == (said is not None)
        assert (said or "MLflow 3.17.2, no password asked for") in found["tracking server"]["found"]
    uri = "http://me:hidden@127.0.0.1:9"
    code, found = diagnosed(genseek, "--store", tmp_path / "new", "--tracking-uri", uri)
    assert code == 1
    assert "Connection refused" in found["tracking server"]["found"]
    assert "hidden" not in json.dumps(found)


def test_silent_servers_are_not_waited_for(tmp_path: Path) -> None:
    began = time.monotonic()
    with silent() as port:
        found = {each.what: each for each in findings(tmp_path, f"http://127.0.0.1:{port}", patience=1)}
    assert time.monotonic() - began < 20
    assert found["tracking server"].state == "error"
    assert "timed out" in found["tracking server"].found


@pytest.mark.slow
@pytest.mark.parametrize("address", ["127.0.0.1:9", "http://127.0.0.1:9", "ray://127.0.0.1:9"])
def test_a_wrong_ray_address(address: str, tmp_path: Path) -> None:
    """In a process of its own: this one may be in a cluster already."""
    script = (
        f"import sys; sys.argv = ['genseek', 'doctor', '--store', {str(tmp_path)!r}, '--address', {address!r}, '-q']\n"
        "from search.cli.app import main\nmain()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith(f"error   Ray cluster: --address {address}: ")


def test_a_card_that_torch_cannot_use(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(checks, "_cards", lambda: ["NVIDIA H100"])
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    (found,) = (each for each in findings(tmp_path) if each.what == "GPUs")
    assert found.state == "error"
    assert "nvidia-smi sees NVIDIA H100" in found.found
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    (found,) = (each for each in findings(tmp_path) if each.what == "GPUs")
    assert found.state == "ok"


def test_what_the_environment_changes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in (RAY | MLFLOW).items():
        monkeypatch.setenv(name, value)
    assert not {each.what for each in findings(tmp_path)} & (RAY | MLFLOW).keys()
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "false")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "9")
    found = {each.what: each for each in findings(tmp_path)}
    assert found["MLFLOW_DISABLE_TELEMETRY"].state == "warning"
    assert found["MLFLOW_HTTP_REQUEST_MAX_RETRIES"].found == "9 (genseek's own: 3)"
