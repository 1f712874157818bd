"""What a search varies, as MLflow can sort, filter and plot it."""

import math
from pathlib import Path

import pytest

from search import load_study
from search.record.layout import Axes, asymmetry
from search.study.configuration import Configuration, Training
from search.study.presets import preset_names


def test_axes_of_a_study(tiny_study: Path) -> None:
    axes = Axes.of(load_study(str(tiny_study)))
    assert axes.searched == ("model", "objective", "width", "latent", "bandwidth", "learning_rate")
    assert axes.shared == ("model", "objective", "learning_rate")  # whatever the family
    assert axes.logarithmic == ("bandwidth", "learning_rate")
    assert [axes.named(key) for key in ("latent", "bandwidth")] == ["latent", "log10_bandwidth"]
    assert axes.rungs == (2,)


def test_a_study_of_one_family_shares_all(tmp_path: Path) -> None:
    (tmp_path / "one.toml").write_text(
        '[problem]\nname = "gaussian_2d"\n[models.vae]\nlatent = [1, 2]\n[objectives.elbo]\nbeta = [0.5, 1.0]\n'
    )
    axes = Axes.of(load_study(str(tmp_path / "one.toml")))
    assert axes.searched == axes.shared == ("latent", "beta")


@pytest.mark.parametrize("name", preset_names())
def test_every_shipped_study_has_axes(name: str) -> None:
    axes = Axes.of(load_study(name))
    assert set(axes.shared) <= set(axes.searched)
    assert set(axes.logarithmic) <= set(axes.searched)


def test_parameters_and_numbers_of_a_trial() -> None:
    axes = Axes(searched=("latent", "activation", "lam", "learn_sigma"), shared=(), logarithmic=("lam",), rungs=())
    configuration = Configuration(
        model="vae",
        objective="w2_vae",
        model_arguments={"latent": 3, "activation": "elu", "sigma": 0.5, "learn_sigma": True},
        objective_arguments={"lam": 0.01},
        training=Training(learning_rate=1e-3),
    )
    parameters = axes.parameters(configuration)
    assert {key: parameters[key] for key in configuration.flat()} == configuration.flat()
    assert (parameters["lambda"], parameters["log10_lam"], parameters["log10_learning_rate"]) == (
        0.01,
        "-2.0000",
        "-3.0000",
    )
    assert axes.numbers(configuration) == {"latent": 3.0, "sigma": 0.5, "lam": 0.01, "lambda": 0.01}


def test_no_logarithm_of_what_has_none() -> None:
    parameters = Axes(logarithmic=("l2", "latent")).parameters(
        Configuration(
            model="gmm", objective="likelihood", model_arguments={}, objective_arguments={}, training=Training()
        )
    )
    assert not {"log10_l2", "log10_latent"} & set(parameters)
    assert "lambda" not in parameters


@pytest.mark.parametrize(("epoch", "rung"), [(1, 0), (10, 10), (29, 10), (30, 30), (270, 90)])
def test_rungs(epoch: int, rung: int) -> None:
    assert Axes(rungs=(10, 30, 90)).rung(epoch) == rung


@pytest.mark.parametrize(
    ("ratio", "larger"), [(1.0, "encoder larger"), (0.05, "equal"), (-0.05, "equal"), (-math.log2(3), "decoder larger")]
)
def test_asymmetry(ratio: float, larger: str) -> None:
    assert asymmetry({"log2_encoder_over_decoder": ratio}) == larger
    assert asymmetry({"parameters": 3.0}) is None
