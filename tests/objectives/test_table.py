import pickle
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from objectives.problems.problem import Source
from objectives.problems.reading import read_table
from objectives.problems.table import Table

EMPTY = "empty, expected a line of column names and rows of numbers"


def frame(count: int = 100) -> pd.DataFrame:
    values = np.random.default_rng(0).standard_normal((count, 3))
    return pd.DataFrame(values, columns=["alpha", "beta", "gamma"])


def csv(folder: Path, content: pd.DataFrame | str) -> str:
    path = folder / "data.csv"
    if isinstance(content, str):
        path.write_text(content)
    else:
        content.to_csv(path, index=False)
    return str(path)


def refusal(data: str, **arguments: Any) -> str:
    with pytest.raises(ValueError) as error:
        Table(data=data, **arguments)
    said = str(error.value)
    assert "\n" not in said and said.startswith(f"{data}: ")
    return said.removeprefix(f"{data}: ")


def test_csv_and_parquet_hold_the_same_rows(tmp_path: Path) -> None:
    content = frame()
    content.to_parquet(tmp_path / "data.PARQUET")
    one, other = Table(data=csv(tmp_path, content)), Table(data=str(tmp_path / "data.PARQUET"))
    assert one.columns == other.columns == ("alpha", "beta", "gamma")
    assert one.source == Source("normal", 3) and one.dropped == 0
    np.testing.assert_allclose(one.rows(0).train, other.rows(0).train, rtol=1e-12)


def test_splits_hold_every_row_once(tmp_path: Path) -> None:
    rows = Table(data=csv(tmp_path, frame(101)), validation=0.3, test=0.1).rows(0)
    assert (len(rows.train), len(rows.validation), len(rows.test)) == (61, 30, 10)
    together = np.concatenate([rows.train, rows.validation, rows.test])
    np.testing.assert_allclose(np.sort(together[:, 0]), np.sort(frame(101)["alpha"]), rtol=1e-12)


def test_the_same_seed_splits_the_same_way(tmp_path: Path) -> None:
    table = Table(data=csv(tmp_path, frame()))
    assert table.rows(7).digest() == pickle.loads(pickle.dumps(table)).rows(7).digest() != table.rows(8).digest()


def test_pairs_are_disjoint_as_long_as_rows_last_and_bootstrap_beyond(tmp_path: Path) -> None:
    table = Table(data=csv(tmp_path, frame()))
    first, second = table.pair(60, 40, np.random.default_rng(0))
    assert len(np.unique(np.concatenate([first, second])[:, 0])) == 100
    again, _ = table.pair(60, 40, np.random.default_rng(1))
    assert not np.array_equal(first, again)
    large, small = table.pair(300, 80, np.random.default_rng(0))
    assert large.shape == (300, 3) and small.shape == (80, 3) and len(np.unique(large[:, 0])) < 100


def test_columns_are_chosen_by_name_in_the_order_asked_for(tmp_path: Path) -> None:
    content = frame().assign(name="text")
    table = Table(data=csv(tmp_path, content), columns=" gamma, alpha")
    assert table.columns == ("gamma", "alpha")
    values = read_table(csv(tmp_path, content), "gamma,alpha").rows
    np.testing.assert_allclose(values, content[["gamma", "alpha"]], rtol=1e-12)


def test_whole_numbers_booleans_and_decimals_are_numbers(tmp_path: Path) -> None:
    content = pd.DataFrame({"count": np.arange(60), "flag": np.arange(60) % 2 == 0})
    found = read_table(csv(tmp_path, content))
    assert found.columns == ("count", "flag") and found.rows.dtype == np.float64 and found.dropped == 0
    np.testing.assert_array_equal(found.rows[:3], [[0, 1], [1, 0], [2, 1]])
    prices: Any = [Decimal(k) / 4 for k in range(60)]
    content["price"] = prices
    content["whole"] = pd.array([None, *range(59)], dtype="Int64")
    content["maybe"] = [None, *[True] * 59]
    content.to_parquet(tmp_path / "mixed.parquet")
    found = read_table(str(tmp_path / "mixed.parquet"), drop_missing=True)
    assert found.columns == ("count", "flag", "price", "whole", "maybe") and found.dropped == 1
    np.testing.assert_array_equal(found.rows[0], [1, 0, 0.25, 0, 1])


