"""Publish a search that has ended: keep its report with its record, and register its winner."""

from dataclasses import dataclass
from pathlib import Path

from search.errors import InputError
from search.export.registry import Registered, register
from search.log import decoration
from search.record.store import Store
from search.report.build import REPORT, keep_report, write_report
from search.run.plan import Plan


@dataclass(frozen=True)
class Published:
    """What a search left beside its record: where its report is, and its registered winner; None where it failed."""

    report: str | None = None
    registered: Registered | None = None


def publish(plan: Plan) -> Published:
    """Keep the report of a search and register its winner.

    A failure is a warning of the logger `genseek`: the search itself is complete.
    """
    report, registered = None, None
    with decoration("no report was written"):
        report = str(keep_report(plan.store, plan.name))
    with decoration("the winner isn't registered"):
        registered = register(plan.store, plan.name, plan.study, plan.task)
    return Published(report, registered)


def enclose_report(store: Store, name: str, folder: Path) -> None:
    """Put the report of a search into an exported folder: the kept one or, failing that, a new one."""
    try:
        store.fetch(store.search(name).run_id, REPORT, folder)
    except InputError:
        with decoration("no report was written"):
            write_report(store, name, folder / REPORT)
