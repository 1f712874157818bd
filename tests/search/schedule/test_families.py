"""Whose turn it is: families alike, or those that may still become the best."""

import math
from collections import Counter
from collections.abc import Mapping

import pytest

from search.schedule.families import STARTUP, Sharing, even, rising
from search.schedule.suggest import Suggester
from search.study.parse import parse_study
from search.study.study import Study

TEXT = """
trials = 60
[problem]
name = "gaussian_2d"
[training]
learning_rate = { low = 1e-4, high = 1e-2, log = true }
[models.pushforward]
[models.vae]
[models.flow_matching]
[objectives.mmd]
[objectives.elbo]
[objectives.flow_matching]
"""


def study() -> Study:
    return parse_study(TEXT, "toy", "toy.toml")


def shares(sharing: Sharing, misfits: Mapping[str, list[float]]) -> Counter[str]:
    """Trials of each family, of which the nth has the nth misfit, and later ones the last."""
    proposer, count = Suggester(study(), 0, sharing), Counter[str]()
    for _ in range(study().budget.trials):
        number, configuration = proposer.ask()
        own = misfits[configuration.model]
        misfit = own[min(count[configuration.model], len(own) - 1)]
        count[configuration.model] += 1
        proposer.report(number, 1, misfit)
        proposer.tell(number, "finished", [misfit])
    return count


def test_even_gives_all_the_same() -> None:
    assert set(shares(even, {"pushforward": [9.0], "vae": [1.0], "flow_matching": [3.0]}).values()) == {20}


def test_what_is_worse_and_no_longer_improves_is_dropped() -> None:
    count = shares(rising, {"pushforward": [9.0], "vae": [2.0], "flow_matching": [1.5]})
    assert count["pushforward"] == count["vae"] == STARTUP
    assert count["flow_matching"] == 60 - 2 * STARTUP


def test_what_is_worse_and_still_improves_goes_on() -> None:
    falling = [10 * 0.9**number for number in range(60)]
    count = shares(rising, {"pushforward": [9.0], "vae": falling, "flow_matching": [1.5]})
    assert count["pushforward"] == STARTUP
    assert count["vae"] > 20
    assert count["flow_matching"] > 15


@pytest.mark.parametrize("misfit", [math.inf, 1e300, 0.0])
def test_misfits_without_a_logarithm_count_as_the_worst_or_the_best(misfit: float) -> None:
    count = shares(rising, {"pushforward": [misfit], "vae": [2.0], "flow_matching": [2.0]})
    assert count["pushforward"] == (60 - 2 * STARTUP if misfit == 0 else STARTUP)
