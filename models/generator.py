"""A trained generator in the user's own units, and its folder on disk, which loads with torch alone."""

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.features import FEATURES, Features
from models.model import Model, Shape
from models.noise import Noise, hashed_seed

FORMAT = 1  # of model.json; it grows when what a folder holds changes
CHUNK = 4096  # rows sampled at a time: fixed, because the rows of a seed depend on it
DTYPES = {"F32": torch.float32, "F64": torch.float64, "I64": torch.int64}


@dataclass(frozen=True)
class Generator:
    """One trained model (a pack of one), the features it was trained on, and the names of its columns."""

    model: Model
    features: Features
    columns: tuple[str, ...]

    def sample(self, rows: int, seed: int = 0) -> Tensor:
        """Rows `[rows, columns]` in the user's own units, float64; the same seed gives the same rows."""
        device = next((tensor.device for tensor in self.model.state_dict().values()), torch.device("cpu"))
        with torch.no_grad():
            chunks = [
                self.features.inverse(
                    self.model.sample(Noise([hashed_seed(seed, start)], CHUNK, device))[0].cpu().double()
                )
                for start in range(0, rows, CHUNK)
            ]
        return torch.cat(chunks)[:rows] if chunks else torch.empty(0, len(self.columns), dtype=torch.float64)

    @property
    def whole(self) -> tuple[bool, ...]:
        """Whether each column holds whole numbers only."""
        return tuple(self.features.power.eq(1).tolist())

    def tensors(self) -> dict[str, Tensor]:
        """All tensors to save, by name; `load` wants them back."""
        parts = {"model": self.model, "features": self.features}
        return {
            f"{part}.{name}": value.contiguous() for part in parts for name, value in parts[part].state_dict().items()
        }


def written(rows: Tensor, whole: Sequence[bool]) -> list[list[float | int]]:
    """Numbers of `rows` `[rows, columns]` as a file has them: without a decimal point in columns of whole ones."""
    return [
        [int(value) if integer and value.is_integer() else value for value, integer in zip(row, whole, strict=True)]
        for row in rows.tolist()
    ]


def load(folder: Path | str, registry: dict[str, type[Model]]) -> Generator:
    """Generator of an exported folder (`model.json`, `weights.safetensors`), built without unpickling anything.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: the folder doesn't hold an exported generator, or one of a model that `registry` doesn't know.
    """
    path = Path(folder) / "model.json"
    text = path.read_text()
    tensors = read_safetensors(path.with_name("weights.safetensors"))
    try:
        described = json.loads(text)
        if described.get("format") != FORMAT:
            raise ValueError(f"it has format {described.get('format', 0)}, and this reads format {FORMAT}")
        return build(described, tensors, registry)
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise ValueError(f"{path}: doesn't describe a generator of these weights ({reason})") from error


def build(described: dict[str, Any], tensors: dict[str, Tensor], registry: dict[str, type[Model]]) -> Generator:
    """Generator from what `model.json` says (model, arguments, shape, features, columns) and its tensors."""
    if described["model"] not in registry:
        raise ValueError(f"unknown model {described['model']!r}, known are {', '.join(registry)}")
    model = registry[described["model"]](Shape(**described["shape"]), 0, **described["arguments"])
    model.load_state_dict(_part(tensors, "model"))
    features = FEATURES[described["features"]](torch.zeros(2, len(described["columns"]), dtype=torch.float64))
    fitted = _part(tensors, "features")
    if fitted.keys() != features.state_dict().keys():
        raise ValueError(f"{described['features']} features can't be made of {', '.join(fitted) or 'nothing'}")
    for name, value in fitted.items():
        setattr(features, name, value)  # not load_state_dict: the quantiles have as many rows as the training data had
    return Generator(model, features, tuple(described["columns"]))


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file: 8 bytes of header length, a JSON header, then raw little-endian data.

    Raises:
        ValueError: the file is cut short or isn't a safetensors file.
    """
    data = path.read_bytes()
    try:
        (length,) = struct.unpack("<Q", data[:8])
        header = json.loads(data[8 : 8 + length])
        header.pop("__metadata__", None)
        body = bytearray(data[8 + length :])
        tensors = {}
        for name, entry in header.items():
            start, stop = entry["data_offsets"]
            if not 0 <= start <= stop <= len(body):
                raise ValueError("cut short")
            raw, dtype = body[start:stop], DTYPES[entry["dtype"]]
            flat = torch.frombuffer(raw, dtype=dtype) if raw else torch.empty(0, dtype=dtype)
            tensors[name] = flat.reshape(entry["shape"])
    except (struct.error, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise ValueError(f"{path}: not a whole safetensors file ({error})") from error
    return tensors


def _part(tensors: dict[str, Tensor], part: str) -> dict[str, Tensor]:
    return {name.removeprefix(f"{part}."): value for name, value in tensors.items() if name.startswith(f"{part}.")}
