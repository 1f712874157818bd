"""Files as people have them: what leaves no doubt is read, and said; the rest is one line with a cure that works."""

import shlex
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from objectives.problems.reading import Content, read_table

ROWS = np.random.default_rng(0).normal(size=(60, 3)).round(3)
READERS = ("pandas", "pyarrow", "tokeniz", "codec", "dtype", "parser", "utf-8' ")


def written(
    rows: Iterable[Iterable[object]], separator: str = ",", decimal: str = ".", head: str = "a,b,c\n", end: str = "\n"
) -> str:
    """A text of rows below a head, whose commas become the separator."""
    lines = [separator.join(str(cell).replace(".", decimal) for cell in row) for row in rows]
    return end.join([*head.replace(",", separator).splitlines(), *lines, ""])


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Content]:
    """Reads a file of this text, or of these bytes."""

    def of(content: str | bytes, columns: str = "", drop_missing: bool = False) -> Content:
        path = tmp_path / "data.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read_table(str(path), columns, drop_missing, least=50, varied=True)

    return of


@pytest.fixture
def refused(read: Callable[..., Content]) -> Callable[..., str]:
    """The one line that refuses a file, in words of genseek's own."""

    def of(content: str | bytes, columns: str = "", drop_missing: bool = False) -> str:
        with pytest.raises(ValueError) as error:
            read(content, columns, drop_missing)
        said = str(error.value)
        assert "\n" not in said and not any(word in said.lower() for word in READERS)
        return said.partition("data.csv: ")[2]

    return of


def said(content: Content) -> str:
    return "; ".join(content.notes)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("decimal", [".", ","])
@pytest.mark.parametrize(
    ("separator", "words"), [(",", ""), (";", "semicolons"), ("\t", "tabs"), ("|", "vertical bars"), (" ", "blanks")]
)
def test_separators_and_decimal_marks(
    separator: str, words: str, decimal: str, end: str, read: Callable[..., Content]
) -> None:
    if separator == decimal:
        return
    found = read(written(ROWS, separator, decimal, end=end))
    assert found.columns == ("a", "b", "c")
    np.testing.assert_array_equal(found.rows, ROWS)
    assert bool(words) == ("separated by" in said(found)) and words in said(found)
    assert (decimal == ",") == ("decimal commas" in said(found))


def test_decimal_commas_within_quotation_marks(read: Callable[..., Content]) -> None:
    rows = [[f'"{cell}"' for cell in row] for row in ROWS]
    found = read(written(rows).replace(".", ","))
    np.testing.assert_array_equal(found.rows, ROWS)
    assert found.notes == (f"decimal commas: {str(ROWS[0, 0]).replace('.', ',')} is read as {ROWS[0, 0]}",)


@pytest.mark.parametrize(
    ("separator", "group", "decimal"),
    [(";", ".", ","), (";", " ", ","), (";", "\u202f", ","), ("\t", ",", "."), (";", "'", "."), (";", ",", ".")],
)
def test_groups_of_thousands(separator: str, group: str, decimal: str, read: Callable[..., Content]) -> None:
    rows = (ROWS * 1e6).round(2)
    cells = [
        [f"{cell:,.2f}".replace(",", "_").replace(".", decimal).replace("_", group) for cell in row] for row in rows
    ]
    found = read(written(cells, separator, decimal="."))
    np.testing.assert_allclose(found.rows, rows, rtol=1e-15)
    assert "thousands in groups: " in said(found)


def test_thousands_in_quotation_marks_beside_points(read: Callable[..., Content]) -> None:
    found = read(written([[f'"{int(cell * 1e6):,}"', cell, -cell] for cell in ROWS[:, 0]]))
    np.testing.assert_array_equal(found.rows[:, 0], np.trunc(ROWS[:, 0] * 1e6))


