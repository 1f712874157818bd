"""The studies that come with genseek."""

from importlib import resources


def preset_names() -> list[str]:
    """Return the names of the studies that come with genseek, without importing torch."""
    folder = resources.files("search.study.presets")
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))
