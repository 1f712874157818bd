"""First points: the few networks that together do best on many small tables, whatever a user's own table is like.

    make portfolio, or: python benchmarks/portfolio.py [--quick] [--choose]

A pool of networks from the space of `all_families` is trained on each table, as a search trains them: ASHA stops the
worse, which count with the misfit that they had. The portfolio begins with the network that has the lowest mean of
log(misfit / lowest misfit of the table) over all tables, and goes on with the one that lowers the mean most beside
those before it (Feurer et al. 2022, Auto-Sklearn 2.0). Densities with a closed form aren't in it, since a search fits
all of them first. Misfits go into portfolio.parquet, from which --choose starts. What a table would gain from a
portfolio that never saw it goes into docs/performance.md. The points of `table` and `all_families` are printed.

Tables are samples of known distributions and what scikit-learn and statsmodels ship: at most 600 rows of each.
"""

import argparse
import json
import logging
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from page import table, write

from objectives import Problem
from objectives.problems.known import Gaussian2D, GaussianToUniform
from objectives.problems.mixture import Mixture3D
from objectives.problems.returns import Returns4D
from search.errors import StudyError
from search.events.events import Event, Reported
from search.log import hush
from search.run.prepare import task_of
from search.schedule.families import Family
from search.schedule.suggest import Suggester
from search.study.configuration import Configuration
from search.study.parse import load_study, problem_of
from search.study.space import Fixed
from search.study.study import PairSpace, Study, check_point, descends, short_name
from search.tune.run import tune_trials

MISFITS = Path(__file__).with_suffix(".parquet")
STUDIES = ("all_families", "table")
COUNTS = {"pushforward": 24, "vae": 20, "flow_matching": 12}  # configurations of the pool
COUNT = 6  # of each other family
ROWS = 600
SIZES = (4, 8, 12)  # of portfolios
DRAWS = 500  # of as many networks by chance
KNOWN: dict[str, Problem] = {
    "gaussian_2d, correlation 0.9": Gaussian2D(correlation=0.9),
    "gaussian_to_uniform": GaussianToUniform(),
    "mixture_3d, 3 components": Mixture3D(components=3, truth=1),
    "mixture_3d, 8 components": Mixture3D(components=8, truth=2),
    "returns_4d": Returns4D(),
    "returns_4d, pareto": Returns4D(margins="pareto"),
}
SKLEARN = {"iris": 4, "wine": 13, "diabetes": 10, "breast_cancer": 10}  # how many of its columns, the first
STATSMODELS = {  # which of its columns
    "engel": ["income", "foodexp"],
    "cancer": ["cancer", "population"],
    "macrodata": ["infl", "realint", "unemp", "tbilrate"],
    "star98": ["LOWINC", "PERASIAN", "PERBLACK", "PERHISP", "PERMINTE", "AVYRSEXP"],
    "modechoice": ["ttme", "invc", "invt", "gc", "hinc"],
    "anes96": ["TVnews", "age", "educ", "income", "logpopul"],
}
Array = np.ndarray[Any, np.dtype[np.float64]]


def tables() -> dict[str, pd.DataFrame]:
    """All tables by name, of at most `ROWS` rows."""
    from sklearn import datasets as sklearn
    from statsmodels import datasets as statsmodels

    found = {
        name: pd.DataFrame(problem.pair(ROWS, 2, np.random.default_rng(0))[0], columns=list(problem.columns))
        for name, problem in KNOWN.items()
    }
    for name, count in SKLEARN.items():
        found[name] = getattr(sklearn, f"load_{name}")(as_frame=True).data.iloc[:, :count]
    for name, columns in STATSMODELS.items():
        found[name] = getattr(statsmodels, name).load_pandas().data[columns].astype(float)
    return {name: frame.sample(min(len(frame), ROWS), random_state=0) for name, frame in found.items()}


def pool(study: Study) -> list[Configuration]:
    """Networks of a study: its points, and some of a quasi-random sequence for each family."""
    points = [check_point(study, point) for point in study.points]
    for model in study.models:
        family = Family(study, model, seed=0)
        if not family.closed_form:
            drawn = family.everything(COUNTS.get(model, COUNT))
            points += [check_point(study, point_of(configuration)) for configuration in drawn]
    return list({each.identity: each for each in points if descends(each)}.values())


def point_of(configuration: Configuration) -> dict[str, Any]:
    """A configuration as a point of a study, its numbers short."""
    flat = configuration.flat()
    return {key: float(f"{value:.2g}") if isinstance(value, float) else value for key, value in flat.items()}


def misfits(study: Study, chosen: Sequence[Configuration], frame: pd.DataFrame) -> list[float]:
    """The lowest misfit of each configuration on the validation rows of a table."""
    reached: dict[int, float] = {}

    def listen(event: Event) -> None:
        if isinstance(event, Reported):
            reached[event.trial] = event.report.misfit

    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "table.csv"
        frame.to_csv(data, index=False)
        arguments = {"data": str(data), "validation": 0.4, "test": 0.1}
        listed = replace(
            study,
            problem="table",
            problem_arguments=arguments,
            points=[configuration.flat() for configuration in chosen],
            sampler="points",
            budget=replace(study.budget, trials=len(chosen)),
        )
        task = task_of(listed, problem_of(listed))
        numbers = range(len(chosen))
        tune_trials(Suggester(listed, 0), task, listed.budget, numbers, folder=Path(folder) / "run", listeners=[listen])
    return [reached.get(number, np.inf) for number in numbers]


