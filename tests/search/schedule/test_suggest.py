"""Proposals: points first, conditional spaces, reproducible by seed, and better with experience."""

import math
import statistics
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from models import MODELS
from objectives import OBJECTIVES
from search.schedule.suggest import FITS, Suggester
from search.study.configuration import Configuration, Training
from search.study.fields import LISTED
from search.study.goals import Goals
from search.study.parse import load_study, parse_study
from search.study.presets import preset_names
from search.study.space import Domain, Fixed, arguments_of
from search.study.study import Study, check_point

TOY = """
[problem]
name = "gaussian_2d"
[training]
learning_rate = { low = 1e-5, high = 1e0, log = true }
l2 = { low = 0.0, high = 1.0 }
batch = { low = 32, high = 256, step = 32 }
[models.pushforward]
width = [8, 16, 32, 64]
[models.vae]
latent = { low = 1, high = 6 }
[objectives.mmd]
[objectives.elbo]
beta = { low = 0.5, high = 2.0 }
"""


def toy(points: str = "") -> Study:
    return parse_study(TOY + points, "toy", "toy.toml")


def bowl(configuration: Configuration) -> float:
    """A misfit with its best at learning_rate = 0.01, l2 = 0.8 and model = vae."""
    training = configuration.training
    distance = (math.log10(training.learning_rate) + 2) ** 2 + 10 * (training.l2 - 0.8) ** 2
    return 1 + distance + (0 if configuration.model == "vae" else 2)


def searched(proposer: Suggester, trials: int, misfit: Any = bowl, outcome: str = "finished") -> list[Configuration]:
    found: list[Configuration] = []
    while len(found) < trials and not proposer.used_up:
        number, configuration = proposer.ask()
        proposer.report(number, 1, misfit(configuration))
        proposer.tell(number, outcome, [misfit(configuration)])
        found.append(configuration)
    return found


def domains(study: Study, configuration: Configuration) -> list[tuple[Domain, Any]]:
    """Domain and value of every key of a configuration; what the study doesn't name stays at its default."""
    if not OBJECTIVES[configuration.objective].descends:
        study = replace(study, training={key: study.training[key] for key in study.training if key == "features"})
    groups = (
        (MODELS[configuration.model], study.models[configuration.model], configuration.model_arguments),
        (
            OBJECTIVES[configuration.objective],
            study.objectives[configuration.objective],
            configuration.objective_arguments,
        ),
    )
    flat = configuration.flat()
    found = [(study.training[key], flat[key]) for key in arguments_of(Training) if key in study.training]
    for constructor, own, values in groups:
        arguments = arguments_of(constructor)
        assert values.keys() == arguments.keys()  # its own keys, and none of another's
        found += [
            (
                Fixed(argument.default) if key in configuration.idle else own.get(key, Fixed(argument.default)),
                values[key],
            )
            for key, argument in arguments.items()
        ]
    return found


@pytest.mark.parametrize("name", preset_names())
def test_points_come_first_and_all_proposals_lie_in_their_domains(name: str) -> None:
    study = load_study(name)
    proposer = Suggester(study, seed=1)
    count = proposer.closed_forms + len(study.points) + 40
    found = searched(proposer, count, lambda configuration: 1 + configuration.training.learning_rate)
    points = [check_point(study, point) for point in study.points]
    if study.sampler in LISTED:
        assert found == points
    else:
        fits = [configuration for configuration in found if not OBJECTIVES[configuration.objective].descends]
        assert found[: len(fits)] == fits
        assert [each for each in points if each not in fits] == found[len(fits) :][: sum(p not in fits for p in points)]
        assert len(found) == count or proposer.used_up
    assert len({configuration.identity for configuration in found}) == len(found)
    for configuration in found:
        assert configuration.objective in study.pairs()[configuration.model]
        for domain, value in domains(study, configuration):
            assert value in domain
    assert {configuration.model for configuration in found} == set(study.models)


def test_trials_are_numbered_from_zero() -> None:
    proposer = Suggester(toy(), seed=1)
    assert [proposer.ask()[0] for _ in range(5)] == [0, 1, 2, 3, 4]


def test_a_point_is_proposed_exactly() -> None:
    point = '[[points]]\nmodel = "vae"\nlatent = 5\nlearning_rate = 0.012345\nl2 = 0.25\nbatch = 96\nbeta = 1.75\n'
    _, first = Suggester(toy(point), seed=1).ask()
    assert (first.model, first.objective) == ("vae", "elbo")
    assert (first.model_arguments["latent"], first.objective_arguments["beta"]) == (5, 1.75)
    assert (first.training.learning_rate, first.training.l2, first.training.batch) == (0.012345, 0.25, 96)


@pytest.mark.parametrize("points", ["", '[[points]]\nmodel = "pushforward"\nwidth = 16\n'])
def test_the_same_seed_and_answers_propose_the_same(points: str) -> None:
    first, second, other = (searched(Suggester(toy(points), seed), 30) for seed in (5, 5, 6))
    assert first == second
    assert first != other


