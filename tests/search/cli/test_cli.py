"""The command line: what each command prints, what it says of a mistake, and the folder that it exports."""

import inspect
import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from objectives import STANDARD
from search import Store
from search.events.journal import JOURNAL, Journal

ROOT = Path(__file__).resolve().parents[3]
GOALS = """
rank = ["misfit", "parameters", "sample_seconds"]
[constraints]
parameters = 600
overfit = 0.99
[problem]"""
COMMANDS = ("run", "resume", "confirm", "check", "list", "best", "report", "compare", "export", "sample", "score", "ui")


@pytest.fixture(scope="session")
def exported(finished: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The winner of the finished search, exported; for reading only."""
    from search import Store, export_generator

    store, out = Store(finished.folder), tmp_path_factory.mktemp("exported") / "winner"
    board = store.leaderboard("first")
    export_generator(store, board, board.winner().trial, out)
    return out


def refused(genseek: Any, *arguments: object) -> str:
    """The one line on standard error that a mistake is told in."""
    code, out, err = genseek(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    return str(err)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(command: str, genseek: Any) -> None:
    code, out, _ = genseek(command, "--help")
    assert code == 0
    assert f"Example: genseek {command}" in out


def test_help_names_every_command(genseek: Any) -> None:
    _, out, _ = genseek("--help")
    assert all(f" {command} " in out for command in COMMANDS)


@pytest.mark.slow
def test_run_from_study_to_leaderboard(genseek: Any, ray_cluster: None, tiny_study: Path, store_folder: Path) -> None:
    arguments: tuple[object, ...] = ("--store", store_folder, "--trials", 2, "--epochs", 2, "--seed", 3)
    arguments += ("--replicas", 2, "--pack-size", "off", "--device", "cpu")
    code, out, err = genseek("run", tiny_study, *arguments, "--json")
    winner = json.loads(out)
    assert code == 0
    assert "tiny-1: best trials on validation rows" in err
    assert "gaussian copula" in err
    assert {key: winner[key] for key in ("search", "outcome", "epoch")} == {
        "search": "tiny-1",
        "outcome": "finished",
        "epoch": 2,
    }
    assert json.loads(genseek("best", "tiny-1", "--store", store_folder, "--json")[1])["trial"] == winner["trial"]
    (found,) = json.loads(genseek("list", "searches", "--store", store_folder, "--json")[1])
    assert (found["name"], found["trials"], found["status"]) == ("tiny-1", 2, "FINISHED")
    client = MlflowClient(f"sqlite:///{store_folder / 'mlflow.db'}")
    params = client.get_run(found["run_id"]).data.params
    assert (params["replicas"], params["device"], params["pack_size"]) == ("2", "cpu", "off")
    metrics = client.get_run(winner["run_id"]).data.metrics
    assert {name for name in metrics if name.startswith("spread/")} == {
        f"spread/{name}" for name in (*winner["scores"],)
    }
    assert metrics["spread/misfit"] > 0
    assert winner["spread"]["misfit"] == pytest.approx(metrics["spread/misfit"], rel=1e-5)
    read = json.loads(genseek("best", "tiny-1", "--store", store_folder, "--json")[1])
    assert read["spread"] == pytest.approx(winner["spread"], rel=1e-5)
    said = refused(genseek, "run", tiny_study, *arguments, "--name", "tiny-1")
    assert "--name tiny-1: a search of that name exists already" in said


def test_best_as_json_has_what_a_program_needs(finished: Any, genseek: Any) -> None:
    code, out, err = genseek("best", "first", "--store", finished.folder, "--json")
    told, winner = json.loads(out), finished.result.board.winner()
    assert (code, err) == (0, "")
    assert {"trial", "model", "objective", "configuration", "scores", "run_id"} <= told.keys()
    assert (told["trial"], told["model"], told["run_id"]) == (winner.trial, winner.configuration.model, winner.run_id)
    assert told["configuration"] == json.loads(json.dumps(winner.configuration.flat()))
    for split in ("scores", "test"):
        assert set(told[split]) == {"ad", "kendall", "mmd", "overfit", "tail", "tau_error", "misfit"}
        assert set(told[split]["ad"]) == {"value", "floor", "upper", "inside"}
    assert told["scores"]["misfit"] == pytest.approx(winner.misfit, rel=1e-5)


def test_best_as_text(finished: Any, genseek: Any) -> None:
    code, out, _ = genseek("best", "first", "--store", finished.folder, "--by", "kendall")
    winner = finished.result.board.winner("kendall")
    assert code == 0
    assert f"best by kendall: trial {winner.trial}, run {winner.run_id}" in out
    assert f"learning_rate = {winner.configuration.training.learning_rate}" in out


@pytest.mark.slow
def test_a_front_within_bounds(genseek: Any, ray_cluster: None, tiny_study: Path, store_folder: Path) -> None:
    study = tiny_study.with_name("goals.toml")
    study.write_text(GOALS.join(tiny_study.read_text().replace("grace = 2", "grace = 6").split("[problem]")))
    where = ("--store", store_folder)
    code, out, err = genseek("run", study, "--name", "goals", "--json", *where)
    assert code == 0, err
    assert "goals: Pareto front of misfit, parameters, sample_seconds" in err
    front = json.loads(genseek("best", "goals", "--pareto", "--json", *where)[1])
    found = Store(store_folder).leaderboard("goals")
    assert found.goals.rank == ("misfit", "parameters", "sample_seconds")
    finished = found.finished()
    assert [each["trial"] for each in front] == [entry.trial for entry in found.front()]
    assert json.loads(out)["trial"] == found.winner().trial
    assert json.loads(out)["violation"] == 0
    for entry in finished:
        assert entry.architecture["parameters"] <= 600
        assert "violation" not in entry.scores
        assert 0 < entry.architecture["sample_seconds"] < 10
    stopped = [entry for entry in found.entries if entry.architecture["parameters"] > 600]
    assert stopped  # a wide encoder, at its first report
    assert all((entry.outcome, entry.epoch) == ("stopped", 2) for entry in stopped)
    client = MlflowClient(f"sqlite:///{store_folder / 'mlflow.db'}")
    for entry in finished:
        run = client.get_run(entry.run_id).data
        assert run.tags["genseek.front"] == str(entry.trial in [each["trial"] for each in front]).lower()
        assert run.metrics["violation"] == 0
    text = genseek("best", "goals", "--pareto", *where)[1].splitlines()
    assert len(text) == 2 + len(front)
    assert [line.split()[1] for line in text[2:]] == [str(each["trial"]) for each in front]


@pytest.mark.parametrize("what", ["problems", "families", "objectives", "scores", "studies"])
def test_list(what: str, genseek: Any) -> None:
    import models
    import objectives
    from search.study.presets import preset_names

    kinds: dict[str, Iterable[str]] = {
        "problems": objectives.PROBLEMS,
        "families": models.MODELS,
        "objectives": objectives.OBJECTIVES,
        "scores": objectives.SCORES,
        "studies": preset_names(),
    }
    code, out, _ = genseek("list", what, "--json")
    assert code == 0
    assert {row["name"] for row in json.loads(out)} == set(kinds[what])
    text = genseek("list", what)[1]
    assert all(name in text for name in kinds[what])


def test_list_searches(finished: Any, store_folder: Path, genseek: Any) -> None:
    rows = json.loads(genseek("list", "searches", "--store", finished.folder, "--json")[1])
    assert [(row["name"], row["problem"], row["trials"]) for row in rows] == [("first", "gaussian_2d", 6)]
    assert genseek("list", "searches", "--store", store_folder, "--json")[1] == "[]\n"
    assert "no searches" in genseek("list", "searches", "--store", store_folder)[1]


def test_check(tiny_study: Path, tmp_path: Path, genseek: Any) -> None:
    code, out, _ = genseek("check", tiny_study, "--store", tmp_path / "new", "--json")
    found = json.loads(out)
    assert code == 0
    assert found["rows"] == {"train": 100, "validation": 100, "test": 100}
    assert found["pairs"] == ["pushforward with mmd", "vae with elbo"]
    assert found["extreme_configurations"] == 4  # lowest and highest of each pair
    code, out, _ = genseek("check", tiny_study, "--store", tmp_path / "new")
    assert code == 0
    assert "space: 4 extreme configurations built" in out


def test_mistakes_are_told_in_one_line(finished: Any, tmp_path: Path, genseek: Any) -> None:
    store = ("--store", finished.folder)
    for arguments, said in (
        (("run", "gausian_2d"), "unknown study or problem 'gausian_2d'; did you mean 'gaussian_2d'?"),
        (("run", tmp_path / "no.toml"), "no.toml: can't read the study file"),
        (("run", "gaussian_2d", "--trials", "0"), "trials must be at least 1, got 0"),
        (("run", "gaussian_2d", "--finalists", "-1"), "finalists must be at least 0, got -1"),
        (("best", "first", "--pareto", *store), "--pareto: search 'first' has one goal, misfit; a study names several"),
        (("run", "gaussian_2d", "--pack-size", "of"), "pack_size: unknown value 'of'; did you mean 'off'?"),
        (
            ("run", "gaussian_2d", "--pack-size", "0"),
            'pack_size = 0: expected "auto", "off" or a whole number of trials',
        ),
        (("run", "gaussian_2d", "--replicas", "0"), "replicas must be at least 1, got 0"),
        (("run", "gaussian_2d", "--device", "tpu"), "--device: unknown device 'tpu'"),
        (("run", "gaussian_2d", "--data", "a.csv"), "--data: problem 'gaussian_2d' takes no table"),
        (("run", "table"), "problem table: no data; name a CSV or Parquet file with --data FILE"),
        (("check", "table", "--data", tmp_path / "no.csv"), "no.csv: no such file"),
        (("check", "gaussian_2d", "--store", "/dev/null/store"), "store /dev/null/store: can't write there"),
        (("list", "famlies"), "unknown listing 'famlies'; did you mean 'families'?"),
        (("best", "frist", *store), "unknown search 'frist'; did you mean 'first'?"),
        (("best", "first", "--by", "kendal", *store), "--by: unknown score 'kendal'; did you mean 'kendall'?"),
        (("export", "first", "--out", tmp_path / "x", "--trial", "99", *store), "search 'first' has no trial 99"),
        (("export", "first", "--out", "/dev/null/x", *store), "--out /dev/null/x: can't write there"),
        (("export", "first", "--out", finished.folder, *store), "exists already and isn't an empty folder"),
        (("sample", tmp_path), "not an exported generator (model.json is missing)"),
        (("score", tmp_path / "a.csv", tmp_path / "b.csv"), "a.csv: no such file"),
    ):
        assert said in refused(genseek, *arguments)
    assert not (tmp_path / "x").exists()


def test_a_message_keeps_its_brackets(tmp_path: Path, genseek: Any) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[problem]\nname = "gaussian_2d"\n[training]\nlerning_rate = 1.0\n')
    assert refused(genseek, "check", path).endswith(
        "mine.toml: [training] unknown key 'lerning_rate'; did you mean 'learning_rate'?\n"
    )
    assert "rows[training].csv: no such file" in refused(genseek, "score", "rows[training].csv", "b.csv")


def test_a_name_with_a_quote_is_unknown_like_any_other(finished: Any, genseek: Any) -> None:
    assert 'unknown search "fir\'st"' in refused(genseek, "best", "fir'st", "--store", finished.folder)


def test_sample_draws_the_same_rows_for_the_same_seed(exported: Path, tmp_path: Path, genseek: Any) -> None:
    for name, seed in (("a.csv", 7), ("b.csv", 7), ("c.csv", 8), ("d.parquet", 7)):
        assert genseek("sample", exported, "-n", 50, "--seed", seed, "--out", tmp_path / name)[0] == 0
    a, b, c = ((tmp_path / f"{name}.csv").read_bytes() for name in "abc")
    assert a == b != c
    assert a.splitlines()[0] == b"x1,x2"
    assert len(a.splitlines()) == 51
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "a.csv"), pd.read_parquet(tmp_path / "d.parquet"))
    assert genseek("sample", exported, "-n", 50, "--seed", 7)[1].encode() == a
    first = pd.read_csv(tmp_path / "a.csv")
    genseek("sample", exported, "-n", 20, "--seed", 7, "--out", tmp_path / "e.csv")
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "e.csv"), first[:20])


def test_samples_look_like_the_data(finished: Any, exported: Path, tmp_path: Path, genseek: Any) -> None:
    genseek("sample", exported, "-n", 2000, "--out", tmp_path / "rows.csv")
    rows, train = pd.read_csv(tmp_path / "rows.csv").to_numpy(), finished.plan.task.rows.train
    assert np.abs(rows.mean(0) - train.mean(0)).max() < train.std(0).max()
    assert np.isfinite(rows).all()


def test_what_an_export_holds(finished: Any, exported: Path) -> None:
    winner = finished.result.board.winner()
    names = {path.name for path in exported.iterdir()}
    assert names == {
        "weights.safetensors",
        "model.json",
        "scores.json",
        "provenance.json",
        "sampler.py",
        "models",
        "card.md",
        "program.pt2",
        "program.json",
        "sample_program.py",
    }
    provenance = json.loads((exported / "provenance.json").read_text())
    assert provenance["data_sha256"] == finished.plan.task.rows.digest()
    assert (provenance["run_id"], provenance["search"], provenance["trial"]) == (winner.run_id, "first", winner.trial)
    assert provenance["budget"]["seed"] == 0
    assert provenance["versions"]["torch"] == provenance["exported_with"]["torch"]
    scores = json.loads((exported / "scores.json").read_text())
    assert scores["scores"]["misfit"] == pytest.approx(winner.misfit, rel=1e-5)
    assert scores["test"]["ad"]["value"] == pytest.approx(winner.test["ad"], rel=1e-5)
    assert json.loads((exported / "model.json").read_text())["columns"] == ["x1", "x2"]


def test_nothing_in_an_export_is_a_pickle(exported: Path) -> None:
    for path in exported.rglob("*"):
        if path.is_file():
            assert path.suffix in (".safetensors", ".json", ".py", ".typed", ".md", ".pt2")
            assert b"import pickle" not in path.read_bytes()
            assert b"torch.load" not in path.read_bytes()


def sampler(folder: Path, *arguments: object, before: str = "", after: str = "") -> subprocess.CompletedProcess[str]:
    """`python sampler.py` in the exported folder, in an interpreter that finds nothing of this project."""
    script = "\n".join(
        [
            "import runpy, sys",
            # The project is installed in this environment; where it lies must not be searched, nor its import hooks.
            "sys.meta_path = [finder for finder in sys.meta_path if 'editable' not in repr(finder).lower()]",
            f"sys.path = [entry for entry in sys.path if entry not in ('', {str(ROOT)!r})]",
            before,
            f"sys.argv = ['sampler.py', *{[str(argument) for argument in arguments]!r}]",
            "sys.path.insert(0, '.')",
            "runpy.run_path('sampler.py', run_name='__main__')",
            after,
        ]
    )
    return subprocess.run([sys.executable, "-I", "-c", script], cwd=folder, capture_output=True, text=True, timeout=300)


def test_the_sampler_needs_torch_alone(exported: Path, tmp_path: Path, genseek: Any) -> None:
    strangers = ("search", "objectives", "ray", "mlflow", "optuna", "pandas", "scipy", "sklearn", "safetensors")
    block = f"sys.modules.update(dict.fromkeys({strangers!r}))"  # importing any of them is an error
    told = "import models; print(models.__file__, file=sys.stderr)"
    out = tmp_path / "rows.csv"
    done = sampler(exported, "-n", 30, "--seed", 5, "--out", out, before=block, after=told)
    assert done.returncode == 0, done.stderr
    assert Path(done.stderr.strip().splitlines()[-1]).is_relative_to(exported)
    genseek("sample", exported, "-n", 30, "--seed", 5, "--out", tmp_path / "same.csv")
    assert out.read_bytes() == (tmp_path / "same.csv").read_bytes()


@pytest.mark.parametrize("damage", ["weights cut", "weights gone", "no json", "another model", "missing key", "shape"])
def test_a_damaged_export_is_told_in_one_line(damage: str, exported: Path, tmp_path: Path, genseek: Any) -> None:
    folder = tmp_path / "copy"
    folder.mkdir()
    weights, text = (exported / "weights.safetensors").read_bytes(), (exported / "model.json").read_text()
    described = json.loads(text)
    if damage == "weights cut":
        weights = weights[:-20]
    elif damage == "no json":
        text = text[:-20]
    elif damage == "another model":
        text = json.dumps(described | {"model": "gan"})
    elif damage == "missing key":
        text = json.dumps({key: value for key, value in described.items() if key != "features"})
    elif damage == "shape":
        text = json.dumps(described | {"arguments": described["arguments"] | {"dropout": 3}})
    (folder / "model.json").write_text(text)
    if damage != "weights gone":
        (folder / "weights.safetensors").write_bytes(weights)
    assert "not an exported generator" in refused(genseek, "sample", folder)


def test_samples_cannot_be_written_nowhere(exported: Path, tmp_path: Path, genseek: Any) -> None:
    said = refused(genseek, "sample", exported, "--out", tmp_path / "no" / "rows.csv")
    assert "rows.csv: can't write there" in said


def test_an_export_needs_a_folder_of_its_own(exported: Path, finished: Any, tmp_path: Path, genseek: Any) -> None:
    before = sorted((path, path.stat().st_mtime_ns) for path in exported.rglob("*"))
    said = refused(genseek, "export", "first", "--out", exported, "--store", finished.folder)
    assert "exists already and isn't an empty folder" in said
    assert sorted((path, path.stat().st_mtime_ns) for path in exported.rglob("*")) == before
    (tmp_path / "empty").mkdir()
    code, out, _ = genseek("export", "first", "--out", tmp_path / "empty", "--store", finished.folder)
    assert code == 0
    assert "genseek sample" in out
    assert (tmp_path / "empty" / "weights.safetensors").read_bytes() == (exported / "weights.safetensors").read_bytes()


def test_another_trial_than_the_best_is_exported(finished: Any, tmp_path: Path, genseek: Any) -> None:
    *_, last = [entry for entry in finished.result.board.ranked() if entry.outcome == "finished"]
    out = tmp_path / "last"
    assert genseek("export", "first", "--trial", last.trial, "--out", out, "--store", finished.folder)[0] == 0
    assert json.loads((out / "provenance.json").read_text())["trial"] == last.trial
    for entry in finished.result.board.entries:
        if entry.outcome != "finished":
            arguments = ("--trial", entry.trial, "--out", tmp_path / "no", "--store", finished.folder)
            assert f"was {entry.outcome}, not trained at full budget" in refused(genseek, "export", "first", *arguments)


@pytest.mark.slow
def test_score_as_json_and_as_text(finished: Any, exported: Path, tmp_path: Path, genseek: Any) -> None:
    rows = finished.plan.task.rows
    for name, held in (("real", rows.test), ("train", rows.train)):
        pd.DataFrame(held, columns=["x1", "x2"]).to_csv(tmp_path / f"{name}.csv", index=False)
    genseek("sample", exported, "-n", 100, "--out", tmp_path / "made.csv")
    files = (tmp_path / "real.csv", tmp_path / "made.csv")
    told = json.loads(genseek("score", *files, "--train", tmp_path / "train.csv", "--json")[1])
    assert set(told) == {*STANDARD, "misfit"}
    assert {"value", "floor"} <= told["ad"].keys()
    code, out, _ = genseek("score", *files, "--scores", "coverage, energy")
    assert code == 0
    names = [*(name for name in STANDARD if name != "overfit"), "energy", "coverage"]
    assert [line.split()[0] for line in out.splitlines()] == ["score", *names, "misfit"]


def test_help_answers_at_once_and_imports_nothing_heavy() -> None:
    script = (
        "import sys; sys.argv = ['genseek', '--help']\n"
        "from search.cli.app import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print(sorted({'torch', 'ray', 'mlflow', 'optuna', 'pandas', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_submit_takes_the_options_of_run() -> None:
    from search.cli.cluster import submit
    from search.cli.run import run

    assert set(inspect.signature(run).parameters) - {"as_json"} <= set(inspect.signature(submit).parameters)


@pytest.mark.parametrize("begins", [True, False])
def test_ctrl_c_at_any_moment_says_how_it_goes_on(
    begins: bool, tiny_study: Path, store_folder: Path, genseek: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(plan: Any, **more: Any) -> None:
        if begins:
            with Journal(plan.folder / JOURNAL) as journal:
                journal.begin({})
        raise KeyboardInterrupt

    monkeypatch.setattr("search.run.publish.search_and_publish", interrupted)
    code, out, err = genseek("run", tiny_study, "--store", store_folder, "--name", "cut")
    again = f"; what was done so far is recorded, and goes on with: genseek resume cut --store {store_folder}"
    said = (out if begins else err).splitlines()[-1]
    assert (code, said) == (130, f"interrupted{again}" if begins else "interrupted")
