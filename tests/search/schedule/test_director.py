"""The director: who trains what, who stops, and that everything proposed ends exactly once, whatever trainers do."""

import itertools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest

from search.checkpoints import CheckpointStorage
from search.errors import GenseekError
from search.events.events import Ended, Event, Report, Reported, Started, TrainerHeartbeat, Troubled
from search.events.messages import Assignment, Commands, Death, TrainerStatus, TrialUpdate
from search.schedule.asha import Halving
from search.schedule.director import LATE, LOSSES, MOST_DEAD, SLOWER, UNLIMITED, Director, Limits
from search.study.budget import Budget
from search.study.configuration import Configuration, Training, stack_key
from search.study.goals import WORST, Goals

MISFIT = Goals()
A, B, C = (Configuration(model="vae", objective="elbo", training=Training(batch=batch)) for batch in (10, 20, 30))


class Scripted:
    """A proposer that has made up its mind; it keeps what it is told."""

    def __init__(self, configurations: Sequence[Configuration]) -> None:
        self.left = list(configurations)
        self.asked = 0
        self.reports: list[tuple[int, int, float]] = []
        self.told: dict[int, tuple[str, *tuple[float, ...]]] = {}
        self.violations: dict[int, dict[str, float]] = {}

    @property
    def used_up(self) -> bool:
        return not self.left

    def ask(self) -> tuple[int, Configuration]:
        self.asked += 1
        return self.asked - 1, self.left.pop(0)

    def ask_again(self, configuration: Configuration) -> tuple[int, Configuration]:
        assert configuration == self.left[0]
        return self.ask()

    def report(self, number: int, epoch: int, misfit: float) -> None:
        self.reports.append((number, epoch, misfit))

    def tell(self, number: int, outcome: str, values: Sequence[float], violations: Mapping[str, float]) -> None:
        assert number not in self.told
        self.told[number] = (outcome, *values)
        self.violations[number] = dict(violations)


def report(epoch: int, misfit: float, diverged: bool = False) -> Report:
    return Report(epoch=epoch, misfit=misfit, epoch_misfit=misfit, diverged=diverged)


class Stage:
    """A director, its proposer, and all events; trainers are what the test says they are."""

    def __init__(
        self,
        configurations: Sequence[Configuration],
        max_open_trials: int = 99,
        goals: Goals = MISFIT,
        limits: Limits = UNLIMITED,
        **budget: Any,
    ) -> None:
        self.proposer = cast(Any, Scripted(configurations))
        self.events: list[Event] = []
        self.budget = Budget(**{"trials": len(configurations), "epochs": 9, "grace": 9, **budget})
        seeds = [100 + number for number in range(len(configurations))]
        self.director = Director(
            self.proposer,
            self.budget,
            seeds,
            CheckpointStorage("/kept"),
            max_open_trials=max_open_trials,
            listeners=[self.events.append],
            stopper=Halving(self.budget),
            goals=goals,
            limits=limits,
        )
        self.kinds = dict(enumerate(map(stack_key, configurations)))

    def hear(
        self, trainer: str, room: int = 0, held: Sequence[int] = (), news: Sequence[TrialUpdate] = (), **said: Any
    ) -> Commands:
        kinds = frozenset(self.kinds[number] for number in held)
        return self.director.hear(
            TrainerStatus(
                trainer=trainer,
                news=list(news),
                trials=frozenset(held),
                kinds=kinds,
                room=room,
                networks=len(held),
                busy=0.5,
                **said,
            )
        )

    def begins(self, trainer: str, room: int = 0, held: Sequence[int] = (), **said: Any) -> list[int]:
        return [each.trial for each in self.hear(trainer, room, held, **said).begin]

    def ended(self) -> dict[int, str]:
        found = [event for event in self.events if isinstance(event, Ended)]
        assert len({event.trial for event in found}) == len(found)  # none twice
        return {event.trial: event.outcome for event in found}

    def lost(self, trainer: str, times: int, room: int = 9) -> None:
        """Trainers of this name that take what there is and die of it."""
        for time in range(times):
            self.begins(f"{trainer}{time}", room)
            self.director.lose(f"{trainer}{time}")


def news(number: int, epoch: int, misfit: float = 1.0, diverged: bool = False) -> TrialUpdate:
    return TrialUpdate(trial=number, report=report(epoch, misfit, diverged), architecture={"parameters": 7.0})


def failed(number: int, error: str = "ValueError: no") -> TrialUpdate:
    return TrialUpdate(trial=number, report=Report(), architecture={}, error=error)


