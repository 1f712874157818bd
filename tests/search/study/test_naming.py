"""Names of trials."""

from typing import Any

import pytest

from models import MODELS
from search.study.configuration import Configuration
from search.study.space import arguments_of
from search.study.study import serving, short_name


def named(model: str, objective: str = "", weights: dict[str, Any] | None = None, **arguments: Any) -> str:
    every = {key: argument.default for key, argument in arguments_of(MODELS[model]).items()} | arguments
    return short_name(
        Configuration(
            model=model,
            objective=objective or serving(model)[0],
            model_arguments=every,
            objective_arguments=weights or {},
        )
    )


@pytest.mark.parametrize(
    ("name", "made"),
    [
        (
            "vae 3x64>2<1x32 sigma 0.3",
            ("vae", {"encoder_depth": 3, "encoder_width": 64, "decoder_depth": 1, "decoder_width": 32}),
        ),
        ("vae 2x64>2<2x64 sigma learned", ("vae", {"learn_sigma": True})),
        ("vae 2x64>5<2x64 sigma 0.0123", ("vae", {"latent": 5, "sigma": 0.01234})),
        ("vae 2x64>2<2x64 sigma 0.3 beta 0.5", ("vae", {"weights": {"beta": 0.5}})),
        (
            "vae 2x64>2<2x64 sigma 0.3 wae_mmd lambda 10",
            ("vae", {"objective": "wae_mmd", "weights": {"lam": 10.0, "ramp": "constant"}}),
        ),
        ("lars_vae 2x64>2<2x64 sigma 0.3", ("lars_vae", {})),
        ("pushforward 3x128", ("pushforward", {"depth": 3, "width": 128})),
        ("pushforward 2x64 energy", ("pushforward", {"objective": "energy"})),
        ("flow_matching 2x64", ("flow_matching", {})),
        ("gmm components 4 select bic", ("gmm", {"components": 4, "select": "bic"})),
        ("gaussian", ("gaussian", {})),
    ],
)
def test_names(name: str, made: tuple[str, dict[str, Any]]) -> None:
    model, arguments = made
    defaults = {"width": 64, "depth": 2} if model in ("pushforward", "flow_matching") else {}
    assert named(model, **(defaults | arguments)) == name


def test_every_family_has_a_name_that_begins_with_it_and_is_short() -> None:
    for model in MODELS:
        assert named(model).startswith(model)
        assert len(named(model)) <= 80
