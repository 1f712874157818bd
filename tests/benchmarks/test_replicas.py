"""Replicas stacked over seeds and configurations are those that a search would train one by one."""

from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
STUDY = """
epochs = 6
grace = 3
evaluations = 2
eval_samples = 2
sampler = "points"

[problem]
name = "gaussian_2d"
train = 100
validation = 60
test = 60

[training]
batch = [20, 25]
learning_rate = 0.01

[models.pushforward]
width = [4, 8]

[models.gaussian]

[objectives.mmd]

[objectives.likelihood]

[[points]]
width = 8

[[points]]
model = "gaussian"

[[points]]
width = 4

[[points]]
width = 4
batch = 25
"""


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def test_stacked_replicas_equal_trials_alone() -> None:
    from replicas import prepared, replicated

    from models.noise import hashed_seed
    from search.study.parse import parse_study
    from search.study.study import check_point
    from search.train.group import Group
    from search.train.trial import Trial

    study = parse_study(STUDY, "tiny", "tiny.toml")
    configurations = [check_point(study, point) for point in study.points]
    found = replicated(study, configurations, [3, 4], keep_best=True)
    assert [(r.configuration, r.seed) for r in found] == [(c, seed) for c in configurations for seed in (3, 4)]
    for replica in found:
        task, judge = prepared(study, replica.seed)
        trial = Trial(replica.configuration, task, hashed_seed(replica.seed, "replica"))
        group, alone = Group.of(trial), []
        while group.epoch(trial) < 6:
            if group.advance():
                alone.append(trial.report)
        assert alone[-1].epoch == 6
        for report, other in zip(alone, replica.curve, strict=True):
            assert report.loss == pytest.approx(other.loss, abs=1e-4)
            assert report.epoch_scores == pytest.approx(other.epoch_scores, rel=0.05, abs=0.02)
        rows = replica.generator().sample(len(task.rows.test)).numpy()
        assert rows.shape == (60, 2)
        assert set(replica.evaluation.values) == set(judge.floors)
        assert len(replica.test_losses) == len(replica.curve)


def test_the_last_weights_are_judged_where_that_was_published() -> None:
    from replicas import replicated

    from search.study.parse import parse_study
    from search.study.study import check_point

    study = parse_study(STUDY, "tiny", "tiny.toml")
    configuration = check_point(study, {"width": 8})
    best, last = (replicated(study, [configuration], [3], keep_best=keep)[0] for keep in (True, False))
    assert best.curve == last.curve
    same = best.curve[-1].best_epoch == best.curve[-1].epoch
    assert (best.evaluation.values == last.evaluation.values) is same


def test_published_points_exist() -> None:
    from published import FAMILIES, PUBLISHED

    from objectives import PROBLEMS, SCORES
    from search.study.parse import load_study

    for claim in PUBLISHED:
        study = load_study(claim.study)
        assert claim.point < len(study.points)
        assert study.problem == claim.problem
        assert set(claim.scores) <= set(study.scores) <= set(SCORES)
        assert set(claim.scores) <= set(load_study(claim.problem).scores)
    assert set(FAMILIES) <= set(PROBLEMS)