def test_assignments_carry_what_a_trainer_needs() -> None:
    stage = Stage([A, B])
    orders = stage.hear("x", 1)
    assert orders == Commands([Assignment(trial=0, configuration=A, seed=100)], [])
    assert stage.hear("y", 5) == Commands([Assignment(trial=1, configuration=B, seed=101)], [])
    started = [event for event in stage.events if isinstance(event, Started)]
    assert [(event.trial, event.configuration, event.seed) for event in started] == [(0, A, 100), (1, B, 101)]
    spoke = [event for event in stage.events if isinstance(event, TrainerHeartbeat)]
    assert [(event.trainer, event.networks, event.busy) for event in spoke] == [("x", 0, 0.5), ("y", 0, 0.5)]


def test_no_more_than_there_is_room_for() -> None:
    stage = Stage([A] * 9)
    assert stage.begins("x", 2) == [0, 1]
    assert stage.begins("x", 0, [0, 1]) == []
    assert stage.begins("x", -1, [0, 1]) == []
    assert stage.begins("x", 3, [0, 1]) == [2, 3, 4]


def test_what_is_on_its_way_counts_against_room() -> None:
    stage = Stage([A] * 9)
    assert stage.begins("x", 3) == [0, 1, 2]
    assert stage.begins("x", 3) == []  # said before the orders came
    assert stage.begins("x", 4, [0]) == [3, 4]
    assert stage.begins("x", 4, [0, 1, 2, 3, 4]) == [5, 6, 7, 8]


def test_own_kinds_come_first_then_nobodys_then_others() -> None:
    stage = Stage([A, B, C, A, B, C])
    assert stage.begins("x", 1) == [0]
    assert stage.begins("y", 1, [], news=()) == [1]
    # x trains A and y B, so to x a C is rather nobody's than y's.
    assert stage.begins("x", 3, [0]) == [3, 2, 5]
    assert stage.begins("y", 9, [1]) == [4]


def test_a_kind_that_is_on_its_way_belongs_to_its_trainer() -> None:
    stage = Stage([A, A, B])
    assert stage.begins("x", 1) == [0]
    assert stage.begins("y", 1) == [2]  # x has not said yet that it has A
    assert stage.begins("y", 1, [2]) == [1]


def test_kinds_of_a_lost_trainer_are_nobodys() -> None:
    stage = Stage([A, B, A, B, A])
    assert stage.begins("x", 1) == [0]
    assert stage.begins("y", 1) == [1]
    stage.director.lose("x")
    assert stage.begins("z", 2) == [0, 2]


@pytest.mark.parametrize("times", [1.0, SLOWER - 0.01, SLOWER + 0.01])
def test_a_trial_waits_for_the_faster_device(times: float) -> None:
    stage = Stage([A, A, A, B, B])
    slow = {stack_key(A): times, stack_key(B): 1.0}
    assert stage.begins("gpu", 1, device="gpu") == [0]
    stage.hear("gpu", 0, [0], device="gpu", seconds={stack_key(A): 1.0})
    stage.director.lose("gpu")  # so that A is nobody's, and the device alone decides
    assert stage.begins("cpu", 2, device="cpu", seconds=slow) == ([3, 4] if times > SLOWER else [0, 1])


def test_a_slower_device_takes_what_is_left() -> None:
    stage = Stage([A, A, A])
    assert stage.begins("gpu", 1, device="gpu") == [0]
    stage.hear("gpu", 0, [0], device="gpu", seconds={stack_key(A): 1.0})
    assert stage.begins("cpu", 2, device="cpu", seconds={stack_key(A): 99.0}) == [1, 2]


def test_a_device_never_measured_is_no_slower() -> None:
    stage = Stage([A, B, A])
    assert stage.begins("gpu", 1, device="gpu") == [0]
    stage.hear("gpu", 0, [0], device="gpu", seconds={stack_key(A): 1e-9})
    stage.director.lose("gpu")
    assert stage.begins("cpu", 1, device="cpu") == [0]


def test_asha_stops_trials_and_their_trainers_hear_of_it() -> None:
    stage = Stage([A] * 3, grace=2, reduction=2)
    assert stage.begins("x", 3) == [0, 1, 2]
    orders = stage.hear("x", 0, [0, 1, 2], [news(0, 2, 1.0), news(1, 2, 5.0)])
    assert orders == Commands([], [1])
    assert stage.ended() == {1: "stopped"}
    # Until it has left, it is told so again; what it still says changes nothing.
    assert stage.hear("x", 0, [0, 1, 2], [news(1, 3, 0.1)]) == Commands([], [1])
    assert stage.hear("x", 0, [0, 2]) == Commands([], [])
    assert stage.proposer.told == {1: ("stopped", 5.0)}
    assert stage.proposer.reports == [(0, 2, 1.0), (1, 2, 5.0)]


