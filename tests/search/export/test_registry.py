"""The registry: names, aliases, and what makes two problems the same."""

import json
import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from search.errors import GenseekError
from search.export.registry import Registered, identity, register, registered
from search.run.plan import Plan


def registered_winner(plan: Plan) -> Registered:
    return register(plan.store, plan.name, plan.study, plan.task)


@dataclass(frozen=True)
class Searched:
    """The finished search in a store of its own, which tests may write to."""

    plan: Any

    def confirm(self, trial: int, misfit: float) -> None:
        """Record that fresh networks of a trial won, as a confirmation does."""
        store, now = self.plan.store, time.time()  # the later of two counts
        board = store.leaderboard("first")
        for entry in board.finished():
            store.log(entry.run_id, tags={"genseek.finalist": "winner" if entry.trial == trial else "finalist"})
        run_id = board.entry(trial).run_id
        store.log(
            run_id, [(f"confirmed/{name}", value, 0, now) for name, value in (("misfit", misfit), ("low", misfit / 2))]
        )
        folder = self.plan.store.folder / "fetched"
        store.save(run_id, store.fetch(run_id, "checkpoint", folder / str(misfit)), "confirmed")

    @property
    def client(self) -> MlflowClient:
        return MlflowClient(self.plan.store.uri, self.plan.store.uri)

    def trials(self) -> list[int]:
        """Two trials at full budget."""
        return [entry.trial for entry in self.plan.store.leaderboard("first").finished()][:2]


@pytest.fixture
def searched(finished: Any, tmp_path: Path) -> Searched:
    from search import Store

    folder = tmp_path / "store"
    shutil.copytree(finished.folder, folder)
    return Searched(replace(finished.plan, store=Store(folder)))


def test_a_winner_without_a_confirmed_misfit_is_a_challenger_once(searched: Searched) -> None:
    first, again = registered_winner(searched.plan), registered_winner(searched.plan)
    assert (first.name, first.version, first.alias, first.misfit) == ("gaussian_2d", 1, "challenger", None)
    assert (again.version, again.alias) == (1, "challenger")
    assert len(searched.client.search_model_versions("name = 'gaussian_2d'")) == 1
    assert first.in_words() == "gaussian_2d version 1, challenger (misfit not confirmed)"


def test_the_lower_confirmed_misfit_is_champion(searched: Searched) -> None:
    one, other = searched.trials()
    registered_winner(searched.plan)
    searched.confirm(one, 1.5)
    assert registered_winner(searched.plan).in_words() == "gaussian_2d version 2, champion (misfit 1.50)"
    searched.confirm(other, 1.7)
    assert (
        registered_winner(searched.plan).in_words()
        == "gaussian_2d version 3, challenger (misfit 1.70 against 1.50 of version 2)"
    )
    searched.confirm(other, 1.2)
    better = registered_winner(searched.plan)
    assert better.in_words() == "gaussian_2d version 4, champion (misfit 1.20 against 1.50 of version 2)"
    versions = {int(each.version): each for each in searched.client.search_model_versions("name = 'gaussian_2d'")}
    assert versions[2].tags["genseek.lost_to"] == "version 4: misfit 1.2 against 1.5"
    assert [number for number in versions if "genseek.lost_to" in versions[number].tags] == [2]
    listed = {(each.alias, each.version, each.misfit, each.trial) for each in registered(searched.plan.store)}
    assert listed == {("champion", 4, 1.2, other), ("challenger", 3, 1.7, other)}


def test_a_version_says_where_it_comes_from(searched: Searched) -> None:
    (one, _), board = searched.trials(), searched.plan.store.leaderboard("first")
    searched.confirm(one, 1.5)
    registered_winner(searched.plan)
    version = searched.client.get_model_version_by_alias("gaussian_2d", "champion")
    run_id = board.entry(one).run_id
    assert version.run_id == run_id
    assert version.tags["genseek.search"] == "first"
    assert version.tags["genseek.trial"] == str(one)
    assert version.tags["genseek.data_sha256"] == searched.plan.task.rows.digest()
    assert version.tags["genseek.confirmed_low"] == "0.75"
    assert "misfit 1.50" in str(version.description)
    (beside,) = searched.plan.store.folder.rglob("card.md")
    for text in (str(version.description), beside.read_text()):
        assert "`mlflow models serve -m models:/gaussian_2d/VERSION`" in text
        assert "sampler.py" not in text
    outputs: Any = searched.client.get_run(run_id).outputs
    (output,) = outputs.model_outputs
    assert output.model_id in str(version.source)


def test_another_problem_of_the_name_is_another_model(searched: Searched) -> None:
    registered_winner(searched.plan)
    wider = replace(searched.plan.study, problem_arguments={**searched.plan.study.problem_arguments, "test": 200})
    second = registered_winner(replace(searched.plan, study=wider))
    assert second.name.startswith("gaussian_2d-")
    assert (second.version, second.alias) == (1, "challenger")
    assert {each.name for each in registered(searched.plan.store)} == {"gaussian_2d", second.name}


