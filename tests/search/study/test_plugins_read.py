"""Results of a search whose model, objective and score are plug-ins, read by processes that don't know these."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models import MODELS
from objectives import OBJECTIVES, SCORES
from search import GenseekError, Store, load_study, plan_search, run_search
from search.study.goals import RESERVED
from search.study.plugins import merge_module
from search.study.serialize import study_from, study_json

pytestmark = pytest.mark.usefixtures("clean_registries")
MODULE = '''
"""A network, a loss and a score of a user's own."""

from typing import ClassVar

import numpy as np
from torch import nn

from models.adapter import pushforward_of
from objectives.losses.energy import Energy
from objectives.scores import Measure, Score


class Net(nn.Module):
    def __init__(self, inputs: int, outputs: int, *, width: int = 16, scale: float = 1.0) -> None:
        super().__init__()
        self.first, self.last, self.scale = nn.Linear(inputs, width), nn.Linear(width, outputs), scale

    def forward(self, x):
        return self.last(self.first(self.scale * x).tanh())


class Own(Energy):
    pass


class Spread(Score):
    """Standard deviation beside that of real rows: 1 is right, and less isn't better."""

    ranking: ClassVar[bool] = False
    limit: ClassVar[float] = 1.0
    decay: ClassVar[float] = 0.5
    repeats: ClassVar[int] = 20

    def __init__(self, reference) -> None:
        self.deviation = reference.held.std()

    @classmethod
    def serves(cls, real) -> bool:
        return True

    def __call__(self, generated) -> Measure:
        value = np.asarray(generated).std(axis=(1, 2)) / self.deviation
        return Measure(value, value)


