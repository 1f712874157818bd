"""A trial of plain Ray Tune: the loop of `plain.py` in a class that Tune reuses, judged as genseek judges."""

import time
from typing import Any

import torch
from plain import Training
from ray import tune

from objectives import Judge
from search.train.context import TrialContext


class PlainTrial(tune.Trainable):
    """Trains until the next evaluation and judges there, once a step; the best checkpoint counts, as in genseek."""

    epoch: int
    misfit: float

    def setup(self, config: dict[str, Any], task: TrialContext | None = None, test_judge: Judge | None = None) -> None:
        """Get rows and judges, which Tune puts into its object store once."""
        assert task is not None
        torch.set_num_threads(1)
        self.task, self.test_judge = task, test_judge
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin another trial in this actor."""
        self._begin(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Train until the next evaluation, and judge."""
        until = next(epoch for epoch in self.task.evaluations if epoch > self.epoch)
        for _ in range(until - self.epoch):
            self.training.epoch()
        self.epoch = until
        evaluation = self._judged(self.task.judge, len(self.task.rows.validation))
        if evaluation < self.misfit:
            self.misfit, self.best = evaluation, self.training.weights()
        report = {"epoch": until, "misfit": min(self.misfit, 1e6), "moment": time.time()}
        done = until >= self.task.epochs
        if done and self.test_judge is not None:
            self.training.model.load_state_dict(self.best)
            report["test"] = self._judged(self.test_judge, len(self.task.rows.test))
        return report | {"done": done}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing to keep: genseek's files are its own business."""

    def _begin(self, config: dict[str, Any]) -> None:
        self.featured = self.task.featured(config.get("features", "standard"), "cpu")
        self.training = Training(config, self.featured.train, self.task.epochs, config.get("seed", 0))
        self.epoch, self.misfit, self.best = 0, float("inf"), self.training.weights()

    def _judged(self, judge: Judge, rows: int) -> float:
        return judge(self.training.draws(self.featured.features, self.task.eval_samples, rows)).misfit
