"""What is written to disk is valid JSON that says its format; another format is one clear line."""

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from search.errors import GenseekError
from search.events.journal import Journal
from search.formats import FORMAT, check_format, finite, spelled, unspelled
from search.record.layout import FORMAT_TAG
from search.record.store import Store


def test_numbers_that_json_lacks() -> None:
    value = {"a": [math.inf, -math.inf, 1.5], "b": {"c": math.nan}, "d": "NaN of a name", "e": 3}
    assert finite(value) == {"a": [None, None, 1.5], "b": {"c": None}, "d": "NaN of a name", "e": 3}
    written = json.dumps(spelled(value), allow_nan=False)
    assert str(unspelled({"b": json.loads(written)["b"]})) == "{'b': {'c': nan}}"
    assert unspelled({"misfit": "-Infinity"}) == {"misfit": -math.inf}
    reports = {"reports": [{"loss": math.nan, "scores": {"ad": math.inf}}, {"loss": 1.5}]}
    assert str(unspelled(json.loads(json.dumps(spelled(reports), allow_nan=False)))) == str(reports)


@pytest.mark.parametrize(("found", "age"), [({}, "an earlier"), ({"format": FORMAT + 1}, "a later")])
def test_another_format_is_one_line(found: dict[str, Any], age: str) -> None:
    number = found.get("format", 0)
    line = f"the file has format {number}, of {age} genseek, and this one reads format {FORMAT}; make it anew"
    with pytest.raises(GenseekError, match=re.escape(line)):
        check_format(found, "the file", "make it anew")
    check_format({"format": str(FORMAT)}, "the file", "make it anew")


def test_a_journal_of_another_form(tmp_path: Path) -> None:
    path, text = (
        tmp_path / "journal.jsonl",
        '{"search": {"study": {}}}\n{"event": "Reported", "trial": 3, "fit": NaN}\n',
    )
    path.write_text(text)
    for _ in range(2):  # the first leaves it unlocked, and as it was
        with pytest.raises(GenseekError, match=re.escape(f"the journal {path} has format 0, of an earlier genseek")):
            Journal(path)
    assert path.read_text() == text


def test_a_record_of_another_form(store_folder: Path, genseek: Any) -> None:
    store = Store(store_folder)
    run_id = store.begin("old", {"trials": 3, "problem": "gaussian_2d"}, {})
    MlflowClient(store.uri).delete_tag(run_id, FORMAT_TAG)
    line = f"search 'old' in {store_folder} has format 0, of an earlier genseek, and this one reads format {FORMAT}"
    for words in (["best", "old"], ["report", "old"], ["export", "old", "--out", "x"], ["resume", "old"]):
        code, out, err = genseek(*words, "--store", store_folder)
        assert (code, out, err) == (2, "", f"error: {line}; search anew, under another name\n"), words
    code, out, _ = genseek("list", "searches", "--store", store_folder)
    assert code == 0 and "old" in out
