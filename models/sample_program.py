"""Draw rows from `program.pt2`; needs torch and nothing else, neither the folder `models` nor genseek.

python sample_program.py -n 1000 --seed 0 --out rows.csv

`torch.export.load` may unpickle what an archive holds: load no program that you don't trust.
"""

import argparse
import csv
import io
import json
import os
import sys
from pathlib import Path

import torch


def main() -> None:
    """Write a CSV of sampled rows, in the units and under the names of the data's columns."""
    parser = argparse.ArgumentParser(description="Draw rows from this folder's program.pt2.")
    parser.add_argument("-n", type=int, default=1000, help="rows to draw (default 1000)")
    parser.add_argument("--seed", type=int, default=0, help="the same seed draws the same rows (default 0)")
    parser.add_argument("--out", type=Path, help="CSV file to write (default: standard output)")
    arguments = parser.parse_args()
    folder = Path(__file__).parent
    described = json.loads((folder / "program.json").read_text())
    program = torch.export.load(folder / "program.pt2").module()
    generator = torch.Generator().manual_seed(arguments.seed)
    normal = torch.randn(arguments.n, described["normal"], generator=generator)
    uniform = torch.rand(arguments.n, described["uniform"], generator=generator)
    with torch.no_grad():
        rows = program(normal, uniform).tolist()
    raw = arguments.out.open("wb") if arguments.out else sys.stdout.buffer
    with io.TextIOWrapper(raw, encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(described["columns"])
        for row in rows:
            pairs = zip(row, described["whole"], strict=True)
            writer.writerow([int(value) if whole and value.is_integer() else value for value, whole in pairs])


if __name__ == "__main__":
    try:
        main()
    except BrokenPipeError:  # nobody reads any more
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(141)