def test_what_may_be_thousands_or_decimals_is_refused(refused: Callable[..., str]) -> None:
    line = refused(written([[f'"{row % 9 + 1},{100 + row}"', row % 7, row % 5] for row in range(60)]))
    assert line == ("column a: '1,100' may be 1.100 or 1100; write decimals with a point, and thousands without a mark")


def test_points_that_may_group_thousands(refused: Callable[..., str], read: Callable[..., Content]) -> None:
    rows = [[f"{cell:,}".replace(",", ".") for cell in row] for row in np.arange(800, 980).reshape(60, 3) ** 2 // 300]
    assert refused(written([["997", *row[1:]] for row in rows[40:]] + rows, ";")) == (
        "column a: '2.133' may be 2.133 or 2133; write thousands without a mark, or three decimals in all cells"
    )
    assert read(written(rows)).rows[0, 0] == 2.133
    found = read(written(rows, ";"))
    assert found.rows[0, 0] == 2.133 and "decimal points: 2.133 is not read as 2133" in found.notes


def test_excels_line_of_the_separator(read: Callable[..., Content]) -> None:
    for first in ("sep=;\n", '"sep=;"\r\n'):
        np.testing.assert_array_equal(read(first + written(ROWS, ";", ",")).rows, ROWS)
    np.testing.assert_array_equal(read("sep=,\n" + written(ROWS)).rows, ROWS)
    assert read("sep=^\n" + written(ROWS, "^")).columns == ("a", "b", "c")


def test_titles_above_the_names(read: Callable[..., Content]) -> None:
    found = read("Prices of 2024\nSource: a bank, of course\n\n" + written(ROWS))
    assert found.columns == ("a", "b", "c") and len(found.rows) == 60
    assert found.notes == ("2 lines above line 4 left out",)
    found = read("Bericht;;\n" + written(ROWS, ";", ","))
    np.testing.assert_array_equal(found.rows, ROWS)


def test_comments(read: Callable[..., Content]) -> None:
    found = read("# made by hand\n" + written(ROWS).replace("c\n", "c\n# units: none, none, none\n"))
    assert found.columns == ("a", "b", "c") and len(found.rows) == 60
    assert found.notes == ("the line above line 2 left out", "a line that begins with # left out")
    found = read("# a,b,c\n" + written(ROWS, head=""))  # numpy.savetxt
    assert found.columns == ("a", "b", "c") and found.notes == ("names read from line 1, which begins with #",)
    assert read("#a,b,c\n" + written(ROWS, head="")).columns == ("#a", "b", "c")


def test_several_lines_of_names(read: Callable[..., Content], tmp_path: Path) -> None:
    frame = pd.DataFrame(ROWS, columns=pd.MultiIndex.from_tuples([("x", "a"), ("x", "b"), ("y", "a")]))
    for index in (True, False):
        frame.to_csv(tmp_path / "many.csv", index=index)
        found = read((tmp_path / "many.csv").read_bytes())
        assert found.columns == ("x a", "x b", "y a") and len(found.rows) == 60
        assert "2 lines of names joined, to such as 'y a'" in found.notes
    frame.index.name = "day"
    frame.to_csv(tmp_path / "many.csv")
    assert read((tmp_path / "many.csv").read_bytes(), "y a").columns == ("y a",)
    frame = frame.set_axis(pd.MultiIndex.from_product([["x"], [2019, 2020, 2021]]), axis=1).rename_axis(None)
    frame.to_csv(tmp_path / "many.csv")
    assert read((tmp_path / "many.csv").read_bytes()).columns == ("x 2019", "x 2020", "x 2021")
    assert read(written(ROWS, head="speed,,mass\nm/s,m,kg\n")).columns == ("speed m/s", "speed m", "mass kg")


def test_a_first_line_of_numbers_like_those_below_is_a_row(read: Callable[..., Content]) -> None:
    for rows in (ROWS, np.random.default_rng(0).integers(0, 100, (60, 3)), np.round(ROWS * 9) % 2):
        found = read(written(rows, head=""))
        assert found.columns == ("x1", "x2", "x3")
        np.testing.assert_array_equal(found.rows, rows)
        assert "taken for a row, columns named x1 to x3" in said(found)
    found = read(written(ROWS[:, :1], head=""))
    assert found.columns == ("x1",) and len(found.rows) == 60
    text = written([[*row, "setosa"] for row in ROWS], head="")
    assert read(text, "x1,x2,x3").rows[0].tolist() == ROWS[0].tolist()


@pytest.mark.parametrize(
    "head", ["0.25,0.5,0.75", "0.05,0.5,0.95", "0,1,2", "1,2,3", "2019,2020,2021", "2019,2020,2024", "10,20,30"]
)
def test_names_that_are_numbers(head: str, read: Callable[..., Content]) -> None:
    precise = np.random.default_rng(0).normal(size=(60, 3))
    found = read(written(precise, head=head + "\n"))
    assert found.columns == tuple(head.split(","))
    np.testing.assert_array_equal(found.rows, precise)
    assert "taken for column names" in said(found)
    indexed = read(written([[row, *cells] for row, cells in enumerate(precise)], head=f",{head}\n"))
    assert indexed.columns == tuple(head.split(",")) and len(indexed.rows) == 60
    counts = np.random.default_rng(0).integers(0, 1000, (60, 3))
    if head in ("0,1,2", "1,2,3", "2019,2020,2021"):
        assert read(written(counts, head=head + "\n")).columns == tuple(head.split(","))


def test_numbers_that_may_be_names_or_a_row(refused: Callable[..., str], read: Callable[..., Content]) -> None:
    counts = np.random.default_rng(0).integers(0, 100, (60, 3))
    line = refused(written(counts, head="10,20,30\n"))
    assert line == (
        "line 1 holds numbers (10, 20, 30), which may be names or a row; write a line of column names above it, or "
        "letters into it"
    )
    assert len(read("a,b,c\n" + written(counts, head="10,20,30\n")).rows) == 61
    assert read(written(counts, head="x10,x20,x30\n")).columns == ("x10", "x20", "x30")
    assert "may be names or a row" in refused(written(ROWS, head="500,-300,7000\n"))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_encodings(encoding: str, read: Callable[..., Content]) -> None:
    found = read(written(ROWS, head="größe,价格,c\n").encode(encoding))
    assert found.columns == ("größe", "价格", "c")
    np.testing.assert_array_equal(found.rows, ROWS)
    assert ("read as UTF-" in said(found)) == (encoding[4:6] in ("16", "32"))


def test_latin_1(read: Callable[..., Content]) -> None:
    found = read(written(ROWS, head="größe,b,c\n").encode("latin-1"))
    assert found.columns == ("größe", "b", "c") and found.notes == ("not UTF-8: read as Latin-1 (Windows-1252)",)


def test_what_is_no_text(refused: Callable[..., str]) -> None:
    assert refused(b"PK\x03\x04rest") == "an Excel workbook or a zip archive, no CSV; save it as CSV, or unpack it"
    assert refused(b"\x1f\x8brest") == "packed with gzip; unpack it"
    assert "Parquet" in refused(b"PAR1rest")
    assert "no text" in refused(b"a,b\n1,\0\n" * 60)
    assert "no text" in refused(b"\xff\xfea\x00\x00\xd8\x00\xd8")


def test_a_number_of_the_row_is_no_column_with_a_name_or_without(read: Callable[..., Content]) -> None:
    for begin in (0, 1):
        for name in ("", "Unnamed: 0", "index", "ID", '""'):
            found = read(written([[row + begin, *cells] for row, cells in enumerate(ROWS)], head=f"{name},a,b,c\n"))
            assert found.columns == ("a", "b", "c"), name
            assert "counts the rows: left out" in said(found)
    text = written([[row, *cells] for row, cells in enumerate(ROWS)], head="index,a,b,c\n")
    assert read(text, "index,a").columns == ("index", "a")
    time_told = read(written([[row, *cells] for row, cells in enumerate(ROWS)], head="t,a,b,c\n"))
    assert time_told.columns == ("t", "a", "b", "c")
    assert time_told.notes == ("column t counts the rows; if it is their number, leave it out with --columns a,b,c",)
    shuffled = np.random.default_rng(0).permutation(1000)[:60]
    found = read(written([[row, *cells] for row, cells in zip(shuffled, ROWS, strict=True)], head=",a,b,c\n"))
    assert found.columns == ("a", "b", "c") and "labels the rows: left out" in said(found)
    days = pd.date_range("2024-01-01", periods=60).strftime("%Y-%m-%d")
    assert read(written([[day, *row] for day, row in zip(days, ROWS, strict=True)], head=",a,b,c\n")).columns[0] == "a"


def test_names_that_lack_that_of_the_rows(read: Callable[..., Content], refused: Callable[..., str]) -> None:
    found = read(written([[f'"{row + 1}"', *cells] for row, cells in enumerate(ROWS)]))  # R's write.csv without a name
    assert found.columns == ("a", "b", "c") and "left out" in said(found)
    np.testing.assert_array_equal(found.rows, ROWS)
    assert refused(written(ROWS, head="a,b\n")).startswith("line 1 has 2 names and the rows below 3 values; expected")


def test_separators_at_the_end_of_lines(read: Callable[..., Content]) -> None:
    for head in ("a,b,c,\n", "a,b,c\n"):
        found = read(written([[*row, ""] for row in ROWS], head=head))
        np.testing.assert_array_equal(found.rows, ROWS)
        assert found.notes == ("column 4, without name and values, left out",)
    assert read(written(ROWS, head="a,b,c,,\n")).columns == ("a", "b", "c")


def test_a_nameless_column_of_measurements_is_refused(refused: Callable[..., str]) -> None:
    assert refused(written(ROWS, head=",b,c\n")) == (
        "column 1 has no name; give it one, or keep the others with --columns b,c"
    )


def test_blanks_and_line_breaks_around_and_within_names(read: Callable[..., Content]) -> None:
    found = read(written(ROWS, head="  a , \ufeffb\u00a0,c\n"))
    assert found.columns == ("a", "b", "c")
    path_like = '" first\nsecond ","b\r\n\tb", "c  c"\n' + written(ROWS, head="")
    assert read(path_like).columns == ("first second", "b b", "c  c")
    assert read(path_like, '"first\nsecond",c  c').columns == ("first second", "c  c")


def test_empty_lines_and_a_last_line_without_end(read: Callable[..., Content]) -> None:
    found = read("\n\n" + written(ROWS).replace("\n", "\n\n").rstrip("\n"))
    np.testing.assert_array_equal(found.rows, ROWS)


def test_text_dates_signs_and_a_stranger(refused: Callable[..., str], read: Callable[..., Content]) -> None:
    text = written([[row[0], f"{row[1]}%", f"${abs(row[2])}"] for row in ROWS])
    assert refused(text) == (
        f"percent signs in column b ('{ROWS[0, 1]}%' in row 1), currency signs in column c ('${abs(ROWS[0, 2])}' in "
        "row 1); write bare numbers, or keep the others with --columns a"
    )
    assert refused(written([[*row[:2], f"{row[2]} €"] for row in ROWS])).startswith("currency signs in column c")
    strange = [list(row) for row in ROWS]
    strange[40][1] = "abc"
    assert refused(written(strange)) == (
        "no number in row 41 of column b ('abc'); mend that row, or keep the others with --columns a,c"
    )
    footer = refused(written(ROWS) + "Source: a bank\n")
    assert footer.startswith("no number in row 61 of column a ('Source: a bank'); mend that row")
    minus = written(ROWS).replace("-", "\u2212")
    np.testing.assert_array_equal(read(minus).rows, ROWS)


def test_what_stands_beside_numbers_and_for_missing_ones(
    refused: Callable[..., str], read: Callable[..., Content]
) -> None:
    for words, cells in (
        ("units", [f"{row[0]} kg" for row in ROWS]),
        ("parentheses", [f"({row[0]})" for row in ROWS]),
        ("currency signs", [f"{row[0]} €" for row in ROWS]),
    ):
        line = refused(written([[cell, *row[1:]] for cell, row in zip(cells, ROWS, strict=True)]))
        assert line == (
            f"{words} in column a ({cells[0]!r} in row 1); write bare numbers, or keep the others with --columns b,c"
        )
    for mark in ("-", "?", "n.a.", "."):
        rows = [[mark if place % 20 == 0 else row[0], *row[1:]] for place, row in enumerate(ROWS)]
        assert "3 of 60 rows miss a value in column a" in refused(written(rows))
        found = read(written(rows), drop_missing=True)
        assert found.notes == (f"{mark!r} read as missing", "3 rows with missing values dropped")
        np.testing.assert_array_equal(found.rows, ROWS[np.arange(60) % 20 > 0])
        if "." not in mark:
            np.testing.assert_array_equal(read(written(rows, ";", ","), drop_missing=True).rows, found.rows)


def test_what_else_ends_in_csv(refused: Callable[..., str], read: Callable[..., Content]) -> None:
    for text in (
        "<!DOCTYPE html>\n<html><body>Log in, please</body></html>\n",
        '[{"a": 1, "b": 2},\n{"a": 3, "b": 4}]\n',
    ):
        assert refused(text) == "HTML or JSON, no CSV; expected a line of column names and rows of numbers"
    markdown = "| a | b |\n|---|:---|\n" + "".join(f"| {one} | {other} |\n" for one, other, _ in ROWS)
    assert read(markdown).columns == ("a", "b")
    np.testing.assert_array_equal(read(markdown).rows, ROWS[:, :2])


def test_a_row_that_is_short_or_long(refused: Callable[..., str]) -> None:
    assert refused(written(ROWS).replace("c\n", "c\n1,2\n")) == "line 2 has 2 values, those below 3; mend it"
    assert refused(written(ROWS) + "1,2,3,4\n") == "line 62 has 4 values, expected 3 as there are columns; mend it"
    assert "line 1: 0,126 may be two values" in refused(written(ROWS[:, :1], decimal=",", head=""))
    assert refused(written(ROWS[:, :1], decimal=",", head="a\n")).startswith("line 1 has 1 name and the rows below 2")


def test_numbers_beyond_float64(refused: Callable[..., str]) -> None:
    assert "divide a by 1e399" in refused(written([[f"{row[0]}e400", *row[1:]] for row in ROWS]))
    assert "divide a by 1e-400" in refused(written([[f"{row[0]}e-400", *row[1:]] for row in ROWS]))


def test_all_faults_come_in_one_line_whose_cure_works(
    refused: Callable[..., str], read: Callable[..., Content]
) -> None:
    rows = [[*row, "x", "", 7, f"15771348000181649{k:02d}", "inf"] for k, row in enumerate(ROWS)]
    line = refused(written(rows, head="a,b,c,text,void,flat,big,much\n"))
    assert line == (
        "no numbers in column text ('x' in row 1), no value at all in column void, 60 infinite values in column much, "
        "numbers in column big, such as 1577134800018164900, that float64 can't tell apart, "
        "every row has the same value in column flat; "
        "mend them, or subtract 1577134800018164900 from each of big, or keep the others with --columns a,b,c"
    )
    words = shlex.split(line.partition("keep the others with ")[2])
    assert read(written(rows, head="a,b,c,text,void,flat,big,much\n"), words[1]).columns == ("a", "b", "c")


def test_numbers_too_long_for_float64(refused: Callable[..., str], read: Callable[..., Content]) -> None:
    base = 1577134800018164900
    for gaps in (False, True):
        rows = [[base + k if k or not gaps else "", *row[:2]] for k, row in enumerate(ROWS)]
        line = refused(written(rows), drop_missing=True)
        assert "can't tell apart; subtract 15771348000181649" in line and "--columns b,c" in line
    assert read(written([[k * 2**60, *row[:2]] for k, row in enumerate(ROWS)])).rows[3, 0] == 3 * 2.0**60
    huge = [[f"1234567890123456789012{k}", *row[:2]] for k, row in enumerate(ROWS)]
    assert "can't tell apart; subtract 12345678901234567890120 from each of a" in refused(written(huge))
    digits = [[f"0.100000000000000000{k:02d}1", *row[:2]] for k, row in enumerate(ROWS)]
    assert "can't tell apart; subtract 0.100000000000000000001 from each of a" in refused(written(digits))


@pytest.mark.parametrize(
    ("factor", "cure"),
    [("e300", "divide a by 1e300"), ("e150", "divide a by 1e150"), ("e-300", "multiply a by 1e300"), ("e-310", "")],
)
def test_values_that_float64_cannot_square(factor: str, cure: str, refused: Callable[..., str]) -> None:
    line = refused(written([[f"{row[0]}{factor}", *row[1:]] for row in ROWS / np.abs(ROWS).max() * 3]))
    assert line.startswith("values ") and "in column a, which float64 can't square; " in line and cure in line


def test_scales_far_apart_are_fine(read: Callable[..., Content]) -> None:
    rows = ROWS * [1e-30, 1e30, 1] + [0, 0, 1e9]
    np.testing.assert_array_equal(read(written(rows.tolist())).rows, rows)


def test_a_large_file_is_read_in_a_moment(tmp_path: Path) -> None:
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(20_000, 10)).round(6)).add_prefix("c")
    frame.to_csv(tmp_path / "plain.csv", index=False)
    frame.to_csv(tmp_path / "comma.csv", index=False, sep=";", decimal=",")
    began = time.process_time()
    np.testing.assert_array_equal(read_table(str(tmp_path / "plain.csv")).rows, frame)
    plain = time.process_time() - began
    np.testing.assert_array_equal(read_table(str(tmp_path / "comma.csv")).rows, frame)
    assert plain < 1.0 and time.process_time() - began - plain < 3.0


