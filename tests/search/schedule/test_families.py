"""Whose turn it is: families alike, or those that are likely to hold the best."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import pytest

from search.schedule.families import LEAST, Family, Sharing, even, thompson
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


def test_what_is_far_behind_has_no_more_turns() -> None:
    count = shares(thompson, {"pushforward": [9.0], "vae": [2.0], "flow_matching": [1.5]})
    assert count == {"pushforward": LEAST, "vae": LEAST, "flow_matching": 60 - 2 * LEAST}


def test_what_is_close_goes_on_and_what_overtakes_wins() -> None:
    count = shares(thompson, {"pushforward": [9.0], "vae": [1.5, 2.0, 2.0, 1.5], "flow_matching": [1.6, 1.4, 2.0]})
    assert count["pushforward"] == LEAST
    assert min(count["vae"], count["flow_matching"]) > 3 * LEAST
    falling = [2.4 * 0.9**number for number in range(60)]
    count = shares(thompson, {"pushforward": [9.0], "vae": falling, "flow_matching": [1.9, 2.1]})
    assert count["vae"] > 40


def test_whose_turn_it_is_depends_on_what_is_known_alone() -> None:
    def families() -> list[Family]:
        found = [Family(study(), model, 7) for model in study().models]
        for place, family in enumerate(found):
            family.misfits, family.proposed = [0.1 * place + 0.05 * number for number in range(9)], 9
        return found

    one, other = families(), families()
    chosen = []
    for _ in range(20):
        chosen.append(one.index(thompson(one)))
        assert other.index(thompson(other)) == chosen[-1]
        for family in (one[0], other[0]):
            family.proposed += 1
    assert {0} < set(chosen)


def test_families_share_the_trials_by_chance() -> None:
    assert Family(study(), "vae", 0).startup == LEAST
    assert Family(replace(study(), models={"vae": {}}), "vae", 0).startup == 10


@pytest.mark.parametrize("misfit", [math.inf, 1e300, 0.0])
def test_misfits_without_a_logarithm_count_as_the_worst_or_the_best(misfit: float) -> None:
    count = shares(thompson, {"pushforward": [misfit], "vae": [2.0], "flow_matching": [2.0]})
    assert count["pushforward"] == (60 - 2 * LEAST if misfit == 0 else LEAST)
