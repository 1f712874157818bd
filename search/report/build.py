"""Writes the report of a search."""

import shutil
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from search.errors import StoreError
from search.record.layout import REPORT
from search.record.store import Store
from search.report import networks, results, samples, settings
from search.report.data import Contents, collect
from search.report.page import Page, Row, Section, Table, write
from search.study.serialize import study_toml
from search.study.study import short_name
from search.text import command

FOLDER = "reports"  # folder of the reports in the store


def write_report(store: Store, name: str, out: Path) -> Path:
    """Write the report of a search that has ended or was interrupted into a file; return the file.

    Raises:
        StudyError: there is no such search, or it has no leaderboard yet.
        StoreError: the file can't be written.
    """
    page = report(collect(store, name))
    try:
        write(page, out)
    except OSError as error:
        raise StoreError(f"--out {out}: can't write there ({error.strerror or error})") from error
    return out


def keep_report(store: Store, name: str) -> Path:
    """Write the report into the store's folder, and save it with the search's run; return the file in the folder.

    Raises:
        StudyError, StoreError: as `write_report`.
    """
    path = write_report(store, name, store.folder / FOLDER / f"{name}.html")
    run_id = store.search_run(name)
    if run_id is not None:
        with tempfile.TemporaryDirectory() as folder:
            store.save(run_id, Path(shutil.copyfile(path, Path(folder) / REPORT)))
    return path


def report(contents: Contents) -> Page:
    """Return the page of a search."""
    sections = [
        results.leaderboard(contents),
        results.front(contents),
        results.budget(contents),
        settings.mattered(contents),
        settings.by_setting(contents),
        samples.samples(contents),
        networks.losses(contents),
        networks.weights(contents),
        networks.latents(contents),
        _run(contents),
    ]
    summary = results.summary(contents)
    if contents.found.status != "FINISHED":
        summary.insert(0, f"This search has not finished; {command('resume', contents.board.name)} resumes it.")
    data = contents.study.data_name if contents.study else contents.found.problem
    return Page(
        title=f"{contents.board.name}: a search on {data}",
        summary=summary,
        facts=_facts(contents),
        sections=[section for section in sections if section is not None],
    )


def seconds(contents: Contents) -> float:
    """Return the seconds from the first trial's start to the last one's end, including interruptions."""
    own = contents.histories.values()
    ends = [each.ended for each in own if each.ended is not None]
    return max(ends) - min(each.began for each in own) if ends else 0.0


def lasted(span: float) -> str:
    """Return a time span in words."""
    return f"{span / 3600:.1f} hours" if span >= 5400 else f"{span / 60:.0f} minutes" if span >= 90 else f"{span:.0f} s"


def _facts(contents: Contents) -> list[tuple[str, str]]:
    rows, winner = contents.rows, contents.winner
    facts = [("problem", contents.found.problem)]
    if rows is not None:
        sizes = f"{len(rows.train)} + {len(rows.validation)} + {len(rows.test)}"
        facts += [("columns", str(rows.train.shape[1])), ("train + validation + test rows", sizes)]
    facts.append(("trials", str(len(contents.board.entries))))
    if contents.histories:
        facts.append(("epochs, all trials", f"{sum(each.epochs for each in contents.histories.values()):,}"))
        facts.append(("search took", lasted(seconds(contents))))
    if winner is not None:
        facts.append(("winner", f"trial {winner.trial}, {short_name(winner.configuration)}"))
        if "parameters" in winner.architecture:
            facts.append(("parameters", f"{winner.architecture['parameters']:,.0f}"))
    return facts


def _run(contents: Contents) -> Section:
    """Return the section on what was run, where, for how long, and how to run it again."""
    board, winner, tables = contents.board, contents.winner, []
    provenance = board.origin
    own = contents.histories.values()
    nodes = sorted({each.node for history in own for each in history.reports if each.node})
    found = [f"{line[0].upper()}{line[1:]}." for line in contents.missing]
    if own:
        began = datetime.fromtimestamp(min(each.began for each in own), UTC)
        found.append(
            f"The first trial began {began:%Y-%m-%d %H:%M} UTC, the last ended {lasted(seconds(contents))} later"
            + (f"; trained on {', '.join(nodes)}." if nodes else ".")
        )
    found.append(f"Recorded in {contents.store.where()}, parent run {contents.found.run_id}.")
    found.append(f"Written {time.strftime('%Y-%m-%d %H:%M', time.gmtime())} UTC.")
    if winner is not None:
        flat = winner.configuration.flat()
        rows = [
            Row([key, str(value)])
            for key, value in {**flat, **{f"fact: {k}": f"{v:g}" for k, v in winner.architecture.items()}}.items()
        ]
        rows.append(Row(["run", winner.run_id]))
        tables.append(Table(caption=f"The winner, trial {winner.trial}", headings=["key", "value"], rows=rows, words=2))
    rows = [Row([name, str(value)]) for name, value in provenance["versions"].items()]
    rows += [Row(["data, sha256", str(provenance["data_sha256"])])]
    tables.append(Table(caption="Versions and data", headings=["", ""], rows=rows, words=2))
    text = ""
    if contents.study is not None:
        file = f"{contents.study.name}.toml"
        found.append(
            f"To run it again, save the study below as {file} and run: {command('run', Path(file))}. Rows, seeds and "
            "the space are then the same. A learning sampler depends on the order in which trials end, so another run "
            "tries other configurations."
        )
        found.append(
            f"To sample from the winner: {command('export', board.name, '--out', 'DIR')}, then "
            f"{command('sample', 'DIR', '-n', 1000)}."
        )
        text = study_toml(contents.study)
    return Section(
        anchor="run",
        found=found,
        tables=tables,
        drawings=(),
        text=text,
    )
