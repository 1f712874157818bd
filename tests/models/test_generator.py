"""A generator's samples, and its folder on disk."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from models import MODELS, Shape
from models.features import FEATURES
from models.generator import CHUNK, Generator, load, read_safetensors
from models.pack import join, keep

SHAPE = Shape(features=2, source="uniform", source_features=1)
ARGUMENTS: dict[str, dict[str, Any]] = {"pushforward": {"width": 5, "noise": 2}, "vae": {"latent": 3, "sigma": 0.5}}


def rows(n: int = 60) -> Tensor:
    return torch.randn(n, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64).exp()


def generator(model: str = "pushforward", features: str = "standard") -> Generator:
    built = MODELS[model](SHAPE, 4, **ARGUMENTS.get(model, {}))
    return Generator(built, FEATURES[features](rows()), ("price", "size"))


def export(trained: Generator, folder: Path, model: str = "pushforward", features: str = "standard") -> None:
    described = {
        "format": 1,
        "model": model,
        "arguments": ARGUMENTS.get(model, {}),
        "shape": asdict(SHAPE),
        "features": features,
        "columns": trained.columns,
    }
    (folder / "model.json").write_text(json.dumps(described))
    save_file(trained.tensors(), folder / "weights.safetensors")


@pytest.mark.parametrize("model", MODELS)
def test_samples_are_reproducible_by_seed(model: str) -> None:
    trained = generator(model)
    first = trained.sample(50, seed=3)
    assert first.shape == (50, 2)
    assert first.dtype == torch.float64
    assert first.isfinite().all()
    assert not first.requires_grad
    assert torch.equal(trained.sample(50, seed=3), first)
    assert not torch.equal(trained.sample(50, seed=4), first)


def test_a_larger_sample_starts_with_the_smaller_one() -> None:
    trained = generator("vae")
    large = trained.sample(2 * CHUNK + 10)
    assert large.shape == (2 * CHUNK + 10, 2)
    for n in (0, 1, 100, CHUNK, CHUNK + 1):
        assert torch.equal(trained.sample(n), large[:n])
    above = large[large[:, 0] > 0, 0]  # the rows have no negative prices
    assert len(above.unique()) > 0.99 * len(above) > CHUNK


def test_samples_are_in_the_users_units() -> None:
    back = generator("vae", "quantile_normal").sample(500)
    assert (back >= rows().amin(0)).all()
    assert (back <= rows().amax(0)).all()


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("features", FEATURES)
def test_a_loaded_folder_gives_identical_samples(model: str, features: str, tmp_path: Path) -> None:
    trained = generator(model, features)
    export(trained, tmp_path, model, features)
    loaded = load(tmp_path, MODELS)
    assert loaded.columns == trained.columns
    assert torch.equal(loaded.sample(CHUNK + 5, seed=2), trained.sample(CHUNK + 5, seed=2))


def test_a_trial_of_a_pack_can_be_exported(tmp_path: Path) -> None:
    pack = join([MODELS["pushforward"](SHAPE, 0, width=9, depth=4), generator().model])
    trained = Generator(keep(pack, [1]), FEATURES["standard"](rows()), ("price", "size"))
    export(trained, tmp_path)
    assert torch.equal(load(str(tmp_path), MODELS).sample(20), generator().sample(20))


def test_our_reader_equals_safetensors(tmp_path: Path) -> None:
    path = tmp_path / "some.safetensors"
    tensors = {
        "a": torch.randn(3, 1, 4),
        "b": torch.randn(5, dtype=torch.float64),
        "c": torch.tensor([[2**40, -1]]),
        "scalar": torch.tensor(2.5),
        "empty": torch.empty(0, 3),
        "odd name.weight": torch.ones(1),
    }
    save_file(tensors, path, metadata={"made by": "a test"})
    ours, theirs = read_safetensors(path), load_file(path)
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        assert ours[name].dtype == value.dtype
        assert ours[name].shape == value.shape
        assert torch.equal(ours[name], value)


@pytest.mark.parametrize("share", [0, 4, 8, 30, 200, -1])
def test_truncated_weights_are_refused(share: int, tmp_path: Path) -> None:
    export(generator(), tmp_path)
    path = tmp_path / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:share])
    refused(tmp_path, "weights.safetensors")


@pytest.mark.parametrize(
    "content",
    [
        b"PK\x03\x04" + bytes(60),
        b"\x80\x02}q\x00X\x05\x00\x00\x00modelq\x01K\x01s.",
        b"a table, of, text\n" * 9,
        b"\x02" + bytes(7) + b"[]",
        b"\x04" + bytes(7) + b"null",
        b"\x0b" + bytes(7) + b'{"a": [12]}',
        b"\x36" + bytes(7) + b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,5]}}' + bytes(8),
        b"\x36" + bytes(7) + b'{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}' + bytes(8),
        b"\x36" + bytes(7) + b'{"a":{"dtype":"F11","shape":[2],"data_offsets":[0,8]}}' + bytes(8),
        b"\x36" + bytes(7) + b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[9,1]}}' + bytes(9),
    ],
)
def test_foreign_weights_are_refused(content: bytes, tmp_path: Path) -> None:
    export(generator(), tmp_path)
    (tmp_path / "weights.safetensors").write_bytes(content)
    refused(tmp_path, "weights.safetensors")


@pytest.mark.parametrize(
    "content",
    [
        "",
        '{"model": "pushforward"',
        "[]",
        "{}",
        '{"model": "pushforward"}',
        '{"model": ["pushforward"]}',
        '{"model": "diffusion", "arguments": {}}',
        '{"model": "vae", "arguments": {"size": 3}, "shape": {"features": 2, "source": "normal", "source_features": 1},'
        ' "features": "standard", "columns": ["a", "b"]}',
        '{"model": "pushforward", "arguments": {"width": 5, "noise": 2}, "shape": {"features": 2, "source": "uniform",'
        ' "source_features": 1}, "features": "rank", "columns": ["a", "b"]}',
    ],
)
def test_foreign_descriptions_are_refused(content: str, tmp_path: Path) -> None:
    export(generator(), tmp_path)
    (tmp_path / "model.json").write_text(content)
    refused(tmp_path, "model.json")


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    export(generator("vae"), tmp_path, "pushforward")
    refused(tmp_path, "model.json")


def test_features_without_their_fit_are_refused(tmp_path: Path) -> None:
    trained = generator()
    export(trained, tmp_path)
    kept = {name: value for name, value in trained.tensors().items() if name != "features.mean"}
    save_file(kept, tmp_path / "weights.safetensors")
    refused(tmp_path, "model.json")


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"model\.json"):
        load(tmp_path, MODELS)
    export(generator(), tmp_path)
    (tmp_path / "weights.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"weights\.safetensors"):
        load(tmp_path, MODELS)


def refused(folder: Path, name: str) -> None:
    with pytest.raises(ValueError, match=name) as caught:
        load(folder, MODELS)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)