def test_proposals_learn_from_answers() -> None:
    gains = []
    for seed in range(4):
        misfits = [bowl(configuration) for configuration in searched(Suggester(toy(), seed), 60)]
        gains.append(statistics.mean(misfits[:20]) / statistics.mean(misfits[-20:]))
    assert statistics.median(gains) > 1.5
    blind = [bowl(configuration) for configuration in searched(Suggester(toy(), 0), 60, lambda configuration: 1.0)]
    assert statistics.mean(blind[:20]) / statistics.mean(blind[-20:]) < 1.5


def test_stopped_trials_teach() -> None:
    gains = []
    for seed in range(4):
        misfits = [bowl(configuration) for configuration in searched(Suggester(toy(), seed), 60, outcome="stopped")]
        gains.append(statistics.mean(misfits[:20]) / statistics.mean(misfits[-20:]))
    assert statistics.median(gains) > 1.3


@pytest.mark.parametrize("outcome", ["diverged", "failed", "interrupted"])
def test_trials_without_a_result_do_no_harm(outcome: str) -> None:
    proposer = Suggester(toy(), seed=1)
    for trial in range(40):
        number, configuration = proposer.ask()
        if trial % 2:
            proposer.tell(number, outcome, [1e6])
        else:
            proposer.tell(number, "finished", [bowl(configuration)])
    misfits = [bowl(configuration) for configuration in searched(proposer, 20)]
    assert statistics.mean(misfits) < 4


def test_a_trial_may_be_told_twice_or_retried() -> None:
    proposer = Suggester(toy(), seed=1)
    number, configuration = proposer.ask()
    proposer.report(number, 1, 5.0)
    proposer.report(number, 1, 5.0)  # a restarted worker reports its first epochs once more
    proposer.tell(number, "finished", [bowl(configuration)])
    proposer.tell(number, "finished", [bowl(configuration)])
    assert proposer.ask()[0] == number + 1


@pytest.mark.parametrize("sampler", ["tpe", "gp", "nsga2", "quasi-random", "random"])
def test_a_search_that_goes_on_proposes_as_if_it_had_not_been_cut_off(sampler: Any) -> None:
    study = replace(toy(), sampler=sampler)
    whole, cut = Suggester(study, 3), Suggester(study, 3)
    asked = []
    for _ in range(8):
        number, configuration = whole.ask()
        asked.append(configuration)
        whole.report(number, 1, bowl(configuration))
        whole.tell(number, "finished", [bowl(configuration)])
    for number, configuration in enumerate(asked):
        assert cut.ask_again(configuration) == (number, configuration)
        cut.report(number, 1, bowl(configuration))
        cut.tell(number, "finished", [bowl(configuration)])
    following = [whole.ask() for _ in range(4)]
    assert [cut.ask() for _ in range(4)] == following
    assert len({str(configuration) for configuration in [*asked, *(each for _, each in following)]}) > 8


def test_points_are_not_proposed_again() -> None:
    study = toy('[[points]]\nmodel = "vae"\nlatent = 2\n[[points]]\nmodel = "pushforward"\nwidth = 64\n')
    first = Suggester(study, 0)
    asked = [first.ask() for _ in range(len(study.points))]
    again = Suggester(study, 0)
    assert [again.ask_again(configuration) for _, configuration in asked] == asked
    assert again.ask()[1] not in [configuration for _, configuration in asked]


@pytest.mark.parametrize("sampler", ["quasi-random", "random"])
def test_what_does_not_learn_proposes_one_list_whatever_happens(sampler: Any) -> None:
    study = replace(toy(), sampler=sampler)
    eager, patient = Suggester(study, 5), Suggester(study, 5)
    at_once = [eager.ask()[1] for _ in range(10)]
    assert searched(patient, 10, outcome="stopped") == at_once


@pytest.mark.parametrize(
    ("sampler", "trials"), [pytest.param("gp", 30, marks=pytest.mark.slow), ("nsga2", 160), ("cmaes", 80)]
)
def test_other_samplers_learn_too(sampler: Any, trials: int) -> None:
    study = toy()
    learned, by_chance = (
        sum(min(map(bowl, searched(Suggester(replace(study, sampler=name), seed), trials))) for seed in range(3))
        for name in (sampler, "random")
    )
    assert learned < by_chance


def two_goals(sampler: Any, **bounds: float) -> Study:
    return replace(toy(), sampler=sampler, goals=Goals(("ad", "kendall"), bounds))


