"""The result of a search in MLflow: a description of its parent run, and tags to filter by."""

from collections import Counter
from collections.abc import Iterable, Sequence

from search.errors import GenseekError
from search.log import decoration
from search.rank.families import FamilyBest, best_of_families, family_table
from search.rank.leaderboard import SHOWN, STYLES, Entry, Leaderboard, real_rows, scores_shown, shortfall
from search.record.layout import DESCRIPTION, WINNER
from search.record.store import Store
from search.record.view import runs_page
from search.study.study import short_name
from search.text import command, markdown, markdown_table

READING = """\
**How to read it.** Every score is of rows that no trial was trained on, and less is better. *floor* is what one real
sample scores against another: the median, and the 95 % quantile, which 19 in 20 honest generators stay below. *misfit*
is the geometric mean of score / floor over the scores that rank; 1 is as good as another real sample. *overfit* near
{overfit} is honest; well above it, a generator copies training rows. *reference* rows need no network: one that doesn't
beat the Gaussian copula adds nothing. Finalists are fresh networks on test rows that decided nothing before, with 95 %
intervals; *optimism* is how much worse they are than the search believed."""


def describe_search(store: Store, name: str) -> None:
    """Tag the winner of a finished search, and write the description of its parent run."""
    found, board = store.search(name), store.leaderboard(name)
    try:
        winner: Entry | None = board.winner()
    except GenseekError:
        winner = None  # nothing was trained at full budget within the bounds
    now = winner.run_id if winner else ""
    for run_id, won in ((found.winner, "false"), (now, "true")):
        if run_id and found.winner != now:
            store.log(run_id, tags={WINNER: won})
    store.log(found.run_id, tags={WINNER: now})
    with decoration("no description in MLflow"):
        store.log(found.run_id, tags={DESCRIPTION: description(board, winner, runs_page(found.experiment))})


def description(board: Leaderboard, winner: Entry | None, page: str) -> str:
    """Return Markdown: winner, finalists, best of each family, leaderboard with references and floors, how to read it.

    `page` is the address of the trials' runs below MLflow's own address.
    """
    counts = Counter(entry.outcome for entry in board.entries)
    parts = [", ".join(f"{counts[outcome]} {outcome}" for outcome in STYLES if counts[outcome]) + "."]
    if winner is not None:
        more = (
            f" Exported and registered as trained once more on all {winner.refitted} rows." if winner.refitted else ""
        )
        parts.insert(0, f"**Winner: {_linked(winner, page)}**, {markdown(short_name(winner.configuration))}.{more}")
    finalists = sorted((entry for entry in board.entries if entry.verdict), key=lambda entry: entry.confirmed_misfit)
    if finalists:
        first = ("finalist", "model", "size", "misfit", "95 %", "optimism", "")
        parts += ["### Fresh networks on test rows", _table(first, [_finalist(entry, page) for entry in finalists])]
    families = best_of_families(board)
    if len(families) > 1:
        shown = families[:SHOWN]  # a tag holds 8,000 letters
        headings, cells = family_table(board, shown, settings=())
        rows = [_family(best, own) for best, own in zip(shown, cells, strict=True)]
        parts += ["### Best of each family", _table((*headings[:3], "settings", *headings[3:]), rows, words=4)]
    names = list(board.floors["validation"])
    parts += [
        "### Best trials on validation rows",
        _table(("", "model", "misfit", *map(markdown, names)), _rows(board, names, page)),
    ]
    honest = board.floors["validation"].get("overfit")
    parts.append(READING.format(overfit=f"{honest.median:.2f}" if honest else "its floor").replace("\n", " "))
    commands = [command("report", board.name), command("export", board.name, "--out", "DIR")]
    return "\n\n".join([*parts, "\n".join(f"    {line}" for line in commands)])


def _rows(board: Leaderboard, names: Sequence[str], page: str) -> Iterable[Sequence[str]]:
    for entry in board.ranked()[:SHOWN]:
        why = shortfall(board, entry)
        label = _linked(entry, page) + (f" ({why})" if why else "")
        yield label, markdown(short_name(entry.configuration)), *scores_shown(entry.scores, entry.misfit, names)
    yield from real_rows(board, "validation", names)


def _family(best: FamilyBest, cells: Sequence[str]) -> Sequence[str]:
    return markdown(best.family), *cells[1:3], best.told, *cells[3:]


def _finalist(entry: Entry, page: str) -> Sequence[str]:
    return (
        _linked(entry, page),
        markdown(short_name(entry.configuration)),
        f"{entry.architecture.get('parameters', 0):.0f}",
        entry.confirmed_text("misfit"),
        entry.confirmed_text("low", "high"),
        entry.confirmed_text("optimism", form="+.0%"),
        "" if entry.verdict == "finalist" else entry.verdict,
    )


def _linked(entry: Entry, page: str) -> str:
    return f"[trial {entry.trial}]({page}/{entry.run_id})"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], words: int = 2) -> str:
    return markdown_table(heads, rows, words=words, gap="&emsp;")  # MLflow leaves no space between cells
