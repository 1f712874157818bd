"""What is left of a search that was cut off, or damaged, while it was recorded: it is read, or told in one line."""

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from search import GenseekError, Store
from search.export.export import export_generator
from search.study.goals import WORST


@pytest.fixture
def place(finished: Any, tmp_path: Path) -> Path:
    """A copy of the finished search's store, to be damaged."""
    shutil.copytree(finished.folder, tmp_path / "store")
    return tmp_path / "store"


def shown(genseek: Any, place: Path, tmp_path: Path, *others: str) -> str:
    """What `best` prints, while `report`, `export` and JSON succeed as well."""
    out = ""
    for number, command in enumerate(
        (
            ("best", "first"),
            ("best", "first", "--json"),
            ("report", "first", "--out", tmp_path / "page.html"),
            ("export", "first", "--out", tmp_path / f"export{len(list(tmp_path.iterdir()))}", *others),
        )
    ):
        code, said, err = genseek(*command, "--store", place)
        assert code == 0, err
        out += said if number == 0 else ""
    return out


def files(place: Path, name: str) -> list[Path]:
    return sorted((place / "artifacts").rglob(name))


@pytest.mark.slow
@pytest.mark.parametrize(
    "figures",
    [
        {},
        {"p_value": 1.0},
        {"misfit": 1.5},
        {"misfit": 1.5, "low": 1.2},
        {"low": 1.2, "high": 1.9, "optimism": 0.1},
        {"ad": 3.0},
    ],
)
@pytest.mark.parametrize("verdict", ["winner", "finalist"])
def test_finalists_that_lack_figures(
    figures: dict[str, float], verdict: str, place: Path, tmp_path: Path, genseek: Any
) -> None:
    store = Store(place)
    best, other = store.leaderboard("first").ranked()[:2]
    for entry, own in (
        (best, figures),
        (other, {"misfit": 2.0, "low": 1.0, "high": 3.0, "p_value": 0.5, "optimism": 0.0}),
    ):
        said = verdict if entry is best else "tie"
        store.log(entry.run_id, [(f"confirmed/{name}", value, 0, 1.0) for name, value in own.items()])
        store.log(entry.run_id, tags={"genseek.finalist": said})
        if "misfit" in own:
            store.save(entry.run_id, store.fetch(entry.run_id, "checkpoint", tmp_path / entry.run_id), "confirmed")
    from search.record.describe import describe_search

    describe_search(store, "first")
    out = shown(genseek, place, tmp_path)
    assert f"best by misfit: trial {best.trial}" in out
    assert "nan" not in out
    page = (tmp_path / "page.html").read_text()
    assert f"trial {other.trial}" in page
    assert "2.00" in page


def test_trials_that_lack_what_they_were(place: Path, tmp_path: Path, genseek: Any) -> None:
    store = Store(place)
    winner = store.leaderboard("first").winner()
    client = MlflowClient(store.uri)
    others = [
        entry for entry in store.leaderboard("first").entries if entry is not winner and entry.trial != winner.trial
    ]
    client.delete_tag(others[0].run_id, "genseek.configuration")
    client.delete_tag(others[1].run_id, "genseek.trial")
    client.delete_tag(others[2].run_id, "genseek.outcome")
    board = store.leaderboard("first")
    assert len(board.entries) == 4
    assert [entry.outcome for entry in board.entries if entry.trial == others[2].trial] == ["interrupted"]
    assert "best by misfit" in shown(genseek, place, tmp_path)
    assert set(store.trial_runs(store.search("first").run_id)) == {entry.trial for entry in board.entries}


@pytest.mark.slow
@pytest.mark.parametrize("key", ["references", "floors", "provenance", "goals", "unranked", "leaderboard", "all"])
def test_a_summary_that_lacks_keys(key: str, place: Path, tmp_path: Path, genseek: Any) -> None:
    (summary,) = files(place, "search.json")
    kept = json.loads(summary.read_text())
    summary.write_text(json.dumps({} if key == "all" else {name: value for name, value in kept.items() if name != key}))
    assert "best by misfit" in shown(genseek, place, tmp_path)


@pytest.mark.parametrize("text", ["", "{", "\0" * 100])
def test_a_summary_that_was_cut_short(text: str, place: Path, genseek: Any) -> None:
    (summary,) = files(place, "search.json")
    summary.write_text(text)
    code, _, err = genseek("best", "first", "--store", place)
    assert (code, err.count("\n")) == (2, 1)
    said = "search 'first' has not ended: it has no summary yet (if it was cut off: genseek resume first"
    assert f"{said} --store {place})" in err