def test_parquet_indexes(tmp_path: Path) -> None:
    data, frame = str(tmp_path / "data.parquet"), pd.DataFrame(ROWS, columns=["a", "b", "c"])
    frame.set_index("a").to_parquet(data)
    found = read_table(data)
    assert found.columns == ("a", "b", "c") and found.notes == ("index a read as a column",)
    np.testing.assert_array_equal(found.rows, ROWS)
    frame.set_index(["a", "b"]).to_parquet(data)
    assert read_table(data).columns == ("a", "b", "c")
    frame.iloc[::-1].to_parquet(data)
    assert read_table(data).columns == ("a", "b", "c")
    frame.sample(frac=1.0, random_state=0).to_parquet(data)
    assert read_table(data).notes == ("index without a name left out",)
    frame.rename_axis("id").reset_index().set_index("id").to_parquet(data)
    assert read_table(data).columns == ("a", "b", "c")
    frame.set_index(pd.date_range("2024-01-01", periods=60, name="day")).to_parquet(data)
    assert read_table(data).notes == ("index day, which holds no numbers, left out",)
    frame.to_parquet(data, index=False)
    assert read_table(data).notes == ()


def test_parquet_types(tmp_path: Path) -> None:
    data, frame = str(tmp_path / "data.parquet"), pd.DataFrame(ROWS, columns=["a", "b", "c"])
    frame.assign(text=frame["a"].astype(str), kind=pd.Categorical([1, 2, 4] * 20)).to_parquet(data)
    found = read_table(data)
    assert found.columns == ("a", "b", "c", "text", "kind") and found.notes == ("column text: text, read as numbers",)
    np.testing.assert_array_equal(found.rows[:, 3], ROWS[:, 0])
    frame.assign(big=pd.array([2**62 + k for k in range(59)] + [None], dtype="Int64")).to_parquet(data)
    with pytest.raises(
        ValueError, match=r"numbers in column big, such as \d+, that float64 can't tell apart; subtract"
    ):
        read_table(data, drop_missing=True)
    frame.set_axis(pd.MultiIndex.from_tuples([("x", "a"), ("x", "b"), ("y", "a")]), axis=1).to_parquet(data)
    assert read_table(data).columns == ("x a", "x b", "y a")
    frame.astype("float32").assign(n=np.arange(60, dtype="uint8")).to_parquet(data)
    assert read_table(data).columns == ("a", "b", "c", "n")


