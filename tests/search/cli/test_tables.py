"""Real tables, from a CSV to samples, by the shipped study and without a special case."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes, load_iris, load_wine

from search import score_tables

TABLES = {"iris": load_iris, "wine": load_wine, "diabetes": load_diabetes}


@pytest.mark.slow
@pytest.mark.parametrize("name", TABLES)
def test_from_a_csv_to_samples(name: str, ray_cluster: None, store_folder: Path, tmp_path: Path, genseek: Any) -> None:
    frame = TABLES[name](as_frame=True).frame.drop(columns="target")
    data, out, made = tmp_path / f"{name}.csv", tmp_path / "winner", tmp_path / "made.csv"
    frame.to_csv(data, index=False)
    store = ("--store", store_folder)
    code, said, err = genseek(
        "run", "table", "--data", data, "--trials", 3, "--epochs", 20, "--name", name, "--finalists", 0, *store
    )
    assert code == 0, err
    assert f"search {name}: {name}.csv, " in said
    assert f"{name}: a search on {name}.csv</h1>" in (store_folder / "reports" / f"{name}.html").read_text()
    assert 0.2 < json.loads(genseek("best", name, *store, "--json")[1])["scores"]["misfit"] < 1e5
    assert genseek("export", name, "--out", out, *store)[0] == 0
    assert genseek("sample", out, "-n", 200, "--out", made)[0] == 0
    rows = pd.read_csv(made)
    assert list(rows.columns) == list(frame.columns)
    assert np.isfinite(rows.to_numpy()).all()
    assert set(score_tables(str(data), str(made), scores="clusters")) >= {"ad", "kendall", "mmd", "clusters", "misfit"}
    assert json.loads((out / "model.json").read_text())["columns"] == list(frame.columns)


@pytest.mark.slow
def test_some_columns_and_missing_values(ray_cluster: None, store_folder: Path, tmp_path: Path, genseek: Any) -> None:
    frame = load_iris(as_frame=True).frame.iloc[:, :3].set_axis(["length (cm)", "width", "petal"], axis=1)
    frame["name"] = "setosa"
    frame.loc[[3, 5, 8], "width"] = np.nan
    data, out, made = tmp_path / "some.csv", tmp_path / "winner", tmp_path / "made.csv"
    frame.to_csv(data, index=False)
    run = (
        "run",
        "table",
        "--data",
        data,
        "--trials",
        2,
        "--epochs",
        3,
        "--name",
        "some",
        "--finalists",
        0,
        "--store",
        store_folder,
    )
    for options, said in (
        ((), "no numbers in column name ('setosa' in row 1); keep the others with --columns 'length (cm),width,petal'"),
        (("--columns", "width,petal"), "3 of 150 rows miss a value in column width"),
    ):
        code, _, err = genseek(*run, *options)
        assert code == 2
        assert said in err
        assert err.count("\n") == 1
    code, out_text, err = genseek(*run, "--columns", "petal,width", "--drop-missing")
    assert code == 0, err
    assert "3 rows with missing values dropped" in out_text
    assert genseek("export", "some", "--out", out, "--store", store_folder)[0] == 0
    assert genseek("sample", out, "-n", 5, "--out", made)[0] == 0
    assert made.read_text().splitlines()[0] == "petal,width"
    provenance = json.loads((out / "provenance.json").read_text())
    assert provenance["problem_arguments"] == {"data": str(data), "columns": "petal,width", "drop_missing": True}
