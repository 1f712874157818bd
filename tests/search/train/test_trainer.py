"""The trainer: trials come and go between epochs, share packs with their kind, and fail by themselves."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, final

import pytest
import torch
from torch import Tensor

from objectives import OBJECTIVES
from objectives.losses import Objective
from objectives.losses.protocols import Pushforward
from search.events.events import Report
from search.events.messages import TrialUpdate
from search.study.configuration import Configuration, Training
from search.train.group import Checkpoint, Group
from search.train.stacking import MOST, UNMEASURED, Machine, Stacking
from search.train.trainer import Trainer
from search.train.trial import Trial

CHEAP = Machine(step=1e6, product=0.0)  # every step is cheap beside the smallest: packs grow as fast as they may
NEVER = 10**6
ADVANCE = Group.advance


class Touchy(Objective[Pushforward]):
    """Squared distance of pairs, which raises at one step of training, or when the pack is larger than memory."""

    protocol: ClassVar[type] = Pushforward
    largest: ClassVar[int] = NEVER

    def __init__(self, rows: Tensor, seed: int, *, fatal: int = NEVER) -> None:
        super().__init__()
        self.fatal: Tensor
        self.steps: Tensor
        self.register_buffer("fatal", torch.tensor([[fatal]]))
        self.register_buffer("steps", torch.zeros(1, 1, dtype=torch.long))

    def loss(self, model: Any, rows: Tensor, noise: Any, train: bool = True) -> Tensor:
        if train:
            self.steps += 1
            if len(rows) > self.largest:
                raise RuntimeError("CUDA out of memory. Tried to allocate 1 GiB")
            if (self.steps >= self.fatal).any():
                raise ArithmeticError("this step\n is fatal")
        losses: Tensor = (model.push(model.draw(noise)) - rows).square().mean((1, 2))
        return losses


STEPS = 5  # of an epoch: 100 rows in batches of 20


@pytest.fixture
def task(make_task: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(Touchy, "largest", NEVER)
    return make_task(range(1, 7), objectives={**OBJECTIVES, "touchy": Touchy})


def configuration(width: int = 6, objective: str = "touchy", batch: int = 20, **arguments: Any) -> Configuration:
    training = Training(batch=batch, learning_rate=0.01)
    return Configuration(
        model="pushforward",
        objective=objective,
        model_arguments={"width": width, "depth": 1},
        objective_arguments=arguments,
        training=training,
    )


def alone(trial: Trial) -> list[Report]:
    again = Trial(trial.configuration, trial.task, trial.seed)
    group = Group.of(again)
    found = []
    while group.epoch(again) < trial.task.epochs:
        group.advance()
        found.append(again.report)
    return found


class Watched:
    """A trainer whose reports, errors and packs of each round are kept; trials leave at their full budget."""

    def __init__(self, trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
        self.trainer = trainer
        self.reports: dict[int, list[Report]] = {}
        self.errors: dict[int, str] = {}
        self.told: list[list[TrialUpdate]] = []
        self.packs: list[list[list[Trial]]] = []

        def seen(group: Group) -> list[Trial]:
            self.packs[-1].append(list(group.trials))
            return ADVANCE(group)

        monkeypatch.setattr(Group, "advance", seen)

    def advance(self, rounds: int = 1) -> None:
        for _ in range(rounds):
            self.packs.append([])
            trials = self.trainer.trials
            told = self.trainer.advance()
            self.told.append(told)
            for each in told:
                if each.error:
                    self.errors[each.trial] = each.error
                    continue
                known = self.reports.setdefault(each.trial, [])
                if not known or each.report.epoch > known[-1].epoch:  # what is said again is not news
                    known.append(each.report)
                if each.report.epoch >= trials[each.trial].task.epochs:
                    self.trainer.remove([each.trial])

    def finish(self, most: int = 200) -> None:
        rounds = 0
        while self.trainer.trials:
            self.advance()
            rounds += 1
            assert rounds < most, "these trials never end"

    def sizes(self) -> list[list[int]]:
        """Trials of the packs of each round."""
        return [sorted(map(len, packs)) for packs in self.packs]


Made = Callable[..., Watched]


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Made:
    return lambda most=None, machine=CHEAP: Watched(Trainer(Stacking(machine, most)), monkeypatch)


def added(watch: Watched, task: Any, chosen: Sequence[Configuration], first: int = 0) -> list[Trial]:
    trials = [Trial(each, task, 50 + first + place) for place, each in enumerate(chosen)]
    for place, trial in enumerate(trials):
        watch.trainer.add(first + place, trial)
    return trials


def test_trials_join_and_leave_and_report_as_alone(watched: Made, task: Any, assert_alike: Any) -> None:
    watch = watched()
    first = added(watch, task, [configuration(width) for width in (4, 8)])
    watch.advance(2)
    second = added(watch, task, [configuration(width) for width in (6, 3)], first=2)
    watch.advance(2)
    watch.trainer.remove([2])
    third = added(watch, task, [configuration(9)], first=7)
    watch.finish()
    expected = dict(zip((0, 1, 2, 3, 7), [*first, *second, *third], strict=True))
    assert sorted(watch.reports) == sorted(expected)
    for number, trial in expected.items():
        reports = alone(trial)
        assert_alike(watch.reports[number], reports[:2] if number == 2 else reports)
    assert watch.errors == {}
    assert max(max(sizes) for sizes in watch.sizes()) == 4
    assert watch.trainer.training == 0
    assert watch.trainer.seconds > 0


def test_packs_grow_and_are_of_one_kind(watched: Made, task: Any) -> None:
    watch = watched()
    kinds = [configuration(), configuration(objective="energy"), configuration(batch=25)]
    added(watch, task, [each for each in kinds for _ in range(5)])
    watch.finish()
    for packs in watch.packs:
        for pack in packs:
            assert len({(t.configuration.objective, t.configuration.training.batch) for t in pack}) == 1
    # Nobody knows yet what a step of the first kind takes, and then of the second: each lets the next kind wait.
    assert watch.sizes()[:4] == [[4], [4, 5], [4, 5, 5], [5, 5, 5]]
    for kind in kinds:
        assert max(len(pack) for packs in watch.packs for pack in packs if pack[0].configuration == kind) == 5
    assert watch.errors == {}


def test_a_dear_step_keeps_trials_apart(watched: Made, task: Any) -> None:
    watch = watched(machine=Machine(step=1e-9, product=0.0))
    added(watch, task, [configuration() for _ in range(7)])
    watch.advance()
    assert watch.sizes() == [[UNMEASURED]]
    assert watch.trainer.room == 1 - 3
    watch.trainer.remove([0])
    watch.advance()
    assert watch.sizes()[1] == [UNMEASURED - 1]  # measured now, so that nobody takes the place
    watch.finish()
    assert watch.sizes()[2:] == [[3]] * 4 + [[3]] * 6


def test_padding_that_is_not_worth_it_keeps_trials_apart(watched: Made, task: Any) -> None:
    watch = watched(machine=Machine(step=1e6, product=1e6))
    added(watch, task, [configuration(width) for width in (4, 64, 4, 64)])
    watch.finish()
    assert [2, 2] in watch.sizes()
    for pack in (pack for packs in watch.packs for pack in packs):
        assert len({trial.configuration.model_arguments["width"] for trial in pack}) == 1


@pytest.mark.parametrize("most", [1, 2, 3])
def test_no_pack_is_larger_than_the_most(most: int, watched: Made, task: Any) -> None:
    watch = watched(most)
    added(watch, task, [configuration() for _ in range(5)])
    watch.finish()
    assert max(size for sizes in watch.sizes() for size in sizes) == most
    assert len(watch.reports) == 5


def test_a_full_pack_lets_others_wait(watched: Made, task: Any) -> None:
    watch = watched(1)
    added(watch, task, [configuration()])
    watch.advance()
    added(watch, task, [configuration(), configuration(objective="energy")], first=1)
    watch.advance()
    assert watch.sizes() == [[1], [1]]
    watch.finish()
    assert [len(reports) for reports in watch.reports.values()] == [6, 6, 6]
    assert list(watch.reports) == [0, 1, 2]


def test_other_kinds_begin_as_long_as_no_pack_is_full(watched: Made, task: Any) -> None:
    first, second, third = configuration(), configuration(objective="energy"), configuration(batch=25)
    open_to_all = watched(3)
    added(open_to_all, task, [first, first, second, second, third])
    open_to_all.advance()
    assert open_to_all.sizes() == [[1, 2, 2]]
    full = watched(2)
    added(full, task, [first, second, second, third, first])
    full.advance()
    assert full.sizes() == [[2, 2]]  # the second kind is full: the third waits, the first has had a place
    full.trainer.remove([1])
    full.advance()
    assert full.sizes()[1] == [1, 2]  # the first kind is full as well


@pytest.mark.parametrize(("most", "first"), [(None, UNMEASURED), (1, 1), (3, 3), (9, UNMEASURED)])
def test_an_idle_trainer_asks_for_what_it_begins_with(most: int | None, first: int, watched: Made, task: Any) -> None:
    watch = watched(most)
    assert watch.trainer.room == first
    added(watch, task, [configuration()])
    assert watch.trainer.room == first - 1
    watch.finish()
    assert watch.trainer.room == first


def test_room(watched: Made, task: Any) -> None:
    watch = watched(4)
    trainer = watch.trainer
    assert trainer.room == 4
    added(watch, task, [configuration()])
    assert trainer.room == 3  # it waits
    watch.advance()
    assert trainer.room == 3
    added(watch, task, [configuration()], first=1)
    assert trainer.room == 2
    watch.advance()
    assert (trainer.room, trainer.training) == (2, 2)
    added(watch, task, [configuration(), configuration()], first=2)
    watch.advance()
    assert trainer.room == 1  # all full, and one to go on with
    added(watch, task, [configuration()], first=4)
    assert trainer.room == 0
    watch.trainer.remove([0, 4])
    assert trainer.room == 1
    assert set(trainer.trials) == {1, 2, 3}


def test_no_trainer_has_more_than_it_may(watched: Made, task: Any) -> None:
    watch = watched(10**6)
    added(watch, task, [configuration()])
    watch.advance()
    assert watch.trainer.room == MOST - 1


def test_seconds_are_a_networks(watched: Made, make_task: Any) -> None:
    watch = watched(4)
    task = make_task(range(1, 7), replicas=2)
    added(watch, task, [configuration(objective="energy")] * 3 + [configuration(objective="energy", batch=25)])
    assert watch.trainer.seconds_a_network() == {}
    watch.advance(3)
    paces = watch.trainer.seconds_a_network()
    assert set(paces) == {("pushforward", "energy", 20), ("pushforward", "energy", 25)}
    assert all(0 < pace < 1 for pace in paces.values())
    assert watch.trainer.training == 8


@pytest.mark.parametrize("epoch", [1, 3, 6])
@pytest.mark.parametrize("culprits", [(2,), (0, 4)])
def test_one_that_raises_ends_alone(
    epoch: int, culprits: tuple[int, ...], watched: Made, task: Any, assert_alike: Any
) -> None:
    watch = watched(8)
    step = STEPS * (epoch - 1) + 2
    fatal: dict[str, Any] = {"fatal": step}
    chosen = [configuration(4 + n, **(fatal if n in culprits else {})) for n in range(5)]
    trials = added(watch, task, chosen)
    watch.finish()
    assert watch.errors == dict.fromkeys(culprits, "ArithmeticError: this step is fatal")
    for number, trial in enumerate(trials):
        if number in culprits:
            assert [report.epoch for report in watch.reports.get(number, [])] == list(range(1, epoch))
        else:
            assert_alike(watch.reports[number], alone(trial))


def test_the_innocent_train_together_again(watched: Made, task: Any, make_task: Any) -> None:
    watch, task = watched(8), make_task(range(1, 13), objectives=task.objectives)
    added(watch, task, [*[configuration() for _ in range(4)], configuration(fatal=STEPS + 1)])
    watch.finish()
    sizes = watch.sizes()
    assert sizes[1] == [5]
    assert [4] in sizes[2:]
    assert sizes.count([5]) == 2  # until the step that is fatal


def test_errors_of_a_judgement_count_too(watched: Made, make_task: Any, assert_alike: Any) -> None:
    class Shy:
        def each(self, generated: Any) -> Any:
            if (generated.std(axis=(1, 2)) < 1e-6).any():
                raise RuntimeError("nothing to see")
            return judge.each(generated)

    judge = make_task().judge
    task = make_task(judge=Shy())
    watch = watched(8)
    # At this strength the penalty takes all weights to zero in one step, and what is left is a constant.
    constant = Configuration(
        model="pushforward",
        objective="energy",
        model_arguments={"width": 4},
        objective_arguments={},
        training=Training(batch=20, l1=1e6),
    )
    good = [configuration(width, objective="energy") for width in (4, 6, 8)]
    trials = added(watch, task, [*good, constant])
    watch.finish()
    assert watch.errors == {3: "RuntimeError: nothing to see"}
    for number, trial in enumerate(trials[:3]):
        assert_alike([watch.reports[number][-1]], [last(trial)])


def last(trial: Trial) -> Report:
    again = Trial(trial.configuration, trial.task, trial.seed)
    group = Group.of(again)
    while group.epoch(again) < again.task.epochs:
        group.advance()
    return again.report


@pytest.mark.parametrize("count", [4, 5, 8])
def test_out_of_memory_halves_and_goes_on(
    count: int, watched: Made, task: Any, assert_alike: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Touchy, "largest", 2)
    watch = watched(16)
    trials = added(watch, task, [configuration(4 + n) for n in range(count)])
    watch.finish()
    assert watch.errors == {}
    for number, trial in enumerate(trials):
        assert_alike(watch.reports[number], alone(trial))
    sizes = [size for packs in watch.sizes() for size in packs]
    assert sum(size > 2 for size in sizes) <= 3  # and no more: it remembers
    assert max(sizes) > 2


def test_halves_are_rounded_up(watched: Made, task: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Touchy, "largest", 3)
    watch = watched(16)
    added(watch, task, [configuration() for _ in range(5)])
    watch.advance(2)
    added(watch, task, [configuration()], first=5)
    watch.finish()
    assert watch.sizes()[:3] == [[5], [2, 3], [3, 3]]
    assert watch.errors == {}


def test_one_that_never_fits_fails(watched: Made, task: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Touchy, "largest", 0)
    watch = watched(16)
    added(watch, task, [configuration(), configuration()])
    watch.finish()
    assert set(watch.errors) == {0, 1}
    assert watch.errors[0].startswith("RuntimeError: CUDA out of memory")


def test_after_a_failure_it_goes_on_from_checkpoints(watched: Made, task: Any, assert_alike: Any) -> None:
    watch = watched(8)
    trials = added(watch, task, [configuration(5)])
    watch.advance()
    trials += added(watch, task, [configuration(7), configuration(4, fatal=STEPS * 4 + 1)], first=1)
    watch.advance(2)
    saved = watch.trainer.checkpoints()
    assert {number: checkpoint.reports[-1].epoch for number, checkpoint in saved.items()} == {0: 3, 1: 2, 2: 2}
    watch.finish()
    assert watch.errors == {2: "ArithmeticError: this step is fatal"}
    said = [each.report.epoch for told in watch.told for each in told if each.trial == 0]
    assert said[:6] == [1, 2, 3, 4, 5, 4]  # the sixth epoch of the first is the fifth of the others
    for number in (0, 1):
        assert_alike(watch.reports[number], alone(trials[number]))


def test_a_trial_comes_with_a_checkpoint(watched: Made, task: Any, assert_alike: Any) -> None:
    first = watched(8)
    trials = added(first, task, [configuration(5)])
    first.advance()
    trials += added(first, task, [configuration(7)], first=1)
    first.advance()
    saved = first.trainer.checkpoints()
    second = watched(8)
    for number, trial in enumerate(trials):
        second.trainer.add(number, Trial(trial.configuration, task, trial.seed), saved[number])
    second.advance()
    assert [(each.trial, each.report.epoch) for each in second.told[0]] == [(0, 3), (1, 2)]
    second.finish()
    for number, trial in enumerate(trials):
        assert_alike(second.reports[number], alone(trial)[2 - number :])


def test_removing(watched: Made, task: Any, assert_alike: Any) -> None:
    watch = watched(2)
    trials = added(watch, task, [configuration(width) for width in (4, 5, 6, 7, 8)])
    watch.advance(2)
    assert watch.sizes() == [[2], [2]]
    watch.trainer.remove([1, 3, 77])  # in training, waiting, and unknown
    assert set(watch.trainer.trials) == {0, 2, 4}
    watch.trainer.remove([])
    watch.finish()
    assert [report.epoch for report in watch.reports[1]] == [1, 2]
    assert 3 not in watch.reports
    for number in (0, 2, 4):
        assert_alike(watch.reports[number], alone(trials[number]))


def test_one_that_cannot_be_built_ends_alone(watched: Made, task: Any, assert_alike: Any) -> None:
    watch = watched(8)
    trials = added(watch, task, [configuration(5), configuration(0), configuration(7)])
    watch.finish()
    assert list(watch.errors) == [1]
    assert watch.errors[1].startswith("ValueError: width and depth must be")
    for number in (0, 2):
        assert_alike(watch.reports[number], alone(trials[number]))


def test_a_checkpoint_of_something_else_ends_its_trial_alone(watched: Made, task: Any) -> None:
    watch = watched(8)
    added(watch, task, [configuration(5)])
    watch.advance()
    other = watch.trainer.checkpoints()[0]
    watch.trainer.add(1, Trial(configuration(9), task, 1), other)
    watch.finish()
    assert list(watch.errors) == [1]
    assert len(watch.reports[0]) == 6


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[int]]:
    """Makes memory too small for groups of more than so many trials while they are stacked; the sizes tried."""
    join = Group.join

    def make(most: int, error: Exception) -> list[int]:
        tried: list[int] = []

        def stacked(groups: Sequence[Group]) -> Group:
            count = sum(len(group.trials) for group in groups)
            if len(groups) > 1:
                tried.append(count)
                if count > most:
                    raise error
            return join(groups)

        monkeypatch.setattr(Group, "join", staticmethod(stacked))
        return tried

    return make


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("CUDA out of memory. Tried to allocate 1 GiB")])
def test_out_of_memory_while_stacking_halves_and_goes_on(
    error: Exception, narrow: Any, watched: Made, task: Any, assert_alike: Any
) -> None:
    tried = narrow(2, error)
    watch = watched(16)
    trials = added(watch, task, [configuration(4 + n) for n in range(8)])
    watch.finish()
    assert watch.errors == {}
    for number, trial in enumerate(trials):
        assert_alike(watch.reports[number], alone(trial))
    assert max(max(sizes) for sizes in watch.sizes()) == 2
    assert sum(count > 2 for count in tried) <= 3  # it remembers


@final
class Stubborn(Touchy):
    """An objective whose tensors join those of others only where they have as many axes."""

    def __init__(self, rows: Tensor, seed: int, *, axes: int = 1, fatal: int = NEVER) -> None:
        super().__init__(rows, seed, fatal=fatal)
        self.register_buffer("odd", torch.zeros([1] * axes))


def test_tensors_that_do_not_join_harm_no_other_trial(watched: Made, make_task: Any, assert_alike: Any) -> None:
    watch = watched(8)
    task = make_task(range(1, 7), objectives={"stubborn": Stubborn})
    odd = [configuration(4 + n, "stubborn", axes=3 if n in (1, 4) else 1) for n in range(6)]
    trials = added(watch, task, odd)
    watch.finish()
    assert watch.errors == {}
    for number, trial in enumerate(trials):
        assert_alike(watch.reports[number], alone(trial))
    assert max(max(sizes) for sizes in watch.sizes()) >= 4  # the others train stacked


def test_where_halves_do_not_join_each_trial_goes_on(narrow: Any, watched: Made, task: Any, assert_alike: Any) -> None:
    watch = watched(8)
    trials = added(watch, task, [*[configuration(4 + n) for n in range(4)], configuration(9, fatal=STEPS * 2 + 1)])
    watch.advance(2)
    narrow(1, ValueError("these shapes don't fit"))
    watch.finish()
    assert set(watch.errors) == {4}
    for number, trial in enumerate(trials[:4]):
        assert_alike(watch.reports[number], alone(trial))


@pytest.mark.parametrize("gone", [[0], [0, 1, 2]])
def test_where_a_trial_cannot_be_taken_out_the_others_go_on(
    gone: list[int], watched: Made, task: Any, assert_alike: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(group: Group, trials: Sequence[Trial]) -> Group:
        if list(trials) == group.trials:
            return group
        raise MemoryError

    watch = watched(8)
    trials = added(watch, task, [configuration(4 + n) for n in range(4)])
    watch.advance()
    with monkeypatch.context() as patch:
        patch.setattr(Group, "keep", full)
        assert watch.trainer.checkpoints() == {}  # which takes each trial out
        watch.trainer.remove(gone)
    watch.finish()
    assert watch.errors == {}
    for number, trial in enumerate(trials):
        assert_alike(watch.reports[number], alone(trial)[:1] if number in gone else alone(trial))


def test_one_trial_without_a_checkpoint_leaves_others_theirs(
    watched: Made, task: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = Checkpoint.of

    def shy(group: Group, trial: Trial) -> Checkpoint:
        if trial.configuration.model_arguments["width"] == 5:
            raise RuntimeError("these tensors share memory")
        return of(group, trial)

    watch = watched(8)
    added(watch, task, [configuration(4 + n) for n in range(3)])
    watch.advance()
    monkeypatch.setattr(Checkpoint, "of", shy)
    assert set(watch.trainer.checkpoints()) == {0, 2}
