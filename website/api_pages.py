"""Pages of the reference for programs: the public names of search, models and objectives, by mkdocstrings."""

from types import ModuleType

import models
import objectives
import search

# What a plug-in or an export needs besides the packages' own names.
MORE = {
    "search": [f"search.testing.check_{kind}" for kind in ("model", "loss", "score", "problem")],
    "models": ["models.generator.Generator", "models.generator.load", "models.adapter.pushforward_of"],
    "objectives": [
        "objectives.losses.Objective",
        "objectives.losses.protocols",
        "objectives.scores.Score",
        "objectives.scores.Reference",
        "objectives.scores.Measure",
    ],
}
CONSTANTS = {"MODELS", "OBJECTIVES", "PROBLEMS", "REFERENCES", "SCORES", "STANDARD"}


def pages() -> dict[str, str]:
    """Markdown of each page, by its path below docs/."""
    return {f"reference/python_{package.__name__}.md": _page(package) for package in (search, models, objectives)}


def _page(package: ModuleType) -> str:
    name, public = package.__name__, package.__all__
    names = [f"{name}.{each}" for each in public if each not in CONSTANTS]
    return "\n\n".join([f"# Python: {name}", *(f"::: {each}" for each in [*names, *MORE[name]])]) + "\n"
