"""Plug-ins: how they are merged, how they reach the workers, and how their exports sample; all that the docs show."""

import copy
import json
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from markdown_pages import page

import models
import objectives
from models import MODELS
from search import GenseekError, Store, export_generator, load_generator, load_study, plan_search, run_search
from search.study import plugins
from search.study.parse import parse_study
from search.study.plugins import merge_installed, merge_module, source_of

pytestmark = pytest.mark.usefixtures("clean_registries")
ROOT = Path(__file__).resolve().parents[3]
BLOCKS = {block.file: block.text for block in page("docs/plugins.md").blocks if block.file}
STUDY = """
trials = 2
epochs = 2
eval_samples = 1

[problem]
name = "gaussian_2d"
train = 100
validation = 60
test = 60

[models.NAME]
width = [8, 16]

[objectives.mmd]
"""


@pytest.fixture
def shown(tmp_path: Path) -> Path:
    """A folder with all files that the documentation shows."""
    folder = tmp_path / "shown"
    folder.mkdir()
    for name, text in BLOCKS.items():
        (folder / name).write_text(text)
    return folder


def study(folder: Path, name: str, head: str = "") -> Path:
    path = folder / f"{name}.toml"
    path.write_text(head + STUDY.replace("NAME", name))
    return path


def python(arguments: list[Any], cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(
        command, cwd=cwd, env=os.environ | environment, capture_output=True, text=True, timeout=300, check=False
    )


def sampled_apart(folder: Path, rows: int) -> list[list[float]]:
    """Rows of `python sampler.py` in the exported folder, in an interpreter that finds nothing of this project."""
    strangers = ("search", "objectives", "ray", "mlflow", "optuna", "pandas", "scipy", "sklearn", "safetensors")
    lines = [
        "import runpy, sys",
        "sys.meta_path = [finder for finder in sys.meta_path if 'editable' not in repr(finder).lower()]",
        f"sys.path = ['.', *(entry for entry in sys.path if entry not in ('', {str(ROOT)!r}))]",
        f"sys.modules.update(dict.fromkeys({strangers!r}))",
        f"sys.argv = ['sampler.py', '-n', '{rows}', '--seed', '3']",
        "runpy.run_path('sampler.py', run_name='__main__')",
    ]
    done = python(["-I", "-c", "\n".join(lines)], folder)
    assert done.returncode == 0, done.stderr
    return [[float(value) for value in line.split(",")] for line in done.stdout.splitlines()[1:]]


def searched(path: Path, store: Path, out: Path) -> Any:
    """Leaderboard of a search, whose winner is exported to `out`."""
    opened_store = Store(store)
    result = run_search(plan_search(load_study(str(path)), opened_store))
    assert result.failures == result.unrecorded == []
    export_generator(opened_store, result.board, result.board.winner().trial, out)
    return result.board


@pytest.mark.slow
def test_shown_tests_pass(shown: Path) -> None:
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = python(["-m", "pytest", "-q", "test_mine.py"], shown, PYTHONPATH=path, OMP_NUM_THREADS="1")
    assert done.returncode == 0 and "4 passed" in done.stdout, done.stdout + done.stderr


@pytest.mark.slow
def test_what_a_study_shows_can_be_searched_exported_and_sampled(
    ray_cluster: None, shown: Path, store_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, genseek: Any
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    out = tmp_path / "winner"
    board = searched(shown / "mine.toml", store_folder, out)
    assert {entry.outcome for entry in board.entries} == {"finished"}
    assert "my_models" not in sys.modules
    name = board.winner().configuration.model
    assert name in ("sines", "residual")
    assert (out / "plugin.py").read_text() == BLOCKS[{"sines": "my_models.py", "residual": "my_network.py"}[name]]
    rows = load_generator(out).sample(20, 3)  # its name is known in this process
    assert sampled_apart(out, 20) == rows.tolist()
    for kind, entry in (("models", "sines"), ("models", "residual"), ("objectives", "moments")):
        del plugins.REGISTRIES[kind][0][entry]
    ran = tmp_path / "ran"
    (out / "plugin.py").write_text((out / "plugin.py").read_text() + f"\nopen({str(ran)!r}, 'w').close()\n")
    code, printed, err = genseek("sample", out, "-n", 20, "--seed", 3)
    assert (code, printed, err.count("\n")) == (2, "", 1)
    assert (
        f"its model is a plug-in; trust its code with --plugins {out}/plugin.py, or run it alone: python {out}" in err
    )
    assert not ran.exists()
    code, printed, err = genseek("sample", out, "-n", 20, "--seed", 3, "--plugins", out / "plugin.py")
    assert (code, err) == (0, "")
    assert [[float(value) for value in line.split(",")] for line in printed.splitlines()[1:]] == rows.tolist()
    assert ran.exists()


@pytest.mark.slow
def test_an_entry_in_the_registry_reaches_the_workers(
    ray_cluster: None, shown: Path, store_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (shown / "my_models.py").rename(shown / "sines_of_a_test.py")  # a module that no worker can have seen
    (shown / "my_models.py").write_text("")
    monkeypatch.syspath_prepend(str(shown))
    from sines_of_a_test import SineNetwork  # type: ignore[import-not-found]

    MODELS["imported"] = SineNetwork
    board = searched(study(tmp_path, "imported"), store_folder, tmp_path / "winner")
    assert {entry.outcome for entry in board.entries} == {"finished"}
    text = (tmp_path / "winner" / "plugin.py").read_text()
    assert text == BLOCKS["my_models.py"] + "\n\nMODELS = {'imported': SineNetwork}\n"
    assert sampled_apart(tmp_path / "winner", 5) == load_generator(tmp_path / "winner").sample(5, 3).tolist()
    del sys.modules["sines_of_a_test"]


@pytest.mark.slow
def test_a_class_without_a_source_is_searched_and_not_exported(
    ray_cluster: None, store_folder: Path, tmp_path: Path
) -> None:
    class Narrow(models.Model):
        """Noise, moved."""

        def __init__(self, shape: Any, seed: int, *, width: int = 8) -> None:
            super().__init__()
            self.width, self.features = (width,), shape.features
            self.bias = torch.nn.Parameter(torch.zeros(1, 1, shape.features))

        def draw(self, noise: Any) -> Any:
            return noise.normal("source", [self.features] * len(self.width))

        def push(self, inputs: Any, noise: Any = None) -> Any:
            return inputs + self.bias

        def sample(self, noise: Any) -> Any:
            return self.push(self.draw(noise))

        def architecture(self) -> list[dict[str, float]]:
            return [{"parameters": self.features} for _ in self.width]

    MODELS["narrow"] = Narrow
    assert source_of("narrow") == ""
    message = "the code of its model 'narrow', defined in a program, isn't known; define it in a module of its own"
    with pytest.raises(GenseekError, match=message):
        searched(study(tmp_path, "narrow"), store_folder, tmp_path / "winner")
    assert not (tmp_path / "winner").exists()


@pytest.mark.slow
def test_what_a_package_announces_reaches_the_workers(
    ray_cluster: None, shown: Path, store_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, genseek: Any
) -> None:
    (shown / "my_models.py").rename(shown / "announced_by_a_test.py")
    announce(shown, "[genseek.models]\nannounced = announced_by_a_test:SineNetwork")
    monkeypatch.syspath_prepend(str(shown))
    merge_installed.cache_clear()
    rows = json.loads(genseek("list", "families", "--json")[1])
    (row,) = [row for row in rows if row["name"] == "announced"]
    assert row["keys"] == ["width", "frequency"]
    assert "mmd" in row["objectives"]
    board = searched(study(tmp_path, "announced"), store_folder, tmp_path / "winner")
    assert {entry.outcome for entry in board.entries} == {"finished"}
    assert sampled_apart(tmp_path / "winner", 5) == load_generator(tmp_path / "winner").sample(5, 3).tolist()
    del sys.modules["announced_by_a_test"]


def announce(folder: Path, points: str) -> None:
    """Make `folder` look as if a package were installed there."""
    info = folder / "announced-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: announced\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(points)


def test_a_package_that_lacks_what_it_announces_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    announce(tmp_path, "[genseek.scores]\nmine = nothing_of_that_name:Mine")
    monkeypatch.syspath_prepend(str(tmp_path))
    merge_installed.cache_clear()
    with pytest.raises(GenseekError, match="entry point mine = nothing_of_that_name:Mine: can't be imported"):
        load_study("gaussian_2d")


@pytest.fixture
def cluster_address(ray_cluster: None) -> str:
    import ray

    return str(ray.get_runtime_context().gcs_address)


@pytest.mark.slow
def test_a_program_searches_what_it_registers(cluster_address: str, shown: Path, store_folder: Path) -> None:
    store_folder.rename(shown / "program-store")
    done = python(["my_search.py"], shown, RAY_ADDRESS=cluster_address)
    assert done.returncode == 0, done.stderr
    assert json.loads((shown / "program-winner" / "model.json").read_text())["model"] == "mine"
    assert len(sampled_apart(shown / "program-winner", 7)) == 7


@pytest.mark.slow
def test_the_package_installs_and_its_model_is_searched(
    cluster_address: str, shown: Path, store_folder: Path, tmp_path: Path
) -> None:
    target, options = tmp_path / "installed", ("--no-deps", "--no-build-isolation", "--no-index", "--quiet")
    done = python(["-m", "pip", "install", *options, "--target", target, shown], tmp_path)
    assert done.returncode == 0, done.stderr
    command = ["-c", "from search.cli.app import main; main()"]
    run = ["run", study(tmp_path, "sine_network"), "--name", "packed", "--finalists", 0, "--store", store_folder]
    done = python([*command, *run], tmp_path, PYTHONPATH=str(target), RAY_ADDRESS=cluster_address)
    assert done.returncode == 0, done.stderr
    board = Store(store_folder).leaderboard("packed")
    export_generator(Store(store_folder), board, board.winner().trial, tmp_path / "winner")
    assert len(sampled_apart(tmp_path / "winner", 7)) == 7


@pytest.mark.slow
def test_a_task_travels_with_its_classes(shown: Path, store_folder: Path, tmp_path: Path) -> None:
    plan = plan_search(load_study(str(shown / "mine.toml")), Store(store_folder))
    assert list(plan.task.models) == ["sines", "residual"]
    assert list(plan.task.objectives) == ["moments", "mmd"]
    buffers: list[pickle.PickleBuffer] = []
    content = pickle.dumps(plan.task, protocol=5, buffer_callback=buffers.append)
    assert sum(len(buffer.raw()) for buffer in buffers) > plan.task.rows.train.nbytes
    (tmp_path / "task").write_bytes(pickle.dumps(plan.task))
    assert len(content) < len((tmp_path / "task").read_bytes())
    script = """
import pickle, sys
from search.study.configuration import Configuration, Training
from search.train.trial import Trial
task = pickle.load(open(sys.argv[1], "rb"))
for model in ("sines", "residual"):
    configuration = Configuration(model=model, objective="moments", training=Training(batch=20))
    print(Trial(configuration, task, 0).untrained().advance().item())
"""
    done = python(["-c", script, tmp_path / "task"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) == 2
    alike = copy.deepcopy(plan.task)
    assert alike.models == plan.task.models
    assert alike.rows.digest() == plan.task.rows.digest()


SCORE_AND_PROBLEM = """
import numpy as np
from objectives import Problem
from objectives.problems import Gaussian1D
from objectives.scores import Measure, Score

class Width(Score):
    "Difference of ranges."
    ranking, limit, decay, repeats = True, 0.0, 0.5, 50
    def __init__(self, reference):
        self.width = np.ptp(reference.held)
    @classmethod
    def serves(cls, real):
        return True
    def __call__(self, generated):
        value = np.abs(np.ptp(generated, axis=(1, 2)) - self.width)
        return Measure(value, value)

class Doubled(Problem):
    "A normal column, twice."
    def __init__(self, *, rows: int = 100):
        self.once, self.number = Gaussian1D(train=rows, validation=rows, test=rows), rows
    columns, source = ("a",), property(lambda self: self.once.source)
    def rows(self, seed):
        return self.once.rows(seed)
    def pair(self, first, second, generator):
        return self.once.pair(first, second, generator)

SCORES = {"width": Width}
PROBLEMS = {"doubled": Doubled}
"""


@pytest.mark.slow
def test_scores_and_problems_come_in_the_same_way(store_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "judging.py").write_text(SCORE_AND_PROBLEM)
    path = study(tmp_path, "pushforward", 'plugins = ["judging.py"]\nscores = ["ad", "width"]\n')
    written = path.read_text().replace('"gaussian_2d"', '"doubled"').replace("train = 100", "rows = 80")
    path.write_text(written.replace("validation = 60\ntest = 60\n", ""))
    plan = plan_search(load_study(str(path)), Store(store_folder))
    assert len(plan.task.rows.train) == 80
    assert plan.task.judge.ranking == ("ad", "width")
    (tmp_path / "task").write_bytes(pickle.dumps(plan.task))
    script = """
import pickle, sys
task = pickle.load(open(sys.argv[1], "rb"))
for factor in (1, 2):
    print(task.judge(factor * task.rows.validation[None]).values["width"])
"""
    done = python(["-c", script, tmp_path / "task"], tmp_path)
    assert done.returncode == 0, done.stderr
    same, double = (float(value) for value in done.stdout.split())
    assert same == 0
    assert double == pytest.approx(np.ptp(plan.task.rows.validation))


def test_keys_of_a_plug_in_are_checked_like_any_others(shown: Path) -> None:
    text = (shown / "mine.toml").read_text()
    wrong = text.replace("frequency = {", "frequencies = {")
    where = str(shown / "other.toml")
    with pytest.raises(GenseekError, match=r"\[models.sines\] unknown key 'frequencies'; did you mean 'frequency'"):
        parse_study(wrong, "mine", where)
    study = parse_study(text, "mine", where)
    assert study.plugins == tuple(str(shown / name) for name in ("my_models.py", "my_network.py", "my_losses.py"))
    assert study.pairs() == {"sines": ["moments", "mmd"], "residual": ["moments", "mmd"]}


def test_plug_ins_lie_beside_the_study(shown: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (shown / "mine.toml").read_text()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(GenseekError, match=r"mine\.toml: plug-in my_models\.py: can't read the file"):
        parse_study(text, "mine", "mine.toml")
    monkeypatch.chdir(shown)
    parse_study(text, "mine", "mine.toml")
    with pytest.raises(GenseekError, match=r"plugins = 'my_models\.py': expected a list of modules"):
        parse_study("plugins = 'my_models.py'\n" + text.split("\n", 1)[1], "mine", "mine.toml")


def test_an_importable_module_is_named_with_dots(shown: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (shown / "package_of_a_test").mkdir()
    (shown / "my_models.py").rename(shown / "package_of_a_test" / "sines.py")
    monkeypatch.syspath_prepend(str(shown))
    merge_module("package_of_a_test.sines", Path())
    assert MODELS["sines"].__module__ == "package_of_a_test.sines"
    assert source_of("sines") == BLOCKS["my_models.py"]
    for name in ("package_of_a_test.sines", "package_of_a_test"):
        del sys.modules[name]


def test_our_own_models_have_no_source() -> None:
    assert all(source_of(name) is None for name in MODELS)


def test_a_changed_file_replaces_what_it_gave(shown: Path, tmp_path: Path) -> None:
    merge_module("my_models.py", shown)
    first = MODELS["sines"]
    merge_module("my_models.py", shown)
    assert MODELS["sines"] is first
    (shown / "my_models.py").write_text(BLOCKS["my_models.py"].replace("width: int = 64", "width: int = 32"))
    merge_module("my_models.py", shown)
    assert MODELS["sines"] is not first
    (tmp_path / "other.py").write_text(BLOCKS["my_models.py"])
    with pytest.raises(
        GenseekError, match=r"plug-in other\.py: model 'sines': the name is taken by plug-in my_models\.py"
    ):
        merge_module("other.py", tmp_path)


HEAD = """
import torch
from typing import Literal
from models import Model
class Mine(Model):
    "Mine."
    def __init__(self, shape, seed, *, ARGUMENTS): ...
    def sample(self, noise): ...
    def architecture(self): ...
"""
MINE = "MODELS = {'mine': Mine}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("MODELS = {", r"can't be imported \(SyntaxError: .*bad\.py, line 1"),
        ("\nimport nothing_of_that_name", r"ModuleNotFoundError: No module .*; bad\.py, line 2\)"),
        ("def f():\n    1 / 0\nf()", r"ZeroDivisionError: division by zero; bad\.py, line 2\)"),
        ("x = 1", "expected at least one of MODELS, OBJECTIVES, SCORES, PROBLEMS"),
        ("MODELS = []", r"MODELS is \[\], expected a dict of classes by name"),
        ("MODELS = {'mine': 3}", r"model 'mine' is 3, expected a subclass of models\.model\.Model"),
        ("OBJECTIVES = {'mine': dict}", r"objective 'mine' is <class 'dict'>, expected a subclass of .*\.Objective"),
        ("SCORES = {'mine': dict}", r"score 'mine' is <class 'dict'>, expected a subclass of .*\.Score"),
        ("PROBLEMS = {'mine': dict}", r"problem 'mine' is <class 'dict'>, expected a subclass of .*\.Problem"),
        ("from models import Model\nMODELS = {'mine': Model}", "model 'mine' doesn't define architecture, sample"),
        (
            "from models import VAE\nMODELS = {'pushforward': VAE}",
            "'pushforward': the name is taken by models.pushforward",
        ),
        (
            "SCORES = {'a/b [%]': dict}",
            r"score 'a/b \[%\]': expected a name of up to 60 letters, digits, '.', '_' and",
        ),
        ("SCORES = {'x' * 61: dict}", r"expected a name of up to 60 letters"),
        (HEAD.replace("ARGUMENTS", "width=3") + MINE, "model 'mine': an argument has no known type"),
        (HEAD.replace("ARGUMENTS", "width: int") + MINE, "model 'mine': width has no default"),
        (HEAD.replace("ARGUMENTS", "width: tuple = ()") + MINE, "width must be a bool, int, float or Literal, not"),
        (HEAD.replace("ARGUMENTS", "batch: int = 3") + MINE, "batch is the name of another key of a study"),
    ],
)
def test_what_cannot_be_merged_is_told_in_one_line(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text(text)
    before = [dict(registry) for registry, _ in plugins.REGISTRIES.values()]
    with pytest.raises(GenseekError, match=f"plug-in bad.py: .*{message}") as caught:
        merge_module("bad.py", tmp_path)
    assert "\n" not in str(caught.value)
    assert [registry for registry, _ in plugins.REGISTRIES.values()] == before


def test_the_registries_are_the_packages_own() -> None:
    registries = [registry for registry, _ in plugins.REGISTRIES.values()]
    ours = [models.MODELS, objectives.OBJECTIVES, objectives.SCORES, objectives.PROBLEMS]
    assert all(one is other for one, other in zip(registries, ours, strict=True))


def test_what_cannot_be_sent_is_told_before_anything_starts(store_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "held.py").write_text(
        HEAD.replace("ARGUMENTS", "width: int = 3")
        .replace("import torch", "import threading; lock = threading.Lock()")
        .replace(
            "def architecture(self): ...",
            "def architecture(self): return lock\n    def draw(self, noise): ...\n"
            "    def push(self, inputs, noise=None): ...",
        )
        + MINE
    )
    path = study(tmp_path, "mine", 'plugins = ["held.py"]\n')
    with pytest.raises(GenseekError, match=r"a plug-in can't be sent to the workers \(TypeError: cannot pickle .*lock"):
        plan_search(load_study(str(path)), Store(store_folder))


def test_keys_that_a_pair_shares_are_refused(tmp_path: Path) -> None:
    (tmp_path / "shared.py").write_text(
        HEAD.replace("ARGUMENTS", "bandwidth: float = 1.0, width: int = 1").replace(
            "def architecture(self): ...",
            "def architecture(self): ...\n    def draw(self, noise): ...\n    def push(self, inputs, noise=None): ...",
        )
        + MINE
    )
    path = study(tmp_path, "mine", 'plugins = ["shared.py"]\n')
    with pytest.raises(GenseekError, match=r"\[models.mine\] and \[objectives.mmd\] both have a key bandwidth"):
        load_study(str(path))


NETWORK = """
import torch
from torch import nn
from models.adapter import pushforward_of

class Net(nn.Module):
    def __init__(self, inputs: int, outputs: int, *, width: int = 8) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(inputs, width), nn.Linear(WIDTH, outputs)
    def forward(self, x):
        return OUTPUT

MODELS = {"net": pushforward_of(Net)}
"""
OUTPUT = "self.last(torch.tanh(self.first(x)))"


def network(folder: Path, output: str = OUTPUT, width: str = "width", head: str = "") -> Path:
    (folder / "net.py").write_text(NETWORK.replace("OUTPUT", output).replace("WIDTH", width))
    return study(folder, "net", f'plugins = ["net.py"]\n{head}')


@pytest.mark.parametrize(
    ("output", "width", "message"),
    [
        (OUTPUT, "width + 1", r"RuntimeError: mat1 and mat2 shapes cannot be multiplied .* \(net.py, line 11\)"),
        ("self.frist(x)", "width", r"AttributeError: 'Net' object has no attribute 'frist' \(net.py, line 11\)"),
        ("self.last(torch.tanh(self.first(x)))[:, :1]", "width", r"Net must map \[2, 2\] to \[2, 2\], and gave .* 6\)"),
        (f"({OUTPUT}).detach()", "width", r"the network learns nothing: its loss depends on no parameter .* line 6\)"),
        (f"{OUTPUT} * 0", "width", r"the network learns nothing: no gradient reaches any .* \(net.py, line 6\)"),
    ],
)
def test_what_a_plug_ins_code_does_wrong_is_told_with_its_file_and_line(
    output: str, width: str, message: str, genseek: Any, tmp_path: Path
) -> None:
    code, _, err = genseek("check", network(tmp_path, output, width))
    assert (code, err.count("\n")) == (2, 1)
    assert re.search(rf"^error: study net: \[models.net\] with \[objectives.mmd\]: plug-in net.py: .*{message}", err), (
        err
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("return self.once.rows(seed)", "return 1 / 0", r"ZeroDivisionError: division by zero \(judging.py, line 25\)"),
        (
            "self.once, self.number = ",
            "self.once = ",
            r"AttributeError: .* \(judging.py, line 25\)",
        ),
        ("value = np.abs(", "value = np.abs(1 / 0 + ", r"ZeroDivisionError: .* \(judging.py, line 16\)"),
        ("axis=(1, 2)", "axis=(0, 1, 2)", r"\w+Error: .* \(judging.py, line \d+\)"),
    ],
)
def test_scores_and_problems_that_fail_are_told_with_their_file_and_line(
    old: str, new: str, message: str, genseek: Any, tmp_path: Path
) -> None:
    assert old in SCORE_AND_PROBLEM
    (tmp_path / "judging.py").write_text(SCORE_AND_PROBLEM.replace(old, new))
    path = study(tmp_path, "pushforward", 'plugins = ["judging.py"]\nscores = ["ad", "width"]\n')
    written = path.read_text().replace('"gaussian_2d"', '"doubled"').replace("train = 100", "rows = 80")
    path.write_text(written.replace("validation = 60\ntest = 60\n", ""))
    code, _, err = genseek("check", path)
    assert (code, err.count("\n")) == (2, 1)
    assert re.search(f"problem doubled: plug-in judging.py: {message}", err), err


@pytest.mark.slow
def test_a_search_whose_plug_in_has_changed_says_what_is_missing(
    genseek: Any, ray_cluster: None, store_folder: Path, tmp_path: Path
) -> None:
    where = ("--store", store_folder)
    path = network(tmp_path, head="finalists = 0\n")
    assert genseek("run", path, "--name", "mine", *where)[0] == 0
    text = (tmp_path / "net.py").read_text()
    for old, new, message in (
        ("width", "size", r"\[models.net\] unknown key 'width'; did you mean 'size'\?|unknown key 'width'; known: "),
        ("width: int = 8", 'width: str = "8"', r"width = 8: expected a word in quotes"),
        ('"net"', '"nets"', r"unknown model 'net'; did you mean 'nets'\?.* have they changed: .*net.py\?"),
        ("MODELS =", "MODEL =", "plug-in .*net.py: expected at least one of MODELS"),
    ):
        (tmp_path / "net.py").write_text(text.replace(old, new))
        models.MODELS.pop("net", None)  # as in a new process
        code, _, err = genseek("resume", "mine", "--more-trials", "1", *where)
        assert (code, err.count("\n")) == (2, 1), err
        assert re.search(message, err), err


ODD = """
import torch
from models import Pushforward


class Odd(Pushforward):
    def __init__(self, shape, seed: int, *, width: int = 8):
        super().__init__(shape, seed, width=width, depth=1)
        {own}

    def push(self, inputs, noise=None):
        return super().push(inputs, noise) {more}


MODELS = {{"odd": Odd}}
"""


@pytest.mark.parametrize(
    ("own", "more", "said"),
    [
        ('self.register_buffer("own", torch.zeros([1] * (1 + width // 8)))', "", "two networks can't be stacked ("),
        (
            "self.kernel = (width, 3)",
            "",
            "two networks can't be stacked (ValueError: Odd.kernel is (8, 3) of one network",
        ),
        ("self.scale = width", "* self.scale", "a network gives other samples when it's stacked with another; "),
        (
            "self.mean = 0",
            "- super().push(inputs, noise).mean(0) / 2",
            "a network gives other samples when it's stacked",
        ),
        ('self.register_buffer("own", torch.zeros(3))', "+ self.own[:1].view(-1, 1, 1)", None),
        ("self.kernel = (3, 3)", "* self.kernel[1] / len(self.kernel)", None),
        ("self.own = (width,)", "* torch.tensor(self.own).view(-1, 1, 1)", None),
    ],
)
def test_a_model_that_cannot_be_stacked_is_refused_by_check(
    own: str, more: str, said: str | None, tmp_path: Path, genseek: Any
) -> None:
    (tmp_path / "odd.py").write_text(ODD.format(own=own, more=more))
    code, _, err = genseek("check", study(tmp_path, "odd", 'plugins = ["odd.py"]'))
    if said is None:
        assert code == 0, err
        return
    assert code == 2
    (line,) = err.splitlines()
    assert line.startswith(f"error: study odd: [models.odd] with [objectives.mmd]: plug-in odd.py: {said}")
    assert line.endswith("docs/plugins.md (odd.py, line 6)")
