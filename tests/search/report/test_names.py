"""Names of any letters: they come out as they went in, whoever reads them on the way, and nobody warns of them."""

import csv
import json
import random
import shutil
import string
import subprocess
import sys
import warnings
from dataclasses import asdict, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest
import torch
from markdown_it import MarkdownIt
from safetensors.torch import save_file

import models
from models import MODELS, Shape
from models.features import FEATURES
from models.generator import Generator
from objectives.problems.names import clean
from search import Store, score_tables
from search.export.export import card
from search.export.registry import package
from search.report.build import report
from search.report.page import Page, rendered
from search.report.png import samples_beside
from search.run.plan import check_name, stem
from search.text import visible

KNOWN = (
    *("Gross $ (%) / Net $", "Volume [/day]", "[bold red]x[/]", ":smile:", "price, USD", 'say "hi"', "it's", "a`b``c"),
    *("<b>bold</b>", "</script><script>alert(1)</script>", "&amp;", "{{ x }}", "%s %(y)d {0}", "a|b", "*a* _b_", "-n"),
    *("=1+1", "#", "a;b", "a\\", "收益率", "成交量 (手)", "עברית", "عائد\u200fسهم", "é\u0301", "😀", "x" * 300),
    *("index", "misfit", "None", "nan", "NaN", "__class__", "rows", "seed", "z0", "true", "1e5", "2024-01-01", "0"),
)
ODD = (" led", "trailed ", " ", "\ttab", "two\nlines", "carriage\rreturn", "\x1b[31mred", "\x07", "\x85\u2028\u202e")
LETTERS = string.printable + "éßøΩЖ收益率成交量אבגعائد€½😀\u00a0"