def test_dropping_rows_with_missing_values_counts_them(tmp_path: Path) -> None:
    content = frame()
    content.loc[[3, 5], "beta"] = np.nan
    content.loc[[5, 9], "gamma"] = np.nan
    table = Table(data=csv(tmp_path, content), drop_missing=True)
    assert table.dropped == 3 and np.isfinite(table.rows(0).train).all()
    assert Table(data=csv(tmp_path, content), columns="alpha").dropped == 0


def test_samples_may_be_constant_and_few(tmp_path: Path) -> None:
    assert read_table(csv(tmp_path, "a,b\n1,2\n1,2\n")).rows.tolist() == [[1.0, 2.0], [1.0, 2.0]]


def test_a_quoted_header_with_a_byte_order_mark_and_blanks_is_understood(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(b'\xef\xbb\xbf"a, one", b\n1, 2\n3, 4\n')
    assert read_table(str(path)).columns == ("a, one", "b")


def test_files_that_are_no_table(tmp_path: Path) -> None:
    assert refusal(str(tmp_path / "absent.csv")) == "no such file"
    (tmp_path / "folder.csv").mkdir()
    assert refusal(str(tmp_path / "folder.csv")) == "a folder, expected a file"
    assert refusal(str(tmp_path / "data.xlsx")) == "unknown ending '.xlsx', expected .csv or .parquet"
    assert refusal(str(tmp_path / "data")) == "unknown ending '', expected .csv or .parquet"


@pytest.mark.parametrize("content", ["", "\n\n", "a,b\n"])
def test_empty_files(tmp_path: Path, content: str) -> None:
    assert refusal(csv(tmp_path, content)) == EMPTY


def test_files_that_do_not_parse(tmp_path: Path) -> None:
    ragged = refusal(csv(tmp_path, "a,b\n1,2\n3,4,5\n"))
    assert ragged == "line 3 has 3 values, expected 2 as there are columns; mend it"
    assert refusal(csv(tmp_path, "a,b\n1,2,3\n3,4,5\n")) == (
        "line 1 has 2 names and the rows below 3 values; expected a name for each value (and points, not commas, in "
        "decimals)"
    )
    assert "never closed" in refusal(csv(tmp_path, 'a,b\n1,2\n3,"4\n5,6\n'))
    (tmp_path / "data.parquet").write_bytes(b"not parquet at all")
    assert refusal(str(tmp_path / "data.parquet")) == (
        "no Parquet file, or a damaged one; expected one as pandas.DataFrame.to_parquet writes"
    )


def test_years_may_be_column_names(tmp_path: Path) -> None:
    assert read_table(csv(tmp_path, "2023,2024\n1,2\n")).columns == ("2023", "2024")


def test_columns_that_are_not_there(tmp_path: Path) -> None:
    data = csv(tmp_path, frame())
    assert refusal(data, columns="alpha,betta") == "no column 'betta'; did you mean beta?"
    assert refusal(data, columns="xyz") == "no column 'xyz'; there are columns alpha, beta, gamma"
    assert refusal(data, columns="alpha,alpha") == "column alpha asked for twice"


def test_names_used_twice_or_not_at_all(tmp_path: Path) -> None:
    twice = refusal(csv(tmp_path, "a,b,a\n1,2,3\n"))
    assert twice == ("more than one column a; expected a name of its own for each, or keep the others with --columns b")
    assert read_table(csv(tmp_path, "a,b,a\n1,2,3\n"), "b").columns == ("b",)
    nameless = refusal(csv(tmp_path, "a,,c\n1,2,3\n"))
    assert nameless == "column 2 has no name; give it one, or keep the others with --columns a,c"


def test_columns_of_text_dates_and_complex_numbers(tmp_path: Path) -> None:
    content = frame().assign(name="x", beta=["1.5"] * 41 + ["abc"] * 59)
    text = refusal(csv(tmp_path, content))
    assert text == "no numbers in columns beta, name ('abc' in row 42); keep the others with --columns alpha,gamma"
    assert refusal(csv(tmp_path, content), columns="name") == (
        "no numbers in column name ('x' in row 1); expected at least one column of use"
    )
    frame().assign(day=datetime(2024, 5, 1)).to_parquet(tmp_path / "data.parquet")
    assert refusal(str(tmp_path / "data.parquet")) == (
        "no numbers in column day ('2024-05-01 00:00:00' in row 1); keep the others with --columns alpha,beta,gamma"
    )
    frame().assign(kind=pd.Categorical(["a", "b"] * 50)).to_parquet(tmp_path / "data.parquet")
    assert refusal(str(tmp_path / "data.parquet")).startswith("no numbers in column kind ('a' in row 1)")
    pairs: Any = [[1, 2]] * 100
    frame().assign(pair=pairs).to_parquet(tmp_path / "data.parquet")
    assert refusal(str(tmp_path / "data.parquet")).startswith("no numbers in column pair ('[1 2]' in row 1)")
    z = csv(tmp_path, frame().assign(z=[complex(1, k) for k in range(100)]))
    assert refusal(z).startswith("no numbers in column z ('(1+0j)' in row 1)")


def test_long_lists_of_columns_are_cut_short(tmp_path: Path) -> None:
    content = pd.DataFrame({f"t{k}": ["x"] * 3 for k in range(20)})
    assert "columns t0, t1, t2, t3, t4, t5, t6, t7, t8, t9, t10, t11 and 8 more (" in refusal(csv(tmp_path, content))


def test_infinite_missing_and_constant_values(tmp_path: Path) -> None:
    content = frame()
    content.loc[[1, 2], "beta"] = np.inf
    content.loc[3, "gamma"] = -np.inf
    infinite = refusal(csv(tmp_path, content), drop_missing=True)
    assert infinite == ("3 infinite values in columns beta, gamma; mend them, or keep the others with --columns alpha")
    content = frame()
    content.loc[[3, 5], "beta"] = np.nan
    content.loc[[5, 9], "gamma"] = np.nan
    missing = refusal(csv(tmp_path, content))
    assert missing == (
        "3 of 100 rows miss a value in columns beta, gamma; fill them in, or leave those rows out with --drop-missing"
    )
    constant = refusal(csv(tmp_path, frame().assign(beta=2.0)))
    assert constant == "every row has the same value in column beta; keep the others with --columns alpha,gamma"
    flag = frame().assign(beta=[2.0] * 99 + [np.nan])
    assert refusal(csv(tmp_path, flag)).startswith("every row with a value has the same one in column beta; keep")
    assert refusal(csv(tmp_path, flag), drop_missing=True).startswith(
        "every row has the same value in column beta; keep"
    )
    for drop in (False, True):
        empty = refusal(csv(tmp_path, frame().assign(beta=np.nan)), drop_missing=drop)
        assert empty == "no value at all in column beta; keep the others with --columns alpha,gamma"


def test_too_few_rows(tmp_path: Path) -> None:
    assert refusal(csv(tmp_path, frame(49))) == "49 rows, expected at least 50"
    content = frame(52)
    content.loc[[0, 1, 2], "alpha"] = np.nan
    dropped = refusal(csv(tmp_path, content), drop_missing=True)
    assert dropped == (
        "49 rows after 3 with missing values were dropped, expected at least 50; keep fuller columns with "
        "--columns beta,gamma"
    )
    content.loc[3:, "beta"] = np.nan
    assert refusal(csv(tmp_path, content)) == (
        "52 of 52 rows miss a value in columns alpha, beta; fill them in, or keep fuller columns with --columns gamma"
    )
    content["gamma"] = np.nan
    content.loc[:1, "gamma"] = [0.0, 1.0]
    assert refusal(csv(tmp_path, content), columns="gamma,beta") == (
        "50 of 52 rows miss a value in columns gamma, beta; fill them in"
    )
    assert len(Table(data=csv(tmp_path, frame(50))).rows(0).test) == 10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"validation": 0.0}, "validation = 0.0: expected a share of at least 10 of the 100 rows"),
        ({"test": 1.5}, "test = 1.5: expected a share of at least 10 of the 100 rows"),
        ({"test": 0.05}, "test = 0.05: expected a share of at least 10 of the 100 rows"),
        ({"validation": 0.5, "test": 0.5}, "validation + test = 1: expected to leave 10 training rows"),
    ],
)
def test_shares_out_of_range(tmp_path: Path, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as error:
        Table(data=csv(tmp_path, frame()), **arguments)
    assert str(error.value) == message
