"""genseek beside what people fit otherwise, on tables that packages ship and on known distributions.

    make peers, or: python benchmarks/peers.py [--tables a,b] [--splits 0,1,2] [--methods a,b] [--time 5m] [--quick]

It runs in an environment of its own, .venv-peers, which `make peers` makes. Each table is split anew for each split:
three fifths of its rows train all methods, a fifth judges them, and the last fifth stands for a perfect generator. A
method draws three samples as large as the judging fifth. Samples stay in .peers, so that an interrupted run goes on and
--methods none measures again; measures go into peers.parquet, their mean ranks into docs/peers.md.

What fails or takes too long ranks last; tables from which first points of `table` were chosen don't count in ranks.

genseek is its `table` study as it is shipped, bounded by --time, and takes its validation and test rows from the
training rows. Its winner is chosen by ad, kendall and mmd; none of the measures here is one of these.
"""

import argparse
import json
import logging
import multiprocessing
import pickle
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from page import table, write

from objectives import SCORES
from objectives.problems import Problem
from objectives.problems.known import GaussianToUniform
from objectives.problems.mixture import Mixture3D
from objectives.problems.returns import Returns4D
from objectives.scores import Reference

ROOT = Path(__file__).resolve().parents[1]
MEASURES = Path(__file__).with_suffix(".parquet")
SAMPLES = ROOT / ".peers"
PAGE = ROOT / "docs" / "peers.md"
FAILED = ".failed"  # ending of a file that says why there are no samples
DRAWS = 3  # samples of a method
LARGEST = 10_000  # rows of a table
MATCHED = 1000  # rows of the exact Wasserstein distance
LIMIT = 1500  # seconds a method may take
KNOWN: dict[str, tuple[Problem, int]] = {
    "returns_4d": (Returns4D(), 1200),
    "mixture_3d": (Mixture3D(), 1200),
    "gaussian_to_uniform": (GaussianToUniform(), 1200),
}
# What else a measure of fidelity is compared with: samples that no method made.
REAL = ("real rows", "training rows", "bootstrap")
FIDELITY = ("c2st", "sliced_wasserstein", "wasserstein", "coverage", "tau_error", "tail_dependence", "utility")
COPYING = ("overfit", "closest")
Array = np.ndarray[Any, np.dtype[np.float64]]
Sampler = Callable[[int, int], Array]  # rows, seed


@dataclass(frozen=True)
class Source:
    """A table: how it is read, the column to predict from the others, and whether first points came from it too."""

    frame: Callable[[], pd.DataFrame]
    target: str = ""
    seen: bool = False


def _statsmodels(name: str, columns: Sequence[str] = ()) -> pd.DataFrame:
    from statsmodels import datasets

    frame: pd.DataFrame = getattr(datasets, name).load_pandas().data
    return frame[list(columns)] if columns else frame


def _sklearn(name: str) -> pd.DataFrame:
    from sklearn import datasets

    frame: pd.DataFrame = getattr(datasets, f"load_{name}")(as_frame=True).frame
    return frame


def _photograph() -> pd.DataFrame:
    from sklearn.datasets import load_sample_image

    return pd.DataFrame(load_sample_image("china.jpg").reshape(-1, 3), columns=["red", "green", "blue"])


def _plotly(name: str, columns: Sequence[str]) -> pd.DataFrame:
    from plotly import data

    frame: pd.DataFrame = getattr(data, name)()
    return frame[list(columns)]


