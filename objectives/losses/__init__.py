"""Objectives: what training minimises."""

from typing import Any

from objectives.losses.elbo import ELBO
from objectives.losses.mmd import MMD
from objectives.losses.objective import Objective

OBJECTIVES: dict[str, type[Objective[Any]]] = {"mmd": MMD, "elbo": ELBO}

__all__ = ["ELBO", "MMD", "OBJECTIVES", "Objective"]