def test_a_number_that_is_not_a_trainers_is_stopped_there() -> None:
    stage = Stage([A] * 3)
    assert stage.begins("x", 2) == [0, 1]
    assert stage.begins("y", 1) == [2]
    assert stage.hear("y", 0, [0, 2]).stop == [0]
    assert stage.hear("x", 0, [0, 1]).stop == []


@pytest.mark.parametrize(
    ("said", "outcome", "misfit"),
    [
        (news(0, 9, 2.0), "finished", 2.0),
        (news(0, 3, 2.0, diverged=True), "diverged", 2.0),
        (failed(0), "failed", WORST),
    ],
)
def test_how_a_trial_ends(said: TrialUpdate, outcome: str, misfit: float) -> None:
    stage = Stage([A, A])
    assert stage.begins("x", 1) == [0]
    assert stage.begins("x", 1, news=[said]) == [1]
    assert stage.ended() == {0: outcome}
    assert stage.proposer.told == {0: (outcome, misfit)}
    (ended,) = [event for event in stage.events if isinstance(event, Ended)]
    assert ended.checkpoint == (CheckpointStorage("/kept/00000") if outcome == "finished" else None)
    assert ended.error == said.error
    assert not stage.director.done
    assert stage.hear("x", 0, [], [said, news(1, 9)]) == Commands([], [])
    assert stage.director.done
    assert stage.ended() == {0: outcome, 1: "finished"}


def test_a_diverged_trial_teaches_the_proposer_nothing_but_its_end() -> None:
    stage = Stage([A])
    stage.begins("x", 1)
    stage.hear("x", 0, [0], [news(0, 3, 2.0, diverged=True)])
    assert not stage.proposer.reports


def test_a_failed_trial_keeps_its_last_misfit() -> None:
    stage = Stage([A])
    stage.begins("x", 1)
    stage.hear("x", 0, [0], [news(0, 3, 2.0), failed(0)])
    assert stage.proposer.told == {0: ("failed", 2.0)}


def test_a_lost_trainers_trials_go_to_others() -> None:
    stage = Stage([A, A, B])
    assert stage.begins("x", 2) == [0, 1]
    stage.hear("x", 0, [0, 1], [news(0, 3, 2.0)])
    stage.director.lose("x")
    assert stage.begins("y", 9) == [0, 1, 2]
    assert stage.ended() == {}
    assert [event.trial for event in stage.events if isinstance(event, Started)] == [0, 1, 2]  # each once
    stage.director.lose("nobody")


def test_what_is_said_again_is_told_once() -> None:
    stage = Stage([A], grace=2, epochs=9)
    stage.begins("x", 1)
    stage.hear("x", 0, [0], [news(0, 2, 3.0), news(0, 4, 2.0)])
    stage.director.lose("x")
    stage.begins("y", 1)
    stage.hear("y", 0, [0], [news(0, 2, 3.0), news(0, 4, 2.0), news(0, 6, 1.0)])
    assert [event.report.epoch for event in stage.events if isinstance(event, Reported)] == [2, 4, 6]
    assert stage.proposer.reports == [(0, 2, 3.0), (0, 4, 2.0), (0, 6, 1.0)]


def test_a_late_word_of_a_lost_trainer_counts_as_news() -> None:
    stage = Stage([A])
    stage.begins("x", 1)
    stage.director.lose("x")
    assert stage.begins("y", 1) == [0]
    stage.hear("x", 0, [0], [news(0, 9, 2.0)])
    assert stage.ended() == {0: "finished"}
    assert stage.hear("y", 0, [0]).stop == [0]


def test_one_that_kills_its_trainers_fails_and_its_companions_do_not() -> None:
    stage = Stage([A] * 4)
    killer, names, alive = 2, map(str, itertools.count()), dict[str, list[int]]()
    epochs = Counter[int]()
    for _ in range(60):
        if stage.director.done:
            break
        name = next(iter(alive), None) or next(names)
        held = alive.setdefault(name, [])
        if killer in held:
            del alive[name]
            stage.director.lose(name)
            continue
        for number in held:
            epochs[number] += 3
        said = [news(number, epochs[number]) for number in held]
        left = [number for number in held if epochs[number] < 9]
        alive[name] = [*left, *stage.begins(name, 4 - len(left), left, news=said)]
    assert stage.ended() == {0: "finished", 1: "finished", 2: "failed", 3: "finished"}
    (told,) = [event for event in stage.events if isinstance(event, Ended) and event.outcome == "failed"]
    assert told.error == "its trainers died of an unknown error"