STAR = ["AVYRSEXP", "AVSALK", "PERSPENK", "PTRATIO", "PCTAF", "PCTCHRT", "PCTYRRND"]
TABLES = {
    "tips": Source(lambda: _plotly("tips", ["total_bill", "tip", "size"]), "tip"),
    "grunfeld": Source(lambda: _statsmodels("grunfeld", ["invest", "value", "capital"]), "invest"),
    "fertility": Source(lambda: _statsmodels("fertility", ["1962", "1972", "1982", "1992", "2002", "2009"]), "2009"),
    "star98": Source(lambda: _statsmodels("star98", STAR), "AVSALK"),
    "breast_cancer": Source(lambda: _sklearn("breast_cancer").iloc[:, 10:30], "worst radius"),
    "gapminder": Source(lambda: _plotly("gapminder", ["year", "lifeExp", "pop", "gdpPercap"]), "lifeExp"),
    "photograph": Source(_photograph, "green"),
    "fair": Source(lambda: _statsmodels("fair"), "affairs"),
    "randhie": Source(lambda: _statsmodels("randhie"), "mdvis"),
    "diabetes": Source(lambda: _sklearn("diabetes"), "target", seen=True),
    "wine": Source(lambda: _sklearn("wine").iloc[:, :13], "alcohol", seen=True),
    **{
        name: Source(
            lambda problem=problem, rows=rows: pd.DataFrame(  # type: ignore[misc]
                problem.pair(rows, 2, np.random.default_rng(7))[0], columns=list(problem.columns)
            ),
            seen=True,
        )
        for name, (problem, rows) in KNOWN.items()
    },
}


@dataclass(frozen=True)
class Split:
    """Training, judging and other rows of a table, frames of float64."""

    train: pd.DataFrame
    test: pd.DataFrame
    other: pd.DataFrame

    @classmethod
    def of(cls, name: str, number: int) -> "Split":
        """Split a table anew; shares are 3/5, 1/5, 1/5 of its rows, of at most `LARGEST`."""
        frame = TABLES[name].frame().dropna().astype(float)
        frame = frame.sample(min(len(frame), LARGEST), random_state=number).reset_index(drop=True)
        fifth = len(frame) // 5
        return cls(frame[2 * fifth :], frame[:fifth], frame[fifth : 2 * fifth])


@dataclass(frozen=True)
class Fitted:
    """What a method has fitted: its sampler, and its size in kilobytes as pickled or exported; `note` names it."""

    sample: Sampler
    kilobytes: float
    note: str = ""


def _size(model: object) -> float:
    return len(pickle.dumps(model)) / 1000


def as_written(rows: Array, train: pd.DataFrame) -> Array:
    """Rows in the range of the training rows, whole numbers where those are: every method deserves what costs nothing.

    A method that does so itself loses nothing here.
    """
    known = train.to_numpy()
    whole = (known == np.round(known)).all(axis=0)
    return np.where(whole, np.round(np.clip(rows, known.min(0), known.max(0))), rows)


def _sdv(name: str) -> Callable[[pd.DataFrame, int, str], Fitted]:
    def fit(train: pd.DataFrame, seed: int, time: str) -> Fitted:
        import torch
        from sdv.metadata import Metadata
        from sdv.single_table import CTGANSynthesizer, GaussianCopulaSynthesizer, TVAESynthesizer

        torch.manual_seed(seed)
        np.random.seed(seed)
        kinds = {"sdv copula": GaussianCopulaSynthesizer, "ctgan": CTGANSynthesizer, "tvae": TVAESynthesizer}
        metadata = Metadata.detect_from_dataframe(train, infer_keys=None)
        for column in train:  # whole numbers of few values pass for categories or identifiers otherwise
            metadata.update_column(column_name=str(column), sdtype="numerical")
        synthesizer = kinds[name](metadata)
        synthesizer.fit(train)
        return Fitted(
            lambda rows, _: np.asarray(synthesizer.sample(rows)[list(train)].to_numpy(dtype=float)), _size(synthesizer)
        )

    return fit


