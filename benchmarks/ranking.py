"""Which scores should rank: how good on fresh rows is the generator that each set of scores chooses.

    python benchmarks/ranking.py [--tables] [--seeds 4] [--quick]

For each problem and seed a pool of closed-form and small trained generators is fitted to 720 rows, or to 40 % of a
table's with --tables. Each set of scores chooses the one with the lowest geometric mean of score / floor on as many
validation rows, or 30 % of the table's, as misfit does. What it chose is measured on fresh rows by three yardsticks
that few sets contain: c2st, sliced_wasserstein and clusters. The page gets the geometric mean of yardstick / lowest
yardstick of the pool; 1 is the best choice. Nothing runs on Ray. The tables are of benchmarks/portfolio.py and need
statsmodels.
"""

import argparse
import multiprocessing
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from page import table, write
from portfolio import tables

from models import Shape
from objectives import SCORES, Problem
from objectives.problems.known import GaussianToUniform
from objectives.problems.mixture import Mixture3D
from objectives.problems.returns import Returns4D
from objectives.problems.table import Table
from objectives.scores import Reference
from objectives.scores.judge import LEAST_RATIO, Floor, floors, judge_for
from objectives.scores.score import Array
from search.study.configuration import Configuration, Training
from search.train.context import TrialContext, draw_samples
from search.train.trial import Trial

SETS = {
    "ad + kendall + mmd": ("ad", "kendall", "mmd"),
    "ad + kendall + mmd + sliced_wasserstein": ("ad", "kendall", "mmd", "sliced_wasserstein"),
    "ad + kendall + mmd + tau_error": ("ad", "kendall", "mmd", "tau_error"),
    "ad + kendall + mmd + coverage": ("ad", "kendall", "mmd", "coverage"),
    "ad + kendall + mmd + c2st": ("ad", "kendall", "mmd", "c2st"),
    "ad + tau_error + mmd": ("ad", "tau_error", "mmd"),
    "ad + kendall": ("ad", "kendall"),
    "ad": ("ad",),
    "mmd": ("mmd",),
    "sliced_wasserstein": ("sliced_wasserstein",),
    "energy": ("energy",),
    "c2st": ("c2st",),
}
CHOOSING = tuple(dict.fromkeys(name for names in SETS.values() for name in names))
YARDSTICKS = ("c2st", "sliced_wasserstein", "clusters")
ROWS, FRESH = 720, 4000
DRAWS, CHECKS = 3, 4  # samples of a generator to choose by, and to measure it by
SEEDS, REPEATS = 4, 100
CASES: dict[str, Problem] = {
    "gaussian_to_uniform": GaussianToUniform(train=ROWS, validation=ROWS),
    "mixture_3d": Mixture3D(train=ROWS, validation=ROWS),
    "returns_4d": Returns4D(train=ROWS, validation=ROWS),
    "returns_4d, pareto": Returns4D(margins="pareto", train=ROWS, validation=ROWS),
}
TABLES = ("diabetes", "breast_cancer", "modechoice", "star98", "anes96", "macrodata")


@dataclass(frozen=True)
class Candidate:
    """A configuration, and the epochs that it trains."""

    configuration: Configuration
    epochs: int


def fitted(model: str, features: str, **arguments: Any) -> Candidate:
    """Candidate of a closed-form family."""
    training = Training(features=features)  # type: ignore[arg-type]
    return Candidate(
        Configuration(model=model, objective="likelihood", model_arguments=arguments, training=training), 1
    )


def trained(model: str, objective: str, epochs: int, **arguments: Any) -> Candidate:
    """Candidate that trains by gradients."""
    training = Training(features="quantile_normal", batch=120, learning_rate=3e-3, schedule="cosine")
    return Candidate(
        Configuration(model=model, objective=objective, model_arguments=arguments, training=training), epochs
    )


POOL = (
    fitted("gaussian", "standard"),
    fitted("gaussian_copula", "standard"),
    fitted("t_copula", "standard"),
    *(fitted("gmm", "standard", components=count) for count in (2, 4, 8)),
    fitted("gmm", "quantile_normal", components=4),
    *(fitted("kde", "standard", bandwidth=width) for width in (0.3, 1.0)),
    fitted("kde", "quantile_normal", bandwidth=0.6),
    *(trained("pushforward", "mmd", epochs, width=32, depth=2) for epochs in (15, 90)),
    *(trained("flow_matching", "flow_matching", epochs, width=32, depth=2) for epochs in (30, 150)),
    trained("spline_flow", "nll", 60, width=32, depth=2),
    trained("vae", "elbo", 90, latent=2, encoder_width=32, decoder_width=32),
)


