"""A group: its trials report what they would alone, whoever trains beside them, however they are judged."""

import math
from collections.abc import Sequence
from statistics import fmean, pstdev
from typing import Any

import numpy as np
import pytest
import torch

from search.events.events import Report
from search.study.configuration import Configuration, Training
from search.study.goals import WORST
from search.train import group as group_module
from search.train.context import draw_samples
from search.train.group import Checkpoint, Group
from search.train.trial import Trial, rebuilt


def configuration(model: str, objective: str, training: dict[str, Any], **arguments: Any) -> Configuration:
    of_model, of_objective = (
        {key: value for key, value in arguments.items() if key.startswith("critic") is critic}
        for critic in (False, True)
    )
    return Configuration(
        model=model,
        objective=objective,
        model_arguments=of_model,
        objective_arguments=of_objective,
        training=Training(**{"batch": 20, "learning_rate": 0.01, **training}),
    )


FAMILIES: dict[str, list[Configuration]] = {
    "map": [
        configuration("pushforward", "mmd", {}, width=4, depth=3),
        configuration("pushforward", "mmd", {"optimizer": "sgd", "l1": 0.02}, width=16, depth=1, noise=2),
        configuration("pushforward", "mmd", {"average": 0.9, "l1": 0.3, "clip": 0.5}, width=9, depth=2),
        configuration("pushforward", "mmd", {"schedule": "cosine", "features": "quantile_normal"}, width=4, depth=1),
    ],
    "critic": [
        configuration("pushforward", "gan", {"learning_rate": 0.001}, width=6, critic_width=5, critic_depth=1),
        configuration("pushforward", "gan", {"optimizer": "sgd"}, width=12, critic_width=11, critic_steps=2),
    ],
    "autoencoder": [
        configuration("vae", "elbo", {}, latent=1, encoder_width=4, decoder_width=16, decoder_depth=1),
        configuration("vae", "elbo", {"l2": 0.1, "optimizer": "sgd"}, latent=3, encoder_width=9, sigma=0.2),
        configuration("vae", "elbo", {"l1": 0.02}, latent=2, encoder_width=6, dropout=0.3, learn_sigma=True),
    ],
    "concluded": [
        configuration("ae", "reconstruction", {"average": 0.5}, latent=1, encoder_width=6, decoder_width=6),
        configuration("ae", "reconstruction", {}, latent=2, encoder_width=8, decoder_width=4),
    ],
    "closed form": [
        configuration("gmm", "likelihood", {}, components=2),
        configuration("gmm", "likelihood", {}, components=5, covariance="diag"),
    ],
}


def trials_of(family: str, task: Any) -> list[Trial]:
    return [Trial(chosen, task, 7 + number) for number, chosen in enumerate(FAMILIES[family])]


def histories(group: Group, until: int = 6) -> dict[Trial, list[Report]]:
    """What each trial of a group reports on its way to an epoch."""
    found: dict[Trial, list[Report]] = {trial: [] for trial in group.trials}
    while min(map(group.epoch, group.trials)) < until:
        for trial in group.advance():
            found[trial].append(trial.report)
    return found


def alone(trial: Trial, task: Any | None = None) -> list[Report]:
    """What a trial of the same configuration and seed reports when nobody trains beside it."""
    again = Trial(trial.configuration, task or trial.task, trial.seed)
    return histories(Group.of(again))[again]


def samples(group: Group, trial: Trial) -> Any:
    kept = group.keep([trial]).pack
    return draw_samples(kept.averaged, [trial.featured.features] * len(kept.seeds), 1, 60, seeds=kept.seeds)


