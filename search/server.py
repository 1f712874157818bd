"""MLflow's own server and UI on the embedded store."""

import os
import signal
import socket
import subprocess
import sys
import tempfile

from search.embedded import ARTIFACTS
from search.errors import InputError
from search.store import Store
from search.verbosity import verbose


def serve(store: Store, port: int) -> int:
    """MLflow's own server on the embedded store, until Ctrl-C or SIGTERM; its exit code.

    Raises:
        InputError: the port is taken, or the server ends by itself; with the last line that it said.
    """
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # one that has just ended isn't in the way
        try:
            free.bind(("127.0.0.1", port))
        except OSError as error:
            raise InputError(f"--port {port}: {error.strerror}; choose another") from error
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    artifacts = ["--serve-artifacts", "--artifacts-destination", (store.folder / ARTIFACTS).as_uri()]
    chatter = [] if verbose() else ["--uvicorn-opts", "--log-level warning"]
    # One worker, no job runner: 2 processes and 0.4 GB instead of 15 and 2.3 GB, and no stall a request.
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    # kill ends this process alone: without a handler the server would go on without it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryFile("w+") as said:
        output = None if verbose() else said
        whole = [*command, "--backend-store-uri", store.uri, *artifacts, *chatter]
        with subprocess.Popen(whole, env=environment, stdout=output, stderr=output) as server:
            try:
                code = server.wait()
            except KeyboardInterrupt:
                server.terminate()
                return 0
        said.seek(0)
        lines = [line.strip() for line in said if line.strip()]
        if code and lines:
            raise InputError(f"--port {port}: MLflow's server has ended: {lines[-1]}")
        return code
