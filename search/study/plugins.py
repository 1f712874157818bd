"""Plug-ins: models, objectives, scores and problems of users' own, merged into the registries.

They come as entry points of installed packages, as modules that a study names, or as entries that a program writes into
the registries itself. What isn't installed travels to the workers by value.
"""

import inspect
import pickle
import re
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module, metadata
from pathlib import Path
from types import ModuleType
from typing import Any

import cloudpickle

from models import MODELS, Model
from objectives import OBJECTIVES, PROBLEMS, SCORES, Problem
from objectives.losses import Objective
from objectives.scores import Score
from search.errors import GenseekError, StudyError
from search.study.configuration import Training
from search.study.goals import RESERVED
from search.study.space import NAMES, arguments_of

REGISTRIES: dict[str, tuple[dict[str, Any], type]] = {
    "models": (MODELS, Model),
    "objectives": (OBJECTIVES, Objective),
    "scores": (SCORES, Score),
    "problems": (PROBLEMS, Problem),
}
TAKEN = {"models": ("model", "objective", *arguments_of(Training)), "scores": (), "problems": ("name",)}
TAKEN["objectives"] = TAKEN["models"]
MOST_LETTERS = 60  # of a name: MLflow takes 250, with what is put before it
_NOWHERE = ModuleType("nowhere")
_origins: dict[tuple[str, str], str] = {}  # by kind and name, as a user knows it
_homes: dict[tuple[str, str], str] = {}  # the same: a file that was changed may replace what it gave before
_files: dict[Path, tuple[str, ModuleType]] = {}


@cache
def merge_installed() -> None:
    """Merge what installed packages announce as entry points, `genseek.models` and so on; once a process.

    Raises:
        StudyError: an entry point can't be imported or merged.
    """
    for kind in REGISTRIES:
        for point in metadata.entry_points(group=f"genseek.{kind}"):
            origin = f"entry point {point.name} = {point.value}"
            _merge(kind, point.name, _imported(point.load, origin), origin, home=origin)


def merge_module(name: str, folder: Path) -> None:
    """Merge the dicts `MODELS`, `OBJECTIVES`, `SCORES` and `PROBLEMS` of a module, those of them that it has.

    Args:
        name: of a file that ends in .py, or else of a module that can be imported.
        folder: where the file is, if its name says no more.

    Raises:
        StudyError: the module can't be imported, has none of the dicts, or something in them can't be merged.
    """
    origin = f"plug-in {name}"
    path = (folder / name).resolve()
    file = name.endswith(".py")
    module = _executed(path, origin) if file else _imported(lambda: import_module(name), origin)
    found = {kind: vars(module)[kind.upper()] for kind in REGISTRIES if kind.upper() in vars(module)}
    if not found:
        raise StudyError(f"{origin}: expected at least one of {', '.join(kind.upper() for kind in REGISTRIES)}")
    for kind, entries in found.items():
        if not isinstance(entries, dict):
            raise StudyError(f"{origin}: {kind.upper()} is {entries!r}, expected a dict of classes by name")
        for entry, thing in list(entries.items()):
            _merge(kind, entry, thing, origin, home=str(path) if file else name)


@contextmanager
def blamed(where: str, **names: Iterable[str]) -> Iterator[None]:
    """Tell an error that a plug-in's code raises, or that comes of what it returns, as its author's.

    Args:
        where: what the line begins with.
        names: of what is at work, by registry: `models=["net"], objectives=["energy"]`.

    Raises:
        StudyError: an error passed through a plug-in's file, or one of `names` is a plug-in.
    """
    try:
        yield
    except GenseekError:
        raise
    except Exception as error:
        at_work = [(kind, name, REGISTRIES[kind][0].get(name)) for kind, own in names.items() for name in own]
        foreign = [each for each in at_work if each[2] is not None and not _ours(each[2])]
        places = {str(path) for path in _files} | {_file_of(thing) for *_, thing in foreign}
        frames = [(at.filename, at.lineno) for at in traceback.extract_tb(error.__traceback__) if at.filename in places]
        if not frames and not foreign:
            raise
        file, line = frames[-1] if frames else _defined(foreign[0][2])
        origins = dict.fromkeys(_origins.get((kind, name)) or f"{kind[:-1]} {name!r}" for kind, name, _ in foreign)
        culprit = ", ".join(origins) or f"plug-in {Path(file).name}"
        said = " ".join(str(error).split())
        if frames or not isinstance(error, ValueError):  # which says by itself what was expected
            said = f"{type(error).__name__}: {said}"
        place = f" ({Path(file).name}, line {line})" if file else ""
        raise StudyError(f"{where}: {culprit}: {said}{place}") from error


def check_name(kind: str, name: object, where: str = "") -> None:
    """Refuse a name in a registry that MLflow can't keep, or that is taken for something else.

    Raises:
        StudyError: it is one; after `where`.
    """
    what = f"{where or kind.removesuffix('s')} {name!r}"
    if not isinstance(name, str) or not re.fullmatch(rf"\w[\w.-]{{0,{MOST_LETTERS - 1}}}", name, re.ASCII):
        raise StudyError(f"{what}: expected a name of up to {MOST_LETTERS} letters, digits, '.', '_' and '-'")
    if kind == "scores" and name in RESERVED:
        raise StudyError(f"{what}: genseek records something else as {name}; choose another name")


