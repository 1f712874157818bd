"""Trainers on a GPU: the same reports as on a core, and what they do when its memory is full."""

from typing import Any

import pytest
import torch

from models import Shape
from objectives import judge_for
from objectives.problems.known import Gaussian2D
from search.events.messages import TrialUpdate
from search.study.configuration import Configuration, Training
from search.train.context import TrialContext
from search.train.stacking import Machine, Stacking
from search.train.trainer import Trainer
from search.train.trial import Trial

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU"),
]

EPOCHS = 6
PAIRS = {"pushforward": "mmd", "vae": "elbo"}


def task() -> TrialContext:
    problem = Gaussian2D(train=200, validation=100, test=100)
    rows = problem.rows(0)
    judge = judge_for(problem, rows.train, rows.validation, 100, repeats=20)
    return TrialContext(
        rows=rows,
        columns=("a", "b"),
        shape=Shape(2, "normal", 2),
        judge=judge,
        epochs=EPOCHS,
        evaluations=(2, EPOCHS),
        eval_samples=2,
    )


def trained(device: str, widths: list[int]) -> dict[int, TrialUpdate]:
    shared, trainer = task(), Trainer(Stacking(Machine.measured(device)))
    for number, width in enumerate(widths):
        model = ("pushforward", "vae")[number % 2]
        own: dict[str, Any] = {"width": width} if model == "pushforward" else {"decoder_width": width}
        chosen = Configuration(
            model=model, objective=PAIRS[model], model_arguments=own, training=Training(batch=20, learning_rate=1e-3)
        )
        trainer.add(number, Trial(chosen, shared, number, device))
    last: dict[int, TrialUpdate] = {}
    while trainer.trials:
        for told in trainer.advance():
            last[told.trial] = told
            if told.error or told.report.epoch >= EPOCHS:
                trainer.remove([told.trial])
    return last


def test_a_trainer_on_a_gpu_reports_what_one_on_a_core_does() -> None:
    widths = [8, 16, 32, 8, 64, 16]
    ours, theirs = trained("cuda", widths), trained("cpu", widths)
    assert set(ours) == set(theirs) == set(range(6))
    for number, told in ours.items():
        assert told.report.loss == pytest.approx(theirs[number].report.loss, rel=1e-2, abs=1e-3)
        assert told.report.misfit == pytest.approx(theirs[number].report.misfit, rel=5e-2)


def test_a_full_memory_spares_the_trials_that_fit() -> None:
    free = torch.cuda.mem_get_info()[0]
    taken = torch.empty(max(0, free - 2**28), dtype=torch.uint8, device="cuda")
    last = trained("cuda", [8, 16, 16_384, 8])
    del taken
    assert all(not last[number].error for number in (0, 1, 3))
    assert "out of memory" in last[2].error
