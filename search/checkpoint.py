"""What a trial leaves in storage: its best generator when it has finished, and all that it can go on from before that.

Both are read without unpickling anything.
"""

import json
from dataclasses import asdict, dataclass
from typing import final

from safetensors.torch import load, save
from torch import Tensor

from search.group import Group
from search.storage import Storage
from search.trial import Report, Trial

WEIGHTS, DESCRIPTION, PLUGIN = "weights.safetensors", "model.json", "plugin.py"
STATE, BEST, REPORT = "state/", "best/", "report"


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

    def save(self, place: Storage) -> None:
        """Write it as one file, so that no reader meets half of it."""
        groups = ((STATE, self.state), (BEST, self.best))
        tensors = {prefix + name: tensor for prefix, group in groups for name, tensor in group.items()}
        place.write(save(tensors, {REPORT: json.dumps(asdict(self.report))}))

    @classmethod
    def load(cls, place: Storage) -> "Checkpoint | None":
        """Checkpoint of a file, if there is one."""
        content = place.read()
        if content is None:
            return None
        tensors = load(content)
        state, best = (
            {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
            for prefix in (STATE, BEST)
        )
        return cls(state, Report(**json.loads(_metadata(content)[REPORT])), best)


def save_best(trial: Trial, place: Storage) -> None:
    """Write the generator of a trial's best checkpoint: tensors, what makes it of them, and the code of a plug-in."""
    place.at(WEIGHTS).write(save(trial.best()))
    place.at(DESCRIPTION).write(json.dumps(trial.described(), indent=2).encode())
    source = trial.task.sources.get(trial.configuration.model)
    if source:
        place.at(PLUGIN).write(source.encode())


def _metadata(content: bytes) -> dict[str, str]:
    """Text that stands beside the tensors: in the JSON header, whose length the first eight bytes are."""
    length = int.from_bytes(content[:8], "little")
    metadata: dict[str, str] = json.loads(content[8 : 8 + length])["__metadata__"]
    return metadata
