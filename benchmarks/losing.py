"""Where stacking could lose: steps that are large already. Stacked as measured (auto) beside one by one (off)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from page import table
from steps import least

from models import Shape
from objectives import Evaluation, Rows
from search.study.parse import parse_study
from search.study.study import check_point
from search.train.context import TrialContext
from search.train.stacking import Machine, Stacking
from search.train.trainer import Trainer
from search.train.trial import Trial


@dataclass(frozen=True)
class Case:
    """Networks to train: columns of the data, training rows, epochs, batch, and the model's own keys."""

    title: str
    columns: int
    rows: int
    epochs: int
    batch: int
    model: str
    keys: dict[str, int]


OBJECTIVES = {"pushforward": "mmd", "vae": "elbo"}
IMAGES = {"latent": 16, "encoder_width": 256, "encoder_depth": 1, "decoder_width": 256, "decoder_depth": 1}
CASES = (
    Case("2-64-64-2, MMD, batch 64", 2, 640, 24, 64, "pushforward", {"width": 64, "depth": 2}),
    Case("2-64-64-2, MMD, batch 512", 2, 1024, 12, 512, "pushforward", {"width": 64, "depth": 2}),
    Case("2-256-256-2, MMD, batch 256", 2, 1024, 12, 256, "pushforward", {"width": 256, "depth": 2}),
    Case("VAE 784-256-16-256-784, batch 32", 784, 320, 12, 32, "vae", IMAGES),
    Case("VAE 784-256-16-256-784, batch 256", 784, 1024, 8, 256, "vae", IMAGES),
)


class Indifferent:
    """Stands for a judge where only training is measured."""

    def each(self, generated: "np.ndarray[Any, Any]") -> list[Evaluation]:
        """The same evaluation on all."""
        return [Evaluation({}, 1.0, {})] * len(generated)


def losing_table(trials: int, rounds: int) -> str:
    """Processor seconds of training all trials in one trainer, off and auto, and their ratio."""
    machine = Machine.measured("cpu")
    off, auto = Stacking(machine, 1), Stacking(machine, None)
    rows = []
    for case in CASES:
        calls = [lambda case=case, how=how: drained(made(case, trials), how) for how in (off, auto)]
        seconds = least(calls, rounds)
        most = drained(made(case, trials), auto)
        rows.append([case.title, *(f"{each:.2f}" for each in seconds), f"{seconds[1] / seconds[0]:.2f}", f"{most}"])
    return table(["networks", "off, s", "auto, s", "auto / off", "networks at once"], rows)


def drained(trials: list[Trial], stacking: Stacking) -> int:
    """Train all trials to their end, as a trainer that asks for more when it has room; the most that it had at once.

    Raises:
        RuntimeError: a trial failed.
    """
    trainer, waiting, most = Trainer(stacking), list(enumerate(trials)), 0
    while waiting or trainer.trials:
        for number, trial in waiting[: max(0, trainer.room)]:
            trainer.add(number, trial)
        waiting = [each for each in waiting if each[0] not in trainer.trials]
        ended = trainer.advance()
        most = max(most, trainer.training)
        if any(each.error for each in ended):
            raise RuntimeError(ended[0].error)
        waiting = [each for each in waiting if each[0] not in [told.trial for told in ended]]
        trainer.remove([each.trial for each in ended])
    return most


def made(case: Case, trials: int) -> list[Trial]:
    """Trials of a case on rows of noise, judged once, by a judge to whom all are alike."""
    keys = "\n".join(f"{name} = {value}" for name, value in case.keys.items())
    objective = OBJECTIVES[case.model]
    text = f'[problem]\nname = "gaussian_2d"\n[training]\nbatch = {case.batch}\n[models.{case.model}]\n{keys}\n'
    configuration = check_point(parse_study(f"{text}[objectives.{objective}]\n", "losing", "losing"), {})
    noise = np.random.default_rng(0).standard_normal((case.rows, case.columns))
    columns, shape = tuple(map(str, range(case.columns))), Shape(case.columns, "normal", case.columns)
    judge: Any = Indifferent()
    task = TrialContext(
        rows=Rows(noise, noise[:2], noise[:2]),
        columns=columns,
        shape=shape,
        judge=judge,
        epochs=case.epochs,
        evaluations=(case.epochs,),
        eval_samples=1,
    )
    return [Trial(configuration, task, seed) for seed in range(trials)]