@pytest.mark.parametrize("sampler", ["tpe", "gp", "nsga2", "random", "quasi-random"])
def test_several_goals_with_every_sampler(sampler: str) -> None:
    proposer = Suggester(two_goals(sampler, overfit=0.6), 0)
    outcomes = ["finished", "stopped", "diverged", "failed", "interrupted"]
    for place in range(25):
        number, configuration = proposer.ask()
        value, outcome = bowl(configuration), outcomes[place % 5]
        if outcome != "failed":
            proposer.report(number, 1, value)
        proposer.tell(number, outcome, [value, 1 / value], {"overfit": value - 2})


def test_with_several_goals_both_ends_of_the_front_are_searched() -> None:
    def goals(configuration: Configuration) -> list[float]:
        rate = math.log10(configuration.training.learning_rate)
        return [(rate + 1) ** 2, (rate + 4) ** 2]

    proposer = Suggester(two_goals("tpe"), 0)
    for _ in range(100):
        number, configuration = proposer.ask()
        proposer.tell(number, "finished", goals(configuration))
    late = [math.log10(proposer.ask()[1].training.learning_rate) for _ in range(30)]
    within = [rate for rate in late if -4.3 < rate < -0.7]  # the front's rates; by chance 72 % would lie there
    assert len(within) >= 26
    assert min(late) < -3
    assert max(late) > -2


def test_of_stopped_trials_with_several_goals_those_that_came_further_teach_more() -> None:
    def searched(good_goes_further: bool) -> float:
        proposer = Suggester(two_goals("tpe"), 1)
        for _ in range(60):
            number, configuration = proposer.ask()
            good = bowl(configuration) < 4
            proposer.report(number, 9 if good == good_goes_further else 3, 5.0)
            proposer.tell(number, "stopped")
        return statistics.mean(bowl(proposer.ask()[1]) for _ in range(20))

    assert searched(True) < searched(False) - 2


def test_what_breaks_a_bound_is_proposed_less() -> None:
    def rates(bound: bool) -> list[float]:
        proposer = Suggester(toy(), 0)
        for _ in range(60):
            number, configuration = proposer.ask()
            violations = math.log10(configuration.training.learning_rate) + 3  # above 0.001 it breaks the bound
            proposer.tell(number, "finished", [bowl(configuration)], {"overfit": violations} if bound else {})
        return [proposer.ask()[1].training.learning_rate for _ in range(30)]

    assert statistics.median(rates(bound=False)) > 3e-3
    assert statistics.median(rates(bound=True)) < 1.5e-3


CLOSED = """
trials = 30
[problem]
name = "gaussian_2d"
[training]
features = ["standard", "quantile_normal"]
learning_rate = { low = 1e-4, high = 1e-2, log = true }
[models.pushforward]
width = [8, 16]
[models.vae]
latent = [1, 2]
[models.gmm]
components = [1, 2, 3]
[models.kde]
bandwidth = { low = 0.1, high = 1.0 }
[objectives.mmd]
[objectives.elbo]
[objectives.likelihood]
"""


def test_closed_forms_come_first_and_take_no_trial_of_a_network() -> None:
    text = CLOSED + '[[points]]\nmodel = "vae"\nlatent = 2\n[[points]]\nmodel = "kde"\nbandwidth = 0.123\n'
    study = parse_study(text, "closed", "closed.toml")
    proposer = Suggester(study, 0)
    assert proposer.closed_forms == 6 + 1 + FITS  # each of gmm; of kde, which has no end, the point and so many others
    found = searched(proposer, proposer.closed_forms + study.budget.trials)
    models = [configuration.model for configuration in found]
    assert models[: 7 + FITS].count("gmm") == 6
    assert models[: 7 + FITS].count("kde") == 1 + FITS
    assert found[0].model_arguments["bandwidth"] == 0.123
    assert models[7 + FITS] == "vae"
    assert set(models[7 + FITS :]) == {"pushforward", "vae"}


def test_a_family_that_is_used_up_is_not_proposed_and_a_search_ends_with_its_space() -> None:
    text = CLOSED.replace("{ low = 1e-4, high = 1e-2, log = true }", "[0.001, 0.01]")
    text = text.replace("bandwidth = { low = 0.1, high = 1.0 }", "bandwidth = [0.1, 0.5]")
    proposer = Suggester(parse_study(text, "closed", "closed.toml"), 0)
    found = searched(proposer, 1000)
    assert proposer.used_up
    counts = Counter(configuration.model for configuration in found)
    assert counts == {"gmm": 2 * 3, "kde": 2 * 2, "pushforward": 2 * 2 * 2, "vae": 2 * 2 * 2}
    assert len({configuration.identity for configuration in found}) == len(found)


def test_of_closed_forms_alone_all_are_trials() -> None:
    study = parse_study(
        '[problem]\nname = "gaussian_2d"\n[models.gmm]\ncomponents = [1, 2]\n[objectives.likelihood]\n',
        "one",
        "one.toml",
    )
    proposer = Suggester(study, 0)
    assert (proposer.closed_forms, len(searched(proposer, 9))) == (0, 2)
