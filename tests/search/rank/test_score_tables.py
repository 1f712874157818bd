"""Scores of two tables without any search: by hand, in any column order, and honest about their floors."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from objectives import SCORES, STANDARD
from search import GenseekError, score_tables

RANDOM = np.random.default_rng(0)


def table(path: Path, rows: object, columns: str = "ab") -> str:
    pd.DataFrame(np.asarray(rows), columns=list(columns)).to_csv(path, index=False)
    return str(path)


def test_by_hand(tmp_path: Path) -> None:
    real = table(tmp_path / "real.csv", [(1, 1), (2, 3), (3, 2), (4, 4)])
    made = table(tmp_path / "made.csv", [(1, 4), (2, 3), (3, 2), (4, 1)])
    found = score_tables(real, made)
    assert found["kendall"]["value"] == pytest.approx(5 / 12, abs=1e-12)
    assert found["ad"]["value"] == pytest.approx(0.468304565809, abs=1e-11)
    assert found["mmd"]["value"] == pytest.approx(-0.133683578928, abs=1e-11)


def test_the_order_of_columns_and_rows_does_not_matter(tmp_path: Path) -> None:
    real, made = RANDOM.normal(size=(80, 2)), RANDOM.normal(size=(70, 2))
    first = score_tables(table(tmp_path / "a.csv", real), table(tmp_path / "b.csv", made))
    second = score_tables(table(tmp_path / "a.csv", real), table(tmp_path / "c.csv", made[::-1, ::-1], "ba"))
    for name in ("ad", "kendall", "mmd"):
        assert second[name]["value"] == pytest.approx(first[name]["value"], abs=1e-9)
    assert first["ad"]["floor"] == second["ad"]["floor"]


@pytest.mark.slow
def test_real_rows_lie_inside_and_others_do_not(tmp_path: Path) -> None:
    rows = RANDOM.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], size=400)
    real, same = table(tmp_path / "real.csv", rows[:200]), table(tmp_path / "same.csv", rows[200:])
    shuffled = table(tmp_path / "shuffled.csv", np.stack([rows[200:, 0], RANDOM.permutation(rows[200:, 1])], 1))
    moved = table(tmp_path / "moved.csv", rows[200:] + np.array([0.5, 0]))
    found = score_tables(real, same, scores="all")
    assert set(found) == {*SCORES, "misfit"} - {"overfit"}
    assert all(found[name]["inside"] for name in ("ad", "kendall", "mmd"))
    assert 0.3 < found["misfit"] < 2.5
    assert all(found[name]["floor"] <= found[name]["upper"] for name in ("ad", "kendall", "mmd"))
    independent = score_tables(real, shuffled)
    assert independent["ad"]["inside"]
    assert not independent["kendall"]["inside"]
    assert not score_tables(real, moved)["ad"]["inside"]
    assert score_tables(real, moved)["misfit"] > 2 * found["misfit"]


@pytest.mark.slow
def test_training_rows_add_overfit(tmp_path: Path) -> None:
    rows = RANDOM.normal(size=(300, 2))
    train, real = table(tmp_path / "train.csv", rows[:100]), table(tmp_path / "real.csv", rows[100:200])
    copies, fresh = table(tmp_path / "copies.csv", rows[:100]), table(tmp_path / "fresh.csv", rows[200:])
    copied = score_tables(real, copies, train)["overfit"]
    assert copied["value"] == 1
    assert not copied["inside"]
    honest = score_tables(real, fresh, train)["overfit"]
    assert honest["value"] == pytest.approx(0.5, abs=0.15)
    assert honest["floor"] == pytest.approx(0.5, abs=0.05)


def test_one_column_has_no_kendall(tmp_path: Path) -> None:
    real, made = (table(tmp_path / f"{name}.csv", RANDOM.normal(size=(60, 1)), "a") for name in "xy")
    assert set(score_tables(real, made)) == {"ad", "mmd", "tail", "misfit"}


def test_other_scores_are_named_beside_the_standard_ones(tmp_path: Path) -> None:
    real, made = (table(tmp_path / f"{name}.csv", RANDOM.normal(size=(60, 2))) for name in "xy")
    standard = set(score_tables(real, made))
    assert standard == {*STANDARD, "misfit"} - {"overfit"}
    assert set(score_tables(real, made, scores="coverage,energy, ad")) == standard | {"coverage", "energy"}
    with pytest.raises(GenseekError, match=r"^scores: unknown score 'covrage'; did you mean 'coverage'\?$"):
        score_tables(real, made, scores="covrage")


@pytest.mark.slow
def test_the_seed_decides_the_floors_alone(tmp_path: Path) -> None:
    real, made = (table(tmp_path / f"{name}.csv", RANDOM.normal(size=(60, 2))) for name in "xy")
    first, again, other = (score_tables(real, made, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first["ad"]["floor"] != other["ad"]["floor"]
    assert first["ad"]["value"] == other["ad"]["value"]


@pytest.mark.parametrize(
    ("columns", "said"),
    [("ac", "expected the columns of .*; only one of them has: b, c"), ("abc", "only one of them has: c")],
)
def test_columns_that_differ(columns: str, said: str, tmp_path: Path) -> None:
    real = table(tmp_path / "real.csv", RANDOM.normal(size=(60, 2)))
    made = table(tmp_path / "made.csv", RANDOM.normal(size=(60, len(columns))), columns)
    with pytest.raises(GenseekError, match=said):
        score_tables(real, made)
    with pytest.raises(GenseekError, match=said):
        score_tables(real, real, made)


def test_tables_that_cannot_be_scored(tmp_path: Path) -> None:
    real = table(tmp_path / "real.csv", RANDOM.normal(size=(60, 2)))
    short, missing = tmp_path / "short.csv", tmp_path / "missing.csv"
    table(short, [(1.0, 2.0)])
    table(missing, [(1.0, np.nan), (2.0, 3.0)])
    for path, said in (
        (short, "short.csv: 1 row, expected at least 2"),
        (missing, "1 of 2 rows miss a value in column b"),
        (tmp_path / "no.csv", "no such file"),
        (tmp_path / "rows.txt", "unknown ending '.txt', expected .csv or .parquet"),
    ):
        for pair in ((real, str(path)), (str(path), real)):
            with pytest.raises(GenseekError) as error:
                score_tables(*pair)
            assert said in str(error.value)
            assert "\n" not in str(error.value)
