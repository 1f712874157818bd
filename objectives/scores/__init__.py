"""The scores a trained model is judged by, on rows it never saw; lower is better."""

from objectives.scores.anderson_darling import AndersonDarling
from objectives.scores.kendall import Kendall
from objectives.scores.mmd import Mmd
from objectives.scores.overfit import Overfit
from objectives.scores.score import Measure, Reference, Score

SCORES: dict[str, type[Score]] = {"ad": AndersonDarling, "kendall": Kendall, "mmd": Mmd, "overfit": Overfit}
STANDARD = ("ad", "kendall", "mmd", "overfit")  # what a search judges by unless its study names others

__all__ = ["SCORES", "STANDARD", "Measure", "Reference", "Score"]
