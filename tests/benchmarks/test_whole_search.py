"""What the comparison of whole searches makes of two lists of finished trials."""

from math import inf
from pathlib import Path
from typing import Any

import optuna
import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def test_quality_is_reached_by_the_incumbent_and_not_by_luck() -> None:
    from whole_search import Finish, incumbents, reached

    lucky = Finish(20.0, 3.0, 0.5)  # a good test score, of a trial that validation rows don't choose
    finishes = [Finish(30.0, 1.0, 1.5), lucky, Finish(10.0, 2.0, 2.5)]
    assert incumbents(finishes) == [finishes[2], finishes[0]]
    assert reached(finishes, "misfit", 2.0) == 10
    assert reached(finishes, "misfit", 1.9) == 30
    assert reached(finishes, "test", 2.0) == 30
    assert reached(finishes, "test", 1.0) == inf


def test_sides_are_compared_from_when_each_had_its_winner() -> None:
    from whole_search import HEADS, Compared

    plain = {"seconds": 100.0, "finishes": [{"seconds": 60.0, "misfit": 2.0, "test": 1.0}]}
    own = [{"seconds": 15.0, "misfit": 1.8, "test": 1.2}, {"seconds": 20.0, "misfit": 1.7, "test": 1.1}]
    found = Compared.of(plain, {"seconds": 25.0, "finishes": own})
    assert found.ratios == (4.0, 100 / 15, 4.0, 0.0)
    assert found.our_winner.misfit == 1.7
    row = found.row(2)
    assert len(row) == len(HEADS)
    assert row[4:6] == ["15 (4.00)", "never"]


def test_both_sides_search_one_space() -> None:
    from whole_search import SPACE, suggested

    from search.study.parse import parse_study
    from search.study.space import Choice, Fixed, Range

    study = parse_study(SPACE, "whole_search", "whole_search")
    ours = study.training | study.models["pushforward"]
    fixed = {name: domain.value for name, domain in ours.items() if isinstance(domain, Fixed)}
    ours = {name: domain for name, domain in ours.items() if not isinstance(domain, Fixed)}
    trial = optuna.create_study().ask()
    assert suggested(trial) == {"model": "pushforward"} | fixed
    distributions: dict[str, Any] = trial.distributions
    assert distributions.keys() == ours.keys()
    for name, theirs in distributions.items():
        domain = ours[name]
        if isinstance(domain, Choice):
            assert theirs.choices == domain.values
        else:
            assert isinstance(domain, Range)
            assert (theirs.low, theirs.high, theirs.log) == (domain.low, domain.high, domain.log)
