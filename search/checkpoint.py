"""What a trial leaves in storage: its best generator when it has finished, and all that it can go on from before that.

Both are read without unpickling anything.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import final

from safetensors.torch import load, save
from torch import Tensor

from search.events.events import Report
from search.group import Group
from search.storage import Storage
from search.trial import Trial

WEIGHTS, DESCRIPTION, PLUGIN = "weights.safetensors", "model.json", "plugin.py"
STATE, BEST, TOLD = "state/", "best/", "told"


@final
@dataclass(frozen=True)
class Checkpoint:
    """A trial between two epochs: what training goes on from, its best tensors, and what it has told or was about to.

    The reports tell whoever goes on with it what a trainer that died, or was cut off, could not tell any more.
    """

    state: dict[str, Tensor]
    best: dict[str, Tensor]
    reports: Sequence[Report]
    facts: Mapping[str, float]

    @classmethod
    def of(cls, group: Group, trial: Trial) -> "Checkpoint":
        """Checkpoint of a trial in training."""
        return cls(group.keep([trial]).pack.state(), trial.best(), tuple(trial.reports), dict(trial.facts))

    def resumed(self, trial: Trial) -> Group:
        """Group of the trial, where this checkpoint left it."""
        trial.facts = dict(self.facts)
        pack = trial.untrained()
        pack.restore(self.state)
        trial.restore(self.reports, self.best)
        return Group([trial], pack)

    def save(self, place: Storage) -> None:
        """Write it as one file, so that no reader meets half of it."""
        groups = ((STATE, self.state), (BEST, self.best))
        tensors = {prefix + name: tensor for prefix, group in groups for name, tensor in group.items()}
        told = {"reports": [asdict(report) for report in self.reports], "facts": dict(self.facts)}
        place.write(save(tensors, {TOLD: json.dumps(told)}))

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
        told = json.loads(_metadata(content)[TOLD])
        return cls(state, best, [Report(**report) for report in told["reports"]], told["facts"])


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