def drawn(generator: np.random.Generator) -> tuple[bytes, list[list[float]], bool]:
    """A file in a dialect of chance, the numbers in it, and whether missing values are among them."""
    width, count = int(generator.integers(1, 6)), int(generator.integers(55, 90))
    kinds: list[Callable[[], np.ndarray]] = [
        lambda: np.round(generator.normal(0, 1000, count), int(generator.integers(1, 7)))
    ]
    kinds += [lambda: generator.integers(-5000, 90000, count), lambda: generator.integers(0, 2, count)]
    rows = np.column_stack([kinds[generator.integers(3)]() for _ in range(width)]).astype(float)
    separator = str(generator.choice([",", ";", "\t", "|", " "])) if width > 1 else ","
    decimal = "," if separator != "," and generator.random() < 0.5 else "."
    fractions = (rows % 1 != 0).any()  # without which nobody can tell 1.234 from 1234
    group = (
        ""
        if not fractions
        else str(generator.choice(["", "", "." if decimal == "," else "" if separator == "," else ","]))
    )
    cells = [[f"{cell:,.6f}".rstrip("0").rstrip(".").replace(",", "_") for cell in row] for row in rows]
    cells = [[cell.replace(".", decimal).replace("_", group) for cell in row] for row in cells]
    if missing := generator.random() < 0.3 and width > 1 and separator != " ":
        for row in generator.choice(count, 3, replace=False):
            cells[row][generator.integers(width)] = str(generator.choice(["", "NA", "nan"]))
    if generator.random() < 0.3:
        cells = [[f'"{cell}"' for cell in row] for row in cells]
    names = [f"n{place}" for place in range(width)]
    head = [[], [names], [names], [names, [f"u{place}" for place in range(width)]]][generator.integers(4)]
    lines = [*head, *cells]
    if generator.random() < 0.2 and head and separator != " ":
        lines = [
            [""] * (place < len(head)) + [str(place - len(head))] * (place >= len(head)) + line
            for place, line in enumerate(lines)
        ]
    if generator.random() < 0.2 and separator != " ":
        lines = [[*line, ""] for line in lines]
    text = [separator.join(line) for line in lines]
    if generator.random() < 0.2 and head and width > 1:
        text = ["A title of this table", "", *text]
    if generator.random() < 0.1:
        text.insert(len(text) // 2, "# a remark")
    end, encoding = str(generator.choice(["\n", "\r\n"])), str(generator.choice(["utf-8", "utf-8-sig", "utf-16"]))
    return (end.join(text) + end).encode(encoding), rows.tolist(), missing


def test_a_dialect_of_chance_is_read_right_or_refused_but_never_read_wrong(tmp_path: Path) -> None:
    read = 0
    for seed in range(100):
        content, rows, missing = drawn(np.random.default_rng(seed))
        (tmp_path / "data.csv").write_bytes(content)
        try:
            found = read_table(str(tmp_path / "data.csv"), drop_missing=missing)
        except ValueError as error:
            assert "\n" not in str(error) and not any(word in str(error).lower() for word in READERS), seed
            continue
        read += 1
        if missing:
            assert len(found.rows) == len(rows) - found.dropped and all(row in rows for row in found.rows.tolist()), (
                seed
            )
        else:
            assert found.rows.tolist() == rows, seed
    assert read > 90
