"""The code of a served generator. MLflow runs this file itself, beside the exported folder and its `models`."""

import importlib.util
from pathlib import Path
from typing import Any, final

import pandas as pd
import torch
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.pyfunc.model import PythonModel

from models import MODELS
from models.generator import Generator, load
from models.latents import latent_columns, sample_latents

MOST_ROWS = 1_000_000  # of one answer


@final
class Predictor(PythonModel):
    """MLflow model that answers a frame of `rows` and `seed`, a sample for each row, or of latents `z0`, `z1`, ..."""

    def load_context(self, context: Any) -> None:
        """Load the generator. If its model is a plug-in, run the plug-in's code, as MLflow runs this file."""
        folder = Path(context.artifacts["generator"])
        self.generator: Generator = load(folder, MODELS | _plugged(folder / "plugin.py"))
        self.latents = [f"z{column}" for column in range(latent_columns(self.generator))]

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> pd.DataFrame:
        """Return samples with the names of the data's columns, in the data's units.

        Raises:
            MlflowException: the frame asks for nothing that exists; one line says what is expected.
        """
        frame = model_input
        asked = {name for name in frame.columns if name == "rows" or str(name).startswith("z")}
        if frame.empty or not asked:
            raise _refused(f"expected a column rows, and seed where wanted{self._known()}")
        if frame.isna().to_numpy().any():
            raise _refused("a value is missing")
        seeds = [int(seed) for seed in frame.get("seed", [0] * len(frame))]
        if min(seeds) < 0:
            raise _refused(f"seed {min(seeds)}: expected 0 or more")
        drawn = self._sampled(frame, seeds) if "rows" in asked else self._mapped(frame, seeds)
        return pd.DataFrame(drawn.numpy(), columns=list(self.generator.columns))

    def _sampled(self, frame: pd.DataFrame, seeds: list[int]) -> torch.Tensor:
        counts = [int(count) for count in frame["rows"]]
        if min(counts) < 0 or sum(counts) > MOST_ROWS:
            raise _refused(f"rows {min(counts)} to {max(counts)}: expected 0 to {MOST_ROWS} in all")
        if len(frame.columns.difference(["rows", "seed"])):
            raise _refused("expected rows or latents, not both")
        samples = [self.generator.sample(count, seed) for count, seed in zip(counts, seeds, strict=True)]
        return torch.cat(samples)

    def _mapped(self, frame: pd.DataFrame, seeds: list[int]) -> torch.Tensor:
        if not self.latents:
            raise _refused(f"expected a column rows, and seed where wanted{self._known()}")
        if frame.columns.difference(["seed"]).tolist() != sorted(self.latents) or len(set(seeds)) > 1:
            raise _refused(f"expected latents {', '.join(self.latents)}, and seed, the same in every row, where wanted")
        if len(frame) > MOST_ROWS:
            raise _refused(f"{len(frame)} rows of latents: expected {MOST_ROWS} at most")
        latents = torch.tensor(frame[self.latents].to_numpy(dtype=float))
        return sample_latents(self.generator, latents, seeds[0])

    def _known(self) -> str:
        return f", or latents {', '.join(self.latents)}" if self.latents else "; this model has no latents"


def _plugged(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    spec = importlib.util.spec_from_file_location("plugin", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    plugged: dict[str, Any] = module.MODELS
    return plugged


def _refused(reason: str) -> MlflowException:
    return MlflowException(reason, INVALID_PARAMETER_VALUE)


set_model(Predictor())
