"""Quasi-random proposals: a scrambled Sobol sequence over all keys of a conditional space.

Source: Sobol' 1967; Owen 1998, Scrambling Sobol' and Niederreiter-Xing points. Optuna's sampler of that name wants a
space without conditions, and takes it from the trials that have ended.
"""

import math
from collections.abc import Mapping
from typing import Any, final

import numpy as np
from scipy.stats import qmc

from search.study.space import Choice, Domain, Fixed, Range


@final
class QuasiRandom:
    """A sequence of points, of which the first n fill the space evenly.

    Args:
        domains: of all keys, those included that a point's other values leave without a meaning.
        seed: of the scrambling.
    """

    def __init__(self, domains: Mapping[str, Domain], seed: int) -> None:
        self._domains = {key: domain for key, domain in domains.items() if not isinstance(domain, Fixed)}
        self._seed = seed

    def point(self, number: int) -> dict[str, Any]:
        """Value of every key that isn't fixed at place `number` (0, 1, ...) of the sequence."""
        if not self._domains:
            return {}
        sequence = qmc.Sobol(len(self._domains), seed=np.random.default_rng(self._seed))
        if number:
            sequence.fast_forward(number)
        place = sequence.random(1)[0]
        return {key: _value(domain, float(u)) for (key, domain), u in zip(self._domains.items(), place, strict=True)}


def _value(domain: Domain, u: float) -> Any:
    """Value of a domain at `u` in [0, 1)."""
    if isinstance(domain, Choice):
        return domain.values[int(u * len(domain.values))]
    assert isinstance(domain, Range)
    low, high = domain.low, domain.high
    whole = isinstance(low, int)
    if domain.step is not None or (whole and not domain.log):
        step = domain.step or 1
        return min(low + int(u * (round((high - low) / step) + 1)) * step, high)
    if not domain.log:
        return float(low + u * (high - low))
    ends = (low - 0.5, high + 0.5) if whole else (low, high)  # whole numbers are rounded, the ends as often as others
    value = math.exp(math.log(ends[0]) + u * math.log(ends[1] / ends[0]))
    return min(max(round(value) if whole else value, low), high)
