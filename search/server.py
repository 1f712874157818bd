"""MLflow's own server and UI on the embedded store."""

import os
import signal
import subprocess
import sys

from search.store import ARTIFACTS, Store


def serve(store: Store, port: int) -> int:
    """MLflow's own server on the embedded store, until Ctrl-C or SIGTERM; its exit code."""
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    artifacts = ["--serve-artifacts", "--artifacts-destination", (store.folder / ARTIFACTS).as_uri()]
    # One worker, no job runner: 2 processes and 0.4 GB instead of 15 and 2.3 GB, and no stall a request.
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    # kill ends this process alone: without a handler the server would go on without it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with subprocess.Popen([*command, "--backend-store-uri", store.uri, *artifacts], env=environment) as server:
        try:
            return server.wait()
        except KeyboardInterrupt:
            server.terminate()
            return 0
