"""The ways of throughput.py do the same work: the same trials, with the same results where the loop is the same."""

from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


@pytest.mark.slow
def test_optuna_and_tune_train_the_same_trials_to_the_same_misfits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cases import configurations, listed, plainly, task
    from plain_trial import PlainTrial
    from throughput import with_optuna

    # The processes that it starts look for these files as well.
    monkeypatch.setenv("PYTHONPATH", str(BENCHMARKS))
    study = listed("VAE", 3, 2)
    shared = task(study)
    alone = []
    for seed, configuration in enumerate(configurations(study)):
        trial = PlainTrial.__new__(PlainTrial)  # Tune's own constructor wants a Ray
        trial.setup(plainly(configuration) | {"seed": seed}, task=shared)
        report = trial.step()
        assert report["done"] and report["epoch"] == 2
        alone.append(report["misfit"])
    assert sorted(with_optuna(study, shared, tmp_path)) == pytest.approx(sorted(alone))


def test_a_trial_of_plain_tune_keeps_its_best_weights_and_tests_them() -> None:
    from dataclasses import replace

    import torch
    from cases import configurations, listed, plainly, task
    from plain_trial import PlainTrial

    study = listed("f1", 2, 4)
    shared = replace(task(study), evaluations=[1, 2, 4], eval_samples=1)
    configuration = plainly(configurations(study)[1]) | {"learning_rate": 0.1, "seed": 0}
    trial = PlainTrial.__new__(PlainTrial)
    trial.setup(configuration, task=shared, test_judge=shared.judge)
    reports, weights = [], []
    for _ in range(3):
        reports.append(trial.step())
        weights.append(trial.training.weights())
    assert [report["epoch"] for report in reports] == [1, 2, 4]
    assert [report["done"] for report in reports] == [False, False, True]
    misfits = [report["misfit"] for report in reports]
    assert misfits == sorted(misfits, reverse=True)
    assert "test" in reports[-1] and "test" not in reports[0]
    assert all(torch.equal(value, trial.best[name]) for name, value in trial.training.weights().items())
    assert trial.reset_config(configuration)
    assert (trial.epoch, trial.misfit) == (0, float("inf"))
