"""Grid searches: every point once, in order, and nothing else."""

import math
from typing import Any

import pytest

from search.errors import GenseekError
from search.schedule.suggest import Suggester
from search.study.parse import parse_study, with_overrides
from search.study.space import Choice, Domain, Fixed, Range, count_of, values_of
from search.study.study import Study

GRID = """
sampler = "grid"
epochs = 4

[problem]
name = "gaussian_2d"

[training]
l1 = [0.0, 0.001, 0.01]
l2 = [0.0, 0.01]

[models.pushforward]
depth = { low = 1, high = 3 }

[models.vae]
sigma = { low = 0.1, high = 0.3, step = 0.1 }

[objectives.mmd]

[objectives.elbo]
"""
SIZE = 3 * 2 * 3 + 3 * 2 * 3


def parsed(text: str) -> Study:
    return parse_study(text, "grid", "grid.toml")


def proposed(study: Study) -> list[dict[str, Any]]:
    proposer = Suggester(study, study.budget.seed)
    return [proposer.ask()[1].flat() for _ in range(study.budget.trials)]


def test_the_values_of_a_domain() -> None:
    domains: dict[str, Domain] = {
        "a": Choice((1, 2)),
        "b": Fixed("x"),
        "c": Range(low=1, high=3),
        "d": Range(low=0.5, high=1.0, step=0.25),
        "e": Range(low=2, high=4, log=True),
    }
    values = {key: values_of(key, domain) for key, domain in domains.items()}
    assert values == {"a": (1, 2), "b": ("x",), "c": (1, 2, 3), "d": (0.5, 0.75, 1.0), "e": (2, 3, 4)}
    assert {key: count_of(domain) for key, domain in domains.items()} == {key: len(own) for key, own in values.items()}


@pytest.mark.parametrize("domain", [Range(low=0.1, high=1.0), Range(low=0.1, high=1.0, log=True)])
def test_a_range_needs_steps(domain: Range) -> None:
    assert count_of(domain) == math.inf
    with pytest.raises(GenseekError, match="rate: a grid needs a list of values"):
        values_of("rate", domain)


def test_a_study_proposes_its_whole_grid_once() -> None:
    study = parsed(GRID)
    assert study.budget.trials == SIZE
    flat = proposed(study)
    seen = {(p["model"], p["l1"], p["l2"], p.get("depth"), round(p.get("sigma", 0), 9)) for p in flat}
    assert len(seen) == SIZE
    assert {p["model"] for p in flat[: SIZE // 2]} == {"pushforward"}


def test_points_come_first_and_only_once() -> None:
    study = parsed(GRID + '[[points]]\nmodel = "vae"\nsigma = 0.2\nl1 = 0.01\nl2 = 0.01\n')
    flat = proposed(study)
    assert study.budget.trials == SIZE
    assert (flat[0]["model"], flat[0]["sigma"], flat[0]["l1"]) == ("vae", 0.2, 0.01)
    assert sum(p["model"] == "vae" and p["l1"] == p["l2"] == 0.01 and p["sigma"] == 0.2 for p in flat) == 1


def test_fewer_trials_take_the_first_and_more_take_all() -> None:
    assert parsed("trials = 5\n" + GRID).budget.trials == 5
    assert with_overrides(parsed(GRID), trials=7).budget.trials == 7
    assert with_overrides(parsed(GRID), trials=1000).budget.trials == SIZE


def test_points_alone() -> None:
    text = GRID.replace('"grid"', '"points"')
    study = parsed(text + '[[points]]\nl1 = 0.01\n[[points]]\nmodel = "vae"\nsigma = 0.2\n')
    assert [(p["model"], p["l1"]) for p in proposed(study)] == [("pushforward", 0.01), ("vae", 0.0)]
    with pytest.raises(GenseekError, match=r"expected at least one table headed \[\[points\]\]"):
        parsed(text)


def test_a_random_sampler_repeats_itself_by_seed() -> None:
    text = GRID.replace('"grid"', '"random"').replace("epochs", "trials = 6\nepochs")
    assert proposed(parsed(text)) == proposed(parsed(text))
    other = parsed("seed = 1\n" + text)
    assert proposed(parsed(text)) != proposed(other)
    assert parsed(text).sampler == "random"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"grid"', '"gird"', "sampler: unknown sampler 'gird'; did you mean 'grid'"),
        ('sampler = "grid"', 'scores = ["add"]', "scores: unknown score 'add'"),
        ('sampler = "grid"', 'scores = ["overfit"]', "expected at least one that ranks: ad, kendall, mmd"),
        ('sampler = "grid"', "scores = []", "expected a list of names"),
        ("l1 = [0.0, 0.001, 0.01]", "l1 = { low = 0.0, high = 1.0 }", "l1: a grid needs a list of values"),
    ],
)
def test_mistakes_are_told_in_one_line(old: str, new: str, message: str) -> None:
    with pytest.raises(GenseekError, match=message) as caught:
        parsed(GRID.replace(old, new))
    assert str(caught.value).startswith("grid.toml: ")
    assert "\n" not in str(caught.value)
