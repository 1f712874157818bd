"""The pages run from top to bottom, each in a folder and a store of its own."""

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from claims import claimed
from markdown_pages import Block, names, page
from page_scene import Scene, forms

RUN = {"file", "python", "study", "shell", "printed", "filters"}
PAGES = [name for name in names() if any(set(claimed(block)) & RUN for block in page(name).blocks)]


def small_plan(plan_search: Callable[..., Any]) -> Callable[..., Any]:
    """`plan_search` of a budget that takes seconds."""
    from search import with_overrides

    @functools.wraps(plan_search)
    def plan(study: Any, *arguments: Any, **options: Any) -> Any:
        return plan_search(with_overrides(study, trials=3, epochs=4), *arguments, **options)

    return plan


@pytest.fixture
def scene(
    ray_cluster: None,
    clean_registries: None,
    new_store: Callable[[Path], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    genseek: Callable[..., tuple[int, str, str]],
) -> Scene:
    import search

    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(search, "plan_search", small_plan(search.plan_search))
    new_store(tmp_path / "genseek-store")
    return Scene(genseek)


def check_printed(block: Block, scene: Scene) -> None:
    """Columns and labels of a shown table are those that the page's commands print."""
    real = forms("\n".join(scene.printed))
    assert not (lost := forms(block.text) - real), f"{block.place}: {sorted(lost)} is not among {sorted(real)}"


def check_filters(block: Block, scene: Scene) -> None:
    """MLflow takes the filters, and runs of a search have what they name."""
    from mlflow import MlflowClient

    from search import Store

    scene.search("first")
    client = MlflowClient(Store("genseek-store").uri)
    experiments = [each.experiment_id for each in client.search_experiments()]
    runs = client.search_runs(experiments)
    for line in block.text.splitlines():
        client.search_runs(experiments, line)
        for kind, quoted, plain in re.findall(r"(tags|params|metrics)\.(?:`([^`]+)`|([\w.]+))", line):
            name = quoted or plain
            assert any(name in getattr(run.data, kind) for run in runs), f"{block.place}: no run has {kind}.{name}"


def run_page(blocks: tuple[Block, ...], scene: Scene) -> None:
    """All blocks in order, but for what was printed, which comes last."""
    last = {"printed": check_printed, "filters": check_filters}
    scene.finalists = int(any(set(claimed(block)) & last.keys() for block in blocks))
    for block in blocks:
        for name in set(claimed(block)) & (RUN - last.keys()):
            getattr(scene, name)(block)
    for block in blocks:
        for name in set(claimed(block)) & last.keys():
            last[name](block, scene)


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow) for name in PAGES])
def test_a_page_runs(name: str, scene: Scene) -> None:
    run_page(page(name).blocks, scene)


def test_shown_tables_are_compared_by_columns_and_labels() -> None:
    shown = "first: best trials on validation rows\n    model  misfit  ad\ntrial 38  gmm, likelihood  1.73  3.91\n"
    assert forms(shown) == forms(shown.replace("first", "other").replace("1.73", "12.5").replace("38", "2"))
    for old, new in (("misfit", "misfits"), ("3.91", ""), ("validation", "test"), ("trial 38", "try 38")):
        assert forms(shown) != forms(shown.replace(old, new))
