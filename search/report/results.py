"""Sections on what a search has found: leaderboard, Pareto front, and fit against budget."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

from search.rank.leaderboard import FORMATS, STYLES, Entry, Leaderboard, scores_shown, shortfall
from search.report import trials
from search.report.contents import Contents
from search.report.page import Drawing, Row, Section, Table
from search.study.study import short_name
from search.text import counted

SHOWN = 10  # trials of the leaderboard, as in the terminal
PLANES = 3  # pairs of goals


def summary(contents: Contents) -> list[str]:
    """What the search comes to, in sentences made of its figures."""
    board, winner = contents.board, contents.winner
    if winner is None:
        return ["No trial was trained at full budget within the bounds, so there is no winner."]
    known, values = winner.figures()
    split = known.partition(",")[0]
    said = f"The winner is trial {winner.trial}, {short_name(winner.configuration)}, with a fit of {values['fit']:.2f}"
    if winner.judged:
        span = (
            f" (95 % {winner.confirmed_text('low', 'high', between=' to ')})"
            if {"low", "high"} <= values.keys()
            else ""
        )
        said += f"{span} of fresh networks on test rows that nothing had looked at."
    elif winner.test:
        said += " on test rows. No fresh networks confirm it: it may be the luckiest of many."
    else:
        said += (
            " on validation rows, by which it was chosen. No fresh networks confirm it: it may be the luckiest of many."
        )
    lines = [said + " A fit of 1 is as good as another real sample."]
    floors = board.floors[split]
    beyond = [name for name, floor in floors.items() if name in values and not values[name] <= floor.upper]
    judged = [name for name in floors if name in values]
    if beyond:
        lie = "lies" if len(beyond) == 1 else "lie"
        lines.append(f"Of {len(judged)} scores, {len(beyond)} {lie} beyond 95 % of real samples: {listed(beyond)}.")
    else:
        lines.append(f"All of its scores ({listed(judged)}) lie within the 95 % of real samples.")
    copula = board.references[split].get("gaussian copula", {}).get("fit")
    if copula is not None:
        low, high = values.get("low", values["fit"]), values.get("high", values["fit"])
        better = "better than" if high < copula else "worse than" if low > copula else "not to be told apart from"
        lines.append(f"That is {better} a Gaussian copula with empirical margins, whose fit is {copula:.2f}.")
    ties = [each for each in contents.finalists if each.verdict == "tie"]
    if ties:
        names = listed([f"trial {each.trial}" for each in ties])
        lines.append(f"It can't be told apart from {names}, and has the fewest parameters of them.")
    return lines


def leaderboard(contents: Contents) -> Section:
    """Best trials, references and floors; and the finalists with their intervals, where there are any."""
    board, finalists = contents.board, contents.finalists
    tables, drawings = [], []
    if finalists:
        tables.append(_confirmed(finalists, board))
        figure = trials.intervals(finalists, board)
        alt = "; ".join(
            f"trial {each.trial} {each.confirmed_text('fit')}, {each.confirmed_text('low', 'high', between=' to ')}"
            for each in finalists
        )
        height = 90 + 30 * (len(finalists) + len(board.references["test"]))
        drawings.append(Drawing("Fit of fresh networks, 95 % intervals", alt, figure, wide=True, height=height))
    names = list(board.floors["validation"])
    rows = [_ranked(board, entry, names) for entry in board.ranked()[:SHOWN]]
    tables.append(_scores("Best trials on validation rows", board, "validation", rows, names))
    winner = contents.winner
    if winner is not None and winner.test and not finalists:
        cells = [f"trial {winner.trial}", short_name(winner.configuration)]
        rows = [Row([*cells, *scores_shown(winner.test, winner.test["fit"], names)], "best")]
        tables.append(_scores("The winner on test rows, which decided nothing", board, "test", rows, names))
    counts = {outcome: sum(entry.outcome == outcome for entry in board.entries) for outcome in STYLES}
    ends = ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count)
    return Section(
        "leaderboard",
        [f"{counted(len(board.entries), 'trial')}: {ends}."],
        tables,
        drawings,
    )


def front(contents: Contents) -> Section | None:
    """The trials that no other beats in all goals; of one goal, in fit and size."""
    board = contents.board
    if not board.eligible():
        return None
    several = len(board.goals.rank) > 1
    goals = board.goals.rank if several else ("fit", "parameters")
    if not several:
        if not any("parameters" in entry.facts for entry in board.finished()):
            return None
        board = replace(board, goals=replace(board.goals, rank=goals))
    best = board.front()
    rows = [
        Row(
            [f"trial {entry.trial}", short_name(entry.configuration)]
            + [
                f"{value:{FORMATS.get(name, '.4f')}}"
                for name, value in zip(goals, board.standing(entry).values, strict=True)
            ]
        )
        for entry in best
    ]
    drawings = [
        Drawing(
            f"{y} against {x}", f"{counted(len(best), 'trial')} on the front of {x} and {y}", trials.front(board, x, y)
        )
        for x, y in list(combinations(reversed(goals), 2))[:PLANES]
    ]
    return Section(
        "front",
        [f"{len(best)} of {len(board.finished())} trials at full budget lie on the front, by validation rows."],
        [Table("Front", ["", "generator", *goals], rows, words=2)],
        drawings,
    )


def budget(contents: Contents) -> Section | None:
    """Fit against what was spent, stopped trials included."""
    points = trials.progress(contents)
    if not any(trials.path(history) for history in contents.histories.values()):
        return None
    found = []
    if points:
        total, best = points[-1]
        near = next(epochs for epochs, fit in points if fit <= 1.1 * best)
        found.append(
            f"A fit within 10 % of the best, {best:.2f}, was there after {near / max(total, 1):.0%} of the "
            f"{total:,} epochs that all trials together were trained for."
        )
    unseen = sum(not trials.path(history) for history in contents.histories.values())
    if unseen:
        found.append(f"{counted(unseen, 'trial')} had no fit that can be drawn (infinite, or above {trials.SHOWN:g}).")
    alt = f"Fit of {counted(len(contents.histories), 'trial')} against epochs"
    drawings = [Drawing("Every trial", alt, trials.curves(contents), wide=True, height=420)]
    if points:
        words = f"Best fit falls from {points[0][1]:.2f} to {points[-1][1]:.2f}"
        drawings.append(
            Drawing("Best at full budget against all that was spent", words, trials.best_so_far(contents), wide=True)
        )
    return Section(
        "budget",
        found,
        (),
        drawings,
    )


def _ranked(board: Leaderboard, entry: Entry, names: Sequence[str]) -> Row:
    why = shortfall(board, entry)
    kind = "best" if entry.verdict == "winner" else "other" if why else ""
    if entry.outcome != "finished":
        why += f", epoch {entry.epoch}"
    label = f"trial {entry.trial}" + (f" ({why})" if why else "")
    return Row([label, short_name(entry.configuration), *scores_shown(entry.scores, entry.fit, names)], kind)


def _scores(caption: str, board: Leaderboard, split: str, rows: list[Row], names: Sequence[str]) -> Table:
    references = [
        Row([name, "reference", *scores_shown(scores, scores["fit"], names)], "reference")
        for name, scores in board.references[split].items()
    ]
    floors = board.floors[split]
    medians, uppers = (
        {name: each.median for name, each in floors.items()},
        {name: each.upper for name, each in floors.items()},
    )
    real = [
        Row(["real rows, median", "floor", "", *scores_shown(medians, 1.0, names)[1:]], "floor"),
        Row(["real rows, 95 %", "floor", "", *scores_shown(uppers, 1.0, names)[1:]], "floor"),
    ]
    return Table(caption, ["", "generator", "fit", *names], [*rows, *references, *real], words=2)


def _confirmed(finalists: Sequence[Entry], board: Leaderboard) -> Table:
    names = list(board.floors["test"])
    rows = [
        Row(
            [
                f"trial {each.trial}",
                short_name(each.configuration),
                each.verdict,
                each.confirmed_text("fit"),
                each.confirmed_text("low", "high", between=" to "),
                each.confirmed_text("p_value", form=".3f"),
                each.confirmed_text("optimism", form="+.0%"),
                f"{each.facts.get('parameters', float('nan')):.0f}",
                *scores_shown(each.confirmed, each.confirmed_fit, names)[1:],
            ],
            "best" if each.verdict == "winner" else "",
        )
        for each in finalists
    ]
    blank = ["", "", "", "", ""]
    rows += [
        Row(
            [name, "reference", "", f"{scores['fit']:.2f}", *blank[1:], *scores_shown(scores, 1.0, names)[1:]],
            "reference",
        )
        for name, scores in board.references["test"].items()
    ]
    for label, figures in (
        ("real rows, median", {name: floor.median for name, floor in board.floors["test"].items()}),
        ("real rows, 95 %", {name: floor.upper for name, floor in board.floors["test"].items()}),
    ):
        rows.append(Row([label, "floor", "", *blank, *scores_shown(figures, 1.0, names)[1:]], "floor"))
    headings = ["", "generator", "verdict", "fit", "95 %", "p", "gap", "size", *names]
    return Table(
        "Fresh networks on test rows",
        headings,
        rows,
        words=3,
    )


def listed(names: Sequence[str]) -> str:
    """Names as a sentence has them."""
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)
