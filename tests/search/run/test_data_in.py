"""From a user's file to what check, run and score say of it: the same line, and a cure that works when pasted."""

import json
import shlex
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from search import GenseekError, score_tables

ROWS = np.random.default_rng(0).normal(size=(70, 2)).round(4)


def text(rows: Any, head: str, separator: str = ",") -> str:
    return "\n".join([head, *(separator.join(map(str, row)) for row in rows), ""])


BIG = 1577134800018164900
REFUSED = {
    "comma": (text([[*row, "2024-01-01"] for row in ROWS], '"price, USD",b,date'), ["price, USD", "b"]),
    "empty": (text([[*row, ""] for row in ROWS], "a,b,notes"), ["a", "b"]),
    "digits": (text([[BIG + k, row[1]] for k, row in enumerate(ROWS)], "id,b"), ["b"]),
    "percent": (text([[row[0], f"{row[1]}%"] for row in ROWS], "$(a),share"), ["$(a)"]),
}


@pytest.mark.parametrize(("content", "columns"), REFUSED.values(), ids=REFUSED)
def test_check_and_run_say_the_same_and_the_cure_works(
    content: str, columns: list[str], genseek: Any, tmp_path: Path, store_folder: Path
) -> None:
    data = tmp_path / "data.csv"
    data.write_text(content)
    check = ("check", "table", "--data", data, "--store", store_folder)
    code, out, line = genseek(*check)
    assert (code, out, line.count("\n")) == (2, "", 1)
    assert line.startswith(f"error: problem table: {data}: ")
    assert genseek("run", "table", "--data", data, "--store", store_folder) == (2, "", line)
    cure = shlex.split(line.rpartition("keep the others with ")[2])
    code, out, error = genseek(*check, *cure, "--json")
    assert (code, error) == (0, "")
    assert json.loads(out)["columns"] == columns


def test_check_shows_what_was_decided(genseek: Any, tmp_path: Path, store_folder: Path) -> None:
    data = tmp_path / "excel.csv"
    data.write_text("sep=;\n" + text(ROWS, "a;b", ";").replace(".", ","))
    code, out, _ = genseek("check", "table", "--data", data, "--store", store_folder)
    first = str(ROWS[0, 0])
    notes = ["values are separated by semicolons", f"decimal commas: {first.replace('.', ',')} is read as {first}"]
    assert code == 0 and all(f"note: {note}\n" in out for note in notes)
    found = json.loads(genseek("check", "table", "--data", data, "--store", store_folder, "--json")[1])
    assert found["notes"] == notes and found["columns"] == ["a", "b"]


@pytest.mark.slow
def test_a_run_shows_what_was_decided(genseek: Any, ray_cluster: None, tmp_path: Path, store_folder: Path) -> None:
    data = tmp_path / "indexed.csv"
    pd.DataFrame(ROWS, columns=["a", "b "]).to_csv(data)
    run = ("run", "table", "--data", data, "--trials", 1, "--epochs", 2, "--finalists", 0, "--store", store_folder)
    code, out, error = genseek(*run, "--columns", " b,a")
    assert code == 0, error
    code, out, error = genseek(*run, "--name", "noted")
    assert code == 0, error
    assert "note: column 1, without a name, counts the rows: left out\n" in out


@pytest.mark.parametrize("factor", ["e300", "e-300"])
def test_values_that_cannot_be_squared(factor: str, genseek: Any, tmp_path: Path, store_folder: Path) -> None:
    data = tmp_path / "scale.csv"
    data.write_text(text([[f"{row[0]}{factor}", row[1]] for row in ROWS], "a,b"))
    for command in ("check", "run"):
        code, out, line = genseek(command, "table", "--data", data, "--store", store_folder)
        assert (code, out, line.count("\n")) == (2, "", 1)
        assert "in column a, which float64 can't square; " in line
    fine = tmp_path / "fine.csv"
    pd.DataFrame(ROWS, columns=["a", "b"]).to_csv(fine, index=False)
    for pair in ((data, fine), (fine, data)):
        code, out, line = genseek("score", *pair)
        assert (code, out, line.count("\n")) == (2, "", 1)
        assert str(data) in line and "in column a, which float64 can't square; " in line


@pytest.mark.slow
def test_two_hundred_columns_are_checked_in_seconds(genseek: Any, tmp_path: Path, store_folder: Path) -> None:
    data = tmp_path / "wide.csv"
    pd.DataFrame(np.random.default_rng(0).normal(size=(300, 200))).add_prefix("c").to_csv(data, index=False)
    began = time.process_time()
    assert genseek("check", "table", "--data", data, "--store", store_folder)[0] == 0
    assert time.process_time() - began < 60  # of this process, on a slow machine; more than 100 before


def test_score_reads_both_files_as_a_problem_is_read(genseek: Any, tmp_path: Path) -> None:
    real, made = tmp_path / "real.csv", tmp_path / "made.csv"
    real.write_text(text([[k, *row, "x"] for k, row in enumerate(ROWS)], ";a ;b;name", ";").replace(".", ","))
    pd.DataFrame(ROWS[::-1], columns=["b", "a"]).to_csv(made, index=False)
    code, out, line = genseek("score", real, made)
    assert (code, out) == (2, "") and line.endswith("keep the others with --columns a,b\n")
    code, out, notes = genseek("score", real, made, *shlex.split(line.rpartition("with ")[2]), "--json")
    assert code == 0 and set(json.loads(out)) >= {"ad", "kendall", "misfit"}
    assert f"note: {real}: values are separated by semicolons\n" in notes


def test_score_names_the_columns_that_both_have(genseek: Any, tmp_path: Path) -> None:
    real, made = str(tmp_path / "real.csv"), str(tmp_path / "made.csv")
    pd.DataFrame(np.column_stack([ROWS, ROWS]), columns=["a", "b, c", "d", "e"]).to_csv(real, index=False)
    pd.DataFrame(ROWS, columns=["a", "b, c"]).to_csv(made, index=False)
    with pytest.raises(GenseekError, match="only one of them has: d, e; score those of both with ") as error:
        score_tables(real, made)
    assert str(error.value).endswith("""--columns 'a,"b, c"'""")
    told: list[str] = []
    assert score_tables(real, made, columns='a,"b, c"', tell=told.append)["ad"]["value"] > 0
    assert told == []


def test_score_leaves_rows_out_where_it_is_told_to(genseek: Any, tmp_path: Path) -> None:
    real, made = tmp_path / "real.csv", tmp_path / "made.csv"
    frame = pd.DataFrame(ROWS, columns=["a", "b"])
    frame.to_csv(made, index=False)
    frame.loc[[3, 4], "a"] = np.nan
    frame.to_csv(real, index=False)
    code, _, line = genseek("score", real, made)
    assert code == 2 and line.endswith("leave those rows out with --drop-missing\n")
    code, _, notes = genseek("score", real, made, "--drop-missing")
    assert code == 0 and f"note: {real}: 2 rows with missing values dropped\n" in notes
