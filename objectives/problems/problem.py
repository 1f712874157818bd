"""The base of all problems: named columns, a source to start from, and rows to train, validate and test on."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]
Draw: TypeAlias = Callable[[int, np.random.Generator], Array]

LEAST_ROWS = 50


@dataclass(frozen=True)
class Source:
    """The distribution that a generator starts from: `normal` is N(0, I), `uniform` is U[0, 1]^features."""

    kind: Literal["normal", "uniform"]
    features: int


@dataclass(frozen=True, eq=False)
class Rows:
    """The three splits of a problem, float64 `[n, columns]` each, in the units of the data."""

    train: Array
    validation: Array
    test: Array

    def digest(self) -> str:
        """Return the sha256, in hex, of every split's shape and little-endian bytes."""
        content = hashlib.sha256()
        for split in (self.train, self.validation, self.test):
            content.update(repr(split.shape).encode())
            content.update(np.ascontiguousarray(split, dtype="<f8").tobytes())
        return content.hexdigest()


class Problem(ABC):
    """A source distribution and a target to imitate; a study may set the constructor's keyword arguments.

    `notes` are decisions about the data that a user should know of, one line each.
    """

    notes: tuple[str, ...] = ()

    @property
    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """The names of the target's columns, in order."""

    @property
    @abstractmethod
    def source(self) -> Source:
        """The distribution of a generator's inputs."""

    @abstractmethod
    def rows(self, seed: int) -> Rows:
        """Return the three splits; the same seed (0 or more) gives the same rows."""

    @abstractmethod
    def pair(self, first: int, second: int, generator: np.random.Generator) -> tuple[Array, Array]:
        """Return two disjoint real samples, `[first, columns]` and `[second, columns]`, in random order."""


def checked_sizes(train: int, validation: int, test: int) -> tuple[int, int, int]:
    """Return the three sizes unchanged.

    Raises:
        ValueError: a split has fewer than 50 rows.
    """
    for name, size in (("train", train), ("validation", validation), ("test", test)):
        if size < LEAST_ROWS:
            raise ValueError(f"{name} = {size}: expected at least {LEAST_ROWS} rows")
    return train, validation, test


def fresh_rows(draw: Draw, sizes: tuple[int, int, int], seed: int) -> Rows:
    """Draw the splits of a known distribution, each from its own stream, so that no split depends on another's size."""
    # Splits count from 1: numpy pads seeds with zeros, so [seed, 0] would repeat the stream of the bare seed.
    streams = (np.random.default_rng([seed, split]) for split in (1, 2, 3))
    return Rows(*(draw(size, stream) for size, stream in zip(sizes, streams, strict=True)))
