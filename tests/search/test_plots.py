"""Pictures: any number of columns, and samples that no density can be drawn of."""

from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest

from search.configuration import Configuration
from search.leaderboard import Entry, Leaderboard
from search.plots import Array, asymmetry, samples_beside

RANDOM = np.random.default_rng(0)


def picture(path: Path) -> Array:
    assert path.read_bytes().startswith(b"\x89PNG\r\n")
    return np.asarray(matplotlib.image.imread(path)[..., :3], dtype=np.float64)


def drawn(tmp_path: Path, real: Array, made: Array) -> Array:
    names = tuple(f"column {number}" for number in range(real.shape[1]))
    samples_beside(real, made, names, tmp_path / "samples.png")
    return picture(tmp_path / "samples.png")


@pytest.mark.parametrize(("columns", "height", "width"), [(1, 440, 660), (2, 484, 990), (3, 748, 748), (8, 1210, 1210)])
def test_any_number_of_columns(columns: int, height: int, width: int, tmp_path: Path) -> None:
    shown = drawn(tmp_path, RANDOM.normal(size=(300, columns)), RANDOM.normal(size=(200, columns)))
    assert shown.shape == (height, width, 3)
    blue, orange = shown[..., 2] - shown[..., 0], shown[..., 0] - shown[..., 2]
    assert (blue > 0.05).mean() > 0.002  # held-out rows
    assert (orange > 0.05).mean() > 0.002  # samples


@pytest.mark.parametrize("kind", ["a point", "a line", "far away", "infinite", "missing", "few"])
def test_degenerate_samples(kind: str, tmp_path: Path) -> None:
    real = RANDOM.normal(size=(200, 3))
    made = {
        "a point": np.full((100, 3), 0.5),
        "a line": np.repeat(RANDOM.normal(size=(100, 1)), 3, axis=1),
        "far away": np.full((100, 3), 1e30),
        "infinite": np.full((100, 3), np.inf),
        "missing": np.full((100, 3), np.nan),
        "few": real[:2],
    }[kind]
    assert drawn(tmp_path, real, made).std() > 0.01


def test_degenerate_rows(tmp_path: Path) -> None:
    made = RANDOM.normal(size=(100, 2))
    assert drawn(tmp_path, np.ones((100, 2)), made).std() > 0.01
    assert drawn(tmp_path, np.repeat(RANDOM.normal(size=(100, 1)), 3, axis=1), np.ones((100, 3))).std() > 0.01


def board(*outcomes: Any, facts: Any = "log2_encoder_over_decoder") -> Leaderboard:
    entries = [
        Entry(trial, Configuration("vae", "elbo"), outcome, 9, 9, 1.5 + trial, {}, {facts: trial - 1.0})
        for trial, outcome in enumerate(outcomes)
    ]
    return Leaderboard("first", entries, {}, {}, {})


def test_asymmetry_is_drawn_where_there_is_any(tmp_path: Path) -> None:
    path = tmp_path / "asymmetry.png"
    assert not asymmetry(board("finished", facts="parameters"), path)
    assert not asymmetry(board("diverged", "failed"), path)
    assert not path.exists()
    for outcomes in (("finished", "stopped", "stopped"), ("finished",), ("stopped",), ("diverged", "finished")):
        assert asymmetry(board(*outcomes), path)
        assert picture(path).shape == (440, 660, 3)
