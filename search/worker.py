"""A trial in a Ray worker."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from ray import tune
from safetensors.torch import save_file

from search.configuration import Configuration
from search.trial import WORST, Task, Trial

WEIGHTS, DESCRIPTION, PLUGIN = "weights.safetensors", "model.json", "plugin.py"


class TuneTrial(tune.Trainable):
    """One trial in a Ray actor; the actor is reused for the next trial when this one ends."""

    def setup(self, config: dict[str, Any], task: Task | None = None, cpus: float = 1, gpus: float = 0) -> None:
        """Build the trial; `task` comes through the object store, once a worker."""
        assert task is not None
        self._task, self._device = task, "cuda" if gpus > 0 and torch.cuda.is_available() else "cpu"
        torch.set_num_threads(max(1, int(cpus)))
        self._build(config)

    def step(self) -> dict[str, Any]:
        """Train to the next evaluation."""
        report = self._trial.advance()
        finished = report.epoch >= self._task.epochs
        return {
            "epoch": report.epoch,
            "fit": WORST if report.diverged else report.fit,
            "diverged": report.diverged,
            "report": asdict(report),
            "facts": self._trial.facts,
            "done": finished or report.diverged,
            "should_checkpoint": finished and not report.diverged,
        }

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Write the best checkpoint: tensors, what makes a generator of them, and the code of a plug-in."""
        save_file(self._trial.best(), Path(checkpoint_dir) / WEIGHTS)
        (Path(checkpoint_dir) / DESCRIPTION).write_text(json.dumps(self._trial.described(), indent=2))
        source = self._task.sources.get(self._trial.configuration.model)
        if source:
            (Path(checkpoint_dir) / PLUGIN).write_text(source, encoding="utf-8")

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Build the next trial in this actor."""
        self._build(new_config)
        return True

    def _build(self, config: dict[str, Any]) -> None:
        configuration = Configuration.from_nested(config["configuration"])
        self._trial = Trial(configuration, self._task, config["seed"], self._device)