@pytest.mark.parametrize("name", ["weights.safetensors", "model.json"])
@pytest.mark.parametrize("how", ["gone", "empty"])
def test_a_checkpoint_without_a_file(how: str, name: str, place: Path, tmp_path: Path, genseek: Any) -> None:
    winner = Store(place).leaderboard("first").winner()
    file = place / "artifacts" / winner.run_id / "artifacts" / "checkpoint" / name
    file.unlink() if how == "gone" else file.write_text("")
    assert genseek("best", "first", "--store", place)[0] == 0
    code, out, err = genseek("export", "first", "--out", tmp_path / "winner", "--store", place)
    if code:  # weights are copied as they are
        assert (code, err.count("\n")) == (2, 1)
        assert f"trial {winner.trial} of 'first': " in err
        assert not (tmp_path / "winner").exists()
    else:
        assert (how, name) == ("empty", "weights.safetensors")
        assert "torch.export can't trace it" in out


@pytest.mark.slow
def test_a_report_without_networks(place: Path, tmp_path: Path, genseek: Any) -> None:
    for file in [*files(place, "weights.safetensors"), *files(place, "journal.jsonl")]:
        file.unlink()
    code, _, err = genseek("report", "first", "--store", place, "--out", tmp_path / "page.html")
    assert code == 0, err
    assert "the journal of search" in (tmp_path / "page.html").read_text()


def test_all_that_is_written_is_json(finished: Any, place: Path, tmp_path: Path) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    store, board = Store(place), finished.result.board
    entries = [
        replace(entry, scores=dict.fromkeys(entry.scores, math.nan), confirmed={"misfit": math.inf}, verdict="finalist")
        for entry in board.entries
    ]
    odd = replace(
        board,
        entries=entries,
        references={rows: {"training rows": {"misfit": math.inf, "ad": math.nan}} for rows in ("validation", "test")},
        floors={
            rows: {name: replace(floor, median=math.nan, upper=math.inf) for name, floor in floors.items()}
            for rows, floors in board.floors.items()
        },
    )
    from search.run.finish import finish_search

    finish_search(replace(finished.plan, store=store), store.search("first").run_id, odd)
    (summary,) = files(place, "search.json")
    json.loads(summary.read_text(), parse_constant=refuse)
    read = store.leaderboard("first")
    assert read.references["test"]["training rows"] == {"misfit": math.inf, "ad": math.inf}
    assert all(math.isnan(floor.median) for floor in read.floors["test"].values())
    winner = board.winner()
    worst = replace(winner, misfit=WORST, scores=dict.fromkeys(winner.scores, math.inf))
    export_generator(store, replace(board, entries=[worst]), winner.trial, tmp_path / "winner", program=False)
    written = list((tmp_path / "winner").glob("*.json"))
    assert {path.name for path in written} == {"model.json", "scores.json", "provenance.json"}
    for path in written:
        json.loads(path.read_text(), parse_constant=refuse)


@pytest.mark.parametrize("there", [False, True])
def test_an_export_that_fails_leaves_nothing(
    there: bool, place: Path, tmp_path: Path, genseek: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "exports" / "winner"
    if there:
        out.mkdir(parents=True)
    copy = shutil.copyfile

    def full(source: Any, target: Any, **options: Any) -> Any:
        if str(tmp_path / "exports") in str(target) and Path(target).name == "provenance.json":
            raise OSError(28, "No space left on device")
        return copy(source, target, **options)

    options: Callable[[], Any] = lambda: genseek("export", "first", "--out", out, "--store", place)  # noqa: E731
    with monkeypatch.context() as broken:
        broken.setattr(shutil, "copyfile", full)
        broken.setattr(shutil, "copy2", full)
        code, _, err = options()
    assert (code, err.count("\n")) == (2, 1)
    assert "No space left on device" in err
    assert [path.name for path in (tmp_path / "exports").rglob("*")] == (["winner"] if there else [])
    code, _, err = options()
    assert code == 0, err
    assert {path.name for path in out.iterdir()} >= {"weights.safetensors", "sampler.py", "provenance.json", "card.md"}
    assert [path.name for path in (tmp_path / "exports").iterdir()] == ["winner"]


def test_an_export_into_the_folder_where_one_is(
    place: Path, tmp_path: Path, genseek: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    code, _, err = genseek("export", "first", "--out", ".", "--store", place)
    assert code == 0, err
    assert (here / "sampler.py").exists()


def test_a_trial_that_the_board_does_not_have(place: Path) -> None:
    with pytest.raises(GenseekError, match="has no trial 99"):
        Store(place).leaderboard("first").entry(99)
