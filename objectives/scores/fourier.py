"""Sums the kernel exp(-|a - b|^2) over all pairs of rows in a box, from Fourier coefficients of each sample.

Source: Poisson's summation formula; Greengard and Strain (1991), The fast Gauss transform, solves the same task. For a
period P larger than the distance of two points of the box [-B, B],

    exp(-t^2) = sum_k c_k cos(2 pi k t / P),    c_k = sqrt(pi) / P exp(-(pi k / P)^2)    for |t| <= 2B.

The error is exp(-(P - 2B)^2) plus the first omitted c_k, at most a double's rounding. Since cos(x - y) is cos x cos y +
sin x sin y, and the kernel of d columns is a product of d, the sum over all pairs is the inner product of the two
samples' sums of products of waves. The number of these products doesn't depend on the number of rows.
"""

from functools import reduce
from math import ceil, pi, sqrt

import numpy as np
import torch

from objectives.scores.score import Array

BOX = 4.0
EXPONENT = 6.0  # exp(-6^2) is 2e-16
PERIOD = 2.0 * BOX + EXPONENT
FREQUENCIES = ceil(EXPONENT * PERIOD / pi)
MOST_COLUMNS = 2  # with three, summing over pairs takes less time below some 10,000 rows
BLOCKS, BLOCK = 4, 256

_ORDERS = np.arange(FREQUENCIES + 1)
_WEIGHTS = sqrt(pi) / PERIOD * np.exp(-((pi / PERIOD * _ORDERS) ** 2)) * np.where(_ORDERS > 0, 2.0, 1.0)
_ROOTS = np.sqrt(np.concatenate([_WEIGHTS, _WEIGHTS[1:]]))


def coefficients(rows: Array) -> Array:
    """Return the coefficients `[waves ^ d]` of rows `[n, d]` in the box, d being 1 or 2.

    The inner product of two samples' coefficients is the sum of the kernel over all their pairs.
    """
    n, d = rows.shape
    total = np.zeros((len(_ROOTS),) * d)
    for start in range(0, n, BLOCKS * BLOCK):
        some = rows[start : start + BLOCKS * BLOCK]
        angles = np.zeros((d, BLOCKS * BLOCK))
        angles[:, : len(some)] = some.T * (2.0 * pi / PERIOD)
        waves = _waves(angles.reshape(d, BLOCKS, BLOCK))
        if len(some) < BLOCKS * BLOCK:
            waves[0] *= (np.arange(BLOCKS * BLOCK) < len(some)).reshape(BLOCKS, 1, BLOCK)
        if d == 1:
            total += waves[0].sum(axis=(0, 2))
        else:
            total += torch.bmm(torch.from_numpy(waves[0]), torch.from_numpy(waves[1]).mT).numpy().sum(axis=0)
    return np.asarray(total * reduce(np.multiply.outer, [_ROOTS] * d))


def _waves(angles: Array) -> Array:
    """Return cosines of 0 ... FREQUENCIES times the angles `[d, blocks, n]`, then sines, `[d, blocks, waves, n]`."""
    d, blocks, n = angles.shape
    powers = np.ones((d, blocks, FREQUENCIES + 1, n), dtype=np.complex128)
    powers.real[:, :, 1], powers.imag[:, :, 1] = np.cos(angles), np.sin(angles)
    known = 1
    while known < FREQUENCIES:
        more = min(known, FREQUENCIES - known)
        higher = powers[:, :, known + 1 : known + 1 + more]
        np.multiply(powers[:, :, 1 : 1 + more], powers[:, :, known : known + 1], out=higher)
        known += more
    return np.concatenate([powers.real, powers.imag[:, :, 1:]], axis=2)