def test_suspects_are_trained_alone() -> None:
    stage = Stage([A] * 3)
    stage.lost("x", LOSSES - 1, room=2)
    assert stage.ended() == {}
    assert stage.begins("y", 2) == [0]
    assert stage.begins("y", 2, [0]) == []  # nothing beside a suspect
    assert stage.begins("z", 2) == [1]
    assert stage.begins("w", 2) == [2]


def test_news_lift_a_suspicion() -> None:
    stage = Stage([A] * 3)
    stage.lost("x", LOSSES - 1, room=1)
    assert stage.begins("y", 3) == [0]
    assert stage.begins("y", 3, [0]) == []
    assert stage.begins("y", 3, [0], news=[news(0, 1)]) == [1, 2]
    stage.director.lose("y")
    assert stage.begins("z", 3) == [0, 1, 2]


def test_a_suspect_waits_for_an_empty_trainer() -> None:
    stage = Stage([A] * 3)
    assert stage.begins("busy", 1) == [0]
    stage.lost("x", LOSSES - 1, room=1)
    assert stage.begins("busy", 3, [0]) == []
    assert stage.begins("idle", 3) == [1]
    assert stage.begins("busy", 3, [0]) == [2]


def test_where_the_only_trial_kills_its_trainers_the_search_ends() -> None:
    stage = Stage([A])
    stage.lost("x", LOSSES)
    assert stage.ended() == {0: "interrupted"}
    assert stage.director.done
    assert stage.director.error == "trainers keep dying of an unknown error"


CRASH = Death("SIGSEGV in f (a.py, line 3)", crashed=True)


def test_where_all_trials_crash_their_trainers_the_search_ends_soon_and_all_may_go_on() -> None:
    stage = Stage([A] * 9, max_open_trials=5)
    deaths = 0
    while not stage.director.done:
        stage.begins(f"x{deaths}", 4)
        stage.director.lose(f"x{deaths}", True, CRASH)
        deaths += 1
    assert deaths == 5  # of four together, and then of each alone
    assert stage.director.error == "trainers keep dying of SIGSEGV in f (a.py, line 3)"
    assert set(stage.ended().values()) == {"interrupted"}


@pytest.mark.parametrize("killers", [{0}, {0, 1, 2, 3, 4}, {8}, {0, 2, 4, 6, 8}, {4, 5, 6, 7, 8, 9}])
@pytest.mark.parametrize("trainers", [1, 2])
def test_only_trials_that_crash_their_trainers_fail(killers: set[int], trainers: int) -> None:
    """Those of one model crash, those of another don't."""
    other = Configuration(model="pushforward", objective="energy")
    stage = Stage([A if number in killers else other for number in range(10)], trials=10)
    stage.director.trainers = trainers
    names, held = map(str, itertools.count()), dict[str, list[int]]()
    epochs = Counter[int]()
    for _ in range(200):
        if stage.director.done:
            break
        while len(held) < trainers:
            held[next(names)] = []
        for name, own in list(held.items()):
            if killers & set(own):
                del held[name]
                stage.director.lose(name, True, CRASH)
                continue
            for number in own:
                epochs[number] += 3
            left = [number for number in own if epochs[number] < 9]
            said = [news(number, epochs[number]) for number in own]
            held[name] = [*left, *stage.begins(name, 3 - len(left), left, news=said)]
    assert stage.director.error == ""
    assert stage.ended() == {number: "failed" if number in killers else "finished" for number in range(10)}
    errors = {event.error for event in stage.events if isinstance(event, Ended) and event.outcome == "failed"}
    assert errors == {"its trainers died of SIGSEGV in f (a.py, line 3)"}


def test_where_some_fail_and_all_others_crash_the_search_ends() -> None:
    stage = Stage([A, A, B])
    for number in range(LOSSES):
        stage.begins(f"x{number}", 1)
        stage.director.lose(f"x{number}", True, CRASH)
    while not stage.director.done:
        for name in ("y", "z", "w"):
            for number in stage.begins(name, 1):
                if number == 2:
                    stage.hear(name, 0, [2], [failed(2)])
                else:
                    stage.director.lose(name, True, CRASH)
    assert stage.ended() == {0: "interrupted", 1: "interrupted", 2: "failed"}
    assert stage.director.error.startswith("trainers keep dying of SIGSEGV")


