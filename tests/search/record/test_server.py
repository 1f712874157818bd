"""`genseek ui`: its links are printed when the server answers, and what ends the server is told."""

import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def port() -> int:
    """One that is free."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.mark.slow
def test_links_answer_as_soon_as_they_are_printed(finished: Any, port: int) -> None:
    command: list[str | Path] = [Path(sys.executable).with_name("genseek"), "ui", "first", "--port", str(port)]
    with subprocess.Popen(
        [*command, "--store", finished.folder], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None and server.stderr is not None
        line = server.stdout.readline()
        assert line == f"MLflow UI on {finished.folder}, until Ctrl-C: http://127.0.0.1:{port}\n"
        links = [server.stdout.readline() for _ in range(5)]
        assert links[0] == "search first:\n"
        with urllib.request.urlopen(re.findall(r"http://\S+", links[1])[0], timeout=10) as page:
            assert "MLflow" in page.read().decode()
        server.send_signal(signal.SIGTERM)
        assert server.wait(30) == 0
        assert server.stderr.read() == ""


def test_a_server_that_ends_before_it_answers_is_told(
    finished: Any, port: int, genseek: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\necho starting\necho 'the database is broken' >&2\nexit ${CODE:-3}\n")
    script.chmod(0o755)
    monkeypatch.setattr("search.record.server.sys.executable", str(script))
    said = f"error: --port {port}: MLflow's server has ended: the database is broken\n"
    for code in ("3", "0"):
        monkeypatch.setenv("CODE", code)
        assert genseek("ui", "--store", finished.folder, "--port", port) == (2, "", said)
