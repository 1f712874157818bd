"""What the scores cost: seconds and peak memory of one judgement of `n` generated against `n` held-out rows.

    python benchmarks/scores.py [--rows 2000 100000] [--columns 4]

The real side (what depends on held-out rows alone) is timed apart: a search pays it once. Memory is what numpy takes
beside the rows themselves.
"""

import argparse
import time
import tracemalloc

import numpy as np

from objectives import SCORES
from objectives.scores import Reference


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[2000, 100_000])
    parser.add_argument("--columns", type=int, default=4)
    arguments = parser.parse_args()
    print(f"{'score':18s} {'rows':>8s} {'real side, s':>13s} {'a sample, s':>12s} {'peak, MB':>9s}")
    for rows in arguments.rows:
        generator = np.random.default_rng(0)
        train, held, made = abs(generator.standard_normal((3, rows, arguments.columns)))
        reference = Reference.of(train, held)
        serving = {name: score for name, score in SCORES.items() if score.serves(held)}
        for name, score in serving.items():
            tracemalloc.start()
            began = time.perf_counter()
            ready = score(reference)
            prepared = time.perf_counter()
            ready(made[np.newaxis])
            ended = time.perf_counter()
            peak = tracemalloc.get_traced_memory()[1] / 2**20
            tracemalloc.stop()
            print(f"{name:18s} {rows:8d} {prepared - began:13.4f} {ended - prepared:12.4f} {peak:9.1f}", flush=True)


if __name__ == "__main__":
    main()
