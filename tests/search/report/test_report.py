"""Reports as files and commands: whole, escaped, self-contained, and never in the way of a search."""

import json
import re
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest

from search import Store
from search.report.build import report
from search.report.page import Drawing, Page, Row as TableRow, Section, Table, rendered
from search.study.parse import load_study, parse_study
from search.study.presets import preset_names
from search.study.serialize import study_toml

EVIL = "<script>alert(1)</script>"


def test_every_section_of_a_search(contents: Any) -> None:
    page = report(contents)
    anchors = [section.anchor for section in page.sections]
    assert anchors[:2] == ["leaderboard", "front"]
    assert {"budget", "mattered", "samples", "losses", "weights", "run"} <= set(anchors)
    board = page.sections[0].tables[0]
    best = contents.board.ranked()[0]
    assert board.rows[0].cells[0] == f"trial {best.trial}"
    assert board.rows[0].cells[2] == f"{best.misfit:.2f}"
    floor = next(row for row in board.rows if row.cells[0] == "real rows, 95 %")
    assert floor.cells[3] == f"{contents.board.floors['validation']['ad'].upper:.2f}"
    assert all(drawing.alt for section in page.sections for drawing in section.drawings)


def test_a_report_has_the_best_of_each_family(contents: Any) -> None:
    (section,) = [section for section in report(contents).sections if section.anchor == "mattered"]
    table = section.tables[0]
    assert (table.caption, table.headings[-4:]) == (
        "Best of each family",
        ["latent", "sigma", "lambda", "encoder/decoder"],
    )
    rows = {row.cells[0]: dict(zip(table.headings, row.cells, strict=True)) for row in table.rows}
    assert set(rows) == {"vae", "pushforward"}
    for family, row in rows.items():
        own = [entry for entry in contents.board.ranked() if entry.configuration.model == family]
        assert row["trial"].split()[0] == str(own[0].trial)
        assert (row["rows"], row["trials"]) == ("validation", str(len(own)))
        assert row["misfit"] == f"{own[0].misfit:.2f}"
    best = next(entry for entry in contents.board.ranked() if entry.configuration.model == "vae")
    ratio = 2 ** best.architecture["log2_encoder_over_decoder"]
    assert float(rows["vae"]["encoder/decoder"]) == pytest.approx(ratio, rel=0.05)
    assert rows["pushforward"]["latent"] == ""


def test_the_study_in_a_report_runs_the_same_again(contents: Any) -> None:
    text = report(contents).sections[-1].text
    assert parse_study(text, contents.study.name, "tiny.toml") == contents.study


@pytest.mark.parametrize("name", preset_names())
def test_a_study_as_toml_is_the_same_study(name: str) -> None:
    study = load_study(name) if name != "table" else None
    if study is not None:
        assert parse_study(study_toml(study), study.name, f"{name}.toml") == study


def test_what_a_user_names_is_text_and_no_markup() -> None:
    figure = go.Figure(go.Scatter(x=[1], y=[1], name=EVIL, text=[EVIL]))
    section = Section(
        anchor="run",
        found=[EVIL],
        tables=[Table(caption=EVIL, headings=[EVIL], rows=[TableRow([EVIL])])],
        drawings=[Drawing(caption=EVIL, alt=EVIL, figure=figure)],
        text=EVIL,
    )
    html = rendered(Page(title=EVIL, summary=[EVIL], facts=[(EVIL, EVIL)], sections=[section]))
    assert EVIL not in html
    assert html.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 10
    (written,) = re.findall(r'<script type="application/json">(.*?)</script>', html)
    assert json.loads(written)["data"][0]["name"] == escape(EVIL)  # plotly reads HTML, and shows what it says


def test_one_file_that_names_no_other(contents: Any) -> None:
    html = rendered(report(contents))
    assert html.count("<script>") == 2  # plotly.js once, and the page's own
    assert not re.search(r"<(script|link|img|iframe)[^>]+(src|href)=", html)
    assert "default-src 'none'" in html


def test_searches_without_a_winner_or_a_journal(contents: Any) -> None:
    board = replace(
        contents.board, entries=[replace(each, outcome="diverged", misfit=1e6) for each in contents.board.entries]
    )
    page = report(replace(contents, board=board, histories={}, study=None, problem=None, rows=None, missing=("gone",)))
    assert page.summary[0].startswith("No trial was trained at full budget")
    assert "Gone." in page.sections[-1].found
    rendered(page)


def test_the_command_and_its_mistakes(finished: Any, genseek: Any, tmp_path: Path) -> None:
    where = ("--store", finished.folder)
    code, out, err = genseek("report", "first", "--out", tmp_path / "r" / "first.html", *where)
    assert (code, err) == (0, "")
    assert "the report of first is in" in out
    assert (tmp_path / "r" / "first.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    code, _, err = genseek("report", "frist", "--out", tmp_path / "x.html", *where)
    assert code == 2
    assert "did you mean 'first'?" in err
    code, _, err = genseek("report", "first", "--out", "/proc/none/x.html", *where)
    assert code == 2
    assert "--out /proc/none/x.html: can't write there" in err
    code, _, err = genseek("compare", "first", "first", *where)
    assert code == 2
    assert "two names" in err


@pytest.mark.slow
def test_a_search_leaves_its_report_and_exports_it(
    genseek: Any,
    ray_cluster: None,
    tiny_study: Path,
    store_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    arguments = ("--store", store_folder, "--trials", 2, "--epochs", 2, "--device", "cpu")
    code, out, err = genseek("run", tiny_study, *arguments, "--seed", 1)
    assert code == 0, err
    kept = store_folder / "reports" / "tiny-1.html"
    assert f"report: {kept}" in out
    monkeypatch.setattr("search.report.build.report", lambda contents: 1 / 0)
    code, out, err = genseek("run", tiny_study, *arguments, "--seed", 2)
    assert code == 0, err
    assert "warning: no report was written: division by zero" in err
    monkeypatch.undo()
    store = Store(store_folder)
    run_id = store.search_run("tiny-1")
    assert run_id is not None
    assert store.fetch(run_id, "report.html", tmp_path).read_bytes() == kept.read_bytes()
    for number in (1, 2):  # kept with the run, and written anew
        folder = tmp_path / f"winner {number}"
        assert genseek("export", f"tiny-{number}", "--out", folder, "--store", store_folder)[0] == 0
        assert (folder / "report.html").stat().st_size > 1e6
    where = ("--store", store_folder, "--out", tmp_path / "both.html")
    told = json.loads(genseek("compare", "tiny-1", "tiny-2", *where, "--json")[1])
    assert told["differences"] == {"budget.seed": ["1", "2"]}
    boards = [store.leaderboard(name) for name in ("tiny-1", "tiny-2")]
    assert [side["trial"] for side in told["searches"]] == [board.winner().trial for board in boards]
    assert "different rows" in told["verdict"]
    text = genseek("compare", "tiny-1", "tiny-2", *where)[1]
    assert "budget.seed" in text
    assert (tmp_path / "both.html").read_text(encoding="utf-8").count("Plotly.newPlot") >= 1
