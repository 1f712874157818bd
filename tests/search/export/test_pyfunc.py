"""The MLflow model of a generator: what it answers, without genseek and without a pickle."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import asdict
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import pandas as pd
import pytest
import torch
from mlflow.exceptions import MlflowException
from safetensors.torch import save_file

from models import MODELS, Shape
from models.features import FEATURES
from models.generator import Generator
from models.latents import sample_latents
from search.export.registry import package

COLUMNS = ("open price, $ [USD] <b>'\"", "收益率 Höhe €\n")
ROOT = Path(__file__).resolve().parents[3]


def trained(model: str, **arguments: Any) -> Generator:
    rows = torch.randn(60, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return Generator(MODELS[model](Shape(2, "normal", 2), 4, **arguments), FEATURES["standard"](rows), COLUMNS)


def packaged(folder: Path, model: str, **arguments: Any) -> Path:
    """MLflow model of an untrained generator, exported as searches do."""
    import shutil

    import models

    made, source = trained(model, **arguments), folder / "generator"
    shutil.copytree(Path(models.__file__).parent, source / "models", ignore=shutil.ignore_patterns("__pycache__"))
    (source / "sampler.py").write_text("")
    described = {
        "format": 1,
        "model": model,
        "arguments": arguments,
        "shape": asdict(Shape(2, "normal", 2)),
        "features": "standard",
    }
    (source / "model.json").write_text(json.dumps({**described, "columns": COLUMNS}))
    save_file(made.tensors(), source / "weights.safetensors")
    package(source, folder / "model", "m-1", "r-1")
    return folder / "model"


@pytest.fixture(scope="module")
def vae(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return packaged(tmp_path_factory.mktemp("vae"), "vae", latent=3)


@pytest.fixture(scope="module")
def loaded(vae: Path) -> Any:
    return mlflow.pyfunc.load_model(str(vae))


def test_rows_and_seed_draw_what_the_export_draws(loaded: Any) -> None:
    expected = pd.DataFrame(trained("vae", latent=3).sample(20, 7).numpy(), columns=list(COLUMNS))
    pd.testing.assert_frame_equal(loaded.predict(pd.DataFrame({"rows": [20], "seed": [7]})), expected)
    both = loaded.predict(pd.DataFrame({"rows": [20, 3], "seed": [7, 8]}))
    assert len(both) == 23
    pd.testing.assert_frame_equal(both[:20], expected)
    unseeded = loaded.predict(pd.DataFrame({"rows": [4]}))
    pd.testing.assert_frame_equal(unseeded, loaded.predict(pd.DataFrame({"rows": [4], "seed": [0]})))


def test_latents_give_a_row_each(loaded: Any) -> None:
    frame = pd.DataFrame({"z2": [0.5, -1.0], "z0": [1.0, 0.0], "z1": [0.0, 2.0]})
    latents = torch.tensor(frame[["z0", "z1", "z2"]].to_numpy())
    for seed in (0, 5):
        answer = loaded.predict(frame.assign(seed=seed) if seed else frame)
        expected = sample_latents(trained("vae", latent=3), latents, seed)
        assert torch.equal(torch.tensor(answer.to_numpy()), expected)


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        ({"row": [3]}, "expected a column rows, and seed where wanted, or latents z0, z1, z2"),
        ({"seed": [3]}, "expected a column rows"),
        ({"rows": [-1]}, "rows -1 to -1: expected 0 to 1000000"),
        ({"rows": [600_000, 600_000]}, "expected 0 to 1000000 in all"),
        ({"rows": [3], "seed": [-1]}, "seed -1: expected 0 or more"),
        ({"rows": ["many"]}, "rows"),
        ({"rows": [1.5]}, "rows"),
        ({"z0": [0.0], "z1": [0.0]}, "expected latents z0, z1, z2"),
        ({"z0": [0.0], "z1": [0.0], "z2": [float("nan")]}, "a value is missing"),
        ({"rows": [1], "z0": [0.0], "z1": [0.0], "z2": [0.0]}, "rows or latents, not both"),
    ],
)
def test_what_it_refuses(loaded: Any, frame: dict[str, Any], said: str) -> None:
    with pytest.raises(MlflowException, match=said) as refused:
        loaded.predict(pd.DataFrame(frame))
    assert refused.value.error_code in ("INVALID_PARAMETER_VALUE", "BAD_REQUEST")


def test_a_model_without_latents_says_so(tmp_path: Path) -> None:
    gaussian = mlflow.pyfunc.load_model(str(packaged(tmp_path, "gaussian")))
    with pytest.raises(MlflowException, match="this model has no latents"):
        gaussian.predict(pd.DataFrame({"z0": [1.0], "z1": [1.0]}))


@pytest.mark.slow
def test_it_loads_without_genseek_and_without_unpickling(vae: Path, tmp_path: Path) -> None:
    script = "\n".join(
        [
            "import sys",
            "sys.meta_path = [finder for finder in sys.meta_path if 'editable' not in repr(finder).lower()]",
            f"sys.path = [entry for entry in sys.path if entry not in ('', {str(ROOT)!r})]",
            "sys.modules.update(dict.fromkeys(['search', 'objectives', 'ray', 'optuna', 'safetensors']))",
            "import mlflow.pyfunc, pandas",
            f"loaded = mlflow.pyfunc.load_model({str(vae)!r})",
            "loaded.predict(pandas.DataFrame({'rows': [20], 'seed': [7]})).to_csv('rows.csv', index=False)",
            "import models; print(models.__file__)",
        ]
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=300,
        env=os.environ | {"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_relative_to(vae)
    expected = pd.DataFrame(trained("vae", latent=3).sample(20, 7).numpy(), columns=list(COLUMNS))
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "rows.csv"), expected)


def test_it_holds_no_pickle_and_pins_what_it_needs(vae: Path) -> None:
    kinds = {path.suffix for path in vae.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert kinds <= {".py", ".json", ".yaml", ".txt", ".safetensors", ".typed", ""}
    assert [path.name for path in vae.rglob("*") if path.is_file() and not path.suffix] == ["MLmodel"]
    pins = dict(line.split("==") for line in (vae / "requirements.txt").read_text().splitlines())
    assert set(pins) == {"mlflow", "torch", "pandas", "numpy"}
    assert "+" not in pins["torch"]


def post(port: int, asked: dict[str, Any]) -> tuple[int, Any]:
    """Status and JSON of a POST to a served model."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/invocations", json.dumps(asked).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


