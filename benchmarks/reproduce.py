"""Every published configuration as published, and what a search finds instead: writes docs/results.md and its figures.

    python benchmarks/reproduce.py [--quick] [--seeds 5] [--out docs]

Each seed has data, initial weights and noise of its own. Published configurations are judged by their last weights, as
they were; what was searched by its best checkpoint on validation rows, as a search exports it. All figures in the
tables are of test rows, which decided nothing.
"""

import argparse
import logging
import multiprocessing
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import figures
import numpy as np
import torch
from published import FAMILIES, PUBLISHED
from replicas import Replica, replicated
from results import page

from models.vae import VAE
from objectives.problems.mixture import Mixture3D
from search import Store, load_study, plan_search, run_search, with_overrides
from search.report import png
from search.study.configuration import Configuration
from search.study.parse import problem_of
from search.study.study import Study, check_point

WORKERS = 2
STRENGTHS = (0.0, 0.03, 0.1, 0.3, 1.0)
REPEATS = 3  # seeds of what is only repeated: 5,000 epochs take a while
QUICK = 10  # a quick run trains for a tenth of the epochs


@dataclass(frozen=True)
class Job:
    """Configurations of one study to train with all seeds; the last weights are judged, or the best on validation."""

    name: str
    study: Study
    configurations: tuple[Configuration, ...]
    seeds: tuple[int, ...]
    keep_best: bool


