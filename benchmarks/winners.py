"""What the default studies find on fresh data: the winner's scores on test rows, beside those of the Gaussian copula.

    python benchmarks/winners.py [--seeds 5] [--first 1000] [--quick]

Each seed draws other rows and searches anew, as `genseek run` does. For `returns_4d` it counts whether the winner's
misfit on test rows, of fresh networks, is at most that of a Gaussian copula fitted to the same rows; for `mixture_3d`,
whether its scores `clusters` and `modes` lie inside their floors. The table goes into docs/performance.md.
"""

import argparse
import logging
import tempfile
import time
from pathlib import Path

import numpy as np
from page import table, write

from search import Store, load_study, plan_search, search_and_publish, with_overrides
from search.log import hush
from search.rank.leaderboard import Leaderboard
from search.study.study import short_name

COPULA = "gaussian copula"
SHAPES = ("clusters", "modes")


def verdict(problem: str, board: Leaderboard) -> tuple[bool, str]:
    """Whether the winner of a search is good enough, and the figures that say so."""
    winner = board.winner()
    _, found = winner.figures()
    if problem == "returns_4d":
        copula = board.references["test"][COPULA]["misfit"]
        return found["misfit"] <= copula, f"copula {copula:.2f}"
    floors = board.floors["test"]
    inside = [found[name] <= floors[name].upper for name in SHAPES]
    return all(inside), ", ".join(f"{name} {found[name]:.3f} of {floors[name].upper:.3f}" for name in SHAPES)


def main() -> None:
    """Search, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=1000, help="the first seed; such as no search has used")
    parser.add_argument("--quick", action="store_true", help="one seed, few trials and epochs, printed and not written")
    given = parser.parse_args()
    hush("genseek", below=logging.ERROR)
    rows = []
    for problem in ("returns_4d", "mixture_3d"):
        kept = []
        for seed in range(given.first, given.first + (1 if given.quick else given.seeds)):
            study = with_overrides(load_study(problem), seed=seed)
            if given.quick:
                study = with_overrides(study, trials=4, epochs=30)
            with tempfile.TemporaryDirectory() as folder:
                begun = time.perf_counter()
                board = search_and_publish(plan_search(study, Store(str(Path(folder) / "store")))).board
                took = time.perf_counter() - begun
            winner = board.winner()
            good, figures = verdict(problem, board)
            kept.append(good)
            rows_of, found = winner.figures()
            cells = [short_name(winner.configuration), f"{found['misfit']:.2f}", figures, "yes" if good else "no"]
            rows.append([problem, str(seed), *cells, f"{took:.0f}"])
            print(" | ".join([*rows[-1], rows_of]), flush=True)
        rows.append([problem, f"{len(kept)} seeds", "", "", "", f"{np.sum(kept)} of {len(kept)}", ""])
    heads = ["problem", "seed", "winner", "misfit on test rows", "beside it", "good enough", "seconds"]
    content = table(heads, rows)
    if given.quick:
        print(content)
        return
    write("winners", content, f"seeds from {given.first}")


if __name__ == "__main__":
    main()