def problem_of(case: str) -> Problem:
    """The problem of a case: a known distribution, or a table in a file of its own."""
    if case in CASES:
        return CASES[case]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.csv"
        tables()[case].to_csv(path, index=False)
        return Table(data=str(path), validation=0.3, test=0.3)


def drawn(candidate: Candidate, problem: Problem, seed: int, count: int) -> tuple[Array, Array]:
    """Samples of a fitted generator: `[draws, rows, columns]` to choose by, and of `count` rows to measure by."""
    rows = problem.rows(seed)
    held = len(rows.validation)
    shape = Shape(len(problem.columns), problem.source.kind, problem.source.features)
    judge = judge_for(problem, rows.train, rows.validation, held, scores={"ad": SCORES["ad"]}, repeats=1)
    task = TrialContext(
        rows=rows,
        columns=problem.columns,
        shape=shape,
        judge=judge,
        epochs=candidate.epochs,
        evaluations=[candidate.epochs],
        eval_samples=DRAWS,
    )
    trial = Trial(candidate.configuration, task, seed)
    pack = trial.untrained()
    for _ in range(candidate.epochs):
        pack.advance()
    features = [trial.featured.features]
    few = draw_samples(pack.averaged, features, DRAWS, held, seeds=pack.seeds)[0]
    return few, draw_samples(pack.averaged, features, CHECKS, count, seeds=pack.seeds)[0]


def ratios(samples: Array, reference: Reference, known: Mapping[str, Floor]) -> dict[str, float]:
    """Score over floor of each score in `known` whose floor isn't 0, medians over samples."""
    return {
        name: max(float(np.median(SCORES[name](reference)(samples).positive)) / floor.positive, LEAST_RATIO)
        for name, floor in known.items()
        if floor.positive > 0
    }


def chosen(case: str, seed: int, pool: tuple[Candidate, ...], repeats: int) -> dict[str, list[float]]:
    """For each set, the yardsticks of what it chooses, each over the lowest of the pool."""
    problem = problem_of(case)
    rows, dice = problem.rows(seed), np.random.default_rng([seed, 5])
    reference = Reference.of(rows.train, rows.validation)
    known = floors(
        problem.pair,
        len(rows.validation),
        len(rows.validation),
        {name: SCORES[name] for name in CHOOSING},
        reference=reference,
        seed=seed,
        repeats=repeats,
    )
    known_truth = case in CASES
    fresh = [
        Reference.of(rows.train, problem.pair(2, FRESH, dice)[1] if known_truth else rows.test) for _ in range(CHECKS)
    ]
    judged, measured = [], []
    for candidate in pool:
        few, many = drawn(candidate, problem, seed, len(fresh[0].held))
        judged.append(ratios(few, reference, known))
        # A mean over samples, because each score cuts large samples to a bounded number of rows.
        measured.append(
            [
                np.mean([SCORES[name](own)(each[np.newaxis]).value[0] for own, each in zip(fresh, many, strict=True)])
                for name in YARDSTICKS
            ]
        )
    relative = np.array(measured) / np.min(measured, axis=0)
    found = {}
    for label, names in SETS.items():
        misfits = [np.exp(np.mean([np.log(own[name]) for name in names if name in own])) for own in judged]
        found[label] = relative[int(np.argmin(misfits))].tolist()
    print(f"{case}, seed {seed}: done", flush=True)
    return found


def main() -> None:
    """Fit, choose and measure all, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", action="store_true", help="real tables instead of known distributions")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--quick", action="store_true", help="one seed, one problem, four candidates, not written")
    given = parser.parse_args()
    cases = list(TABLES if given.tables else CASES)
    pool, repeats = POOL, REPEATS
    if given.quick:
        cases, given.seeds, pool, repeats = cases[:1], 1, POOL[:4], 10
    jobs = [(case, seed, pool, repeats) for case in cases for seed in range(given.seeds)]
    os.environ["OMP_NUM_THREADS"] = "1"  # of the processes, which have a core each
    with multiprocessing.get_context("spawn").Pool() as workers:
        all_found = workers.starmap(chosen, jobs, chunksize=1)
    rows = []
    for label in SETS:
        logs = np.log([found[label] for found in all_found])
        rows.append([label, *(f"{value:.2f}" for value in np.exp(logs.mean(axis=0))), f"{np.exp(logs.mean()):.3f}"])
    content = table(["ranks by", *YARDSTICKS, "all three"], rows)
    if given.quick:
        print(content)
        return
    said = f"{len(cases)} problems, {given.seeds} seeds, {len(pool)} generators each"
    if given.tables:
        write("ranking of tables", content, said)
    else:
        write("ranking", content, said)


if __name__ == "__main__":
    main()