@pytest.mark.parametrize("family", FAMILIES)
def test_trials_in_company_equal_those_alone(family: str, make_task: Any, assert_alike: Any) -> None:
    trials = trials_of(family, make_task())
    company = Group.join([Group.of(trial) for trial in trials])
    told = histories(company)
    for trial in trials:
        assert_alike(told[trial], alone(trial))
        single = Group.of(Trial(trial.configuration, trial.task, trial.seed))
        histories(single)
        if family != "concluded":
            expected = samples(single, single.trials[0])
            np.testing.assert_allclose(samples(company, trial), expected, rtol=2e-3, atol=2e-4)
    assert len({told[trial][-1].epoch_misfit for trial in trials}) == len(trials)


def test_a_closed_form_is_judged_once(make_task: Any) -> None:
    told = histories(Group.join([Group.of(trial) for trial in trials_of("closed form", make_task())]))
    assert [[report.epoch for report in own] for own in told.values()] == [[6], [6]]


def test_padding_is_no_weight(make_task: Any) -> None:
    trials = trials_of("map", make_task())
    narrow, spare = trials[0], trials[2]
    told = histories(Group.join([Group.of(trial) for trial in trials]))
    assert [report.zeros for report in told[narrow]] == [0.0] * 4  # no penalty, no zeros
    assert told[spare][-1].zeros == alone(spare)[-1].zeros > 0
    pack = Group.of(Trial(narrow.configuration, narrow.task, narrow.seed)).pack
    weights = [value.flatten() for name, value in pack.model.named_parameters() if name.endswith("weight")]
    assert narrow.weights == sum(map(len, weights))


def test_trials_join_midway_and_leave(make_task: Any, assert_alike: Any) -> None:
    early, late, brief, last = trials_of("map", make_task())
    told: dict[Trial, list[Report]] = {trial: [] for trial in (early, late, brief, last)}

    def advance(group: Group, epochs: int) -> None:
        for _ in range(epochs):
            for trial in group.advance():
                told[trial].append(trial.report)

    group = Group.of(early)
    advance(group, 3)
    group = Group.join([group, Group.of(brief), Group.of(late)])
    advance(group, 2)
    assert [group.epoch(trial) for trial in (early, brief, late)] == [5, 2, 2]
    group = Group.join([group.keep([late, early]), Group.of(last)])
    advance(group, 1)
    group = group.keep([last, late])
    advance(group, 3)
    advance(group.keep([last]), 2)
    for trial in (early, late, last):
        assert_alike(told[trial], alone(trial))
    assert_alike(told[brief], alone(brief)[:2])


def test_keep_leaves_the_others_and_their_reports(make_task: Any) -> None:
    trials = trials_of("map", make_task())
    group = Group.join([Group.of(trial) for trial in trials])
    assert group.keep(group.trials) is group
    assert Group.join([group]) is group
    kept = group.keep(trials[1:3])
    assert (kept.trials, len(kept.pack.rows)) == (trials[1:3], 2)
    kept.advance()
    assert group.epoch(trials[1]) == 0
    assert trials[1].report.epoch == 1
    assert trials[0].report.epoch == 0


def test_those_of_one_name_stand_together(make_task: Any, assert_alike: Any) -> None:
    names = ("tanh", "relu", "tanh", "silu", "relu")
    chosen = [configuration("pushforward", "mmd", {}, width=4 + place, activation=a) for place, a in enumerate(names)]
    task = make_task()
    trials = [Trial(each, task, seed) for seed, each in enumerate(chosen)]
    group = Group.join([Group.join([Group.of(trial) for trial in trials[:3]]), *map(Group.of, trials[3:])])
    model: Any = group.pack.model
    assert model.network.activation == ("relu", "relu", "silu", "tanh", "tanh")
    told = histories(group)
    for trial in trials:
        assert_alike(told[trial], alone(trial))


