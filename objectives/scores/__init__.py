"""The scores by which a trained model is judged, on rows that it never saw; lower is better."""

from objectives.scores.anderson_darling import AndersonDarling
from objectives.scores.c2st import C2st
from objectives.scores.clusters import Clusters
from objectives.scores.coverage import Coverage
from objectives.scores.energy import Energy
from objectives.scores.kendall import Kendall
from objectives.scores.mmd import Mmd
from objectives.scores.modes import Modes
from objectives.scores.overfit import Overfit
from objectives.scores.score import Measure, Reference, Score
from objectives.scores.sliced_wasserstein import SlicedWasserstein
from objectives.scores.tail import Tail
from objectives.scores.tail_dependence import TailDependence
from objectives.scores.tau_error import TauError
from objectives.scores.var_es import VarEs
from objectives.scores.wasserstein import Wasserstein

SCORES: dict[str, type[Score]] = {
    "ad": AndersonDarling,
    "kendall": Kendall,
    "mmd": Mmd,
    "overfit": Overfit,
    "tail": Tail,
    "tau_error": TauError,
    "energy": Energy,
    "sliced_wasserstein": SlicedWasserstein,
    "wasserstein": Wasserstein,
    "modes": Modes,
    "clusters": Clusters,
    "coverage": Coverage,
    "c2st": C2st,
    "tail_dependence": TailDependence,
    "var_es": VarEs,
}
# The scores of a search whose study names no others.
STANDARD = ("ad", "kendall", "mmd", "overfit", "tail", "tau_error")

__all__ = ["SCORES", "STANDARD", "Measure", "Reference", "Score"]
