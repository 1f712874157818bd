"""Programs of torch.export, against the models that they were traced from."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from models import MODELS, Noise, Shape, sample_program
from models.features import FEATURES
from models.generator import Generator
from models.program import drawn, exported

SHAPE = Shape(features=2, source="uniform", source_features=1)
SMALL: dict[str, dict[str, Any]] = {
    "pushforward": {"noise": 2, "dropout": 0.5},
    "lars_vae": {"truncation": 7},
    "diffusion": {"steps": 4},
    "flow_matching": {"steps": 2},
    "kde": {"centres": 20},
    "gmm": {"components": 3},
}


def rows() -> Tensor:
    return torch.randn(60, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64).exp()


def generator(model: str, features: str = "log1p") -> Generator:
    fitted = FEATURES[features](rows())
    built = MODELS[model](SHAPE, 4, **SMALL.get(model, {}))
    fit = getattr(built, "fit", None)
    if fit is not None:
        fit(fitted(rows()).float().unsqueeze(0), 0)
    return Generator(built, fitted, ("price €", "a size"))


def own(trained: Generator, count: int, seed: int) -> Tensor:
    with torch.no_grad():
        return trained.features.inverse(trained.model.sample(Noise([seed], count))[0].double())


@pytest.mark.parametrize("model", MODELS)
def test_a_program_draws_the_rows_of_its_model(model: str) -> None:
    trained = generator(model)
    program = exported(trained).module()
    for count in (1, 50):
        normal, uniform = drawn(trained, count, 7)
        sampled = program(normal, uniform)
        assert sampled.dtype == torch.float64
        torch.testing.assert_close(sampled, own(trained, count, 7), rtol=1e-6, atol=1e-6)
    assert not torch.allclose(program(*drawn(trained, 50, 8)), sampled)


@pytest.mark.parametrize("features", FEATURES)
def test_a_program_speaks_the_users_units(features: str) -> None:
    trained = generator("vae", features)
    sampled = exported(trained).module()(*drawn(trained, 50, 7))
    torch.testing.assert_close(sampled, own(trained, 50, 7), rtol=1e-6, atol=1e-6)


@pytest.mark.slow
def test_a_program_runs_with_torch_alone_and_holds_no_pickle(tmp_path: Path) -> None:
    trained = generator("lars_vae")
    torch.export.save(exported(trained), tmp_path / "program.pt2")
    normal, uniform = (part.shape[1] for part in drawn(trained, 1, 0))
    described = {"columns": trained.columns, "whole": trained.whole, "normal": normal, "uniform": uniform}
    (tmp_path / "program.json").write_text(json.dumps(described))
    script = tmp_path / "sample_program.py"
    script.write_text(Path(str(sample_program.__file__)).read_text())
    blocked = "import runpy, sys; sys.modules.update(dict.fromkeys(['models', 'search', 'objectives', 'numpy.ma']))"
    run = f"{blocked}; sys.argv = 'x -n 40 --seed 3'.split(); runpy.run_path({str(script)!r}, run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-I", "-c", run], cwd=tmp_path, capture_output=True, text=True, encoding="utf-8", timeout=120
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "price €,a size"
    seeded = torch.Generator().manual_seed(3)
    numbers = torch.randn(40, normal, generator=seeded), torch.rand(40, uniform, generator=seeded)
    expected = exported(trained).module()(*numbers)
    read = torch.tensor([[float(cell) for cell in line.split(",")] for line in lines[1:]], dtype=torch.float64)
    torch.testing.assert_close(read, expected, rtol=1e-6, atol=1e-6)
    with zipfile.ZipFile(tmp_path / "program.pt2") as archive:
        for name in archive.namelist():
            content = archive.read(name)
            assert not content.startswith((b"PK", b"\x80")) or name.rpartition("/")[2].startswith("weight_"), name
            assert b'use_pickle": true' not in content
