"""Who may import whom: the table of folders and outside libraries, held by parsing every file."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FIGURES = ("page", "results", "settings", "samples", "networks", "compare")
HOMES = {
    "ray": {
        "tune/run.py",
        "tune/trainable.py",
        "tune/cluster.py",
        "tune/preflight.py",
        "tune/jobs.py",
    },
    "optuna": {"schedule/suggest.py", "report/settings.py"},
    "mlflow": {
        "record/store.py",
        "record/sqlite.py",
        "record/read.py",
        "record/dataset.py",
        "record/client.py",
        "export/registry.py",
        "export/mlflow_predictor.py",
    },
    "sqlalchemy": {"record/sqlite.py"},
    "matplotlib": {"report/png.py"},
    "plotly": {f"report/{name}.py" for name in FIGURES},
    "jinja2": {"report/page.py"},
    "markupsafe": {"report/page.py"},
    "sklearn": {"report/networks.py"},
    "threadpoolctl": {"run/prepare.py", "report/networks.py"},
    "typer": {
        "cli/app.py",
        "cli/run.py",
        "cli/results.py",
        "cli/cluster.py",
        "cli/console.py",
        "cli/options.py",
    },
    "cloudpickle": {"study/plugins.py"},
    "safetensors": {"train/group.py"},
    "pyarrow": {"storage.py"},
    "fsspec": {"storage.py"},
}
ELSEWHERE = ("sklearn", "threadpoolctl")  # at home in the other two folders as well, by the tests above
STACKING = {"models.layers", "models.optimizers"}  # what a critic is made of; no family
PUBLIC_ONLY = ("ray", "optuna", "mlflow")
FOLDERS = ("models", "objectives", "search", "tests", "benchmarks")


def files(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def imported(source: str) -> set[str]:
    """Full dotted name of everything that `source` imports, at whatever depth; relative imports start with a dot."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names}
    return names


def roots(path: Path) -> set[str]:
    """Top-level names of the packages that a file imports, without the standard library."""
    return {name.partition(".")[0] for name in imported(path.read_text())} - set(sys.stdlib_module_names)


def private_names(source: str) -> set[str]:
    """Imports from `PUBLIC_ONLY` libraries, and attributes of what was imported, that begin with an underscore."""
    bound, found = set(), set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            aliases = [(alias.name, alias.asname or alias.name.partition(".")[0]) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            aliases = [(f"{node.module}.{alias.name}", alias.asname or alias.name) for alias in node.names]
        else:
            continue
        for name, local in aliases:
            if name.partition(".")[0] in PUBLIC_ONLY:
                bound.add(local)
                if any(is_private(part) for part in name.split(".")):
                    found.add(name)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            owner: ast.expr = node
            while isinstance(owner, ast.Attribute):
                owner = owner.value
            if isinstance(owner, ast.Name) and owner.id in bound:
                found.add(ast.unparse(node))
    return found


def is_private(name: str) -> bool:
    return name.startswith("_") and not (name.startswith("__") and name.endswith("__"))


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", files("models"), ids=shown)
def test_models_import_torch_alone(path: Path) -> None:
    allowed = {"torch", "models"} | ({"sklearn"} if path == ROOT / "models" / "classical.py" else set())
    assert roots(path) <= allowed


@pytest.mark.parametrize("path", files("objectives"), ids=shown)
def test_objectives_know_no_model_and_nothing_of_search(path: Path) -> None:
    clusters = ROOT / "objectives" / "scores" / "clusters.py"
    allowed = {"torch", "numpy", "scipy", "pandas", "objectives", "models"}
    assert roots(path) <= allowed | ({"sklearn", "threadpoolctl"} if path == clusters else set())
    of_models = {name for name in imported(path.read_text()) if name.partition(".")[0] == "models"}
    assert {name.rpartition(".")[0] for name in of_models} <= STACKING


@pytest.mark.parametrize("library", HOMES)
def test_an_outside_library_has_one_home(library: str) -> None:
    folders = ("search",) if library in ELSEWHERE else ("models", "objectives", "search")
    users = {path for path in files(*folders) if library in roots(path)}
    assert users <= {ROOT / "search" / name for name in HOMES[library]}


@pytest.mark.parametrize("path", files(*FOLDERS), ids=shown)
def test_only_public_names_of_ray_optuna_and_mlflow(path: Path) -> None:
    assert private_names(path.read_text()) == set()


def test_files_are_found() -> None:
    assert {shown(path) for path in files(*FOLDERS)} >= {
        "models/layers.py",
        "objectives/losses/mmd.py",
        "search/train/pack.py",
    }


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from ray._private import worker", {"ray._private.worker"}),
        ("def f():\n    import mlflow.store._thing as thing", {"mlflow.store._thing"}),
        ("from optuna.trial import _FrozenTrial", {"optuna.trial._FrozenTrial"}),
        ("import ray\nray._private.services.address()", {"ray._private"}),
        ("from ray import tune as t\nt.execution._run()", {"t.execution._run"}),
        ("import ray, _thread\nfrom torch import _C\nprint(ray.__version__)", set()),
    ],
)
def test_private_names_are_noticed(source: str, expected: set[str]) -> None:
    assert private_names(source) == expected


def test_imports_are_noticed() -> None:
    source = "import a.b, c as d\nfrom e.f import g\nif x:\n    def h():\n        from . import i"
    assert imported(source) == {"a.b", "c", "e.f.g", "..i"}
