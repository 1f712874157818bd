"""What is learned and how it is judged: problems, training losses and scores."""

from objectives.losses import OBJECTIVES
from objectives.problems import PROBLEMS, Problem, Rows
from objectives.scores import SCORES, STANDARD
from objectives.scores.judge import Evaluation, Floor, Judge, judge_for
from objectives.scores.references import REFERENCES

__all__ = [
    "OBJECTIVES",
    "PROBLEMS",
    "REFERENCES",
    "SCORES",
    "STANDARD",
    "Evaluation",
    "Floor",
    "Judge",
    "Problem",
    "Rows",
    "judge_for",
]