def test_trainers_that_die_with_nothing_to_blame_end_a_search() -> None:
    stage = Stage([A] * 3)
    stage.director.trainers = 2
    for number in range(2 * MOST_DEAD):
        assert not stage.director.done
        stage.hear(f"x{number}", 0)
        stage.director.lose(f"x{number}")
    assert stage.director.done


def test_orders_that_a_trainer_never_knows_of_are_given_again() -> None:
    stage = Stage([A, A])
    assert stage.begins("x", 2) == [0, 1]
    for _ in range(LATE):
        assert stage.begins("x", 1, [0]) == []
    assert stage.begins("x", 1, [0]) == [1]
    assert stage.hear("y", 1).begin == []  # nobody else gets it meanwhile


def test_orders_that_could_not_be_sent_are_given_to_whoever_has_room() -> None:
    stage = Stage([A, A])
    orders = stage.hear("x", 2)
    stage.director.unsent("x", orders)
    assert stage.begins("y", 2) == [0, 1]
    stage.director.unsent("x", orders)  # it's another's by now
    assert stage.begins("z", 2) == []


def test_a_trouble_is_told_once() -> None:
    stage = Stage([A])
    for name in "xyx":
        stage.hear(name, 0, trouble="no checkpoints")
    assert [event.trouble for event in stage.events if isinstance(event, Troubled)] == ["no checkpoints"]


def test_a_message_ends_with_the_word_that_its_trainer_spoke() -> None:
    stage = Stage([A, A])
    stage.hear("x", 2)
    assert [type(event) for event in stage.events] == [Started, Started, TrainerHeartbeat]  # the journal waits for it


def test_what_kills_again_where_it_had_come_before_fails_too() -> None:
    stage = Stage([A])
    for time in range(LOSSES):
        assert stage.begins(f"x{time}", 1) == [0]
        stage.hear(f"x{time}", 0, [0], [news(0, 3), news(0, 6)])  # and dies on its way to the ninth
        stage.director.lose(f"x{time}")
    assert stage.ended() == {0: "failed"}


@pytest.mark.parametrize("max_open_trials", [1, 3, 99])
def test_no_more_are_proposed_than_may_be_open(max_open_trials: int) -> None:
    stage = Stage([A] * 7, max_open_trials=max_open_trials)
    held = stage.begins("x", 9)
    assert held == list(range(min(max_open_trials, 7)))
    assert stage.proposer.asked == min(max_open_trials, 7)
    assert stage.director.left == 7
    fresh = stage.begins("x", 9, held[1:], news=[news(0, 9)])
    assert fresh == ([] if max_open_trials > 7 else [max_open_trials])
    assert stage.director.left == 6


def test_left_and_done() -> None:
    stage = Stage([A, A])
    assert (stage.director.left, stage.director.done) == (2, False)
    stage.begins("x", 2)
    stage.hear("x", 0, [1], [news(0, 9)])
    assert (stage.director.left, stage.director.done) == (1, False)
    stage.hear("x", 0, [], [failed(1)])
    assert (stage.director.left, stage.director.done) == (0, True)
    assert stage.hear("x", 9) == Commands([], [])


def test_closing_ends_what_is_open() -> None:
    stage = Stage([A] * 5, max_open_trials=3)
    stage.begins("x", 2)
    stage.hear("x", 0, [0, 1], [news(0, 3, 2.0)])
    stage.director.close()
    assert stage.ended() == dict.fromkeys(range(3), "interrupted")
    assert stage.proposer.told == {0: ("interrupted", 2.0), 1: ("interrupted", WORST), 2: ("interrupted", WORST)}
    stage.director.close()
    assert len(stage.ended()) == 3