def test_a_model_that_another_search_registers_at_the_same_time(
    searched: Searched, monkeypatch: pytest.MonkeyPatch
) -> None:
    (one, _) = searched.trials()
    registered_winner(searched.plan)
    searched.confirm(one, 1.5)
    find, not_yet = MlflowClient.search_registered_models, iter([list[Any]()])
    monkeypatch.setattr(MlflowClient, "search_registered_models", lambda *given: next(not_yet, find(*given)))
    assert registered_winner(searched.plan).in_words() == "gaussian_2d version 2, champion (misfit 1.50)"


def test_a_model_that_only_others_may_see_is_one_line(searched: Searched, monkeypatch: pytest.MonkeyPatch) -> None:
    registered_winner(searched.plan)
    monkeypatch.setattr(MlflowClient, "search_registered_models", lambda *_: [])
    with pytest.raises(GenseekError, match=r"^registry of .*name=gaussian_2d.*already exists"):
        registered_winner(searched.plan)


def test_a_champion_without_a_confirmed_misfit_can_be_beaten(searched: Searched) -> None:
    (one, _) = searched.trials()
    registered_winner(searched.plan)
    searched.client.set_registered_model_alias("gaussian_2d", "champion", "1")  # by hand
    searched.confirm(one, 0.5)
    assert registered_winner(searched.plan).in_words() == "gaussian_2d version 2, champion (misfit 0.50)"
    beaten = searched.client.get_model_version("gaussian_2d", "1")
    assert beaten.tags["genseek.lost_to"] == "version 2: misfit 0.5 against none that is confirmed"


def test_a_champion_chosen_by_hand_stays_until_it_is_beaten(searched: Searched) -> None:
    one, other = searched.trials()
    for trial, misfit in ((one, 1.5), (other, 1.7)):
        searched.confirm(trial, misfit)
        registered_winner(searched.plan)
    searched.client.set_registered_model_alias("gaussian_2d", "champion", "2")
    searched.confirm(one, 1.8)
    assert (
        registered_winner(searched.plan).in_words()
        == "gaussian_2d version 3, challenger (misfit 1.80 against 1.70 of version 2)"
    )
    searched.confirm(one, 1.6)
    assert (
        registered_winner(searched.plan).in_words()
        == "gaussian_2d version 4, champion (misfit 1.60 against 1.70 of version 2)"
    )


@pytest.mark.parametrize("better_is_late", [True, False])
def test_of_two_searches_that_end_together_the_better_is_champion(
    better_is_late: bool, searched: Searched, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = searched.trials()
    searched.confirm(one, 3.0)
    registered_winner(searched.plan)
    searched.confirm(one, 1.5 if better_is_late else 1.2)
    set_alias, begun = MlflowClient.set_registered_model_alias, list[Any]()

    def late(self: MlflowClient, name: str, alias: str, version: str) -> None:
        if not begun and alias == "champion":  # all of the other search's registration comes in between
            begun.append(version)
            searched.confirm(other, 1.2 if better_is_late else 1.5)
            begun.append(registered_winner(searched.plan).alias)
        set_alias(self, name, alias, version)

    monkeypatch.setattr(MlflowClient, "set_registered_model_alias", late)
    registered_winner(searched.plan)
    assert begun[0] == "2"
    champion = searched.client.get_model_version_by_alias("gaussian_2d", "champion")
    assert champion.tags["genseek.confirmed_misfit"] == "1.2"


def test_a_store_without_a_registry_is_one_line(searched: Searched, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow.exceptions import MlflowException

    def absent(*_: object, **__: object) -> None:
        raise MlflowException("no registry here\nat all")

    monkeypatch.setattr(MlflowClient, "search_registered_models", absent)
    with pytest.raises(GenseekError, match=r"^registry of .*: no registry here$"):
        registered_winner(searched.plan)


def table(folder: Path, frame: pd.DataFrame, name: str = "prices.csv", seed: int = 0, **arguments: Any) -> str:
    """Identity of a search on a table."""
    from search.run.prepare import task_of
    from search.study.parse import load_study, problem_of

    path = folder / name
    path.parent.mkdir(exist_ok=True)
    frame.to_csv(path, index=False)
    study = load_study("all_families")
    study = replace(study, problem="table", problem_arguments={"data": str(path), **arguments})
    study = replace(study, budget=replace(study.budget, seed=seed))
    task: Any = task_of(study, problem_of(study))
    return identity(study, task)


def test_a_table_is_its_columns_and_rows(tmp_path: Path) -> None:
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(80, 2)), columns=["open price", "Höhe"])
    first = table(tmp_path, frame)
    assert table(tmp_path, frame, "copies/other.csv", seed=5) == first
    assert table(tmp_path, frame[::-1], columns="open price,Höhe", validation=0.2) == first
    changed: Any = frame.copy()
    changed.iloc[3, 0] += 1e-9
    other = [
        table(tmp_path, changed),
        table(tmp_path, frame.rename(columns={"Höhe": "Breite"})),
        table(tmp_path, frame, columns="open price"),
        table(tmp_path, frame, test=0.3),
    ]
    assert len({first, *other}) == 5


def test_the_command_line_lists_what_is_registered(searched: Searched, genseek: Any) -> None:
    registered_winner(searched.plan)
    code, out, _ = genseek("list", "registry", "--store", searched.plan.store.folder, "--json")
    (row,) = json.loads(out)
    assert code == 0
    assert (row["name"], row["version"], row["alias"], row["misfit"], row["search"]) == (
        "gaussian_2d", 1, "challenger", None, "first",
    )  # fmt: skip
