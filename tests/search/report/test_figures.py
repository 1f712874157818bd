"""Figures of a report: their numbers are those of the scores and of the leaderboard."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import kendalltau

from objectives.scores.kendall import kendall
from search.report import networks, results, samples, settings
from search.report.density import LARGEST

RANDOM = np.random.default_rng(0)


def test_the_kendall_curve_is_the_scores() -> None:
    real, made = (
        RANDOM.normal(size=(300, 3)),
        RANDOM.normal(size=(300, 3)) @ np.array([[1, 0.8, 0], [0, 1, 0], [0, 0, 1]]),
    )
    one, other = samples.kendall_curve(real, made).data
    assert np.mean(np.abs(np.asarray(one.y) - np.asarray(other.y))) == pytest.approx(float(kendall(real, made)))


def test_tau_matrices_are_scipys() -> None:
    rows = RANDOM.normal(size=(80, 3))
    matrix = samples.taus(rows)
    assert np.array_equal(matrix, matrix.T)
    assert matrix[0, 2] == pytest.approx(kendalltau(rows[:, 0], rows[:, 2]).statistic)


def test_pairs_come_worst_first() -> None:
    real = RANDOM.normal(size=(400, 3))
    made = RANDOM.normal(size=(400, 3))
    made[:, 2] = made[:, 0]
    assert samples.pairs(real, made, 2)[0] == (0, 2)


def test_real_samples_stay_in_the_band_and_others_leave_it() -> None:
    real = RANDOM.exponential(size=500)
    shares = [samples.outside(real, RANDOM.exponential(size=500)) for _ in range(20)]
    assert np.mean(shares) < 0.15
    assert samples.outside(real, real + 1) > 0.9


def test_tails_are_logarithmic_where_all_is_positive() -> None:
    positive, signed = RANDOM.exponential(size=200), RANDOM.normal(size=200)
    assert samples.tail(positive, positive).layout.xaxis.type == "log"
    both = samples.tail(signed, signed)
    assert both.layout.xaxis.type is None
    assert min(both.data[2].x) < 0 < max(both.data[5].x)


def test_intervals_are_the_boards(contents: Any) -> None:
    best = contents.board.ranked()[0]
    confirmed = {"misfit": 1.5, "low": 1.1, "high": 2.5, "p_value": 1.0, "optimism": 0.1}
    figure = results.intervals([replace(best, confirmed=confirmed, verdict="winner")], contents.board)
    (drawn,) = [trace for trace in figure.data if trace.error_x.array is not None]
    assert drawn.x[0] - drawn.error_x.arrayminus[0] == pytest.approx(1.1)
    assert drawn.x[0] + drawn.error_x.array[0] == pytest.approx(2.5)
    references = {trace.y[0]: trace.x[0] for trace in figure.data if trace.error_x.array is None}
    assert references["gaussian copula"] == contents.board.references["test"]["gaussian copula"]["misfit"]


def test_progress_ends_at_the_best_and_counts_every_epoch(contents: Any) -> None:
    epochs, misfit = results.progress(contents)[-1]
    assert epochs == sum(entry.epoch for entry in contents.board.entries)
    assert misfit == pytest.approx(min(entry.misfit for entry in contents.board.finished()), rel=1e-5)


def test_settings_count_every_trial_at_full_budget_once(contents: Any) -> None:
    template = contents.board.finished()[0]
    entries = []
    for number in range(12):
        training = replace(template.configuration.training, l1=number / 1000)
        configuration = replace(template.configuration, training=training)
        outcome = "stopped" if number == 3 else "finished"
        entries.append(
            replace(template, trial=number, configuration=configuration, misfit=2.0 + number, outcome=outcome)
        )
    (found,) = settings.settings(replace(contents.board, entries=entries))
    assert found.key == "l1"
    table = settings.setting_table(found, ["ad"])
    assert table is not None
    assert len(table.rows) == settings.GROUPS
    assert sum(int(row.cells[1]) for row in table.rows) == 11
    assert table.rows[0].cells[2] == "2.00"
    assert sum(len(trace.x) for trace in settings.setting_figure(found).data) == 12


def test_importance_finds_what_decides(contents: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings.rebuilt(contents) == []  # six trials are too few
    template = next(each for each in contents.histories.values() if each.configuration.model == "pushforward")
    reported, many = template.reports[-1], {}
    for number, rate in enumerate(np.geomspace(1e-3, 1e-2, 40)):
        chosen = replace(template.configuration, training=replace(template.configuration.training, learning_rate=rate))
        model = {**chosen.model_arguments, "width": int(RANDOM.choice([8, 16]))}
        report = replace(reported.report, epoch=6, misfit=1 + (np.log10(rate) + 2.5) ** 2)
        chosen = replace(chosen, model_arguments=model)
        many[number] = replace(
            template, trial=number, configuration=chosen, reports=[replace(reported, report=report)], outcome="finished"
        )
    (family,) = settings.rebuilt(replace(contents, histories=many))
    assert (family.family, family.epoch, family.count) == ("pushforward", 6, 40)
    shares = settings.importances(family)
    assert next(iter(shares)) == "learning_rate"
    assert sum(shares.values()) == pytest.approx(1)


def test_many_columns_and_one(contents: Any) -> None:
    from search.report.samples import _dependence, _margins

    found: list[str] = []
    real = RANDOM.normal(size=(120, 30))
    names = [f"c{number}" for number in range(30)]
    drawings = _dependence(real, real[::-1] + 0.0, names, found)
    assert len(drawings) == samples.MOST_PAIRS + 4
    assert f"Of 435 pairs of columns, the {samples.MOST_PAIRS} whose tau differs most are drawn" in found[0]
    assert _margins(real[:, :1], real[:, 1:2], names, found)[0].caption == "c0: densities"


def test_samples_of_a_table_that_is_gone(contents: Any) -> None:
    section = samples.samples(replace(contents, rows=None, missing=("prices.csv: no such file",)))
    assert section is not None
    assert section.found == ["Left out: prices.csv: no such file."]
    assert not section.drawings


def test_tsne_keeps_groups_apart() -> None:
    codes = np.concatenate([RANDOM.normal(size=(40, 3)), RANDOM.normal(size=(40, 3)) + 20])
    points = networks.embedded(codes, 0)
    first, second = points[:40], points[40:]
    assert np.linalg.norm(first.mean(0) - second.mean(0)) > first.std() + second.std()


@pytest.mark.parametrize(
    ("real", "made"),
    [
        (RANDOM.normal(size=(40, 2)), np.ones((40, 2))),
        (np.ones((40, 2)), RANDOM.normal(size=(40, 2))),
        (1e150 * RANDOM.normal(size=(40, 2)), 1e299 * RANDOM.normal(size=(40, 2))),
        (1e-300 * RANDOM.normal(size=(40, 2)), 1e-300 * RANDOM.normal(size=(40, 2))),
        (np.repeat(RANDOM.normal(size=(40, 1)), 2, axis=1), np.repeat(RANDOM.normal(size=(40, 1)), 2, axis=1)),
        (RANDOM.poisson(0.1, size=(40, 2)).astype(float), np.zeros((40, 2))),
        (RANDOM.normal(size=(2, 2)), RANDOM.normal(size=(2, 2))),
        (LARGEST * RANDOM.choice([-1.0, 1.0], size=(40, 2)), LARGEST * RANDOM.choice([-1.0, 1.0], size=(40, 2))),
    ],
    ids=["a point made", "a point", "huge", "tiny", "a line", "zeros", "two rows", "largest"],
)
def test_rows_of_any_kind_are_drawn(real: Any, made: Any) -> None:
    from search.report.samples import _dependence, _margins

    drawings = [*_dependence(real, made, ["a", "b"], []), *_margins(real, made, ["a", "b"], [])]
    drawings += _margins(real[:, :1], made[:, :1], ["a"], [])
    assert all(drawing.shown["data"] for drawing in drawings)