@pytest.mark.parametrize("seed", range(12))
def test_whatever_trainers_do_everything_ends_exactly_once(seed: int) -> None:
    """Trainers of a few names die, lag, repeat themselves and let go late; trials fail and diverge."""
    generator = np.random.default_rng(seed)
    kinds = [A, B, C]
    stage = Stage([kinds[int(generator.integers(3))] for _ in range(30)], max_open_trials=8, grace=2, reduction=2)
    names = map(str, itertools.count())
    trainers: dict[str, dict[int, int]] = {next(names): {} for _ in range(3)}
    epochs_said: dict[int, list[int]] = {}
    for _ in range(5000):
        if stage.director.done:
            break
        name = str(generator.choice(list(trainers)))
        held = trainers[name]
        if generator.random() < 0.02:
            stage.director.lose(name)
            del trainers[name]
            trainers[next(names)] = {}
            continue
        said = []
        for number in list(held):
            held[number] += 1
            outcome = generator.random()
            if outcome < 0.01:
                said.append(failed(number))
            else:
                misfit = float(generator.gamma(2.0))
                said.append(news(number, held[number], misfit, diverged=outcome > 0.99))
            if outcome < 0.01 or outcome > 0.99 or held[number] == 9:
                del held[number]
        orders = stage.hear(name, int(generator.integers(0, 4)), list(held), said)
        owners = [number for own in trainers.values() for number in own]
        assert not {each.trial for each in orders.begin} & set(owners)  # nobody else has it
        held.update({each.trial: 0 for each in orders.begin})
        for number in orders.stop:
            held.pop(number, None)
    assert stage.director.done
    assert sorted(stage.ended()) == sorted(stage.proposer.told) == list(range(30))
    for event in stage.events:
        if isinstance(event, Reported):
            epochs_said.setdefault(event.trial, []).append(event.report.epoch)
    assert all(epochs == sorted(set(epochs)) for epochs in epochs_said.values())
    assert {"finished", "stopped"} <= set(stage.ended().values())
    assert all(math.isfinite(misfit) for _, misfit in stage.proposer.told.values())


def test_no_trainer_takes_more_than_its_share() -> None:
    stage = Stage([A] * 5)
    stage.director.trainers = 2
    assert stage.begins("x", 9) == [0, 1, 2]
    assert stage.begins("x", 9, [0, 1, 2]) == []
    assert stage.begins("y", 9) == [3, 4]


def test_an_abandoned_search_is_over() -> None:
    stage = Stage([A] * 3, max_open_trials=2)
    stage.begins("x", 1)
    stage.director.abandon("OSError: no such disk")
    assert (stage.director.done, stage.director.left) == (True, 0)
    assert stage.ended() == {0: "interrupted", 1: "interrupted"}  # they go on another time
    assert stage.director.error == "OSError: no such disk"
    assert stage.director.heard
    # A trainer that was still on its way brings nothing back to life.
    assert stage.hear("x", 9, [0], [news(0, 3)]) == Commands([], [0])
    assert (stage.director.done, stage.director.left, stage.proposer.asked) == (True, 0, 2)
    assert len(stage.ended()) == 2


def test_a_search_without_any_trainer_is_over() -> None:
    stage = Stage([A] * 3)
    assert not stage.director.heard
    stage.director.abandon("OSError: no such disk")
    assert (stage.director.done, stage.director.left, stage.director.heard) == (True, 0, False)
    stage.director.close()
    assert stage.events == []


def played(stage: Stage, seed: int, until: int = 10**9) -> None:
    """Two trainers that train three trials each, an epoch at a time; misfits follow from trial and epoch."""
    dice = np.random.default_rng(seed)
    progress: dict[str, dict[int, int]] = {"x": {}, "y": {}}
    while not stage.director.done and len(stage.events) < until:
        name = str(dice.choice(["x", "y"]))
        own = progress[name]
        told = []
        for number in own:
            own[number] += 1
            told.append(news(number, own[number], misfit=abs(math.sin(7 * number + 1)) + 1 / own[number]))
        orders = stage.hear(name, 3 - len(own), list(own), told)
        for number in orders.stop:
            own.pop(number, None)
        own.update({each.trial: 0 for each in orders.begin})


@pytest.mark.parametrize("seed", range(20))
def test_a_director_that_recalls_goes_on_as_the_one_before(seed: int) -> None:
    configurations = [A, B, C] * 4
    first = Stage(configurations, epochs=9, grace=1, reduction=3)
    played(first, seed, until=int(np.random.default_rng(seed).integers(1, 150)))
    past = [event for event in first.events if not isinstance(event, TrainerHeartbeat)]
    second = Stage(configurations, epochs=9, grace=1, reduction=3)
    second.director.recall(past)
    assert not second.events
    assert second.proposer.reports == first.proposer.reports
    assert second.proposer.told == first.proposer.told
    assert second.director.left == first.director.left
    second.events[:0] = past
    played(second, seed + 1)
    assert sorted(second.ended()) == list(range(12))
    started = [event.trial for event in second.events if isinstance(event, Started)]
    assert started == list(range(12))


