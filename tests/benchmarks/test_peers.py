"""The comparison with other methods: its splits, measures and ranks."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def test_splits_share_no_row_and_differ() -> None:
    from peers import Split

    split, other = Split.of("wine", 0), Split.of("wine", 1)
    parts = [len(part) for part in (split.train, split.test, split.other)]
    assert parts == [108, 35, 35]
    assert len(pd.concat([split.train, split.test, split.other]).drop_duplicates()) == 178
    assert not split.train.reset_index(drop=True).equals(other.train.reset_index(drop=True))


def test_what_a_table_cannot_hold_is_not_held_against_a_method() -> None:
    from peers import as_written

    train = pd.DataFrame({"whole": [1.0, 2.0, 5.0], "other": [0.5, 1.0, 1.5]})
    assert as_written(np.array([[9.0, 9.0], [1.6, 0.7]]), train).tolist() == [[5.0, 9.0], [2.0, 0.7]]


def test_real_rows_measure_better_than_rows_without_dependence() -> None:
    from peers import FIDELITY, Split, measures

    split = Split.of("wine", 0)
    real = measures(split, split.other.to_numpy(), "alcohol")
    dice = np.random.default_rng(0)
    apart = np.stack([dice.permutation(column) for column in split.train.to_numpy()[:35].T], axis=1)
    worse = measures(split, apart, "alcohol")
    assert set(real) >= {*FIDELITY, "overfit", "closest"}
    assert all(real[name] < worse[name] for name in ("c2st", "wasserstein", "tau_error", "utility"))
    copied = measures(split, split.train.to_numpy()[:35], "alcohol")
    assert copied["closest"] > real["closest"]


def test_what_failed_ranks_last_and_splits_count_once_a_table() -> None:
    from peers import FIDELITY, page, ranked

    worth = {"vine copula": 1.0, "arf": 2.0, "genseek": 3.0, "real rows": 0.0, "training rows": 0.0, "bootstrap": 0.0}
    rows = [
        {"table": table, "split": split, "method": method, **dict.fromkeys((*FIDELITY, "overfit", "closest"), value)}
        for table, split in (("fair", 0), ("fair", 1), ("tips", 0), ("tips", 1), ("wine", 0))
        for method, value in worth.items()
    ]
    frame = pd.DataFrame(rows).assign(seconds=1.0, kilobytes=2.0, note="gmm")
    failed = (frame["table"] == "tips") & (frame["method"] == "vine copula")
    frame.loc[failed, [*FIDELITY]] = np.nan
    untried = (frame["table"] == "tips") & (frame["split"] == 1) & (frame["method"] == "arf")
    ranks = ranked(frame[~untried])  # and wine, which chose first points, doesn't count
    assert ranks["c2st"].to_dict() == {"arf": (2 + 1) / 2, "vine copula": (1 + 3) / 2, "genseek": (3 + 2) / 2}
    text = page(frame)
    assert "| arf | 1.5 |" in text
    assert "Winners of genseek" in text
