"""Model cards: what they say follows from the figures."""

from dataclasses import replace
from typing import Any

from search.export.export import card, limits


def said(board: Any, entry: Any) -> str:
    return " ".join(limits(board, entry))


def test_a_card_has_the_figures_of_its_trial(finished: Any) -> None:
    board = finished.result.board
    entry = board.winner()
    written = card(board, entry, ("open price", "a|b"), "Draw so.")
    assert board.provenance["data_sha256"] in written
    assert "100 train, 100 validation, 100 test" in written
    assert "`open price`, `a|b`" in written
    assert "## Sampling\n\nDraw so.\n" in written
    for split, scores in (("validation", entry.scores), ("test", entry.test)):
        floor = board.floors[split]["ad"]
        assert f"| ad | {scores['ad']:.4g} | {floor.median:.4g} | {floor.upper:.4g} |" in written
    assert "Fresh networks of this" not in written
    confirmed = replace(entry, confirmed={"misfit": 1.5, "low": 1.25, "high": 2.0, "optimism": 0.1})
    assert "**misfit 1.50**, 95 % interval 1.25 to 2.00; on validation rows they are +10% off the network" in card(
        board, confirmed, (), ""
    )


def test_limits_follow_the_figures(finished: Any) -> None:
    board = finished.result.board
    floors = board.floors["test"]
    good = {name: floor.median for name, floor in floors.items()} | {"misfit": 0.01}
    entry = replace(board.winner(), confirmed=good)
    plain = said(board, entry)
    for words in ("Overfit", "95 % quantile", "copula", "No fresh networks"):
        assert words not in plain
    assert "100 training rows" in plain
    many = replace(board, provenance=board.provenance | {"rows": {"train": 5000}})
    assert "training rows: the largest" not in said(many, entry)
    upper = {name: floor.upper + 0.1 for name, floor in floors.items()}
    assert "Overfit" in said(board, replace(entry, confirmed=good | {"overfit": upper["overfit"]}))
    assert "ad " in said(board, replace(entry, confirmed=good | {"ad": upper["ad"]}))
    assert "Gaussian copula" in said(board, replace(entry, confirmed=good | {"misfit": 1e6}))
    assert "No fresh networks" in said(board, replace(entry, confirmed={}))