@pytest.mark.parametrize(
    ("said", "outcome"),
    [(report(9, 1.0), "finished"), (report(3, 1.0, diverged=True), "diverged"), (report(3, 9.0), "stopped")],
)
def test_what_was_decided_and_not_told_is_told_after_all(said: Report, outcome: str) -> None:
    stage = Stage([A, A, A], epochs=9, grace=3)
    past: list[Event] = [Started(trial=number, configuration=A, seed=100 + number, time=0.0) for number in range(3)]
    past += [
        Reported(trial=0, report=report(3, 1.0), architecture={}, time=1.0),
        Reported(trial=1, report=report(3, 1.1), architecture={}, time=1.0),
        Reported(trial=2, report=said, architecture={}, time=2.0),
    ]
    past += [Ended(trial=1, outcome="stopped", time=1.5)]
    stage.director.recall(past)
    (ended,) = stage.events
    assert isinstance(ended, Ended)
    assert (ended.trial, ended.outcome) == (2, outcome)
    assert ended.checkpoint == (CheckpointStorage("/kept/00002") if outcome == "finished" else None)
    assert stage.begins("x", 5) == [0]


def test_reports_from_before_are_not_news() -> None:
    stage = Stage([A], epochs=9, grace=9)
    stage.director.recall(
        [
            Started(trial=0, configuration=A, seed=100, time=0.0),
            Reported(trial=0, report=report(6, 1.0), architecture={}, time=1.0),
        ]
    )
    assert stage.begins("x", 1) == [0]
    stage.hear("x", 0, [0], [news(0, 3), news(0, 6), news(0, 9)])
    assert [event.report.epoch for event in stage.events if isinstance(event, Reported)] == [9]
    assert stage.ended() == {0: "finished"}


def test_a_study_that_proposes_something_else_is_refused() -> None:
    stage = Stage([A])
    stage.proposer.ask_again = lambda configuration: (0, B)
    with pytest.raises(GenseekError, match="trial 0 is not in this study's space any more"):
        stage.director.recall([Started(trial=0, configuration=A, seed=100, time=0.0)])


def test_a_trial_that_breaks_a_bound_stops_before_a_worse_one_that_keeps_it() -> None:
    stage = Stage([A, A], goals=Goals(bounds={"overfit": 0.6}), grace=2)
    stage.begins("x", 2)
    kept = TrialUpdate(trial=0, report=Report(epoch=2, misfit=9.0, scores={"overfit": 0.5}), architecture={})
    breaks = TrialUpdate(trial=1, report=Report(epoch=2, misfit=1.0, scores={"overfit": 0.9}), architecture={})
    assert stage.hear("x", 0, [0, 1], [kept, breaks]).stop == [1]
    assert stage.proposer.told == {1: ("stopped", 1.0)}
    assert stage.proposer.violations == {1: {"overfit": pytest.approx(0.5)}}


def test_a_network_too_large_stops_at_its_first_report() -> None:
    stage = Stage([A, A], goals=Goals(bounds={"parameters": 100.0}))
    stage.begins("x", 2)
    said = [
        TrialUpdate(trial=number, report=Report(epoch=1, misfit=1.0), architecture={"parameters": 100.0 + number})
        for number in range(2)
    ]
    assert stage.hear("x", 0, [0, 1], said).stop == [1]
    assert stage.ended() == {1: "stopped"}


def test_the_proposer_hears_of_all_goals() -> None:
    stage = Stage([A], goals=Goals(("parameters", "ad")))
    stage.begins("x", 1)
    stage.hear(
        "x",
        0,
        [],
        [
            TrialUpdate(
                trial=0, report=Report(epoch=9, misfit=1.0, scores={"ad": 3.0}), architecture={"parameters": 7.0}
            )
        ],
    )
    assert stage.proposer.told == {0: ("finished", 7.0, 3.0)}
    assert stage.proposer.reports == [(0, 9, 1.0)]


def test_nodes_that_go_are_no_fault_of_their_trials() -> None:
    stage = Stage([A])
    for number in range(2 * LOSSES):
        assert stage.begins(f"t{number}", room=1) == [0]
        stage.director.lose(f"t{number}", alone=False)
    assert stage.ended() == {}


def test_a_trial_that_was_handed_out_is_begun() -> None:
    stage = Stage([A])
    (first,) = stage.hear("a", room=1).begin
    stage.director.lose("a")
    (again,) = stage.hear("b", room=1).begin
    assert (first.begun, again.begun) == (False, True)


