"""Who runs which block of code: each runner with what it takes, by content and never by place."""

import re
from collections.abc import Callable

from markdown_pages import Block
from shell_lines import is_shell

PRINTED = re.compile(r"^\S+: (best trials on validation rows|fresh networks on test rows)|^\w+ +model +|^ok +", re.M)
FILTERS = re.compile(r"^(tags|params|metrics|attributes)\.\S+ (=|!=|<|>|<=|>=|LIKE|ILIKE) ")

# Run by tests/docs/test_pages.py, but for shell that needs other machines and is asked of parsers by test_blocks.py.
RUNNERS: dict[str, Callable[[Block], bool]] = {
    "file": lambda block: bool(block.file),
    "python": lambda block: block.language == "python" and not block.file,
    "study": lambda block: block.language == "toml" and not block.file,
    "json": lambda block: block.language == "json" and not block.file,
    "shell": is_shell,
    "printed": lambda block: block.language in ("", "text") and not block.file and bool(PRINTED.search(block.text)),
    "filters": lambda block: block.language == "" and bool(FILTERS.search(block.text)),
}


def claimed(block: Block) -> list[str]:
    """Names of the runners that take a block; it should be one."""
    return [name for name, takes in RUNNERS.items() if takes(block)]
