"""The reference's page of commands, from what the command line tells of itself."""

from typing import Any

import typer

from search.cli.app import app


def pages() -> dict[str, str]:
    """Markdown of the page, by its path below docs/."""
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    whole = group.make_context("genseek", [], resilient_parsing=True)
    everywhere = "Options of every command may stand before it too."
    parts = ["# Commands", str(group.help), everywhere, _options(group, whole)]
    for name, command in group.commands.items():
        with group.context_class(command, info_name=name, parent=whole) as context:
            usage = " ".join(["genseek", name, *command.collect_usage_pieces(context)])
            text = str(command.help).removesuffix(command.epilog or "").strip()
            example = (command.epilog or "").removeprefix("Example: ")
            parts += [f"## {name}", text, f"```text\n{usage}\n```", _options(command, context)]
            parts += [f"Example:\n\n```sh\n{example}\n```"] if example else []
    return {"reference/commands.md": "\n\n".join(parts) + "\n"}


def _options(command: Any, context: Any) -> str:
    records = [record for each in command.get_params(context) if (record := each.get_help_record(context))]
    rows = [f"| `{_cell(names)}` | {_cell(told)} |" for names, told in records]
    return "\n".join(["| argument or option | meaning |", "| --- | --- |", *rows])


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("[", "\\[" if "`" not in text else "[")
