"""Draw rows from this folder's generator; needs torch and nothing else.

python sampler.py -n 1000 --seed 0 --out rows.csv
"""

import argparse
import csv
import importlib
import io
import os
import sys
from pathlib import Path

from models import MODELS
from models.generator import load, written


def main() -> None:
    """Write a CSV of sampled rows, in the units and under the names of the data's columns."""
    parser = argparse.ArgumentParser(description="Draw rows from this folder's generator.")
    parser.add_argument("-n", type=int, default=1000, help="rows to draw (default 1000)")
    parser.add_argument("--seed", type=int, default=0, help="the same seed draws the same rows (default 0)")
    parser.add_argument("--out", type=Path, help="CSV file to write (default: standard output)")
    arguments = parser.parse_args()
    folder = Path(__file__).parent
    own = os.dup(1)
    os.dup2(2, 1)  # whatever a plug-in prints
    plugged = importlib.import_module("plugin").MODELS if (folder / "plugin.py").exists() else {}
    generator = load(folder, MODELS | plugged)
    rows = written(generator.sample(arguments.n, arguments.seed), generator.whole)
    raw = arguments.out.open("wb") if arguments.out else os.fdopen(own, "wb")
    with io.TextIOWrapper(raw, encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(generator.columns)
        writer.writerows(rows)


if __name__ == "__main__":
    try:
        main()
    except BrokenPipeError:  # nobody reads any more
        sys.exit(141)