def troubles(stage: Stage) -> list[str]:
    return [event.trouble for event in stage.events if isinstance(event, Troubled)]


def test_a_search_proposes_and_trains_within_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("search.schedule.director.time.time", lambda: now)
    stage = Stage([A] * 9, 4, limits=Limits(proposes=110, trains=120))
    assert stage.begins("x", 4) == [0, 1, 2, 3]
    now = 111.0
    assert stage.begins("x", 4, [0, 1, 2, 3], news=[news(0, 9)]) == []  # no more, though it has room for them
    assert stage.director.left == 3
    assert not stage.director.done
    now = 121.0
    assert stage.director.done
    assert stage.ended() == {0: "finished", 1: "stopped", 2: "stopped", 3: "stopped"}
    assert troubles(stage) == ["time was up for 3 of 4 trials before they were trained or stopped"]
    assert stage.hear("x", 4, [1, 2, 3]) == Commands([], [1, 2, 3])


@pytest.mark.parametrize("arrives", [True, False])
def test_what_is_in_training_when_time_is_up_counts_as_far_as_it_is(
    arrives: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr("search.schedule.director.time.time", lambda: now)
    stage = Stage([A] * 9, 3, limits=Limits(proposes=110, trains=120, hands_in=150))
    assert stage.begins("x", 3) == [0, 1, 2]
    stage.hear("x", 0, [0, 1, 2], [news(0, 3, 0.7), news(1, 2, 0.5)])
    now = 121.0
    assert not stage.director.done
    assert stage.ended() == {2: "stopped"}  # it was never judged
    assert stage.hear("x", 4, [0, 1, 2]) == Commands([], [2], {0: 3, 1: 2})
    assert stage.hear("x", 4, [0, 1]).hand_in == {0: 3, 1: 2}  # until it has arrived
    if arrives:
        stage.hear("x", 4, [], [replace(news(0, 3, 0.7), handed_in=True), replace(news(1, 2, 0.5), handed_in=True)])
        assert stage.ended() == {0: "finished", 1: "finished", 2: "stopped"}
        assert [event.checkpoint is not None for event in stage.events if isinstance(event, Ended)] == [
            False,
            True,
            True,
        ]
    else:
        now = 151.0
    assert stage.director.done
    if not arrives:
        assert stage.ended() == {0: "stopped", 1: "stopped", 2: "stopped"}
    assert troubles(stage)[0] == (
        "time was up for 3 of 3 trials before they were trained or stopped; 2 of them count as far as they were"
    )


def test_a_search_that_has_nothing_yet_waits_for_its_first_judgement(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("search.schedule.director.time.time", lambda: now)
    stage = Stage([A] * 9, 2, limits=Limits(proposes=110, trains=120, hands_in=150))
    assert stage.begins("x", 3) == [0, 1]
    now = 130.0
    assert not stage.director.done
    assert stage.ended() == {}
    stage.hear("x", 0, [0, 1], [news(1, 1, 0.7)])
    assert not stage.director.done
    assert stage.hear("x", 0, [0, 1]) == Commands([], [0], {1: 1})


def test_nothing_is_said_where_all_ended_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("search.schedule.director.time.time", lambda: now)
    stage = Stage([A] * 9, 1, limits=Limits(proposes=110, trains=120))
    assert stage.begins("x", 1) == [0]
    now = 111.0
    stage.hear("x", 1, [0], [news(0, 9)])
    assert stage.director.done
    assert troubles(stage) == []


def test_a_space_that_is_used_up_ends_the_search_and_is_told_once() -> None:
    stage = Stage([A, B], trials=9)
    assert stage.begins("x", 9) == [0, 1]
    stage.hear("x", 9, [0, 1], [news(0, 9), news(1, 9)])
    assert stage.director.done
    assert stage.director.left == 0
    assert troubles(stage) == ["all 2 configurations of the study were tried, so that no more are proposed"]


def test_a_closed_form_that_has_its_full_budget_at_once_stops_no_network() -> None:
    fit = Configuration(model="gmm", objective="likelihood")
    stage = Stage([fit, fit, A, A], grace=3)
    stage.begins("x", 4)
    stage.hear("x", 0, [0, 1, 2, 3], [news(0, 9, 0.5), news(1, 9, 0.6)])
    stage.hear("x", 0, [2, 3], [news(2, 9, 3.0), news(3, 3, 3.0)])
    assert stage.ended() == {0: "finished", 1: "finished", 2: "finished"}