@pytest.mark.parametrize("family", ["map", "concluded", "critic"])
def test_judged_in_batches_or_at_once(
    family: str, make_task: Any, assert_alike: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    class Counting:
        def __init__(self, judge: Any) -> None:
            self.judge = judge

        def each(self, generated: Any) -> Any:
            sizes.append(len(generated))
            return self.judge.each(generated)

    task = make_task(judge=Counting(make_task().judge))
    told = []
    for pairs in (1, 60**2 * 3, 2**22):
        monkeypatch.setattr(group_module, "JUDGED_PAIRS", pairs)
        sizes.clear()
        trials = trials_of(family, task)
        told.append(histories(Group.join([Group.of(trial) for trial in trials])))
        most = {1: 1, 60**2 * 3: min(3, len(trials)), 2**22: len(trials)}[pairs]
        assert (max(sizes), sum(sizes)) == (most, 4 * len(trials))
    for one, some, every in zip(*(each.values() for each in told), strict=True):
        assert_alike(one, every)
        assert_alike(some, every)


def test_trials_of_different_tasks_have_judges_of_their_own(make_task: Any, assert_alike: Any) -> None:
    task = make_task()
    shifted = make_task(judge=Shifted(task.judge))
    trials = [Trial(chosen, own, 3) for chosen, own in zip(FAMILIES["map"], (task, shifted, task, task), strict=True)]
    told = histories(Group.join([Group.of(trial) for trial in trials]))
    for trial in trials:
        assert_alike(told[trial], alone(trial))
    unmoved = alone(trials[1], task)
    assert told[trials[1]][-1].epoch_scores["ad"] != pytest.approx(unmoved[-1].epoch_scores["ad"], rel=0.1)


class Shifted:
    """Judges rows that lie one unit further on."""

    def __init__(self, judge: Any) -> None:
        self.judge = judge

    def each(self, generated: Any) -> Any:
        return self.judge.each(np.asarray(generated) + 1)


@pytest.mark.parametrize("family", ["map", "critic", "autoencoder", "closed form"])
def test_replicas_of_one_trial_equal_trials_with_their_seeds(family: str, make_task: Any, assert_alike: Any) -> None:
    double, single = make_task(replicas=3), make_task()
    trials = trials_of(family, double)
    told = histories(Group.join([Group.of(trial) for trial in trials]))
    for trial in trials:
        assert len(set(trial.seeds)) == 3
        assert trial.seeds[0] == trial.seed
        apart = [alone(Trial(trial.configuration, single, seed)) for seed in trial.seeds]
        best, best_of = math.inf, 0
        for report, *own in zip(told[trial], *apart, strict=True):
            assert report.loss == pytest.approx(fmean(each.loss for each in own), rel=1e-3, abs=1e-4)
            assert report.zeros == pytest.approx(fmean(each.zeros for each in own), rel=1e-3)
            misfits = [each.epoch_misfit for each in own]
            assert report.epoch_misfit == pytest.approx(fmean(misfits), rel=0.03)
            for name, value in report.epoch_scores.items():
                assert value == pytest.approx(fmean(each.epoch_scores[name] for each in own), rel=0.03, abs=0.01)
            if fmean(misfits) < best:
                best, best_of = fmean(misfits), misfits.index(min(misfits))
                spread = {"misfit": pstdev(misfits)} | {
                    name: pstdev(each.epoch_scores[name] for each in own) for name in report.epoch_scores
                }
            assert report.misfit == pytest.approx(best, rel=0.03)
            assert report.spread == pytest.approx(spread, rel=0.1, abs=0.01)
        best_epoch = told[trial][-1].best_epoch
        again = Trial(trial.configuration, make_task((best_epoch,), epochs=6), trial.seeds[best_of])
        histories(Group.of(again), best_epoch)
        ours, theirs = (rebuilt(each.to_dict(), each.best()).sample(40, 3).numpy() for each in (trial, again))
        np.testing.assert_allclose(ours, theirs, rtol=2e-3, atol=2e-3)


def test_one_network_has_no_spread(make_task: Any) -> None:
    (trial, *_) = trials_of("map", make_task())
    assert alone(trial)[-1].spread == {}


@pytest.mark.parametrize("replicas", [1, 2])
def test_a_diverged_trial_harms_no_other(replicas: int, make_task: Any, assert_alike: Any) -> None:
    task = make_task(replicas=replicas)
    wild = configuration("vae", "elbo", {"learning_rate": 1e30, "optimizer": "sgd"}, latent=2, encoder_width=5)
    trials = [*trials_of("autoencoder", task), Trial(wild, task, 1)]
    group = Group.join([Group.of(trial) for trial in (trials[0], trials[3], trials[1], trials[2])])
    told = histories(group)
    for trial in trials[:3]:
        assert_alike(told[trial], alone(trial))
    assert {report.diverged for report in told[trials[3]]} == {True}
    assert told[trials[3]][0].epoch == alone(trials[3])[0].epoch
    assert told[trials[3]][0].misfit == WORST


def test_a_replica_that_diverges_ends_its_trial(make_task: Any) -> None:
    trial = Trial(FAMILIES["map"][0], make_task(replicas=2), 1)
    group = Group.of(trial)
    assert group.advance() == [trial]
    first = trial.report
    with torch.no_grad():
        for parameter in group.pack.model.parameters():
            parameter[1] = math.nan
    assert group.advance() == [trial]
    assert trial.report.diverged
    assert not math.isfinite(trial.report.loss)
    assert (trial.report.misfit, trial.report.scores, trial.report.spread) == (first.misfit, first.scores, first.spread)
    assert torch.isfinite(rebuilt(trial.to_dict(), trial.best()).sample(20)).all()


def test_samples_that_are_no_numbers_are_no_error(make_task: Any) -> None:
    class Lost:
        def each(self, generated: Any) -> Any:
            return judge.each(np.full_like(generated, math.nan))

    judge = make_task().judge
    for replicas in (1, 2):
        trial = Trial(FAMILIES["map"][0], make_task(judge=Lost(), replicas=replicas), 1)
        told = alone(trial)
        assert [(report.misfit, report.best_epoch, report.diverged) for report in told] == [(WORST, 0, False)] * 4


@pytest.mark.parametrize("family", FAMILIES)
def test_a_group_of_checkpoints_goes_on_to_the_last_bit(family: str, make_task: Any) -> None:
    trials = trials_of(family, make_task())
    group = Group.join([Group.of(trial) for trial in trials])
    histories(group, 3)
    saved = [Checkpoint.of(group, trial) for trial in trials]
    again = [Trial(trial.configuration, trial.task, trial.seed) for trial in trials]
    resumed = Group.join([each.resumed(trial) for each, trial in zip(saved, again, strict=True)])
    assert [trial.report for trial in again] == [trial.report for trial in trials]
    assert same(histories(resumed).values(), histories(group).values())
    for name, tensor in group.pack.state().items():
        assert torch.equal(tensor, resumed.pack.state()[name]), name


def same(first: Any, second: Any) -> bool:
    """Equal to the last bit, nan included."""

    def plain(histories: Sequence[Sequence[Report]]) -> list[str]:
        return [repr(report) for own in histories for report in own]

    return plain(list(first)) == plain(list(second))


def test_samples_are_those_of_the_seed(make_task: Any) -> None:
    pairs = [Trial(FAMILIES["map"][0], make_task(), 7) for _ in range(2)]
    group = Group.join([Group.of(trial) for trial in pairs])  # the same network twice
    features = [trial.featured.features for trial in pairs]
    first, turned, alike = (
        draw_samples(group.pack.averaged, features, 3, 30, seeds=seeds) for seeds in ([7, 8], [8, 7], [7, 7])
    )
    assert first.shape == (2, 3, 30, 2)
    np.testing.assert_array_equal(first, turned[::-1])
    np.testing.assert_array_equal(alike[0], alike[1])
    assert len(np.unique(first.round(9).reshape(-1, 2), axis=0)) == 2 * 3 * 30