@pytest.mark.slow
def test_a_served_model_answers_posts(vae: Path, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(vae), "--env-manager", "local"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with (tmp_path / "log").open("wb") as log:
        served = subprocess.Popen([*command, "-p", str(port)], stdout=log, stderr=log, env=os.environ | {"PATH": path})
    try:
        for _ in range(120):
            assert served.poll() is None, (tmp_path / "log").read_text()
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=1).close()
                break
            except OSError:
                time.sleep(0.5)
        expected = trained("vae", latent=3).sample(2, 7).tolist()
        for asked in (
            {"dataframe_split": {"columns": ["rows", "seed"], "data": [[2, 7]]}},
            {"inputs": {"rows": [2], "seed": [7]}},
        ):
            status, answer = post(port, asked)
            assert status == 200
            assert [[row[name] for name in COLUMNS] for row in answer["predictions"]] == expected
        latents = {"columns": ["z0", "z1", "z2"], "data": [[0.0, 1.0, -1.0]]}
        status, answer = post(port, {"dataframe_split": latents})
        own = sample_latents(trained("vae", latent=3), torch.tensor([[0.0, 1.0, -1.0]]))
        assert status == 200
        assert [[row[name] for name in COLUMNS] for row in answer["predictions"]] == own.tolist()
        status, answer = post(port, {"inputs": {"rows": [-3]}})
        assert status == 400
        assert "expected 0 to 1000000" in answer["message"]
    finally:
        served.terminate()
        served.wait(30)