def _arf(train: pd.DataFrame, seed: int, time: str) -> Fitted:
    if not hasattr(np, "in1d"):
        np.in1d = np.isin  # type: ignore[attr-defined]  # arfpy 0.1.1 needs what NumPy 2.4 took out
    from arfpy import arf

    np.random.seed(seed)
    numbered = train.set_axis(range(train.shape[1]), axis=1).reset_index(drop=True)  # it looks columns up by place
    forest = arf.arf(x=numbered, verbose=False, random_state=seed)
    forest.forde()
    return Fitted(lambda rows, _: as_written(forest.forge(n=rows).to_numpy(dtype=float), train), _size(forest))


def _forest(kind: str) -> Callable[[pd.DataFrame, int, str], Fitted]:
    def fit(train: pd.DataFrame, seed: int, time: str) -> Fitted:
        from ForestDiffusion import ForestDiffusionModel

        known = train.to_numpy()
        whole = [place for place in range(known.shape[1]) if (known[:, place] == np.round(known[:, place])).all()]
        np.random.seed(seed)
        copies = int(np.clip(30_000 // len(known), 5, 100))  # 100 is its default
        model = ForestDiffusionModel(
            known, n_t=50, duplicate_K=copies, diffusion_type=kind, int_indexes=whole, n_jobs=2, seed=seed
        )

        def sample(rows: int, seed: int) -> Array:
            np.random.seed(seed)
            return np.asarray(model.generate(batch_size=rows), dtype=float)

        return Fitted(sample, _size(model), f"{copies} copies")

    return fit


def _normal_scores(train: pd.DataFrame, seed: int) -> Any:
    from sklearn.preprocessing import QuantileTransformer

    return QuantileTransformer(n_quantiles=min(1000, len(train)), output_distribution="normal", random_state=seed)


def _vine(train: pd.DataFrame, seed: int, time: str) -> Fitted:
    import pyvinecopulib as pv

    known = train.to_numpy()
    controls = pv.FitControlsVinecop(family_set=list(pv.all), num_threads=2)
    copula = pv.Vinecop.from_data(pv.to_pseudo_obs(known), controls=controls)

    def sample(rows: int, seed: int) -> Array:
        drawn = copula.simulate(rows, seeds=[seed])
        margins = [np.quantile(known[:, place], drawn[:, place]) for place in range(known.shape[1])]
        return as_written(np.stack(margins, axis=1), train)

    return Fitted(sample, len(copula.to_json()) / 1000 + known.nbytes / 1000)


def _spline_flow(train: pd.DataFrame, seed: int, time: str) -> Fitted:
    import torch
    import zuko

    torch.manual_seed(seed)
    scores = _normal_scores(train, seed)
    known = torch.tensor(scores.fit_transform(train.to_numpy()), dtype=torch.float32)
    known = known[torch.randperm(len(known))]
    held, known = known[: len(known) // 5], known[len(known) // 5 :]
    flow = zuko.flows.NSF(features=known.shape[1], transforms=3, hidden_features=(64, 64))
    optimiser = torch.optim.Adam(flow.parameters(), lr=1e-3)
    best, kept, waited = np.inf, flow.state_dict(), 0
    for _ in range(500):
        for chosen in torch.randperm(len(known)).chunk(-(-len(known) // 128)):
            loss = -flow().log_prob(known[chosen]).mean()
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(flow.parameters(), 5.0)
            optimiser.step()
        with torch.no_grad():
            now = -flow().log_prob(held).mean().item()
        waited += 1
        if now < best:
            best, kept, waited = now, {key: value.clone() for key, value in flow.state_dict().items()}, 0
        if waited == 30:
            break
    flow.load_state_dict(kept)

    def sample(rows: int, seed: int) -> Array:
        torch.manual_seed(seed)
        with torch.no_grad():
            drawn = flow().sample((rows,)).numpy().astype(float)
        return as_written(scores.inverse_transform(drawn), train)

    return Fitted(sample, _size(flow.state_dict()))


def _genseek(train: pd.DataFrame, seed: int, time: str) -> Fitted:
    from search import Store, load_generator, load_study, plan_search, search_and_publish, with_overrides
    from search.export.export import export_generator
    from search.study.study import short_name

    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "train.parquet"
        train.to_parquet(data, index=False)
        store = Store(str(Path(folder) / "store"))
        study = with_overrides(load_study("table"), data=str(data), time=time, seed=seed)
        board = search_and_publish(plan_search(study, store)).board
        winner, exported = board.winner(), Path(folder) / "exported"
        export_generator(store, board, winner.trial, exported)
        generator = load_generator(exported)
        size = sum(path.stat().st_size for path in exported.glob("*.safetensors")) / 1000
        note = short_name(winner.configuration)
    return Fitted(lambda rows, seed: generator.sample(rows, seed).numpy(), size, note)


METHODS: dict[str, Callable[[pd.DataFrame, int, str], Fitted]] = {
    "vine copula": _vine,
    "sdv copula": _sdv("sdv copula"),
    "spline flow": _spline_flow,
    "arf": _arf,
    "tvae": _sdv("tvae"),
    "ctgan": _sdv("ctgan"),
    "forest flow": _forest("flow"),
    "forest vp": _forest("vp"),
    "genseek": _genseek,
}


def place_of(name: str, number: int, method: str) -> Path:
    """Where the samples of a method are."""
    return SAMPLES / name / str(number) / f"{method.replace(' ', '_')}.npz"


def draw(name: str, number: int, method: str, time_given: str) -> None:
    """Fit a method to a split of a table, and keep its samples."""
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    path, split = place_of(name, number, method), Split.of(name, number)
    path.parent.mkdir(parents=True, exist_ok=True)
    begun = time.perf_counter()
    fitted = METHODS[method](split.train, number, time_given)
    seconds = time.perf_counter() - begun
    rows = np.stack([fitted.sample(len(split.test), seed) for seed in range(1, DRAWS + 1)])
    said = json.dumps({"seconds": seconds, "kilobytes": fitted.kilobytes, "note": fitted.note})
    np.savez_compressed(path, rows=rows, said=np.array(said))


def bounded(name: str, number: int, method: str, time_given: str) -> str:
    """Draw in a process of its own, so that no method takes another's memory or more than its time; what it says."""
    process = multiprocessing.get_context("spawn").Process(target=_told, args=(name, number, method, time_given))
    process.start()
    process.join(LIMIT)
    path, said = place_of(name, number, method), "failed"
    if process.is_alive():
        process.kill()
        process.join()
        said = f"more than {LIMIT} s"
    if path.exists():
        return "drawn"
    path.with_suffix(FAILED).write_text(said)
    return said


def _told(*arguments: Any) -> None:
    try:
        draw(*arguments)
    except Exception:
        traceback.print_exc()
        raise SystemExit(1) from None


def measures(split: Split, rows: Array, target: str, beside: Array | None = None) -> dict[str, float]:
    """All measures of a sample `[rows, columns]`; lower is better, except in `overfit` and `closest`.

    `c2st` is |AUC - 1/2| of a random forest, out of fold. `wasserstein` is the exact distance, in deviations. `utility`
    is the error of boosted trees that learn the target column from the sample, over that of those that learn it from
    the training rows. `closest` is the share of rows that lie nearer to a training row than to any of as many others,
    which are those of `beside`.
    """
    reference = Reference.of(split.train.to_numpy(), split.test.to_numpy())
    names = ("sliced_wasserstein", "coverage", "tau_error", "tail_dependence", "overfit")
    found = {
        name: float(SCORES[name](reference)(rows[np.newaxis]).value[0])
        for name in names
        if SCORES[name].serves(reference.held)
    }
    found["c2st"] = _told_apart(split.test.to_numpy(), rows)
    found["wasserstein"] = _matched(reference.scale(split.test.to_numpy()), reference.scale(rows))
    if target:
        place = list(split.train).index(target)
        found["utility"] = _error(rows, split.test.to_numpy(), place) / _error(
            split.train.to_numpy(), split.test.to_numpy(), place
        )
    found["closest"] = _closest(reference, split.other.to_numpy() if beside is None else beside, rows)
    return found


def _told_apart(real: Array, made: Array) -> float:
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    rows, label = np.concatenate([real, made]), np.repeat([0, 1], [len(real), len(made)])
    forest = RandomForestClassifier(200, min_samples_leaf=3, random_state=0, n_jobs=2)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    rated = cross_val_predict(forest, rows, label, cv=folds, method="predict_proba")[:, 1]
    return float(abs(roc_auc_score(label, rated) - 0.5))


def _matched(real: Array, made: Array) -> float:
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    costs = cdist(real[:MATCHED], made[:MATCHED])
    return float(costs[linear_sum_assignment(costs)].mean())


def _error(train: Array, test: Array, place: int) -> float:
    from sklearn.ensemble import HistGradientBoostingRegressor

    trees = HistGradientBoostingRegressor(random_state=0, min_samples_leaf=5)
    trees.fit(np.delete(train, place, 1), train[:, place])
    guessed = trees.predict(np.delete(test, place, 1))
    return float(np.sqrt(np.mean((guessed - test[:, place]) ** 2)))


def _closest(reference: Reference, other: Array, made: Array) -> float:
    from scipy.spatial import KDTree

    known, others = reference.scale(reference.train), reference.scale(other)
    known = known[np.random.default_rng(0).permutation(len(known))[: len(others)]]
    rows = reference.scale(made)
    near, far = KDTree(known).query(rows)[0], KDTree(others).query(rows)[0]
    return float(np.mean(near < far) + np.mean(near == far) / 2)


def real_samples(split: Split) -> Mapping[str, Array]:
    """Samples `[draws, rows, columns]` that no method made, by name."""
    dice, count, train = np.random.default_rng(0), len(split.test), split.train.to_numpy()
    return {
        "real rows": split.other.to_numpy()[np.newaxis],
        "training rows": np.stack([dice.permutation(train)[:count] for _ in range(DRAWS)]),
        "bootstrap": np.stack([train[dice.integers(len(train), size=count)] for _ in range(DRAWS)]),
    }


def measured(name: str, number: int) -> list[dict[str, Any]]:
    """Measures of every method that has samples of this split, and of real rows: means over its samples."""
    split = Split.of(name, number)
    found: list[dict[str, Any]] = []
    drawn: dict[str, tuple[Array, dict[str, Any]]] = {key: (rows, {}) for key, rows in real_samples(split).items()}
    for method in METHODS:
        path = place_of(name, number, method)
        if path.exists():
            with np.load(path) as kept:
                drawn[method] = (kept["rows"], json.loads(str(kept["said"])))
        elif path.with_suffix(FAILED).exists():
            found.append(
                {"table": name, "split": number, "method": method, "note": path.with_suffix(FAILED).read_text()}
            )
    for method, (samples, said) in drawn.items():
        beside = split.test.to_numpy() if method == "real rows" else None  # not themselves
        each = pd.DataFrame([measures(split, rows, TABLES[name].target, beside) for rows in samples])
        means = {str(key): float(value) for key, value in each.mean().items()}
        found.append({"table": name, "split": number, "method": method, **means, **said})
    return found


def ranked(frame: pd.DataFrame) -> pd.DataFrame:
    """Mean rank of each method by each measure of fidelity, over splits and then over tables, the best first.

    Tables count that chose no first points, and of their splits those on which all of the methods were tried; what
    failed there has the last rank.
    """
    own = frame[~frame["method"].isin(REAL) & ~frame["table"].isin([name for name in TABLES if TABLES[name].seen])]
    tried = own.groupby(["table", "split"])["method"].transform("nunique")
    own = own[tried == own["method"].nunique()]
    ranks: dict[str, Any] = {}
    for measure in FIDELITY:
        wide = own.pivot_table(index=["table", "split"], columns="method", values=measure, dropna=False)
        wide = wide.dropna(how="all")
        placed = wide.fillna(np.inf).rank(axis=1)
        ranks[measure] = placed.groupby("table").mean().mean()
    found = pd.DataFrame(ranks)
    return found.loc[found.mean(axis=1).sort_values().index]


def page(frame: pd.DataFrame) -> str:
    """Markdown of mean ranks, of what copies, and of every table."""
    ranks = ranked(frame)
    own = frame.groupby("method")
    heads = ["method", *(name.replace("_", " ") for name in FIDELITY), "all", "overfit", "closest", "seconds", "kB"]
    rows = []
    for method, placed in ranks.iterrows():
        cells = [f"{placed[name]:.1f}" for name in FIDELITY]
        rows.append([str(method), *cells, f"{placed.mean():.1f}", *_copying(own.get_group(method))])
    for method in REAL:
        rows.append([method, *[""] * (len(FIDELITY) + 1), *_copying(own.get_group(method))])
    parts = [table(heads, rows)]
    for measure in FIDELITY:
        wide = frame.pivot_table(index="method", columns="table", values=measure)
        names = [name for name in TABLES if name in wide and wide[name].notna().any()]
        order = [*[method for method in REAL if method in wide.index], *ranks.index]
        lines = [[method, *(_figure(wide.loc[method, name]) for name in names)] for method in order]
        parts.append(f"{measure.replace('_', ' ')}:\n\n" + table(["method", *names], lines))
    winners = [row for row in frame.to_dict("records") if row["method"] == "genseek"]
    found = [[row["table"], str(row["split"]), str(row["note"]), f"{row['seconds']:.0f}"] for row in winners]
    parts.append("Winners of genseek:\n\n" + table(["table", "split", "winner", "seconds"], found))
    return "\n".join(parts)


def _copying(own: pd.DataFrame) -> list[str]:
    texts = [f"{own[name].mean():.2f}" for name in COPYING]
    if "seconds" in own and own["seconds"].notna().any():
        return [*texts, f"{own['seconds'].median():.0f}", f"{own['kilobytes'].median():.0f}"]
    return [*texts, "", ""]


def _figure(value: float) -> str:
    return f"{value:.3f}" if np.isfinite(value) else ""


def main() -> None:
    """Fit and draw what isn't there yet, measure, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", default=",".join(TABLES))
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--splits", default="0,1,2", help="their numbers")
    parser.add_argument("--time", default="5m", help="of a search")
    parser.add_argument("--quick", action="store_true", help="the smallest table and the quickest methods, not written")
    given = parser.parse_args()
    names = [name for name in given.tables.split(",") if name in TABLES]
    methods = [method for method in given.methods.split(",") if method in METHODS]
    numbers = [int(number) for number in given.splits.split(",")]
    if given.quick:
        names, methods, numbers = names[:1], ["vine copula", "sdv copula"], numbers[:1]
    for number in numbers:
        for name in names:
            for method in methods:
                if not place_of(name, number, method).exists():
                    begun = time.perf_counter()
                    said = bounded(name, number, method, given.time)
                    print(f"{name}, split {number}, {method}: {said}, {time.perf_counter() - begun:.0f} s", flush=True)
    frame = pd.DataFrame([row for number in numbers for name in names for row in measured(name, number)])
    if given.quick:
        print(page(frame))
        return
    if MEASURES.exists():
        before = pd.read_parquet(MEASURES)
        keys = ["table", "split", "method"]
        frame = pd.concat([before, frame]).drop_duplicates(keys, keep="last")
    frame.to_parquet(MEASURES, index=False, compression="zstd")
    counted = frame.groupby("table")["split"].nunique()
    said = f"{len(counted)} tables, {counted.min()} to {counted.max()} splits, a search of {given.time}"
    write("peers", page(frame), said, PAGE)


if __name__ == "__main__":
    main()
