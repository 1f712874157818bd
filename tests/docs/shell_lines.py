"""Commands of shell blocks, and what the programs' own parsers say against them; nothing runs here."""

import os
import re
import shlex
import sys
import tomllib
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import click
import typer
from markdown_pages import ROOT, Block

# Programs that no test can ask, each with the reason; `bash -n` still reads their lines.
TAKEN_ON_TRUST = {
    "export": "sets variables",
    "cat": "of every system",
    "chmod": "of every system",
    "curl": "needs a server; what MLflow's answers is tested with the exports",
    "docker": "needs a daemon and a registry; deploy/ is tested in tests/deploy",
    "helm": "needs a cluster of Kubernetes",
    "kubectl": "needs a cluster of Kubernetes",
    "ssh": "needs the head of a cluster",
    "openssl": "of every system",
}
HERE_DOCUMENT = re.compile(r"<<-?'?(\w+)'?\n.*?^\1$", re.MULTILINE | re.DOTALL)
ENDS = {"&&", "||", ";", "|", "&"}


def commands(text: str) -> list[list[str]]:
    """Words of each command of a piece of shell, without comments, prompts, redirections and settings before it."""
    found: list[list[str]] = []
    for line in HERE_DOCUMENT.sub("", text).replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line.removeprefix("$ "), posix=True, punctuation_chars=";|&<>")
        lexer.wordchars += "*{}[],:@+%$~()^!\\"
        words: list[str] = []
        for word in [*lexer, ";"]:
            if word in ENDS:
                while words and re.match(r"\w+=", words[0]):
                    del words[0]
                if words:
                    found.append(words)
                words = []
            else:
                words.append(word)
    return [words[: next((at for at, word in enumerate(words) if set(word) <= set("<>")), None)] for words in found]


def program(words: list[str]) -> str:
    return re.sub(r"^python.*", "python", Path(words[0]).name)


def is_shell(block: Block) -> bool:
    """Whether all commands of a block are of programs that are known here."""
    if block.language not in ("", "sh", "bash", "shell", "console") or block.file:
        return False
    try:
        found = commands(block.text)
    except ValueError:
        return False
    return bool(found) and all(program(words) in CHECKS or program(words) in TAKEN_ON_TRUST for words in found)


def complaint(words: list[str]) -> str:
    """What is wrong with a command; nothing where it is in order."""
    check = CHECKS.get(program(words))
    return check(words[1:]) if check else ""


def _refused(command: Any, name: str, arguments: list[str]) -> str:
    """What a program's own parser says against a command line, without running it."""
    before, rest = dict(os.environ), list(arguments)
    while rest and rest[0] in getattr(command, "commands", {}):
        command = command.commands[rest.pop(0)]
    try:
        if hasattr(command, "commands") and rest and not rest[0].startswith("-"):
            return f"{name} {' '.join(arguments)}: no such command; there are {sorted(command.commands)}"
        command.make_context(name, rest)
    except (click.exceptions.Exit, typer.Exit):  # --help, --version
        return ""
    except (click.ClickException, typer.TyperException) as error:
        return f"{name} {' '.join(arguments)}: {error.format_message()}"
    finally:
        os.environ.clear()
        os.environ.update(before)
    return ""


@cache
def genseek_command() -> Any:
    from search.cli.app import app

    return typer.main.get_command(app)


@cache
def _mlflow_command() -> Any:
    with warnings.catch_warnings(action="ignore"):
        from mlflow.cli import cli
    return cli


def _genseek(arguments: list[str]) -> str:
    return _refused(genseek_command(), "genseek", arguments)


def _ray(arguments: list[str]) -> str:
    from ray.scripts.scripts import cli

    return _refused(cli, "ray", arguments)


def _mlflow(arguments: list[str]) -> str:
    return _refused(_mlflow_command(), "mlflow", [word for word in arguments if word != "..."])


def _make(arguments: list[str]) -> str:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    wrong = [word for word in arguments if "=" not in word and word not in targets]
    return f"make {' '.join(wrong)}: there is no such target" if wrong else ""


def _pip(arguments: list[str]) -> str:
    """Extras and files that are named must be there; pip itself would ask the network."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for word in arguments:
        own = re.fullmatch(r"(?:genseek|\.)\[(.*)\]", word)
        if own and own[1] not in extras:
            return f"pip {word}: there is no such extra; there are {sorted(extras)}"
        if word.endswith(".txt") and not (ROOT / word).exists():
            return f"pip {word}: there is no such file"
    return "" if arguments[0] == "install" else f"pip {arguments[0]}: expected install"


def _python(arguments: list[str]) -> str:
    """A script of the project, of an export or of the page; or a module of the standard library."""
    if arguments[0] == "-m":
        known = arguments[1] in sys.stdlib_module_names or arguments[1] == "pytest"
        return "" if known else f"python -m {arguments[1]}: no such module"
    script = arguments[0]
    inside = (ROOT / script).exists() or script.endswith("sampler.py") or "/" not in script
    return "" if inside else f"python {script}: there is no such file"


CHECKS = {
    "genseek": _genseek,
    "make": _make,
    "mlflow": _mlflow,
    "pip": _pip,
    "python": _python,
    "ray": _ray,
}
