"""What a trial leaves on disk: its best generator when it has finished, and all that it can go on from before that."""

import json
import shutil
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import final

from safetensors.torch import load_file, save_file
from torch import Tensor

from search.group import Group
from search.trial import Report, Trial

WEIGHTS, DESCRIPTION, PLUGIN = "weights.safetensors", "model.json", "plugin.py"
STATE, BEST, REPORT = "state.safetensors", "best.safetensors", "report.json"


@final
@dataclass(frozen=True)
class Checkpoint:
    """A trial between two epochs: what training goes on from, its last report, and its best tensors."""

    state: dict[str, Tensor]
    report: Report
    best: dict[str, Tensor]

    @classmethod
    def of(cls, group: Group, trial: Trial) -> "Checkpoint":
        """Checkpoint of a trial in training."""
        return cls(group.keep([trial]).pack.state(), trial.report, trial.best())

    def resumed(self, trial: Trial) -> Group:
        """Group of the trial, where this checkpoint left it."""
        pack = trial.untrained()
        pack.restore(self.state)
        trial.restore(self.report, self.best)
        return Group([trial], pack)

    def save(self, folder: Path) -> None:
        """Write it to a folder, whole or not at all, whoever else may write there."""
        fresh = folder.with_name(f"{folder.name}.{uuid.uuid4().hex}")
        try:
            fresh.mkdir(parents=True)
            save_file(self.state, fresh / STATE)
            save_file(self.best, fresh / BEST)
            (fresh / REPORT).write_text(json.dumps(asdict(self.report)))
            shutil.rmtree(folder, ignore_errors=True)
            fresh.rename(folder)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)

    @classmethod
    def load(cls, folder: Path) -> "Checkpoint | None":
        """Checkpoint of a folder, if there is one."""
        try:
            report = Report(**json.loads((folder / REPORT).read_text()))
            return cls(load_file(folder / STATE), report, load_file(folder / BEST))
        except FileNotFoundError:
            return None  # there is none, or a trainer that nobody hears any more replaces it just now


def save_best(trial: Trial, folder: Path) -> None:
    """Write the generator of a trial's best checkpoint: tensors, what makes it of them, and the code of a plug-in."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(trial.best(), folder / WEIGHTS)
    (folder / DESCRIPTION).write_text(json.dumps(trial.described(), indent=2))
    source = trial.task.sources.get(trial.configuration.model)
    if source:
        (folder / PLUGIN).write_text(source, encoding="utf-8")
