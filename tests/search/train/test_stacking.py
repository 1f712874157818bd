"""Stacking: packs grow while their measured steps are cheap, and no padding costs more than it spares."""

from typing import Any

import pytest

from search.study.configuration import Configuration, Training, stack_key
from search.train.group import Group
from search.train.stacking import MOST, UNMEASURED, WORTH, Machine, Stacking
from search.train.trial import Trial

MACHINE = Machine(step=1e-3, product=1e-10)


def group(
    make_task: Any, count: int = 1, width: int = 8, seconds: float = 0.0, batch: int = 20, **fields: Any
) -> Group:
    task, chosen = (
        make_task(**fields),
        Configuration(
            model="pushforward",
            objective="mmd",
            model_arguments={"width": width},
            objective_arguments={},
            training=Training(batch=batch),
        ),
    )
    joined = Group.join([Group.of(Trial(chosen, task, seed)) for seed in range(count)])
    joined.seconds = seconds
    return joined


def test_room_grows_with_cheap_steps(make_task: Any) -> None:
    stacking = Stacking(MACHINE)
    budget = WORTH * MACHINE.step  # seconds that a step of the whole pack may take
    eight = [group(make_task, 8, seconds=seconds) for seconds in (budget / 1.5, budget / 1.25, budget, 2 * budget)]
    assert [stacking.room(each) for each in eight] == [4, 2, 0, 0]
    slower = Stacking(Machine(step=2 * MACHINE.step, product=0))  # a machine whose smallest step takes longer
    assert [slower.room(each) for each in eight] == [16, 12, 8, 0]


def test_a_measured_pack_grows_as_if_each_trial_cost_as_much(make_task: Any) -> None:
    stacking = Stacking(MACHINE)
    cheap = WORTH * MACHINE.step / 3.25  # a pack of so many times its trials would just misfit
    assert [stacking.room(group(make_task, count, seconds=cheap)) for count in (1, 2, 5)] == [2, 4, 11]


def test_a_few_train_stacked_before_their_steps_are_measured(make_task: Any) -> None:
    for machine in (MACHINE, Machine(step=1e-9, product=0.0)):
        stacking = Stacking(machine)
        assert [stacking.room(group(make_task, count)) for count in (1, 3, 4, 6)] == [3, 1, 0, 0]
    cheap = MACHINE.step / 100
    joined = Group.join([group(make_task, 2, seconds=cheap), group(make_task, 1, seconds=cheap)])
    assert joined.seconds == 0  # what its parts took says nothing of the whole
    assert Stacking(MACHINE).room(joined) == UNMEASURED - 3


@pytest.mark.parametrize(("most", "first"), [(None, UNMEASURED), (1, 1), (3, 3), (9, UNMEASURED)])
def test_trials_to_begin_with(most: int | None, first: int) -> None:
    assert Stacking(MACHINE, most).first == first


def test_no_pack_grows_beyond_the_most(make_task: Any) -> None:
    stacking = Stacking(MACHINE)
    large = group(make_task, 1, seconds=1e-9)
    large.trials = large.trials * (MOST - 1)
    assert stacking.room(large) == 1
    large.trials += large.trials[:1]
    assert stacking.room(large) == 0


@pytest.mark.parametrize(("most", "room"), [(1, 0), (2, 0), (3, 1), (9, 7)])
def test_a_number_decides_alone(most: int, room: int, make_task: Any) -> None:
    stacking = Stacking(MACHINE, most)
    assert [stacking.room(group(make_task, 2, seconds=seconds)) for seconds in (0.0, 1e-9, 1e9)] == [room] * 3
    assert stacking.worth(group(make_task, width=4), group(make_task, width=512))


def test_padding_is_weighed_against_a_step(make_task: Any) -> None:
    stacking = Stacking(MACHINE)
    narrow, alike, wide = (group(make_task, width=width) for width in (8, 12, 512))
    assert stacking.worth(narrow, alike)
    assert stacking.worth(wide, wide)
    assert not stacking.worth(narrow, wide)
    assert not stacking.worth(wide, narrow)
    assert Stacking(Machine(step=1.0, product=1e-10)).worth(narrow, wide)  # where a step's start outweighs arithmetic
    assert Stacking(Machine(step=1e-3, product=1e-14)).worth(narrow, wide)


def test_every_narrow_network_and_every_row_weighs(make_task: Any) -> None:
    wide = group(make_task, width=128)
    one, ten = group(make_task, width=8), group(make_task, 10, width=8)
    parameters = [sum(p[0].numel() for p in each.pack.model.parameters()) for each in (one, wide)]
    wasted = 3 * 20 * (parameters[1] - parameters[0])  # multiplications for each narrow network
    between = Stacking(Machine(step=4.5, product=1 / wasted))
    assert between.worth(one, wide)
    assert not between.worth(ten, wide)
    assert not between.worth(wide, ten)
    assert not between.worth(group(make_task, width=8, batch=100), group(make_task, width=128, batch=100))
    replicated = group(make_task, width=8, replicas=10)
    assert not between.worth(replicated, wide)


def test_depths_pad_too(make_task: Any) -> None:
    task = make_task()
    shallow, deep = (
        Group.of(
            Trial(
                Configuration(
                    model="pushforward",
                    objective="mmd",
                    model_arguments={"depth": depth},
                    objective_arguments={},
                    training=Training(batch=20),
                ),
                task,
                0,
            )
        )
        for depth in (1, 6)
    )
    assert not Stacking(Machine(step=1e-3, product=1e-8)).worth(shallow, deep)
    assert Stacking(Machine(step=1e-3, product=1e-11)).worth(shallow, deep)


def test_what_trials_must_share() -> None:
    base = Configuration(
        model="vae",
        objective="elbo",
        model_arguments={"latent": 2},
        objective_arguments={"beta": 1.0},
        training=Training(batch=20),
    )
    alike = Configuration(
        model="vae",
        objective="elbo",
        model_arguments={"latent": 5},
        objective_arguments={"beta": 2.0},
        training=Training(batch=20, optimizer="sgd", l1=0.1),
    )
    assert stack_key(base) == stack_key(alike)
    others = (
        Configuration(model="lars_vae", objective="elbo", training=base.training),
        Configuration(model="vae", objective="w2_vae", training=base.training),
        Configuration(model="vae", objective="elbo", training=Training(batch=25)),
    )
    assert len({stack_key(base), *map(stack_key, others)}) == 4


def test_a_machine_is_measured() -> None:
    found = Machine.measured("cpu")
    assert 1e-6 < found.step < 1
    assert 1e-14 < found.product < 1e-6
