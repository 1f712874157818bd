"""What a search says of itself in MLflow: description, winner, data set."""

import json
import time
from dataclasses import replace
from typing import Any

from mlflow import MlflowClient

from search.events.events import Started
from search.rank.families import best_of_families
from search.record.describe import describe_search, description
from search.record.store import Store
from search.record.view import tag_of
from search.study.configuration import Configuration
from search.study.goals import Goals


def test_the_description_is_the_leaderboard(finished: Any) -> None:
    store = Store(finished.folder)
    board, found = store.leaderboard("first"), store.search("first")
    winner = board.winner()
    text = MlflowClient(store.uri).get_run(found.run_id).data.tags["mlflow.note.content"]
    assert text == description(board, winner, f"#/experiments/{found.experiment}/runs")
    assert text.startswith(f"**Winner: [trial {winner.trial}](#/experiments/{found.experiment}/runs/{winner.run_id})**")
    lines = [line for line in text.splitlines() if line.startswith("| [trial")]
    assert [int(line[9:].split("]")[0]) for line in lines] == [entry.trial for entry in board.ranked()[:10]]
    assert f"| {winner.misfit:.2f}&emsp;" in lines[0]
    for reference in board.references["validation"]:
        assert f"\n| {reference}&emsp;" in text
    assert f"{board.floors['validation']['ad'].upper:.2f}" in text
    families = text.partition("### Best of each family")[2].partition("###")[0]
    for best in best_of_families(board):
        (line,) = [line for line in families.splitlines() if line.startswith(f"| {best.family}&emsp;")]
        assert f"| {best.told}&emsp; | {best.misfit:.2f}&emsp;" in line
    assert ">2<" not in text  # which Markdown would take for a tag
    assert "genseek export first --out DIR" in text
    assert len(text) < 8000  # what a tag may hold


def test_finalists_are_described(finished: Any) -> None:
    board = Store(finished.folder).leaderboard("first")
    best = board.winner()
    confirmed = {"misfit": 1.5, "low": 1.25, "high": 1.75, "optimism": 0.1, "p_value": 1.0}
    crowned = replace(best, confirmed=confirmed, verdict="winner")
    entries = [crowned if entry.trial == best.trial else entry for entry in board.entries]
    text = description(replace(board, entries=entries), crowned, "#")
    assert "### Fresh networks on test rows" in text
    assert "| 1.50&emsp; | 1.25-1.75&emsp; | +10%&emsp; | winner&emsp; |" in text
    assert "Fresh networks" not in description(board, best, "#")


def test_a_trial_that_breaks_a_bound_is_listed_as_one(finished: Any) -> None:
    board = finished.result.board
    text = description(replace(board, goals=Goals(bounds={"overfit": 1e-6})), None, "#")
    ranking = text.partition("### Best trials")[2]
    assert ranking.count("(breaks a bound)") == len(board.finished())
    assert ranking.count("(stopped)") == len(board.entries) - len(board.finished())


def test_the_winner_alone_is_tagged(finished: Any) -> None:
    store = Store(finished.folder)
    board, client = store.leaderboard("first"), MlflowClient(store.uri)
    tagged = client.search_runs(store.experiments(), "tags.genseek.winner = 'true'")
    assert [run.info.run_id for run in tagged] == [board.winner().run_id]
    assert client.get_run(store.search("first").run_id).data.tags["genseek.winner"] == board.winner().run_id


def test_another_winner_takes_the_tag(store_folder: Any) -> None:
    store = Store(store_folder)
    parent = store.begin("first", {}, {})
    runs = []
    for trial, misfit in enumerate((2.0, 3.0)):
        run = store.begin_trial(
            parent,
            f"trial {trial}",
            Started(trial=trial, configuration=Configuration(model="vae", objective="elbo"), seed=1, time=time.time()),
        )
        store.log(run, [("misfit", misfit, 5, 1.0), ("epoch", 5, 5, 1.0)], tags={"genseek.outcome": "finished"})
        runs.append(run)
    floors: dict[str, dict[str, float]] = {"validation": {}, "test": {}}
    summary = {"references": floors, "floors": floors, "provenance": {}}
    store.save_json(parent, "search.json", summary)
    describe_search(store, "first")
    store.log(runs[1], [("misfit", 1.0, 6, 1.0)])
    describe_search(store, "first")
    client = MlflowClient(store.uri)
    assert [client.get_run(run).data.tags["genseek.winner"] for run in runs] == ["false", "true"]


def test_a_search_without_a_winner_is_described_too(store_folder: Any) -> None:
    store = Store(store_folder)
    parent = store.begin("first", {}, {})
    floors: dict[str, dict[str, float]] = {"validation": {}, "test": {}}
    store.save_json(parent, "search.json", {"references": floors, "floors": floors, "provenance": {}})
    describe_search(store, "first")
    tags = MlflowClient(store.uri).get_run(parent).data.tags
    assert "Winner" not in tags["mlflow.note.content"]
    assert tags["genseek.winner"] == ""


def test_data_sets_are_inputs_of_every_run(finished: Any) -> None:
    store = Store(finished.folder)
    client, found, rows = MlflowClient(store.uri), store.search("first"), finished.plan.task.rows
    for run_id in (found.run_id, *(entry.run_id for entry in store.leaderboard("first").entries)):
        inputs: Any = client.get_run(run_id).inputs
        (noted,) = inputs.dataset_inputs
        assert (noted.dataset.name, noted.dataset.source_type) == ("gaussian_2d", "code")
        assert rows.digest().startswith(noted.dataset.digest)
        columns = [column["name"] for column in json.loads(noted.dataset.schema)["mlflow_colspec"]]
        assert columns == list(finished.plan.task.columns)
        assert '"train_rows": 100' in noted.dataset.profile
        assert [tag.value for tag in noted.tags] == ["training"]


def test_an_experiment_a_study_and_a_view_a_search(finished: Any) -> None:
    store = Store(finished.folder)
    experiment = MlflowClient(store.uri).get_experiment(store.search("first").experiment)
    assert experiment.name == "genseek/tiny"
    state = experiment.tags[tag_of("first")]
    assert len(state) < 5000  # what a tag of an experiment may hold
