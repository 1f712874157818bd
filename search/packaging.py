"""An exported generator as an MLflow model that loads without unpickling, and serves without genseek."""

import shutil
from importlib import metadata
from pathlib import Path

import pandas as pd
from mlflow.models import Model, ModelSignature
from mlflow.pyfunc import save_model
from mlflow.types import ColSpec, Schema

from models.latents import latent_columns
from search.exporting import opened

NEEDED = ("mlflow", "torch", "pandas", "numpy")


def package(folder: Path, out: Path, model_id: str, run_id: str) -> None:
    """Write the MLflow model of an exported `folder` into the new folder `out`; `folder` is used up.

    Args:
        folder: as `search.exporting.export` writes it.
        out: new folder.
        model_id, run_id: of MLflow's logged model, and of the run that it belongs to.
    """
    generator = opened(folder)
    asked = Schema(
        [
            ColSpec("long", "rows", required=False),
            ColSpec("long", "seed", required=False),
            *(ColSpec("double", f"z{column}", required=False) for column in range(latent_columns(generator))),
        ]
    )
    answered = Schema([ColSpec("double", name) for name in generator.columns])
    code = folder.with_name(f"{folder.name}-code")
    code.mkdir()
    shutil.move(folder / "models", code / "models")
    (folder / "sampler.py").unlink()
    save_model(
        out,
        python_model=str(Path(__file__).with_name("predictor.py")),
        artifacts={"generator": str(folder)},
        code_paths=[str(code / "models")],
        signature=ModelSignature(asked, answered),
        input_example=pd.DataFrame({"rows": [5], "seed": [0]}),
        # A build of torch for one machine ("+cpu") is no version that pip knows.
        pip_requirements=[f"{name}=={metadata.version(name).partition('+')[0]}" for name in NEEDED],
        mlflow_model=Model(model_id=model_id, run_id=run_id),
    )
