"""What deciding who stops costs the driver: processor seconds of all reports of one rung.

    python benchmarks/halving.py [--quick]

With several goals the trials are points that have nothing to do with each other, that lie all but in one order, or in
one front: few fronts, many, or one. The table goes into docs/performance.md.
"""

import argparse
import time

import numpy as np
from page import table, write

from search.schedule.asha import Halving
from search.study.budget import Budget
from search.study.goals import ObjectiveValues

COUNTS = (500, 2000, 8000)
KINDS = ("any", "one order", "one front")


def seconds(goals: int, count: int, kind: str, seed: int = 0) -> float:
    """Processor seconds of `count` reports."""
    dice = np.random.default_rng(seed)
    points = dice.normal(size=(count, goals))
    if kind == "one order":
        points = 0.05 * points + dice.normal(size=(count, 1))
    if kind == "one front":
        points[:, -1] = -points[:, 0]
    standings = [ObjectiveValues(point[0], tuple(point), 0.0) for point in points.tolist()]
    halving, began = Halving(Budget(epochs=27, grace=1), goals), time.process_time()
    for number, standing in enumerate(standings):
        halving.stops(number, 1, standing)
    return time.process_time() - began


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer trials, and leave the page as it is")
    quick = parser.parse_args().quick
    counts = COUNTS[:1] if quick else COUNTS
    ways = [(1, KINDS[0]), *((goals, kind) for goals in (2, 3) for kind in KINDS)]
    rows = [[f"{goals}, {kind}", *(f"{seconds(goals, count, kind):.2f}" for count in counts)] for goals, kind in ways]
    content = table(["goals, trials lie in", *(f"{count} trials" for count in counts)], rows)
    if quick:
        print(content)
    else:
        write("halving", content, "processor seconds in all")


if __name__ == "__main__":
    main()