MODELS = {"net": pushforward_of(Net)}
OBJECTIVES = {"own": Own}
SCORES = {"spread": Spread}
'''
STUDY = """
plugins = ["own.py"]
trials = 2
epochs = 4
grace = 4
eval_samples = 1
finalists = 0
sampler = "random"
scores = ["ad", "mmd", "spread"]

[problem]
name = "gaussian_2d"
train = 100
validation = 60
test = 60

[models.net]
width = [8, 16]

[objectives.own]
"""


def forget() -> None:
    """Let the registries be those of a process that hasn't met the plug-ins."""
    for name in ("net", "other"):
        MODELS.pop(name, None)
    OBJECTIVES.pop("own", None)
    SCORES.pop("spread", None)


@pytest.fixture(scope="module")
def searched(ray_cluster: None, new_store: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the plug-in, its study, and a store with two of its searches."""
    folder = tmp_path_factory.mktemp("plugged")
    (folder / "own.py").write_text(MODULE)
    (folder / "own.toml").write_text(STUDY)
    store = Store(new_store(folder / "store"))
    for name in ("one", "two"):
        result = run_search(plan_search(load_study(str(folder / "own.toml")), store, name))
        assert result.failures == result.unrecorded == []
        assert store.leaderboard(name).winner() is not None
    forget()
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("now", ["there", "gone", "broken", "without its key", "another model"])
def test_results_are_read_whatever_became_of_the_plug_in(
    now: str, searched: Path, tmp_path: Path, genseek: Any
) -> None:
    shutil.copytree(searched / "store", tmp_path / "store")
    changed = {
        "there": MODULE,
        "broken": "raise RuntimeError('no')",
        "without its key": MODULE.replace("width: int = 16, ", "").replace("width", "16"),
        "another model": MODULE.replace('"net"', '"other"'),
    }
    (searched / "own.py").write_text(changed.get(now, ""))
    if now == "gone":
        (searched / "own.py").unlink()
    there = ("--store", tmp_path / "store")
    try:
        code, out, err = genseek("best", "one", *there)
        assert code == 0, err
        assert "net width" in out
        assert "own" in out
        code, out, err = genseek("best", "one", *there, "--by", "spread")
        assert (code, err.count("\n")) == (2, 1)
        assert "--by: unknown score 'spread'" in err  # less of it isn't better
        best = json.loads(genseek("best", "one", *there, "--by", "mmd", "--json")[1])
        assert best["model"] == "net"
        assert best["scores"]["spread"]["value"] > 0
        code, out, err = genseek("list", "searches", *there)
        assert (code, "one" in out) == (0, True)
        forget()
        code, out, err = genseek("export", "one", *there, "--out", tmp_path / "winner")
        assert code == 0, err
        assert (tmp_path / "winner" / "plugin.py").read_text() == MODULE
        forget()
        code, out, err = genseek("report", "one", *there, "--out", tmp_path / "page.html")
        assert code == 0, err
        page = (tmp_path / "page.html").read_text()
        assert "net width" in page
        assert ("own.py" in page) or now == "there"
        forget()
        code, out, err = genseek("compare", "one", "two", *there, "--out", tmp_path / "both.html")
        assert code == 0, err
        assert "net width" in out
        forget()
        if now != "there":
            code, _, err = genseek("resume", "one", *there, "--more-trials", "1")
            assert (code, err.count("\n")) == (2, 1)
            assert "own.py" in err
    finally:
        (searched / "own.py").write_text(MODULE)
        forget()


@pytest.mark.slow
def test_a_new_process_shows_the_best(searched: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from search.cli.app import main; main()", "best", "one"]
    done = subprocess.run(
        [*command, "--store", str(searched / "store")],
        cwd=tmp_path,
        env=os.environ | {"COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "net width" in done.stdout


NAMED = """
from objectives.scores.mmd import Mmd
from objectives.losses.energy import Energy
from objectives.problems import Gaussian2D
from models.pushforward import Pushforward


class Mine(Mmd):
    pass


class Loss(Energy):
    pass


class Drawn(Gaussian2D):
    pass


class Map(Pushforward):
    pass


KIND = {NAME: THING}
"""
THINGS = {"SCORES": "Mine", "OBJECTIVES": "Loss", "PROBLEMS": "Drawn", "MODELS": "Map"}


@pytest.mark.parametrize("name", RESERVED)
def test_no_score_can_be_called_what_genseek_records(name: str, tmp_path: Path) -> None:
    text = NAMED.replace("KIND", "SCORES").replace("NAME", repr(name)).replace("THING", "Mine")
    (tmp_path / "own.py").write_text(text)
    with pytest.raises(GenseekError, match=f"plug-in own.py: score '{name}': genseek records something else as {name}"):
        merge_module("own.py", tmp_path)
    assert name not in SCORES


@pytest.mark.parametrize("kind", THINGS)
@pytest.mark.parametrize("name", ["", "a/b", "it's", 'say "so"', "a b", "x" * 300, "数据", "a\nb", "-v", "`x`", 7])
def test_names_that_mlflow_cannot_keep_are_refused(name: object, kind: str, tmp_path: Path, genseek: Any) -> None:
    text = NAMED.replace("KIND", kind).replace("NAME", repr(name)).replace("THING", THINGS[kind])
    (tmp_path / "own.py").write_text(text)
    (tmp_path / "own.toml").write_text(STUDY)
    code, _, err = genseek("check", tmp_path / "own.toml", "--store", tmp_path / "store")
    assert (code, err.count("\n")) == (2, 1)
    what = kind.lower().removesuffix("s")
    assert f"plug-in own.py: {what} {name!r}: expected a name of up to 60 letters" in err


def test_a_program_may_not_call_its_score_so_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SCORES, "seconds", SCORES["mmd"])
    (tmp_path / "own.toml").write_text(STUDY.replace('"spread"', '"seconds"').replace('plugins = ["own.py"]', ""))
    with pytest.raises(GenseekError, match="score 'seconds': genseek records something else as seconds"):
        load_study(str(tmp_path / "own.toml"))


def test_what_is_recorded_beside_scores_is_reserved() -> None:
    from search.events.events import Report, Reported
    from search.record.layout import Axes
    from search.record.recorder import points_of

    report = Report(epoch=1, misfit=1.0, scores={"ad": 1.0}, best_epoch=1, epoch_misfit=1.0)
    recorded = {
        name
        for name, *_ in points_of(Reported(trial=0, report=report, architecture={}, time=1.0), 0.0, Axes())
        if "/" not in name
    }
    assert recorded - {"ad"} <= set(RESERVED)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace('"net"', '"other"'), "unknown model 'net'; "),
        (lambda text: text.replace("width: int = 16, ", ""), r"\[models.net\] unknown key 'width'"),
        (lambda text: text.replace("width: int = 16", "width: float = 16.0"), None),
        (lambda text: text.replace("width: int = 16", "width: bool = True"), "width = 8: expected true or false"),
        (lambda text: text.replace('{"spread"', '{"other"'), "unknown score 'spread'"),
        (lambda text: text.replace('{"own"', '{"other"'), "unknown objective 'own'"),
    ],
)
def test_a_study_whose_plug_in_has_changed(change: Callable[[str], str], message: str | None, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(MODULE)
    (tmp_path / "own.toml").write_text(STUDY)
    written = json.loads(json.dumps(study_json(load_study(str(tmp_path / "own.toml")))))
    forget()
    (tmp_path / "own.py").write_text(change(MODULE))
    if message is None:
        assert study_from(written).models["net"]
        return
    with pytest.raises(GenseekError, match=message) as raised:
        study_from(written)
    assert f"have they changed: {tmp_path / 'own.py'}?" in str(raised.value)
