"""Names as each reader takes them: shells, Markdown, plotly and MLflow's filters give back what went in."""

import subprocess
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from search.text import code, command, letters, markdown, markdown_table, shortened, visible

NAMES = (
    "Gross $ (%) / Net $",
    "Volume [/day]",
    "[bold red]x[/]",
    "a|b `c` *d* _e_ ~~f~~ ![g](h) <b>i</b> &amp; \\j",
    "``",
    " led and trailed ",
    "   ",
    "'; rm -rf ~; echo '",
    "$(id) `id` ${HOME} !x",
    "收益率 ",
    "عائد \u202e x",
    "two\nlines\tand\x1b[31m\x07 controls\x85\u2028",
    "-n",
    "x" * 300,
    "%s %(a)s {0} {{b}}",
)


@pytest.mark.parametrize("name", NAMES)
def test_a_shell_gets_the_word_that_was_meant(name: str) -> None:
    line = command(Path(name), name, "--out").replace("genseek", "printf '%s\\0'", 1)
    assert visible(line) == line  # so that it can be shown, and pasted
    said = subprocess.run(["bash", "-c", line], capture_output=True, check=True).stdout.decode().split("\0")
    path = str(Path(name))
    assert said == [f"./{path}" if path.startswith("-") else path, name, "--out", ""]


def shown(text: str) -> tuple[str, set[str]]:
    """Text of a line of Markdown without its markup, and which markup it has."""
    parser = MarkdownIt("gfm-like", {"linkify": False})
    inline = [token for token in parser.parse(text) if token.type == "inline"]
    children = [child for token in inline for child in token.children or ()]
    return "".join(each.content for each in children), {each.type for each in children}


@pytest.mark.parametrize("name", NAMES)
def test_markdown_shows_letters(name: str) -> None:
    assert shown(f"- x {markdown(name)} y")[0] == f"x {visible(name)} y"
    assert shown(f"- x {markdown(name)} y")[1] <= {"text", "text_special"}
    assert shown(f"- x {code(name)} y") == (f"x {visible(name)} y", {"text", "code_inline"})


def test_a_markdown_table_keeps_its_cells() -> None:
    cells = [[markdown(name), markdown("a|b"), "1.5"] for name in NAMES]
    table = markdown_table(["name", "other", "figure"], cells, words=2)
    html = MarkdownIt("gfm-like", {"linkify": False}).render(table)
    assert html.count("<tr>") == len(NAMES) + 1
    assert html.count("<td") == 3 * len(NAMES)
    assert html.count("<td>a|b</td>") == len(NAMES)
    assert html.count('<td style="text-align:right">1.5</td>') == len(NAMES)


def test_plotly_gets_no_markup() -> None:
    figure = {"data": [{"name": "<b>a</b>", "x": ["<a href='x'>", 1], "hovertemplate": "%{x}<extra></extra>"}]}
    (trace,) = letters(figure)["data"]
    assert trace == {
        "name": "&lt;b&gt;a&lt;/b&gt;",
        "x": ["&lt;a href='x'&gt;", 1],
        "hovertemplate": "%{x}<extra></extra>",
    }


def test_one_line_of_a_long_name() -> None:
    assert shortened("x" * 300, 10) == "xxxxxxxxx…"
    assert shortened("a\nb", 10) == "a\\nb"
