"""Draw rows from this folder's generator; needs torch and nothing else.

python sampler.py -n 1000 --seed 0 --out rows.csv
"""

import argparse
import csv
import importlib
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
    plugged = importlib.import_module("plugin").MODELS if (folder / "plugin.py").exists() else {}
    generator = load(folder, MODELS | plugged)
    rows = written(generator.sample(arguments.n, arguments.seed), generator.whole)
    with arguments.out.open("w", newline="") if arguments.out else sys.stdout as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(generator.columns)
        writer.writerows(rows)


if __name__ == "__main__":
    main()