def lacks(frame: pd.DataFrame) -> Array:
    """log(misfit / lowest of the table) `[tables, configurations]`; what failed lacks as much as the worst."""
    logs = np.log(frame.to_numpy(dtype=float).T)
    worst = np.max(logs, axis=1, where=np.isfinite(logs), initial=-np.inf)
    return np.asarray(np.minimum(logs, worst[:, None]) - logs.min(axis=1, keepdims=True))


def greedy(lacking: Array, size: int) -> list[int]:
    """The configurations that together lack least, each the best beside those before it."""
    chosen: list[int] = []
    least = np.full(len(lacking), np.inf)
    for _ in range(min(size, lacking.shape[1])):
        means = np.minimum(lacking, least[:, None]).mean(axis=0)
        means[chosen] = np.inf
        chosen.append(int(means.argmin()))
        least = np.minimum(least, lacking[:, chosen[-1]])
    return chosen


def left_out(lacking: Array, size: int) -> Array:
    """What each table lacks `[tables]` with the portfolio of the other tables."""
    whole = range(len(lacking))
    return np.array([lacking[place, greedy(np.delete(lacking, place, 0), size)].min() for place in whole])


def by_chance(lacking: Array, size: int) -> Array:
    """What each table lacks on average `[tables]` with as many configurations by chance."""
    dice = np.random.default_rng(0)
    sets = [dice.permutation(lacking.shape[1])[:size] for _ in range(DRAWS)]
    return np.asarray(np.mean([lacking[:, chosen].min(axis=1) for chosen in sets], axis=0))


def within(study: Study, chosen: Sequence[Configuration]) -> list[int]:
    """Places of the configurations that lie in the space of a study."""
    found = []
    for place, configuration in enumerate(chosen):
        try:
            check_point(study, configuration.flat())
        except StudyError:
            continue
        found.append(place)
    return found


def as_points(study: Study, chosen: Sequence[Configuration]) -> str:
    """TOML of configurations: what a study searches of them."""
    texts = []
    for configuration in chosen:
        domains = PairSpace(study, configuration.model, configuration.objective).domains
        searched = {key for key, domain in domains.items() if not isinstance(domain, Fixed)}
        point = {key: value for key, value in configuration.flat().items() if key in {"model", "objective", *searched}}
        texts.append("\n".join(["[[points]]", *(f"{key} = {_toml(value)}" for key, value in point.items())]))
    return "\n\n".join(texts)


def _toml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else f'"{value}"' if isinstance(value, str) else f"{value:g}"


def _comparison(lacking: Array, names: Sequence[str]) -> str:
    rows = [
        [label, *(f"{np.exp(values.mean()):.2f}" for values in by_size)]
        for label, by_size in {
            "portfolio of the other tables": [left_out(lacking, size) for size in SIZES],
            "as many networks by chance": [by_chance(lacking, size) for size in SIZES],
            "portfolio of all tables": [lacking[:, greedy(lacking, size)].min(axis=1) for size in SIZES],
        }.items()
    ]
    heads = [f"lowest misfit over that of the pool; {len(names)} tables", *(f"{size} networks" for size in SIZES)]
    return table(heads, rows)


def main() -> None:
    """Train the pool on all tables, choose, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two tables, eight networks, printed and not written")
    parser.add_argument("--choose", action="store_true", help=f"from the misfits in {MISFITS.name}, trained before")
    given = parser.parse_args()
    hush("optuna", below=logging.WARNING)
    source = load_study(STUDIES[0])
    if given.choose:
        frame = pd.read_parquet(MISFITS)
        chosen = [check_point(source, json.loads(point)) for point in frame.pop("point")]
    else:
        chosen, data = pool(source), tables()
        if given.quick:
            chosen, data = chosen[:8], dict(list(data.items())[:2])
        frame = pd.DataFrame(index=range(len(chosen)))
        for name, rows in data.items():
            frame[name] = misfits(source, chosen, rows)
            print(f"{name}, {rows.shape[0]} x {rows.shape[1]}: lowest misfit {frame[name].min():.3f}", flush=True)
        if not given.quick:
            points = [json.dumps(configuration.flat()) for configuration in chosen]
            frame.assign(point=points).to_parquet(MISFITS, index=False, compression="zstd")
    content = _comparison(lacks(frame), [str(name) for name in frame])
    for name in STUDIES:
        study = load_study(name)
        places = within(study, chosen)
        best = [places[place] for place in greedy(lacks(frame)[:, places], SIZES[-1])]
        print(f"\n{name}:\n" + as_points(study, [chosen[place] for place in best]))
        print("\n" + "\n".join(f"# {short_name(chosen[place])}" for place in best))
    if given.quick:
        print(content)
        return
    write("portfolio", content, f"{len(chosen)} networks, {source.budget.epochs} epochs, one seed")


if __name__ == "__main__":
    main()
