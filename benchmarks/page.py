"""Tables of docs/performance.md, written by the benchmarks between markers, so that no figure goes stale by hand."""

import os
import platform
import re
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import torch

from search.text import markdown_table

PAGE = Path(__file__).resolve().parents[1] / "docs" / "performance.md"
CPUINFO = Path("/proc/cpuinfo")


def write(name: str, content: str, settings: str, path: Path = PAGE) -> None:
    """Put `content` between the markers of `name`, under a line that says where, when and how it was measured.

    Raises:
        ValueError: the page has no such markers.
    """
    print(f"\n{name}: {machine()}; {settings}\n{content.strip()}", flush=True)
    text = path.read_text(encoding="utf-8")
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise ValueError(f"{path.name}: expected {begin} and {end} once each")
    before, after = text[: text.index(begin)], text[text.index(end) + len(end) :]
    path.write_text(f"{before}{begin}\n*{machine()}; {settings}.*\n\n{content.strip()}\n{end}{after}", encoding="utf-8")


def machine() -> str:
    """Cores, processor, torch, and today's date."""
    found = re.search(r"model name\s*:\s*(.+)", CPUINFO.read_text()) if CPUINFO.exists() else None
    processor = found[1].strip() if found else platform.processor() or platform.machine()
    return f"{cores()} cores of {processor}, torch {torch.__version__}, {date.today().isoformat()}"


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown table."""
    return f"{markdown_table(heads, rows)}\n"