def source_of(model: str) -> str | None:
    """Text of a module that has this plug-in model in its `MODELS`, "" where it can't be had; None for our own models.

    A class of a program or a notebook has no such text: to import it would be to run the program.
    """
    thing = MODELS[model]
    if _ours(thing):
        return None
    for text, module in [*_files.values(), *_text_of(sys.modules.get(thing.__module__))]:
        given = vars(module).get("MODELS")
        if isinstance(given, dict) and given is not MODELS and given.get(model) is thing:
            return text
        for name, value in vars(module).items():
            if value is thing:
                return f"{text}\n\nMODELS = {{{model!r}: {name}}}\n"
    return ""


def pickled_by_value(value: Any, out_of_band: Callable[[pickle.PickleBuffer], Any] | None = None) -> bytes:
    """Pickle of `value` in which the classes of modules that aren't installed travel by value."""
    classes = [thing for registry, _ in REGISTRIES.values() for thing in registry.values()]
    for top in {thing.__module__.partition(".")[0] for thing in classes} - {"__main__", "models", "objectives"}:
        if top in sys.modules and not _installed(sys.modules[top]):
            cloudpickle.register_pickle_by_value(sys.modules[top])
    return bytes(cloudpickle.dumps(value, protocol=5, buffer_callback=out_of_band))


def _ours(thing: Any) -> bool:
    return str(thing.__module__).partition(".")[0] in ("models", "objectives")


def _file_of(thing: Any) -> str:
    """Path of the file that a plug-in's class comes from, or an empty string."""
    executed = [str(path) for path, (_, module) in _files.items() if module.__name__ == thing.__module__]
    return executed[0] if executed else str(vars(sys.modules.get(thing.__module__) or _NOWHERE).get("__file__") or "")


def _defined(thing: Any) -> tuple[str, int]:
    """Path and line at which a plug-in's class is defined; no path where that isn't known."""
    file = _file_of(thing)
    if file and Path(file).exists():
        lines = Path(file).read_text(encoding="utf-8", errors="replace").splitlines()
        for number, line in enumerate(lines, start=1):
            if re.match(rf"\s*class {re.escape(thing.__name__)}\b", line):
                return file, number
    return file, 1


def _text_of(module: ModuleType | None) -> list[tuple[str, ModuleType]]:
    try:
        return [] if module is None or module.__name__ == "__main__" else [(inspect.getsource(module), module)]
    except (OSError, TypeError):
        return []


def _installed(module: ModuleType) -> bool:
    file = Path(vars(module).get("__file__") or "")
    return any(file.is_relative_to(sysconfig.get_path(name)) for name in ("purelib", "platlib", "stdlib"))


def _executed(path: Path, origin: str) -> ModuleType:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StudyError(f"{origin}: can't read the file ({error})") from error
    if path not in _files or _files[path][0] != text:
        module = ModuleType(f"genseek_plugin_{path.stem}")
        vars(module)["__file__"] = str(path)
        # Only while it runs is it among the imported modules: what can't be found there is pickled by value.
        sys.modules[module.__name__] = module
        try:
            _imported(lambda: exec(compile(text, str(path), "exec"), vars(module)), origin)
        finally:
            del sys.modules[module.__name__]
        _files[path] = text, module
    return _files[path][1]


def _imported(load: Callable[[], Any], origin: str) -> Any:
    try:
        return load()
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        said = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise StudyError(
            f"{origin}: can't be imported ({said}; {Path(last.filename).name}, line {last.lineno})"
        ) from error


def _merge(kind: str, name: str, thing: Any, origin: str, *, home: str) -> None:
    registry, base = REGISTRIES[kind]
    check_name(kind, name, f"{origin}: {kind.removesuffix('s')}")
    where = f"{origin}: {kind.removesuffix('s')} {name!r}"
    if registry.get(name) is thing:
        return
    misfits = inspect.isclass(thing) and issubclass(thing, base)
    if not misfits:
        raise StudyError(f"{where} is {thing!r}, expected a subclass of {base.__module__}.{base.__qualname__}")
    if inspect.isabstract(thing):
        raise StudyError(f"{where} doesn't define {', '.join(sorted(thing.__abstractmethods__))}")
    if name in registry and _homes.get((kind, name)) != home:
        holder = _origins.get((kind, name)) or f"{registry[name].__module__}.{registry[name].__qualname__}"
        raise StudyError(f"{where}: the name is taken by {holder}")
    _check_arguments(thing, TAKEN[kind], where)
    registry[name], _origins[kind, name], _homes[kind, name] = thing, origin, home


def _check_arguments(constructor: Any, taken: tuple[str, ...], where: str) -> None:
    try:
        arguments = arguments_of(constructor)
    except (KeyError, NameError) as error:
        raise StudyError(f"{where}: an argument has no known type ({error})") from error
    for argument in arguments.values():
        if argument.kind not in NAMES:
            raise StudyError(f"{where}: {argument.name} must be a bool, int, float or Literal, not {argument.kind}")
        if argument.name in taken:
            raise StudyError(f"{where}: {argument.name} is the name of another key of a study; choose another")
    for parameter in inspect.signature(constructor).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and parameter.name not in arguments:
            raise StudyError(f"{where}: {parameter.name} has no default")
