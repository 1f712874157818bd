"""A folder in which a page is run from top to bottom: its files, its searches with small budgets, what they print."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from markdown_pages import Block
from shell_lines import commands, genseek_command, program

# Asked of the parser alone, since they need other machines, a browser, or judge this machine.
PARSED_ONLY = ("ui", "doctor", "submit", "attach", "status", "stop")
ELSEWHERE = ("--address", "--checkpoints", "--tracking-uri")
SMALL: dict[str, dict[str, int]] = {
    "run": {"--trials": 3, "--epochs": 4},
    "confirm": {"--top": 1, "--seeds": 2},
}
# What pages take for granted.
STUDY = """
[problem]
name = "table"
data = "prices.csv"

[models.gmm]

[models.vae]
sigma = { low = 0.1, high = 0.5 }

[objectives.likelihood]

[objectives.elbo]

[[points]]
model = "vae"
"""


class Scene:
    """Runs blocks in the working folder; `genseek` is the command line, `printed` what its commands printed.

    Searches try `finalists` of their trials again.
    """

    def __init__(self, genseek: Callable[..., tuple[int, str, str]]) -> None:
        self.genseek = genseek
        self.printed: list[str] = []
        self.finalists = 0
        self.names: dict[str, Any] = {"__name__": "page"}
        for name in ("prices", "held_out", "samples", "train"):
            table(f"{name}.csv")
        Path("my.toml").write_text(STUDY)
        Path("mine.py").write_text("MODELS = {}\n")

    def file(self, block: Block) -> None:
        """Write a file that the page names."""
        Path(block.file).write_text(block.text)
        if block.file.endswith(".py"):
            compile(block.text, block.place, "exec")

    def study(self, block: Block) -> None:
        """Write and check a study; one of a few keys is completed."""
        Path("my.toml").write_text(completed(block.text))
        self.command(["check", "my.toml"], block.place)

    def python(self, block: Block) -> None:
        exec(compile(block.text, block.place, "exec"), self.names)

    def shell(self, block: Block) -> None:
        """Run the commands of a block that this machine alone can run."""
        for words in commands(block.text):
            if program(words) == "genseek" and words[1] not in PARSED_ONLY and not set(ELSEWHERE) & set(words):
                self.prepare(words[1:])
                self.command(shortened(words[1:], self.finalists), block.place)
            elif program(words) == "python" and words[1].endswith("sampler.py"):
                subprocess.run([sys.executable, *words[1:]], check=True, capture_output=True)

    def command(self, words: list[str], place: str) -> None:
        code, out, err = self.genseek(*words, columns=80)
        assert code == 0, f"{place}: genseek {' '.join(words)}: {err}"
        self.printed.append(out)

    def prepare(self, words: list[str]) -> None:
        """Make what a command takes for granted: a table, a search, an export."""
        for word in words:
            if word.endswith(".csv") and words[words.index(word) - 1] != "--out" and not Path(word).exists():
                table(word)
        options = genseek_command().commands[words[0]].make_context(words[0], words[1:]).params
        wanted = [
            options.get("name") if words[0] != "run" else None,
            options.get("warm"),
            *(options.get("names") or ()),
        ]
        for name in filter(None, wanted):
            self.search(name)
        if words[0] == "sample" and not Path(words[1]).exists():
            self.search("first")
            self.command(["export", "first", "--out", words[1]], "prepared")

    def search(self, name: str) -> None:
        """Run a small search of this name, if there is none."""
        from search import Store

        if name not in [found.name for found in Store("genseek-store").searches()]:
            self.command(shortened(["run", "my.toml", "--name", name], self.finalists), "prepared")


def table(path: str) -> None:
    """A table of three dependent columns."""
    generator = np.random.default_rng(len(path))
    opened = generator.lognormal(4, 0.3, 300)
    closed = opened * generator.lognormal(0, 0.05, 300)
    pd.DataFrame({"open": opened, "close": closed, "volume": generator.gamma(3, 1000, 300)}).to_csv(path, index=False)


def completed(text: str) -> str:
    """A study of which a page may show a few keys alone, with a problem and a family."""
    keys = tomllib.loads(text)
    problem = "" if "problem" in keys else '\n[problem]\nname = "gaussian_2d"\n'
    family = "" if "models" in keys else "\n[models.vae]\n"
    return text + problem + family + ("" if "objectives" in keys else "\n[objectives.elbo]\n")


def shortened(words: list[str], finalists: int) -> list[str]:
    """A command with a small budget."""
    short = list(words)
    budget = SMALL.get(words[0], {}) | ({"--finalists": finalists} if words[0] == "run" else {})
    for option, most in budget.items():
        if option in short:
            at = short.index(option) + 1
            short[at] = str(min(int(short[at]), most))
        else:
            short += [option, str(most)]
    if words[0] == "resume" and "--more-trials" in short:
        short[short.index("--more-trials") + 1] = "1"
    return short


def forms(text: str) -> set[str]:
    """Lines of printed tables without what differs between searches: names, figures, families, verdicts."""
    found = set()
    for line in text.splitlines():
        line = re.sub(r"^\S+: (?=best|fresh)", "NAME: ", line.strip())
        cells = [re.sub(r"[-+]?\d[\d.]*…?", "#", cell) for cell in re.split(r" {2,}", line)]
        if cells[0] == "trial #":
            cells = ["trial #", "GENERATOR", *(cell for cell in cells[2:] if cell not in ("winner", "tie", "worse"))]
        found.add(" | ".join(cells).partition(" finished, ")[0].removesuffix(" finished"))
    return found - {""}
