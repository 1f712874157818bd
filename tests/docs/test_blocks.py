"""Every block of code of every page has one runner, and every command on a page is one that its program takes."""

import json
import re
import subprocess
import tomllib

import pytest
from claims import RUNNERS, claimed
from markdown_pages import Block, names, page, parsed
from shell_lines import commands, complaint, is_shell

BLOCKS = [block for name in names() for block in page(name).blocks]
SHOWN = ("genseek", "make", "ray", "mlflow")  # programs whose commands within the text are tried too
PROSE = re.compile("Missing|requires an argument")  # as in "`genseek best` shows them"


def complaints(block: Block) -> list[str]:
    """What bash and the programs say against a shell block."""
    checked = subprocess.run(["bash", "-n"], input=block.text, text=True, capture_output=True)
    said = [checked.stderr.strip(), *map(complaint, commands(block.text))]
    return [f"{block.place}: {each}" for each in said if each]


def test_every_block_has_one_runner() -> None:
    wrong = [f"{block.place}: {claimed(block) or 'no runner'}" for block in BLOCKS if len(claimed(block)) != 1]
    assert not wrong, (
        f"these blocks have no runner, or several of {list(RUNNERS)}; name their language (python, toml, json), or "
        f"teach tests/docs/claims.py or tests/docs/shell_lines.py what they are: {wrong}"
    )


@pytest.mark.parametrize("block", [each for each in BLOCKS if is_shell(each)], ids=lambda block: block.place)
def test_programs_take_the_commands_of_a_block(block: Block) -> None:
    assert complaints(block) == []


def test_programs_take_the_commands_within_the_text() -> None:
    wrong = []
    for name in names():
        for line, span in page(name).spans:
            words = span.split()
            if len(words) > 1 and words[0] in SHOWN and re.fullmatch(r"[a-z][a-z_-]*", words[1]):
                wrong += [f"{name}:{line}: {said}" for said in map(complaint, commands(span)) if said]
    assert [said for said in wrong if not PROSE.search(said)] == []


@pytest.mark.parametrize("block", [each for each in BLOCKS if each.language in ("toml", "json")], ids=lambda b: b.place)
def test_data_can_be_read(block: Block) -> None:
    assert (tomllib if block.language == "toml" else json).loads(block.text)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("genseek run table --dta prices.csv", "--dta"),
        ("genseek bset prices", "bset"),
        ("genseek sample winner -n many", "many"),
        ("make serch", "no such target"),
        ("ray start --haed", "--haed"),
        ("mlflow server --prot 5000", "--prot"),
        ("pip install '.[clutser]'", "no such extra"),
        ("A=1 genseek check table && genseek lst models", "lst"),
    ],
)
def test_mistakes_are_noticed(line: str, expected: str) -> None:
    (block,) = parsed("page.md", f"```\n{line}\n```").blocks
    assert any(expected in said for said in complaints(block))


def test_a_block_without_a_runner_is_noticed() -> None:
    (block, fine) = parsed("page.md", "```\nfrobnicate --all\n```\n\n```python\nx = 1\n```").blocks
    assert claimed(block) == []
    assert claimed(fine) == ["python"]
