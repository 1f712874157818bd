"""What happens as work grows: more trials, stacked networks, trials at once, rows; and where stacking loses.

    python benchmarks/scaling.py [--rounds 3] [--quick] [--only NAME ...]

Costs are processor time where one thread works alone, and wall time where several processes do. An exponent is the
slope of log cost over log size, by least squares. The tables go into docs/performance.md.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from cases import TITLES, configurations, listed, packed, task
from driver import driver_costs
from fleet import fleet_run
from losing import losing_table
from page import cores, table, write
from scored_rows import rows_table
from steps import least
from turns import alone, median as of_rounds, take_turns

TRIALS, SMALL_TRIALS = (16, 64, 256, 1024), (16, 32)
STACKED, SMALL_STACKED = (1, 2, 4, 8, 16, 32, 64, 128), (1, 2, 4)
AT_ONCE, SMALL_AT_ONCE = (1, 4, 16, 64), (1, 4)  # trials of each trainer


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """Slope of log cost over log size."""
    return float(np.polyfit(np.log(sizes), np.log(costs), 1)[0])


def driver(rounds: int, quick: bool) -> str:
    """Driver's cost as trials grow: all that runs in the process that searches, with trainers that only talk."""
    sizes = SMALL_TRIALS if quick else TRIALS
    found = {size: [alone(__file__, ["--way", f"trials {size}"]) for _ in range(rounds)] for size in sizes}
    costs = {key: [of_rounds(found[size], key) for size in sizes] for key in ("heard", "message", "written")}
    rows = [[f"{size}", *(f"{own[place]:.1f}" for own in costs.values())] for place, size in enumerate(sizes)]
    rows.append(["exponent", *(f"{exponent(sizes, own):.2f}" for own in costs.values())])
    return table(["trials", "director and sampler, ms a trial", "the same, ms a message", "record, ms a trial"], rows)


def stacked(rounds: int, quick: bool) -> str:
    """Cost of a network's step as more are stacked."""
    sizes = SMALL_STACKED if quick else STACKED
    columns = []
    for case in TITLES:
        study = listed(case, max(sizes), 1)
        shared, chosen = task(study), configurations(study)
        packs = [packed(shared, chosen[:size]) for size in sizes]
        seconds = least([pack.advance for pack in packs], rounds)
        columns.append([1e6 * each / pack.steps / n for each, pack, n in zip(seconds, packs, sizes, strict=True)])
    rows = [[f"{size}", *(f"{own[place]:.0f}" for own in columns)] for place, size in enumerate(sizes)]
    rows.append(["exponent", *(f"{exponent(sizes, own):.2f}" for own in columns)])
    return table(["stacked", *(f"{case}, µs a network-step" for case in TITLES)], rows)


def at_once(rounds: int, quick: bool) -> str:
    """Time of a run as more trials train at once, and the driver's milliseconds a message."""
    sizes = SMALL_AT_ONCE if quick else AT_ONCE
    found = take_turns(__file__, [f"at once {size}" for size in sizes], rounds, ["--quick"] * quick)
    seconds = [of_rounds(own, "seconds") for own in found.values()]
    together = [size * cores() for size in sizes]
    driver = [of_rounds(own, "driver") for own in found.values()]
    rows = [
        [f"{size}", f"{own:.1f}", f"{seconds[0] / own:.2f}", f"{cost:.1f}"]
        for size, own, cost in zip(together, seconds, driver, strict=True)
    ]
    rows.append(["exponent", f"{exponent(together, seconds):.2f}", "", f"{exponent(together, driver):.2f}"])
    heads = ["trials at once", "seconds", f"times as fast as {together[0]}", "driver, processor ms a message"]
    return table(heads, rows)


def measure(way: str, quick: bool) -> dict[str, float]:
    """One measurement in a process of its own."""
    kind, size = way.rsplit(" ", 1)
    if kind == "trials":
        with tempfile.TemporaryDirectory() as folder:
            return driver_costs(int(size), Path(folder))
    return fleet_run(16 if quick else 128, 10, int(size))


def main() -> None:
    """Measure all, or some, and write the tables."""
    names = ["driver", "stacked", "at once", "rows", "losing"]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one round of small sizes, to see that all works")
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    parser.add_argument("--way", help=argparse.SUPPRESS)
    parser.add_argument("--round", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.way:
        print(json.dumps(measure(given.way, given.quick)))
        return
    torch.set_num_threads(1)
    quick, rounds = given.quick, 1 if given.quick else given.rounds
    small = ", `--quick`: too small to read anything from" if quick else ""
    medians, best = f"medians of {rounds} rounds{small}", f"least of {rounds} rounds{small}"
    if "driver" in given.only:
        write("driver", driver(rounds, quick), medians)
    if "stacked" in given.only:
        write("stacked", stacked(rounds, quick), best)
    if "at once" in given.only:
        write("at once", at_once(rounds, quick), medians)
    if "rows" in given.only:
        write("rows", rows_table(2.0 if quick else 60.0), f"one measurement each{small}")
    if "losing" in given.only:
        write("losing", losing_table(4 if quick else 16, rounds), best)


if __name__ == "__main__":
    main()
