"""Pictures: any number of columns, and samples that no density can be drawn of."""

from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest

from search.rank.leaderboard import Entry, Leaderboard
from search.report.png import Array, asymmetry, beside, labels, samples_beside
from search.study.configuration import Configuration
from search.text import shortened

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


@pytest.mark.parametrize("kind", ["a point", "a line", "far away", "infinite", "missing", "few", "overflowing", "none"])
def test_degenerate_samples(kind: str, tmp_path: Path) -> None:
    real = RANDOM.normal(size=(200, 3))
    made = {
        "a point": np.full((100, 3), 0.5),
        "a line": np.repeat(RANDOM.normal(size=(100, 1)), 3, axis=1),
        "far away": np.full((100, 3), 1e30),
        "infinite": np.full((100, 3), np.inf),
        "missing": np.full((100, 3), np.nan),
        "few": real[:2],
        "overflowing": np.full((100, 3), 1.7e308) * RANDOM.choice([-1, 1], size=(100, 3)),
        "none": real[:0],
    }[kind]
    assert drawn(tmp_path, real, made).std() > 0.01


def test_degenerate_rows(tmp_path: Path) -> None:
    made = RANDOM.normal(size=(100, 2))
    assert drawn(tmp_path, np.ones((100, 2)), made).std() > 0.01
    assert drawn(tmp_path, np.repeat(RANDOM.normal(size=(100, 1)), 3, axis=1), np.ones((100, 3))).std() > 0.01


@pytest.mark.parametrize("columns", [1, 2, 3])
@pytest.mark.parametrize(
    ("middle", "spread"), [(1e20, 0.0), (1e9, 1e-7), (0.0, 1e-150), (0.0, 1e150), (0.0, 1e-300), (0.0, 1e300)]
)
def test_rows_of_any_scale(columns: int, middle: float, spread: float, tmp_path: Path) -> None:
    real = middle + spread * np.clip(RANDOM.normal(size=(60, columns)), -3, 3)
    assert drawn(tmp_path, real, real[::-1]).std() > 0.01


NAMES = (
    *("Gross $ (%) / Net $", "$\\alpha$", "$\\frac{", "a_b^c {d}", "\\", "two\nlines\t\x07", " ", ""),
    *("W" * 300, "Höhe € ½", "Ωμέγα"),
)


@pytest.mark.parametrize("columns", [1, 2, 3])
def test_names_are_drawn_as_they_are_written(columns: int, tmp_path: Path) -> None:
    real = RANDOM.normal(size=(8, columns))
    for first in range(0, len(NAMES), columns):
        names = [NAMES[(first + place) % len(NAMES)] for place in range(columns)]
        samples_beside(real, real, names, tmp_path / "samples.png")
        drawn = [text for axes in beside(real, real, names).axes for text in (axes.xaxis.label, axes.yaxis.label)]
        assert {text.get_text() for text in drawn} - {""} == {shortened(name, 28) for name in names} - {""}
        assert not any(text.get_parse_math() for text in drawn)


def test_names_that_no_font_has_are_numbered(tmp_path: Path) -> None:
    for names in (["收益率", "b"], ["עברית", "b"], ["عائد", "b"], ["हिन्दी", "b"], ["\U000e0001", "b"]):
        figure = beside(np.eye(2), np.eye(2), names)
        assert [figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()] in (["x1", "x2"], names)
        numbered = "x1 to x2: the columns in their order; no font here draws their names"
        assert figure.get_supxlabel() == ("" if figure.axes[0].get_xlabel() == names[0] else numbered)
        samples_beside(np.eye(2), np.eye(2), names, tmp_path / "samples.png")
    assert labels(["עברית", "b"]) == ["x1", "x2"]  # which has glyphs, and would be drawn backwards
    assert labels(["two\nlines", "W" * 300]) == ["two\\nlines", "W" * 27 + "…"]


def board(*outcomes: Any, architecture: Any = "log2_encoder_over_decoder") -> Leaderboard:
    entries = [
        Entry(
            trial=trial,
            configuration=Configuration(model="vae", objective="elbo"),
            outcome=outcome,
            epoch=9,
            best_epoch=9,
            misfit=1.5 + trial,
            scores={},
            architecture={architecture: trial - 1.0},
        )
        for trial, outcome in enumerate(outcomes)
    ]
    return Leaderboard(name="first", entries=entries, references={}, floors={}, provenance={})


def test_asymmetry_is_drawn_where_there_is_any(tmp_path: Path) -> None:
    path = tmp_path / "asymmetry.png"
    assert not asymmetry(board("finished", architecture="parameters"), path)
    assert not asymmetry(board("diverged", "failed"), path)
    assert not path.exists()
    for outcomes in (("finished", "stopped", "stopped"), ("finished",), ("stopped",), ("diverged", "finished")):
        assert asymmetry(board(*outcomes), path)
        assert picture(path).shape == (440, 660, 3)