def drawn(seed: int, count: int) -> tuple[str, ...]:
    """Some of the known names, and random ones, as they are once a table was read."""
    chance = random.Random(seed)
    names = [clean(name) for name in chance.sample((*KNOWN, *ODD), count // 2)]
    while len(names) < count:
        names.append(clean("".join(chance.choices(LETTERS, k=chance.choice((1, 2, 5, 20, 300))))))
    return tuple(dict.fromkeys(filter(None, names)))


def exported(folder: Path, columns: tuple[str, ...]) -> Path:
    """Folder of an untrained generator of these columns, as `genseek export` writes it."""
    shape = Shape(len(columns), "normal", len(columns))
    rows = torch.randn(60, len(columns), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    made = Generator(MODELS["pushforward"](shape, 4), FEATURES["standard"](rows), columns)
    shutil.copytree(Path(models.__file__).parent, folder / "models", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(folder / "models" / "sampler.py", folder / "sampler.py")
    described = {"format": 1, "model": "pushforward", "arguments": {}, "shape": asdict(shape), "features": "standard"}
    (folder / "model.json").write_text(json.dumps({**described, "columns": columns}))
    save_file(made.tensors(), folder / "weights.safetensors")
    return folder


@pytest.mark.parametrize("seed", range(4))
def test_samples_have_the_names(seed: int, genseek: Any, tmp_path: Path) -> None:
    names = drawn(seed, 12)
    folder = exported(tmp_path / "winner", names)
    code, out, err = genseek("sample", folder, "-n", 3)
    assert (code, err) == (0, "")
    assert next(csv.reader(out.splitlines(keepends=True))) == list(names)
    for ending, read in (("csv", lambda path: pd.read_csv(path, nrows=3)), ("parquet", pd.read_parquet)):
        code, said, err = genseek("sample", folder, "-n", 3, "--out", tmp_path / f"rows.{ending}")
        assert (code, err, said.count("\n")) == (0, "", 1)
        assert said == f"3 rows of {visible(', '.join(names))} are in {tmp_path}/rows.{ending}\n"
        assert list(read(tmp_path / f"rows.{ending}").columns) == list(names)
    alone = subprocess.run([sys.executable, folder / "sampler.py", "-n", "3"], capture_output=True, check=True)
    assert (alone.stdout.decode(), alone.stderr) == (out, b"")


@pytest.mark.parametrize("seed", range(2))
def test_the_mlflow_model_answers_under_the_names(seed: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    names = drawn(seed, 12)
    package(exported(tmp_path / "winner", names), tmp_path / "model", "m-1", "r-1")
    loaded = mlflow.pyfunc.load_model(str(tmp_path / "model"))
    assert list(loaded.predict(pd.DataFrame({"rows": [3], "seed": [1]})).columns) == list(names)
    assert loaded.metadata.get_output_schema().input_names() == list(names)
    assert "WARN" not in capfd.readouterr().err


class Text(HTMLParser):
    """Texts of the elements of a page, and of its figures' labels."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.tags: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.texts += [value or "" for name, value in attrs if name == "aria-label"]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.mark.parametrize("seed", range(2))
def test_a_report_shows_the_names(seed: int, contents: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from search.report import data as of

    names = tuple(name.replace("\r", "") or "r" for name in drawn(seed, 2))  # which HTML takes for the end of a line
    kept = of.kept_generator(contents, contents.winner)
    assert kept is not None
    for module in ("samples", "networks"):
        monkeypatch.setattr(f"search.report.{module}.kept_generator", lambda *_: replace(kept, columns=names))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        page = report(contents)
        html = rendered(Page(title=names[0], summary=names, facts=[(names[0], names[1])], sections=page.sections))
    plain, read = Text(rendered(report(contents))), Text(html)
    assert read.tags == plain.tags
    assert any(text.startswith(f"{names[0]}, {names[1]}: tau") for text in read.texts)
    assert read.texts.count(names[0]) >= 4  # title twice, summary, facts
    samples_beside(np.eye(2), np.eye(2), names, tmp_path / "picture.png")


@pytest.mark.parametrize("seed", range(2))
def test_a_card_shows_the_names(seed: int, finished: Any) -> None:
    names, board = drawn(seed, 12), finished.result.board
    text = card(board, board.winner(), names, "Draw so.")
    inline = next(each for each in MarkdownIt().parse(text) if each.type == "inline" and "columns:" in each.content)
    assert [each.content for each in inline.children or () if each.type == "code_inline"] == [*map(visible, names)]


@pytest.mark.slow
def test_check_knows_the_names(genseek: Any, tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(60, len(KNOWN)))
    pd.DataFrame(rows, columns=list(KNOWN)).to_csv(tmp_path / "收益 $x [b].csv", index=False)
    code, out, err = genseek("check", "table", "--data", tmp_path / "收益 $x [b].csv", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["columns"] == list(KNOWN)


@pytest.mark.parametrize(
    "name", ["fir'st", 'fir"st', "fir\\", "fir\nst", "fir`st", "fir%", "fir;st", "", " ", "[red]", "收"]
)
def test_no_search_is_called_so(name: str, finished: Any, genseek: Any) -> None:
    code, out, err = genseek("best", name, "--store", finished.folder)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"error: unknown search {name!r}; ")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mine", "mine"),
        ("my study (2)", "my-study-2"),
        ("收益率", "search"),
        ("-x", "x"),
        ("收益 $x 2024", "x-2024"),
        ("y" * 300, "y" * 80),
    ],
)
def test_searches_of_a_study_of_any_name(name: str, expected: str, contents: Any) -> None:
    made = stem(replace(contents.study, name=name))
    assert made == expected
    assert check_name(f"{made}-1") == f"{made}-1"


def words(line: str) -> list[str]:
    """What genseek is given by a shell that a command line is pasted into."""
    script = f"genseek() {{ printf '%s\\0' \"$@\"; }}; {line}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, check=True)
    return done.stdout.decode().split("\0")[:-1]


@pytest.mark.slow
def test_a_whole_search(
    genseek: Any, ray_cluster: None, store_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, names = "it's $5 [a] & <b> 收益率.csv", [name for name in KNOWN if len(name) < 300][::2]
    rows = np.random.default_rng(0).normal(size=(120, len(names)))
    data, store = tmp_path / file, store_folder.rename(tmp_path / "my $store; (1)")
    pd.DataFrame(rows, columns=names).to_csv(data, index=False)
    where = ("--store", store)
    code, out, err = genseek(
        *("run", "table", "--data", data, "--trials", 2, "--epochs", 2, "--finalists", 0, "--name", "odd", *where)
    )
    assert (code, err) == (0, ""), err
    assert f"search odd: {file}, " in out
    page = (store / "reports" / "odd.html").read_text(encoding="utf-8")
    assert f"odd: a search on {file}" in Text(page).texts
    registered = "it-s-5-a-b-收益率"
    assert f"registered: {registered} version 1" in out
    (line,) = [line for line in out.splitlines() if line.startswith("next: ")]
    export, ui = (words(cure) for cure in line.removeprefix("next:").split("    ")[1:])
    assert ui == ["ui", "odd", "--store", str(store)]
    monkeypatch.chdir(tmp_path)
    assert genseek(*export)[0] == 0
    assert (tmp_path / "DIR" / "model.json").exists()
    code, _, err = genseek("run", "table", "--data", data, "--name", "odd", *where)
    assert code == 2
    again = words(err.strip().partition("go on with it: ")[2])
    assert again == ["resume", "odd", "--store", str(store)]
    assert genseek(*again)[0] == 0
    assert genseek("best", "odd", *where)[0] == 0
    code, out, err = genseek("export", "odd", "--out", "-out $[x]", *where)
    assert (code, err) == (0, "")
    sample = words(out.splitlines()[-1].partition("next: ")[2])
    assert sample == ["sample", "./-out $[x]", "-n", "1000", "--out", "rows.csv"]
    code, out, err = genseek(*sample)
    assert (code, err) == (0, "")
    assert list(pd.read_csv("rows.csv").columns) == names
    assert set(score_tables(str(data), "rows.csv")) >= {"ad", "misfit"}
    uri = Store(store).uri
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", uri)
    loaded = mlflow.pyfunc.load_model(f"models:/{registered}/1")
    assert list(loaded.predict(pd.DataFrame({"rows": [3]})).columns) == names
