"""Text for people and programs: what other programs would take for their own signs is escaped."""

import html
import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

# Control characters, line and paragraph separators, marks that turn the direction of all that follows, and halves of
# letters, which file names that are not UTF-8 have.
_HIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_MARKUP = re.compile(r"([\\`*_\[\]|~$])")
_TEMPLATES = ("hovertemplate", "texttemplate")  # of plotly, which are our own


def visible(text: str) -> str:
    """Return the text in one line, with what a terminal would obey written as Python writes it, such as `\\n`."""
    return _HIDDEN.sub(_written, text)


def counted(count: int, noun: str) -> str:
    """Return a number of things in words: `1 trial`, `2 trials`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def shortened(text: str, most: int) -> str:
    """Return at most `most` letters of a text, visible; an ellipsis says that there are more."""
    seen = visible(text)
    return seen if len(seen) <= most else f"{seen[: most - 1]}…"


def command(*words: object) -> str:
    """Return a command line of genseek as a shell takes it when it is pasted."""
    return " ".join(["genseek", *map(pasted, words)])


def pasted(word: object) -> str:
    """Return one word of a command line, quoted; a path that begins with a dash is no option."""
    text = f"./{word}" if isinstance(word, Path) and str(word).startswith("-") else str(word)
    if visible(text) == text:
        return shlex.quote(text)
    return "$'" + visible(text.replace("\\", "\\\\").replace("'", "\\'")) + "'"


def markdown(text: str) -> str:
    """Return text that Markdown shows letter by letter, in a line, a cell or an item."""
    return _MARKUP.sub(r"\\\1", html.escape(visible(text), quote=False))


def code(text: str) -> str:
    """Return text as a Markdown code span, whatever backticks and blanks it has."""
    seen = visible(text)
    fence = "`" * (1 + max(map(len, re.findall("`+", seen)), default=0))
    padded = seen.strip(" ") and (seen[0] in "` " or seen[-1] in "` ")
    return f"{fence} {seen} {fence}" if padded else f"{fence}{seen}{fence}"


def markdown_table(heads: Sequence[str], rows: Iterable[Sequence[str]], words: int = 1, gap: str = "") -> str:
    """Return a Markdown table of cells that are Markdown already.

    Args:
        heads: of the columns; the first `words` hold words, the others figures, which stand at the right.
        rows: cells of each.
        words: columns of words.
        gap: behind each cell, for readers that set cells without any space between.
    """
    rulers = ["---" if place < words else "---:" for place in range(len(heads))]
    lines = [[f"{cell}{gap}" for cell in line] for line in (heads, *rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in (lines[0], rulers, *lines[1:]))


def letters(figure: Any, key: str = "") -> Any:
    """Return a plotly figure, as JSON has it, whose texts are shown letter by letter: plotly reads HTML in all."""
    if isinstance(figure, dict):
        return {name: letters(value, name) for name, value in figure.items()}
    if isinstance(figure, list):
        return [letters(value, key) for value in figure]
    return html.escape(figure, quote=False) if isinstance(figure, str) and key not in _TEMPLATES else figure


def _written(match: re.Match[str]) -> str:
    return ascii(match[0])[1:-1] if match[0].isascii() else f"\\u{ord(match[0]):04x}"
