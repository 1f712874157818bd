"""Searches on several nodes: what nodes gain here, and how many trainers one driver would serve.

    python benchmarks/cluster.py [--rounds 3] [--quick]

The same search on 1, 2 and 4 Ray nodes of one core each, all on this machine; efficiency is the time on one node over
that on n, per node. Then a simulated clock with the driver's time a message as measured there, up to 1,000 nodes of
four trainers. The tables go into docs/performance.md.
"""

import argparse
import json

import torch
from fleet import search_run
from page import cores, table, write
from simulated import Load, simulated
from turns import median, take_turns

NODES, SMALL_NODES = (1, 2, 4), (1, 2)
TRAINERS = (10, 100, 300, 1000, 4000)
CLOCK = 600.0  # simulated seconds
LOADS = {
    "16 trials each, judged every 10 s": Load(),
    "judged every 60 s": Load(training=60.0),
    "64 trials each, judged every 60 s": Load(places=64, training=60.0),
}


def nodes(rounds: int, quick: bool) -> tuple[str, float]:
    """Time of a search on more nodes, and the driver's milliseconds a message."""
    sizes = SMALL_NODES if quick else NODES
    found = take_turns(__file__, [f"nodes {size}" for size in sizes], rounds, ["--quick"] * quick)
    seconds = [median(own, "seconds") for own in found.values()]
    driver = [median(own, "driver") for own in found.values()]
    rows = []
    for size, own, took, cost in zip(sizes, found.values(), seconds, driver, strict=True):
        efficiency = f"{seconds[0] / took / size:.0%}" if size <= cores() else "more nodes than cores"
        busy = median(own, "messages") * cost / 1e3 / took
        rows.append([f"{size}", f"{took:.1f}", f"{seconds[0] / took:.2f}", efficiency, f"{cost:.1f}", f"{busy:.1%}"])
    heads = [
        "nodes of one core",
        "seconds",
        "times as fast as one",
        "efficiency",
        "driver, ms a message",
        "driver busy",
    ]
    return table(heads, rows), max(driver)


def clock(message: float) -> str:
    """Simulated trainers that one driver serves, at so many milliseconds a message."""
    rows = []
    for trainers in TRAINERS:
        served = [simulated(trainers, message / 1e3, CLOCK, load) for load in LOADS.values()]
        rows.append([f"{trainers:,}", *(f"{each.trained:.1%}, {each.busy:.0%}, {each.wait:.1f}" for each in served)])
    heads = ["trainers", *(f"{name}: trained, driver busy, wait in s" for name in LOADS)]
    return f"A message costs the driver {message:.1f} ms, as measured above.\n\n{table(heads, rows)}"


def main() -> None:
    """Measure, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one round of a small search, to see that all works")
    parser.add_argument("--way", help=argparse.SUPPRESS)
    parser.add_argument("--round", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.way:
        size = int(given.way.rpartition(" ")[2])
        print(json.dumps(search_run(20 if given.quick else 200, 10 if given.quick else 40, size)))
        return
    torch.set_num_threads(1)
    rounds = 1 if given.quick else given.rounds
    small = ", `--quick`: too small to read anything from" if given.quick else ""
    text, message = nodes(rounds, given.quick)
    write("nodes", text, f"medians of {rounds} rounds{small}")
    write("clock", clock(message), f"simulated{small}")


if __name__ == "__main__":
    main()
