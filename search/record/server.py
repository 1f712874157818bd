"""MLflow's own server and UI on the embedded store."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from typing import IO

from search.errors import StoreError
from search.log import verbose
from search.record.sqlite import ARTIFACTS
from search.record.store import Store

POLL = 0.2  # seconds between checks whether it answers


def serve(store: Store, port: int, answers: Callable[[], None]) -> int:
    """Run MLflow's own server on the embedded store until Ctrl-C or SIGTERM; return its exit code.

    Args:
        store: the store to serve.
        port: port on the loopback address.
        answers: called once the server answers.

    Raises:
        StoreError: the port is taken, or the server ends by itself; the error has the server's last line.
    """
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # ignore a server that has just ended
        try:
            free.bind(("127.0.0.1", port))
        except OSError as error:
            raise StoreError(f"--port {port}: {error.strerror}; choose another") from error
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    artifacts = ["--serve-artifacts", "--artifacts-destination", (store.folder / ARTIFACTS).as_uri()]
    chatter = [] if verbose() else ["--uvicorn-opts", "--log-level warning"]
    # One worker, no job runner: 2 processes and 0.4 GB instead of 15 and 2.3 GB, and no stall a request.
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    # kill ends this process alone: without a handler the server would go on.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryFile("w+") as said:
        output = None if verbose() else said
        whole = [*command, "--backend-store-uri", store.uri, *artifacts, *chatter]
        with subprocess.Popen(whole, env=environment, stdout=output, stderr=output) as server:
            try:
                began = _answered(server, port)
                if began:
                    answers()
                code = server.wait()
            except KeyboardInterrupt:
                server.terminate()
                return 0
            except BaseException:  # for example, the reader of the links has gone
                server.terminate()
                raise
        if code or not began:
            raise StoreError(f"--port {port}: MLflow's server has ended: {_last(said) or f'exit code {code}'}")
        return code


def _answered(server: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until the server answers; return False if it ends before."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # without any proxy
    while server.poll() is None:
        try:
            with direct.open(f"http://127.0.0.1:{port}/health", timeout=5):
                return True
        except (OSError, HTTPException):
            time.sleep(POLL)
    return False


def _last(said: IO[str]) -> str:
    """Return the last line of a server's output that isn't empty."""
    said.seek(0)
    return next((line.strip() for line in reversed(said.readlines()) if line.strip()), "")
