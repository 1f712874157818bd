"""Names of tags, metrics, parameters and artifacts in the record, and the keys that a search varies.

MLflow's axes are linear, and it sorts and filters parameters as text. So numbers that a study searches are recorded as
metrics too, and numbers on a logarithmic scale also as logarithms.
"""

import math
from dataclasses import dataclass
from typing import Any

from search.rank.leaderboard import Entry
from search.study.configuration import Configuration
from search.study.space import Fixed, Range
from search.study.study import Study, pair_spaces

# Tags of every run.
KIND = "genseek.kind"  # "search" (a parent run) or "trial" (a child run of it)
PARENT = "mlflow.parentRunId"
DESCRIPTION = "mlflow.note.content"  # MLflow's UI shows it as the run's description
ERROR = "genseek.error"  # of a failed trial, or of a search whose trainers kept dying
WINNER = "genseek.winner"  # of a search or a model's version: the winner's run; of a trial: whether it won
# Tags of a search.
FORMAT_TAG = "genseek.format"  # format of the record
DATA_SHA256 = "genseek.data_sha256"
TRIALS = "genseek.trials"  # to try and, of a finished search, that were tried; closed-form fits are among them
CONFIRMED_OF = "genseek.confirmed"  # number of trials from which the finalists were chosen
# Tags of a trial.
TRIAL, CONFIGURATION, NODE = "genseek.trial", "genseek.configuration", "genseek.node"
OUTCOME, RUNNING = "genseek.outcome", "running"  # its outcome, and the value before it has ended
MISSING = "genseek.missing"  # parts that the store refused
VERDICT = "genseek.finalist"
REFITTED = "genseek.refitted"  # of a winner: the number of rows that its network was trained on once more
FRONT = "genseek.front"  # of trials at full budget, if a search has several goals
# Tags of a version of a registered model.
PROBLEM, SEARCH, VERSION = "genseek.problem", "genseek.search", "genseek.version"
JUDGED, LOST_TO = "genseek.judged", "genseek.lost_to"
CONFIRMED_FIGURE = "genseek.confirmed_{}"  # misfit, low and high
# Groups of metrics, with folded charts. Scores of the best checkpoint have plain names, without a group.
GROUPS = ("config", "confirmed", "epoch", "loss", "network", "spread", "test")
CONFIG, CONFIRMED, EPOCH, LOSS, NETWORK, SPREAD, TEST = GROUPS  # `confirmed` is also a folder of artifacts
# Artifacts of a search, and of a trial or a finalist.
SUMMARY, REPORT = "search.json", "report.html"
CHECKPOINT, REFIT, SAMPLES, ASYMMETRY = "checkpoint", "refit", "samples.png", "asymmetry.png"

ALWAYS = ("latent", "sigma", "lambda")  # numbers recorded as metrics even if they are not searched
EQUAL = 0.1  # in log2 of encoder over decoder parameters: 7 % more or fewer count as equal


@dataclass(frozen=True, kw_only=True)
class Axes:
    """Keys of a study that have several values.

    Args:
        searched: all of them.
        shared: the keys that act in every trial, whatever its model and objective.
        logarithmic: the keys on a logarithmic scale.
        rungs: rungs of ASHA, in epochs.
    """

    searched: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    logarithmic: tuple[str, ...] = ()
    rungs: tuple[int, ...] = ()

    @classmethod
    def of(cls, study: Study) -> "Axes":
        """Return the axes of a study."""
        groups = [*study.models.values(), *study.objectives.values(), study.training]
        several = [(key, domain) for group in groups for key, domain in group.items() if not isinstance(domain, Fixed)]
        names = [name for name, of in (("model", study.models), ("objective", study.objectives)) if len(of) > 1]
        searched = tuple(dict.fromkeys([*names, *(key for key, _ in several)]))
        logarithmic = dict.fromkeys(key for key, domain in several if isinstance(domain, Range) and domain.log)
        acting = [{"model", "objective", *space.always()} for space in pair_spaces(study)]
        shared = tuple(key for key in searched if all(key in each for each in acting))
        return cls(searched=searched, shared=shared, logarithmic=tuple(logarithmic), rungs=tuple(study.budget.rungs()))

    def named(self, key: str) -> str:
        """Return the name of the parameter that shows a key: its logarithm if the key is on a logarithmic scale."""
        return f"log10_{key}" if key in self.logarithmic else key

    def parameters(self, configuration: Configuration) -> dict[str, Any]:
        """Return all keys of a trial, named as in the study, the penalty's weight as `lambda`, and the logarithms."""
        flat = configuration.flat()
        weight = flat.get("lam", flat.get("beta"))
        positive = [key for key in (*self.logarithmic, "learning_rate") if flat.get(key, 0.0) > 0]
        logarithms = {f"log10_{key}": f"{math.log10(flat[key]):.4f}" for key in positive}
        return flat | logarithms | ({} if weight is None else {"lambda": weight})

    def numbers(self, configuration: Configuration) -> dict[str, float]:
        """Return the numeric parameters that the study searches, and those of `ALWAYS`."""
        wanted = {*ALWAYS, *self.searched}
        return {
            key: float(value)
            for key, value in self.parameters(configuration).items()
            if key in wanted and isinstance(value, int | float) and not isinstance(value, bool)
        }

    def rung(self, epoch: int) -> int:
        """Return the last rung of ASHA that a trial has reached at this epoch, in epochs; 0 before the first."""
        return max((rung for rung in self.rungs if rung <= epoch), default=0)


def asymmetry(architecture: dict[str, float]) -> str | None:
    """Return which half of an autoencoder has more parameters; None for other models."""
    ratio = architecture.get("log2_encoder_over_decoder")
    if ratio is None:
        return None
    return "equal" if abs(ratio) < EQUAL else "encoder larger" if ratio > 0 else "decoder larger"


def network_folder(entry: Entry) -> str:
    """Return the artifact folder with the network that was judged: its best fresh network if fresh ones were."""
    return CONFIRMED if entry.judged else CHECKPOINT


def exported_folder(entry: Entry) -> str:
    """Return the artifact folder with the network for use: trained on all rows, if there is one."""
    return REFIT if entry.refitted else network_folder(entry)