def main() -> None:
    """Run everything, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the epochs, small searches, two seeds")
    parser.add_argument("--seeds", type=int, help="seeds of each configuration (default 5; quick 2)")
    parser.add_argument("--out", type=Path, default=Path("docs"), help="folder of results.md and pictures/results")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    began = time.perf_counter()
    quick = arguments.quick
    seeds = tuple(range(arguments.seeds or (2 if quick else 5)))
    repeated = dict.fromkeys(claim.study for claim in PUBLISHED)
    published = trained([points_job(name, seeds[:REPEATS], quick, False) for name in repeated])
    winners = {name: searched(name, quick) for name in dict.fromkeys(p.problem for p in PUBLISHED)}
    ours = trained(
        [Job(name, study, (winner,), seeds, True) for name, (study, winner) in winners.items()]
        + [points_job(study, seeds, quick, True, f"families of {problem}") for problem, study in FAMILIES.items()]
        + [strength_job(penalty, quick) for penalty in ("l1", "l2")]
    )
    pictures = arguments.out / "pictures" / "results"
    pictures.mkdir(parents=True, exist_ok=True)
    draw(published | ours, pictures)
    minutes = (time.perf_counter() - began) / 60
    repeats = len(seeds[:REPEATS])
    settings = f"{len(seeds)} seeds, {repeats} of what is only repeated; {minutes:.0f} minutes on {WORKERS} cores" + (
        ", `--quick`" if quick else ""
    )
    (arguments.out / "results.md").write_text(page(published, ours, winners, settings))
    print(f"{arguments.out / 'results.md'}: {settings}")


def points_job(name: str, seeds: tuple[int, ...], quick: bool, keep_best: bool, label: str = "") -> Job:
    """All points of a shipped study, with every seed."""
    study = load_study(name)
    if quick:
        epochs = max(1, study.budget.epochs // QUICK)
        study = replace(study, budget=replace(study.budget, epochs=epochs, grace=epochs))
    return Job(label or name, study, tuple(check_point(study, point) for point in study.points), seeds, keep_best)


def strength_job(penalty: str, quick: bool) -> Job:
    """One network of the study of regularisation, with growing strengths of one penalty."""
    job = points_job("regularisation", (0,), quick, False)
    plain = replace(job.configurations[0].training, l1=0.0, l2=0.0)
    strengths: list[dict[str, Any]] = [{penalty: strength} for strength in STRENGTHS]
    grown = tuple(replace(job.configurations[0], training=replace(plain, **each)) for each in strengths)
    return replace(job, name=penalty, configurations=grown)


def searched(name: str, quick: bool) -> tuple[Study, Configuration]:
    """The study of a problem, and the configuration that won its search."""
    study = with_overrides(load_study(name), trials=12 if quick else None)
    with tempfile.TemporaryDirectory() as folder:
        board = run_search(plan_search(study, Store(folder), name)).board
    print(f"searched {name}: {board.winner().configuration.model}, misfit {board.winner().misfit:.2f}", flush=True)
    return study, board.winner().configuration


def trained(jobs: list[Job]) -> dict[str, list[Replica]]:
    """Replicas of every job, two jobs at a time, the first ones first."""
    done = {}
    with ProcessPoolExecutor(WORKERS, multiprocessing.get_context("spawn")) as pool:
        running = {pool.submit(_train, job): job for job in jobs}
        for future in as_completed(running):
            job = running[future]
            done[job.name] = future.result()
            print(f"trained {job.name}: {len(job.configurations)} x {len(job.seeds)} seeds", flush=True)
    return done


def _train(job: Job) -> list[Replica]:
    return replicated(job.study, job.configurations, job.seeds, job.keep_best)


def draw(replicas: dict[str, list[Replica]], folder: Path) -> None:
    """Write every figure."""
    shown = {
        "f1": "gaussian_to_uniform",
        "f2": "uniform_to_gaussian",
        "f3": "line_to_gaussian",
        "mixture_3d": "mixture_3d",
        "returns_4d": "returns_4d",
    }
    for title, name in shown.items():
        samples(name, replicas[name][0], folder / f"{title}.png")
    samples("published_a_f1", replicas["published_a_f1"][0], folder / "f1_published.png")
    for place, title in ((0, "stochastic"), (1, "deterministic")):
        seeds = len(replicas["published_b_f3"]) // 4
        samples("published_b_f3", replicas["published_b_f3"][place * seeds], folder / f"f3_{title}.png")
    figures.loss_curves(
        {
            "A f1, as published": replicas["published_a_f1"],
            "A f2, as published": replicas["published_a_f2"],
            "f1, searched": replicas["gaussian_to_uniform"],
        },
        folder / "losses.png",
    )
    figures.weights_by_strength(
        {
            penalty: {getattr(r.configuration.training, penalty): _weights(r) for r in replicas[penalty]}
            for penalty in ("l1", "l2")
        },
        folder / "weights.png",
    )
    grid: dict[tuple[float, float], list[float]] = {}
    for replica in replicas["l1_l2_grid"]:
        training = replica.configuration.training
        grid.setdefault((training.l1, training.l2), []).append(replica.evaluation.values["mmd"])
    means = {pair: float(np.mean(values)) for pair, values in grid.items()}
    figures.strength_grid(means, "B f1: mmd on test rows, mean over seeds", folder / "l1_l2_grid.png")
    latent(replicas["families of mixture_3d"], folder / "codes.png")
    real = problem_of(load_study("returns_4d")).rows(0).test
    panels = {
        "held-out rows": real,
        "searched": replicas["returns_4d"][0].generator().sample(len(real)).numpy(),
        "E, encoder = decoder": replicas["published_e"][0].generator().sample(len(real)).numpy(),
    }
    figures.correlations(panels, ("r1", "r2", "r3", "r4"), folder / "correlations.png")


def samples(study: str, replica: Replica, path: Path) -> None:
    """Held-out rows beside samples, with density contours."""
    problem = problem_of(load_study(study))
    real = problem.rows(replica.seed).test
    png.samples_beside(real, replica.generator().sample(len(real)).numpy(), problem.columns, path)


def latent(replicas: list[Replica], path: Path) -> None:
    """Codes of held-out rows under the first VAE, coloured by the component that they come from."""
    replica = next(r for r in replicas if r.configuration.model == "vae")
    real = problem_of(load_study("mixture_3d")).rows(replica.seed).test
    generator = replica.generator()
    features = generator.features(torch.from_numpy(real)).float().unsqueeze(0)
    with torch.no_grad():
        mean, _ = cast(VAE, generator.model).encode(features)
    figures.codes(mean[0].numpy(), Mixture3D().labels(real), path)


def _weights(replica: Replica) -> "np.ndarray[tuple[int, ...], np.dtype[np.float32]]":
    named = replica.tensors.items()
    return torch.cat(
        [v.flatten() for name, v in named if name.startswith("model.") and name.endswith("weight")]
    ).numpy()


if __name__ == "__main__":
    main()
