"""Tables go between their markers and nowhere else; ways take turns."""

import json
import re
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
SCRIPTS = ["throughput", "whole_search", "overhead", "scaling", "cluster", "regret", "store", "halving", "finalists"]
SCRIPTS += ["ranking", "portfolio", "winners"]
MARKED = "before\n<!-- a -->\nold\n<!-- /a -->\nbetween\n<!-- b -->\n<!-- /b -->\nafter\n"


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def test_a_table_replaces_the_one_before_it_and_nothing_else(tmp_path: Path) -> None:
    from page import machine, table, write

    path = tmp_path / "page.md"
    path.write_text(MARKED)
    for figure in ("1", "2"):
        write("a", table(["x", "y"], [["first", figure]]), "medians", path)
    written = path.read_text()
    assert "old" not in written and "| first | 1 |" not in written
    expected = f"<!-- a -->\n*{machine()}; medians.*\n\n| x | y |\n| --- | ---: |\n| first | 2 |\n<!-- /a -->"
    assert written == MARKED.replace("<!-- a -->\nold\n<!-- /a -->", expected)


def test_unknown_markers_are_refused(tmp_path: Path) -> None:
    from page import write

    path = tmp_path / "page.md"
    path.write_text(MARKED)
    with pytest.raises(ValueError, match="<!-- c -->"):
        write("c", "", "", path)
    assert path.read_text() == MARKED


def test_the_page_has_a_place_for_every_table_and_no_other() -> None:
    from page import PAGE

    sources = "".join((BENCHMARKS / f"{name}.py").read_text() for name in SCRIPTS)
    written = set(re.findall(r'\bwrite\("([a-z ]+)"', sources))
    assert set(re.findall(r"<!-- ([a-z ]+) -->", PAGE.read_text())) == written


def test_ways_take_turns_with_one_thread_each(tmp_path: Path) -> None:
    from turns import median, ratios, spread, take_turns

    log = tmp_path / "log"
    script = tmp_path / "script.py"
    script.write_text(
        "import json, os, sys\n"
        f"log = open({str(log)!r}, 'a')\n"
        "way, number = sys.argv[2], int(sys.argv[4])\n"
        "print(way, number, os.environ['OMP_NUM_THREADS'], *sys.argv[5:], file=log)\n"
        "print('noise')\n"
        "print(json.dumps({'seconds': {'slow': 6, 'fast': 2}[way] + number}))\n"
    )
    found = take_turns(str(script), ["slow", "fast"], 3, ["--quick"])
    lines = [f"{way} {number} 1 --quick" for number in range(3) for way in ("slow", "fast")]
    assert log.read_text().splitlines() == lines
    assert median(found["slow"], "seconds") == 7
    assert ratios(found["fast"], found["slow"], "seconds") == [6 / 2, 7 / 3, 8 / 4]
    assert spread([3.0, 1.0, 2.0]) == "2.00 (1.00 to 3.00)"


def test_a_way_that_fails_says_why(tmp_path: Path) -> None:
    from turns import alone

    script = tmp_path / "script.py"
    script.write_text("raise ValueError('no such way')\n")
    with pytest.raises(RuntimeError, match="no such way"):
        alone(str(script), ["--way", json.dumps(sys.platform)])
