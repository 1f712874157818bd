"""The best of each family: which trial it is, by which rows, and what of it a user sees."""

import io
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from models import MODELS
from objectives import Floor
from search.cli.tables import show_families
from search.rank.families import best_of_families, family_table
from search.rank.leaderboard import Entry, Leaderboard
from search.record.describe import description
from search.study.configuration import Configuration
from search.study.goals import WORST, Goals

NAMES = ("ad", "kendall", "mmd", "overfit")
FLOORS = {name: Floor(median=0.1, upper=0.2, positive=0.1, n=9, m=9) for name in NAMES}
CODED = {"latent": 2, "sigma": 0.31234}


def entry(trial: int, family: str, misfit: float, test: float | None = None, **more: Any) -> Entry:
    """A trial that ended, and if it has a misfit on test rows, a finalist."""
    scores = {"ad": 12.3, "kendall": 0.0123, "mmd": 0.00123, "overfit": 0.5}
    own: dict[str, Any] = {
        "configuration": Configuration(model=family, objective="x"),
        "outcome": "finished",
        "architecture": {"parameters": 100.0 * trial},
        "verdict": "finalist" if test else "",
        "confirmed": {"misfit": test, "ad": 2.34, "kendall": 0.02, "mmd": -0.0001} if test else {},
        "scores": scores,
    }
    return Entry(trial=trial, epoch=9, best_epoch=9, misfit=misfit, run_id="r" * 32, **own | more)


def board(*entries: Entry, goals: Goals | None = None) -> Leaderboard:
    return Leaderboard(
        name="first",
        entries=list(entries),
        references={"validation": {}, "test": {}},
        floors={"validation": FLOORS, "test": FLOORS},
        provenance={},
        goals=goals or Goals(),
    )


def told(found: Leaderboard) -> list[tuple[str, int, str, float]]:
    return [(best.family, best.entry.trial, best.rows, best.misfit) for best in best_of_families(found)]


def test_finalists_count_by_test_rows_and_others_by_validation_rows() -> None:
    found = board(
        entry(1, "gmm", 1.0, 1.6),
        entry(2, "gmm", 1.1, 1.5),
        entry(3, "vae", 1.2, 1.7),
        entry(4, "kde", 1.3),
        entry(5, "kde", 1.9),
        entry(6, "ae", 9.0, outcome="stopped"),
    )
    assert told(found) == [
        ("gmm", 2, "test", 1.5),
        ("vae", 3, "test", 1.7),
        ("kde", 4, "validation", 1.3),
        ("ae", 6, "validation", 9.0),
    ]
    assert [(best.trials, best.finished) for best in best_of_families(found)] == [(2, 2), (1, 1), (2, 2), (1, 0)]


def test_a_finalist_of_the_front_does_not_stand_for_a_family_that_has_a_better_trial() -> None:
    found = board(entry(0, "vae", 3.0, 3.3), entry(1, "vae", 1.8), entry(2, "gmm", 1.0, 1.2))
    assert told(found) == [("gmm", 2, "test", 1.2), ("vae", 1, "validation", 1.8)]


def test_a_finalist_that_diverged_gives_way_to_one_that_was_judged() -> None:
    diverged = replace(entry(1, "vae", 1.0), verdict="diverged")
    assert told(board(diverged, entry(2, "vae", 1.5, 1.6))) == [("vae", 2, "test", 1.6)]
    assert told(board(diverged)) == [("vae", 1, "validation", 1.0)]


def test_what_breaks_a_bound_comes_last() -> None:
    found = board(entry(9, "vae", 1.0), entry(2, "gmm", 5.0), goals=Goals(bounds={"parameters": 500.0}))
    assert [family for family, *_ in told(found)] == ["gmm", "vae"]
    assert [row[:2] for row in family_table(found, best_of_families(found))[1]] == [
        ["gmm", "2"],
        ["vae", "9 (breaks a bound)"],
    ]


