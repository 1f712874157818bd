"""The space of a pair: which keys act, equal configurations, and how many there are."""

from typing import Any

import pytest

from objectives import OBJECTIVES
from objectives.losses.elbo import ELBO
from search.errors import StudyError
from search.study.configuration import Configuration, Training
from search.study.parse import load_study, parse_study
from search.study.presets import preset_names
from search.study.study import PairSpace, Study, check_point, pair_spaces

TEXT = """
[problem]
name = "gaussian_2d"
[training]
features = ["standard", "quantile_normal"]
learning_rate = [0.001, 0.01]
l2 = [0.0, 0.1]
[models.vae]
latent = { low = 1, high = 3 }
[models.gmm]
components = [1, 2, 3]
[objectives.elbo]
ramp = ["constant", "warm_up", "adaptive"]
ramp_steps = [50, 100, 200]
[objectives.likelihood]
"""


def study(text: str = TEXT) -> Study:
    return parse_study(text, "toy", "toy.toml")


def spaces(text: str = TEXT) -> tuple[PairSpace, PairSpace]:
    vae, gmm = pair_spaces(study(text))
    return vae, gmm


def test_a_fit_without_gradient_takes_features_alone_of_the_training() -> None:
    _, gmm = spaces()
    chosen = gmm.configuration({"features": "quantile_normal", "components": 2, "learning_rate": 0.01, "l2": 0.1})
    assert chosen.training == Training(features="quantile_normal")
    assert chosen == gmm.configuration({"features": "quantile_normal", "components": 2, "learning_rate": 0.001})
    assert set(chosen.flat()) == {"model", "objective", "features", "components", "covariance", "select"}


def test_a_ramp_has_steps_only_if_it_rises() -> None:
    vae, _ = spaces()
    flat, rising = (
        vae.configuration({"ramp": "constant", "ramp_steps": 50}),
        vae.configuration({"ramp": "adaptive", "ramp_steps": 50}),
    )
    assert "ramp_steps" not in flat.flat()
    assert flat.objective_arguments["ramp_steps"] == 200  # the constructor's default
    assert rising.flat()["ramp_steps"] == 50
    assert flat.identity == vae.configuration({"ramp": "constant", "ramp_steps": 100}).identity
    assert rising.identity != vae.configuration({"ramp": "adaptive", "ramp_steps": 100}).identity


def test_the_grid_has_every_configuration_once() -> None:
    for space, expected in zip(spaces(), (2 * 2 * 2 * 3 * (1 + 3 + 3), 2 * 3), strict=True):
        listed = [configuration.identity for configuration in space.grid()]
        assert len(listed) == len(set(listed)) == space.count() == expected
    continuous, _ = spaces(TEXT.replace("[0.0, 0.1]", "{ low = 0.0, high = 0.1 }"))
    assert continuous.count() == float("inf")


def test_only_keys_that_act_are_asked_for_and_a_condition_before_what_depends_on_it() -> None:
    vae, gmm = spaces()
    asked: list[str] = []

    def first(key: str, domain: Any) -> Any:
        asked.append(key)
        return domain.extremes()[0]

    gmm.choose(first)
    assert asked == ["components", "features"]
    asked.clear()
    vae.choose(first)  # with a constant ramp
    assert sorted(asked) == ["features", "l2", "latent", "learning_rate", "ramp"]
    asked.clear()

    def last(key: str, domain: Any) -> Any:
        asked.append(key)
        return domain.extremes()[-1]

    vae.choose(last)
    assert asked.index("ramp") < asked.index("ramp_steps")


def test_a_configuration_goes_through_json_with_what_is_idle() -> None:
    _, gmm = spaces()
    chosen = gmm.configuration({"components": 2})
    again = Configuration.from_nested(chosen.nested() | {"idle": list(chosen.idle)})
    assert (again, again.flat(), again.identity) == (chosen, chosen.flat(), chosen.identity)


@pytest.mark.parametrize("name", preset_names())
def test_what_a_shipped_study_names_is_shown_only_if_it_acts(name: str) -> None:
    shipped = load_study(name)
    for point in shipped.points:
        chosen = check_point(shipped, point)
        assert not set(chosen.idle) & chosen.flat().keys()
        if not OBJECTIVES[chosen.objective].descends:
            assert {"learning_rate", "schedule", "batch", "l1", "l2", "average", "optimizer"} <= set(chosen.idle)


@pytest.mark.parametrize(
    ("conditions", "said"),
    [
        ({"rampsteps": {"ramp": ("warm_up",)}}, "unknown key 'rampsteps'; did you mean 'ramp_steps'"),
        ({"ramp_steps": {"rampe": ("warm_up",)}}, "unknown key 'rampe'; did you mean 'ramp'"),
        ({"ramp_steps": {"ramp": ("warm_up",)}, "ramp": {"beta": (1.0,)}}, "ramp has a condition itself"),
    ],
)
def test_conditions_that_cannot_be_are_told_in_one_line(
    conditions: Any, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ELBO, "conditions", conditions)
    with pytest.raises(StudyError, match=said) as caught:
        study()
    assert "\n" not in str(caught.value)
