"""Names of columns: whatever a file calls them, `--columns` names them, and a cure that is printed reads back."""

import csv
import random
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from objectives.problems.names import clean, listed, option, wanted_columns
from objectives.problems.reading import read_table
from objectives.problems.table import Table

LETTERS = "abzAZ09 _-.,;:!?'\"`´()[]{}<>/\\|@#$%^&*+=~\t\n\r\u00a0\u2028äßé価格שלוםعرب😀"
WORDS = ["None", "nan", "NA", "null", "True", "inf", "1", "0.5", "-1", "index", "fit", "rows", "seed", "z0", "class"]
WORDS += [
    "$HOME",
    "$(ls)",
    "`ls`",
    "a b",
    "-x",
    "--help",
    "-",
    "*",
    "~",
    "!!",
    "[bold]x[/]",
    "%s",
    "{x}",
    "a\\",
    '"',
    '""',
]
WORDS += [
    "x" * 300,
    "sep=;",
    "#",
    "# x",
    "a;b;c",
    "a|b",
    "a\tb",
    "Unnamed: 7",
    "价格",
    "שלום",
    "a,b",
    'say "hi", he said',
]


def drawn(generator: random.Random) -> list[str]:
    """Names that differ, one of them a plain one."""
    names = ["plain"]
    for _ in range(generator.randint(1, 6)):
        letters = "".join(generator.choices(LETTERS, k=generator.randint(1, 12)))
        names.append(generator.choice(WORDS) if generator.random() < 0.3 else letters)
    generator.shuffle(names)
    if names[0].startswith("# "):  # a comment, as numpy.savetxt writes the names
        names[0] = "#"
    return list({name: None for name in {clean(name): name for name in names if clean(name)}.values()})


def written(path: Path, names: list[str], generator: random.Random) -> Path:
    rows = np.random.default_rng(generator.randint(0, 999)).normal(size=(60, len(names)))
    if generator.random() < 0.2:
        pd.DataFrame(rows, columns=names).to_parquet(path / "data.parquet")
        return path / "data.parquet"
    quoting: Any = generator.choice([csv.QUOTE_MINIMAL, csv.QUOTE_NONNUMERIC, csv.QUOTE_ALL])
    with (path / "data.csv").open("w", newline="", encoding=generator.choice(["utf-8", "utf-8-sig", "utf-16"])) as file:
        csv.writer(file, quoting=quoting).writerows([names, *rows.tolist()])
    return path / "data.csv"


def given(cure: str) -> str:
    """What a command gets for `--columns` when the cure is pasted into a shell."""
    words = shlex.split(cure)
    assert len(words) == 2 if words[0] == "--columns" else len(words) == 1
    return words[1] if len(words) == 2 else words[0].removeprefix("--columns=")


@pytest.mark.parametrize("seed", range(150))
def test_any_name_is_read_chosen_and_pasted(seed: int, tmp_path: Path) -> None:
    generator = random.Random(seed)
    names = drawn(generator)
    data, cleaned = str(written(tmp_path, names, generator)), tuple(map(clean, names))
    assert read_table(data).columns == cleaned
    chosen = generator.sample(cleaned, generator.randint(1, len(cleaned)))
    assert "\n" not in option(chosen)
    assert wanted_columns(given(option(chosen))) == chosen
    assert Table(data=data, columns=given(option(chosen))).columns == tuple(chosen)


@pytest.mark.parametrize("seed", range(30))
def test_a_printed_cure_works(seed: int, tmp_path: Path) -> None:
    generator = random.Random(seed)
    names = drawn(generator)
    rows: list[list[Any]] = np.random.default_rng(seed).normal(size=(60, len(names))).tolist()
    for row in rows:
        row.insert(1, "text")
    names.insert(1, 'the "date", of it')
    with (tmp_path / "data.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([names, *rows])
    with pytest.raises(ValueError) as error:
        Table(data=str(tmp_path / "data.csv"))
    line, _, cure = str(error.value).rpartition("; keep the others with ")
    assert line.endswith("""no numbers in column the "date", of it ('text' in row 1)""")
    kept = Table(data=str(tmp_path / "data.csv"), columns=given(cure)).columns
    assert kept == tuple(clean(name) for name in [names[0], *names[2:]])


def test_a_name_with_a_comma_that_was_not_quoted(tmp_path: Path) -> None:
    pd.DataFrame({"price, USD": range(60), "b": range(60)}).iloc[::-1].to_csv(tmp_path / "data.csv", index=False)
    with pytest.raises(ValueError, match="no column 'price'; a name with a comma is quoted: ") as error:
        Table(data=str(tmp_path / "data.csv"), columns="price, USD,b")
    assert given(str(error.value).rpartition("is quoted: ")[2]) == '"price, USD"'
    assert Table(data=str(tmp_path / "data.csv"), columns='"price, USD",b').columns == ("price, USD", "b")


def test_what_is_no_line_of_csv(tmp_path: Path) -> None:
    pd.DataFrame({"a": range(60)}).to_csv(tmp_path / "data.csv", index=False)
    with pytest.raises(ValueError, match="expected names as a line of CSV, such as a,b; a name with a comma") as error:
        Table(data=str(tmp_path / "data.csv"), columns='"a')
    assert "\n" not in str(error.value)
    assert Table(data=str(tmp_path / "data.csv"), columns="  ").columns == ("a",)
    with pytest.raises(ValueError, match="no column ''"):
        Table(data=str(tmp_path / "data.csv"), columns="a,,")


def test_long_names_are_shown_short_and_pasted_whole() -> None:
    assert len(listed(["x" * 300])) < 80
    assert given(option(["x" * 300])) == "x" * 300
