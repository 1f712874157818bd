"""What a search leaves when it has ended, beside its record: a report, and its winner in the registry."""

from pathlib import Path
from typing import Any

from search.cli_output import Printer
from search.errors import InputError
from search.log import decoration


def publish(console: Printer, plan: Any) -> None:
    """Keep the report of a search, and register its winner; what goes wrong is a warning, since the search didn't."""
    from search.export.registry import register
    from search.report.build import keep_report

    console.print()
    with decoration("no report was written"):
        console.say(f"report: {keep_report(plan.store, plan.name)}")
    with decoration("the winner isn't registered"):
        console.say(f"registered: {register(plan.store, plan.name, plan.study, plan.task).told()}")


def enclose_report(store: Any, name: str, folder: Path) -> None:
    """Put the report of a search into an exported folder: the one that was kept with it, or else a new one."""
    from search.report.build import REPORT, write_report

    try:
        store.fetch(store.search(name).run_id, REPORT, folder)
    except InputError:
        with decoration("no report was written"):
            write_report(store, name, folder / REPORT)
