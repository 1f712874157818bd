"""Draw rows from `program.pt2`; needs torch and nothing else, neither the folder `models` nor genseek.

python sample_program.py ROWS SEED > rows.csv

`torch.export.load` may unpickle what an archive holds: load no program that you don't trust.
"""

import csv
import json
import sys
from pathlib import Path

import torch


def main() -> None:
    """Write a CSV of as many rows as asked for, of the seed."""
    folder, rows, seed = Path(__file__).parent, int(sys.argv[1]), int(sys.argv[2])
    described = json.loads((folder / "program.json").read_text())
    program = torch.export.load(folder / "program.pt2").module()
    generator = torch.Generator().manual_seed(seed)
    normal = torch.randn(rows, described["normal"], generator=generator)
    uniform = torch.rand(rows, described["uniform"], generator=generator)
    with torch.no_grad():
        sampled = program(normal, uniform).tolist()
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerows([described["columns"], *sampled])


if __name__ == "__main__":
    main()