def test_settings_are_those_that_a_family_has() -> None:
    def chosen(model: str, arguments: dict[str, Any], **objective: float) -> Configuration:
        return Configuration(model=model, objective="x", model_arguments=arguments, objective_arguments=objective)

    larger = {"parameters": 90.0, "log2_encoder_over_decoder": 1.0}
    found = board(
        entry(1, "vae", 1.0, configuration=chosen("vae", CODED, beta=0.5), architecture=larger),
        entry(2, "ae", 1.1, configuration=chosen("ae", CODED | {"learn_sigma": True}, lam=10.0)),
        entry(3, "gmm", 1.2, configuration=chosen("gmm", {"components": 4})),
    )
    headings, rows = family_table(found, best_of_families(found))
    assert headings[-4:] == ["latent", "sigma", "lambda", "encoder/decoder"]
    assert [row[-4:] for row in rows] == [["2", "0.312", "0.5", "2"], ["2", "learned", "10", ""], [""] * 4]
    alone = replace(found, entries=found.entries[2:])
    assert family_table(alone, best_of_families(alone))[0][-1] == "size"


def test_scores_are_those_of_the_same_rows() -> None:
    found = board(entry(1, "vae", 1.25, 1.5), entry(2, "gmm", 1.0), entry(3, "ae", WORST, scores={}, architecture={}))
    headings, rows = family_table(found, best_of_families(found))
    assert headings == ["family", "trial", "rows", "misfit", "ad", "kendall", "mmd", "size"]
    assert rows == [
        ["vae", "1", "test", "1.50", "2.34", "0.0200", "-0.00010", "100"],
        ["gmm", "2", "validation", "1.00", "12.30", "0.0123", "0.00123", "200"],
        ["ae", "3", "validation", "-", "-", "-", "-", "-"],
    ]


@pytest.mark.parametrize("width", [80, 100])
def test_the_terminal_shows_all_of_it(width: int) -> None:
    coded = Configuration(model="lars_vae", objective="x", model_arguments=CODED, objective_arguments={"lam": 0.00123})
    halves = {"parameters": 123456.0, "log2_encoder_over_decoder": -1.2}
    found = board(
        entry(1, "gaussian_copula", 1.0, 1.5),
        entry(112, "lars_vae", 1.2, configuration=coded, architecture=halves),
    )
    console = Console(width=width, file=io.StringIO(), color_system=None)
    show_families(console, found)
    assert isinstance(console.file, io.StringIO)
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]
    assert max(map(len, lines)) <= 80
    assert lines[1] == "first: best of each family"
    assert lines[3].split() == ["gaussian_copula", "1", "test", "1.50", "2.34", "0.0200", "-0.00010", "100"]
    assert lines[4].split() == ["lars_vae", "112", "validation", "1.20", "12.30", "0.0123", "0.00123", "123456"]
    assert lines[5] == "lars_vae: latent 2, sigma 0.312, lambda 0.00123, encoder/decoder 0.44"


def test_one_family_is_no_table() -> None:
    console = Console(file=io.StringIO())
    show_families(console, board(entry(1, "vae", 1.0), entry(2, "vae", 2.0)))
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == ""
    assert "each family" not in description(board(entry(1, "vae", 1.0)), None, "#")


def test_a_description_of_all_families_fits_into_a_tag() -> None:
    sizes = {"encoder_depth": 3, "encoder_width": 128, "decoder_depth": 1, "decoder_width": 128}
    coded = [
        entry(
            100 + trial,
            family,
            1.0 + trial,
            1.0 + trial if trial < 4 else None,
            configuration=Configuration(
                model=family,
                objective="wae_mmd",
                model_arguments=CODED | sizes,
                objective_arguments={"lam": 0.00123},
            ),
        )
        for trial, family in enumerate(MODELS)
    ]
    found = board(*coded)
    text = description(found, found.entries[0], "#/experiments/123/runs")
    assert "### Best of each family" in text
    assert "latent 2, sigma 0.312, lambda 0.00123" in text
    assert len(text) < 8000
