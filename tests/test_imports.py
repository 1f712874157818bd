"""Who may import whom: the table of folders and outside libraries, held by parsing every file."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LEAVES = {"checkpoints", "environment", "errors", "formats", "log", "text"}  # of search/, for every room
# For each room of search/ the rooms and packages that it imports, besides the leaves. Data flows down this table.
ROOMS: dict[str, set[str]] = {
    "study": {"models", "objectives"},
    "events": {"study"},
    "train": {"study", "events", "models", "objectives"},
    "schedule": {"study", "events", "models", "objectives"},
    "rank": {"study", "events", "objectives"},
    "tune": {"study", "events", "train", "schedule"},
    "record": {"study", "events", "rank", "objectives"},
    "export": {"study", "train", "rank", "record", "models", "objectives"},
    "report": {"study", "events", "train", "rank", "record", "export", "models", "objectives"},
    "run": {
        *("study", "events", "train", "schedule", "rank", "tune", "record", "export", "report"),
        *("models", "objectives"),
    },
    "cli": {"study", "events", "rank", "tune", "record", "export", "report", "run", "models", "objectives"},
    "testing": {"study", "train", "models", "objectives"},
}
# The rooms of search/ (or its leaf) that an outside library is used in.
HOMES = {
    "ray": {"tune"},
    "optuna": {"schedule", "report"},
    "mlflow": {"record", "export"},
    "sqlalchemy": {"record"},
    "matplotlib": {"report"},
    "plotly": {"report"},
    "jinja2": {"report"},
    "markupsafe": {"report"},
    "sklearn": {"report"},
    "threadpoolctl": {"run", "report"},
    "typer": {"cli"},
    "rich": {"cli"},
    "cloudpickle": {"study"},
    "safetensors": {"train", "testing"},
    "scipy": {"schedule", "report"},
    "pandas": {"cli", "export"},
    "pyarrow": {"checkpoints"},
    "fsspec": {"checkpoints"},
    "torch": {"train", "tune", "export", "report", "run", "cli", "testing"},
    "numpy": {"study", "train", "schedule", "rank", "export", "report", "run", "testing"},
}
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
    fitted = {"classical.py": {"sklearn"}, "t_copula.py": {"scipy"}, "vine.py": {"pyvinecopulib"}}
    assert roots(path) <= {"torch", "models"} | fitted.get(path.name, set())


@pytest.mark.parametrize("path", files("objectives"), ids=shown)
def test_objectives_know_no_model_and_nothing_of_search(path: Path) -> None:
    learned = {ROOT / "objectives" / "scores" / name for name in ("clusters.py", "c2st.py")}
    allowed = {"torch", "numpy", "scipy", "pandas", "objectives", "models"}
    assert roots(path) <= allowed | ({"sklearn", "threadpoolctl"} if path in learned else set())
    of_models = {name for name in imported(path.read_text()) if name.partition(".")[0] == "models"}
    assert {name.rpartition(".")[0] for name in of_models} <= STACKING


def room_of(path: Path) -> str:
    """Name of the room that a file of search/ is in, or of the leaf that it is."""
    return path.relative_to(ROOT / "search").parts[0].removesuffix(".py")


def used_by(room: str) -> set[str]:
    """Rooms and packages of this project that the files of a room import."""
    used = set()
    for path in (path for path in files("search") if room_of(path) == room):
        for name in imported(path.read_text()):
            top, _, rest = name.partition(".")
            if top in ("models", "objectives"):
                used.add(top)
            elif top == "search":
                used.add(rest.partition(".")[0])
    return used & {*ROOMS, "models", "objectives"} - {room}


def test_every_file_of_search_is_in_a_room_or_a_leaf() -> None:
    assert {room_of(path) for path in files("search")} == {"__init__", *LEAVES, *ROOMS}


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_what_its_line_of_the_table_says(room: str) -> None:
    assert used_by(room) == ROOMS[room]


def test_no_room_imports_a_room_below_itself_in_the_table() -> None:
    order = list(ROOMS)
    for room, used in ROOMS.items():
        assert {name for name in used & set(ROOMS) if order.index(name) > order.index(room)} == set()


@pytest.mark.parametrize("leaf", sorted(LEAVES))
def test_a_leaf_imports_leaves_alone(leaf: str) -> None:
    used = {name for name in imported((ROOT / "search" / f"{leaf}.py").read_text()) if name.startswith("search.")}
    assert {name.split(".")[1] for name in used} <= LEAVES


def test_an_outside_library_is_at_home_where_its_line_says() -> None:
    found: dict[str, set[str]] = {}
    for path in files("search"):
        for library in roots(path) - {"search", "models", "objectives"}:
            found.setdefault(library, set()).add(room_of(path))
    assert found == HOMES


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
