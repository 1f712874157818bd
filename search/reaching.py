"""Whether an MLflow server answers, within bounded time: MLflow's own client tries again for minutes."""

import base64
import os
import re
import urllib.error
import urllib.request

from search.errors import InputError

ASKING = "/api/2.0/mlflow/experiments/search?max_results=1"


def asked(uri: str, patience: float) -> str:
    """Version of the server at `uri`, and whether the user's name and password let in.

    Raises:
        InputError: it doesn't answer within `patience` seconds a question, isn't MLflow's, or lets nobody in.
    """
    name, password = (os.environ.get(f"MLFLOW_TRACKING_{each}", "") for each in ("USERNAME", "PASSWORD"))
    if match := re.match(r"(https?://)([^/@:]*):([^/@]*)@(.*)", uri):
        uri, name, password = match[1] + match[4], match[2], match[3]
    headers = {}
    if name:
        headers["Authorization"] = f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"
    elif token := os.environ.get("MLFLOW_TRACKING_TOKEN"):
        headers["Authorization"] = f"Bearer {token}"
    said = []
    for path in ("/version", ASKING):
        try:
            request = urllib.request.Request(uri.rstrip("/") + path, headers=headers)
            with urllib.request.urlopen(request, timeout=patience) as answer:
                said.append(answer.read(10_000).decode(errors="replace").strip())
        except urllib.error.HTTPError as error:
            error.close()
            raise InputError(f"{uri}{path.partition('?')[0]}: {error.code} {error.reason}") from error
        except (OSError, ValueError) as error:
            raise InputError(f"{uri}: {getattr(error, 'reason', None) or error}") from error
    if not re.fullmatch(r"\d+\.\d+[\w.]*", said[0]):
        raise InputError(f"{uri}: answers, but not as MLflow does")
    return f"MLflow {said[0]}, " + ("the name and password fit" if name else "no password asked for")
