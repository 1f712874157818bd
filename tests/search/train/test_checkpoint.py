"""Checkpoints: what goes on from one says what it would have said, and a half-written one is none."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from search.checkpoints import CheckpointStorage
from search.export.export import load_generator
from search.study.configuration import Configuration, Training
from search.train.group import Checkpoint, Group, save_best
from search.train.trial import Trial, rebuilt

TRAINING = Training(batch=20, learning_rate=0.01)
PAIRS = {
    "map": Configuration(model="pushforward", objective="mmd", model_arguments={"width": 6}, training=TRAINING),
    "averaged": Configuration(
        model="ae",
        objective="reconstruction",
        model_arguments={},
        training=Training(batch=20, average=0.8, schedule="cosine"),
    ),
    "descent": Configuration(
        model="vae", objective="elbo", model_arguments={"dropout": 0.2}, training=Training(batch=20, optimizer="sgd")
    ),
    "critic": Configuration(
        model="pushforward",
        objective="wgan_gp",
        model_arguments={"width": 6},
        objective_arguments={"critic_width": 5},
        training=TRAINING,
    ),
    "prior": Configuration(model="lars_vae", objective="lars_vae", training=TRAINING),
    "closed form": Configuration(
        model="gmm", objective="likelihood", model_arguments={"components": 2}, training=TRAINING
    ),
}


def place(folder: Path) -> CheckpointStorage:
    return CheckpointStorage(str(folder / "00000"))


def advanced(group: Group, epochs: int) -> list[str]:
    """Reports of some epochs, so that nan equals nan."""
    return [repr(trial.report) for _ in range(epochs) for trial in group.advance()]


@pytest.mark.parametrize("replicas", [1, 2])
@pytest.mark.parametrize("pair", PAIRS)
def test_what_is_resumed_goes_on_to_the_last_bit(pair: str, replicas: int, make_task: Any, tmp_path: Path) -> None:
    task = make_task((1, 2, 3, 5), replicas=replicas)
    trial = Trial(PAIRS[pair], task, 5)
    group = Group.of(trial)
    advanced(group, 2)
    Checkpoint.of(group, trial).save(place(tmp_path))
    told = advanced(group, 3)

    loaded = Checkpoint.load(place(tmp_path))
    assert loaded is not None
    again = Trial(PAIRS[pair], task, 5)
    resumed = loaded.resumed(again)
    assert resumed.epoch(again) == (5 if pair == "closed form" else 2)
    assert again.architecture
    assert advanced(resumed, 3) == told
    for first, second in ((group.pack.state(), resumed.pack.state()), (trial.best(), again.best())):
        assert first.keys() == second.keys()
        assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())


def test_the_best_of_before_is_kept(make_task: Any, tmp_path: Path) -> None:
    trial = Trial(PAIRS["map"], make_task(), 5)
    group = Group.of(trial)
    advanced(group, 2)
    best = trial.best()
    Checkpoint.of(group, trial).save(place(tmp_path))
    loaded = Checkpoint.load(place(tmp_path))
    assert loaded is not None
    again = Trial(PAIRS["map"], trial.task, 5)
    resumed = loaded.resumed(again)
    with torch.no_grad():
        for parameter in resumed.pack.model.parameters():
            parameter.fill_(math.nan)
    advanced(resumed, 1)
    assert again.report.diverged
    assert again.report.misfit == trial.report.misfit
    assert all(torch.equal(tensor, again.best()[name]) for name, tensor in best.items())


def test_a_trial_before_its_first_judgement(make_task: Any, tmp_path: Path) -> None:
    trial = Trial(PAIRS["map"], make_task((4,)), 5)
    group = Group.of(trial)
    advanced(group, 2)
    Checkpoint.of(group, trial).save(place(tmp_path))
    loaded = Checkpoint.load(place(tmp_path))
    assert loaded is not None
    assert (loaded.best, list(loaded.reports)) == ({}, [])
    assert advanced(loaded.resumed(Trial(PAIRS["map"], trial.task, 5)), 2) == advanced(group, 2)


def test_training_on_does_not_change_a_checkpoint(make_task: Any) -> None:
    trial = Trial(PAIRS["averaged"], make_task(), 5)
    group = Group.of(trial)
    advanced(group, 2)
    saved = Checkpoint.of(group, trial)
    before = {name: tensor.clone() for name, tensor in saved.state.items()}
    advanced(group, 1)
    assert all(torch.equal(tensor, saved.state[name]) for name, tensor in before.items())


def test_a_full_disk_leaves_what_was_whole(make_task: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Checkpoint.load(place(tmp_path)) is None
    trial = Trial(PAIRS["map"], make_task(), 5)
    group = Group.of(trial)
    advanced(group, 1)
    first = Checkpoint.of(group, trial)

    def full(path: Path, content: bytes) -> None:
        with path.open("wb") as file:
            file.write(content[:100])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(Path, "write_bytes", full)
        with pytest.raises(OSError, match="No space"):
            first.save(place(tmp_path))
    assert Checkpoint.load(place(tmp_path)) is None
    first.save(place(tmp_path))

    advanced(group, 1)
    with monkeypatch.context() as broken:
        broken.setattr(Path, "write_bytes", full)
        with pytest.raises(OSError, match="No space"):
            Checkpoint.of(group, trial).save(place(tmp_path))
    older = Checkpoint.load(place(tmp_path))
    assert older is not None
    assert list(older.reports) == list(first.reports)
    Checkpoint.of(group, trial).save(place(tmp_path))
    newer = Checkpoint.load(place(tmp_path))
    assert newer is not None
    assert newer.reports == trial.reports == [*first.reports, trial.report]
    assert newer.architecture == trial.architecture
    assert [path.name for path in tmp_path.iterdir()] == ["00000"]


@pytest.mark.parametrize("pair", PAIRS)
def test_the_best_generator_loads_as_an_export(pair: str, make_task: Any, tmp_path: Path) -> None:
    trial = Trial(PAIRS[pair], make_task(), 5)
    group = Group.of(trial)
    while trial.report.epoch < 6:
        group.advance()
    save_best(trial, place(tmp_path))
    generator = load_generator(tmp_path / "00000")
    assert generator.columns == ("a", "b")
    ours = rebuilt(trial.to_dict(), trial.best()).sample(30, 4).numpy()
    np.testing.assert_array_equal(generator.sample(30, 4).numpy(), ours)


def test_the_code_of_a_plug_in_goes_with_it(make_task: Any, tmp_path: Path) -> None:
    trial = Trial(PAIRS["map"], make_task(sources={"pushforward": "# é\n"}), 5)
    Group.of(trial).advance()
    save_best(trial, place(tmp_path))
    assert (tmp_path / "00000" / "plugin.py").read_bytes() == "# é\n".encode()
    assert json.loads((tmp_path / "00000" / "model.json").read_text())["plugin"] is True
