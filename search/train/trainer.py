"""The trainer: trains a changing set of trials in one process; they join and leave between epochs.

Trials that can are stacked in groups; the groups take turns, an epoch each. What a trial reports depends on its
configuration and seed alone, not on its company or on when it came.
"""

import time
import traceback
from collections.abc import Sequence
from typing import Any, final

from search.events.messages import TrialUpdate
from search.study.configuration import StackKey, stack_key
from search.train.group import Checkpoint, Group
from search.train.stacking import MOST, Stacking
from search.train.trial import Trial

SPLIT = 8  # groups of one kind
NEVER = 2**31  # epoch that no trial reaches
OUT_OF_MEMORY = ("out of memory", "can't allocate memory")


@final
class Trainer:
    """Trains trials, each known by its number.

    Args:
        stacking: decides which of them train stacked.
    """

    def __init__(self, stacking: Stacking) -> None:
        self._stacking = stacking
        self._trials: dict[int, Trial] = {}
        self._waiting: list[Trial] = []
        self._groups: list[Group] = []
        self._saved: dict[int, Checkpoint] = {}
        self._limits: dict[StackKey, int] = {}  # trials of a group that ran out of memory with more
        self._apart: dict[int, int] = {}  # epoch that a trial must reach before it joins others again
        self._failed: list[TrialUpdate] = []
        self.seconds = 0.0  # spent training and judging

    @property
    def trials(self) -> dict[int, Trial]:
        """The trials that it has, by number."""
        return dict(self._trials)

    @property
    def training(self) -> int:
        """Networks in training."""
        return sum(len(group.pack.rows) for group in self._groups)

    @property
    def room(self) -> int:
        """How many more trials it could well use: what its groups have room for, and one to go on with."""
        most: dict[StackKey, int] = {}
        for group in self._groups:
            most[_key(group)] = max(most.get(_key(group), 0), self._room(group))
        spare = sum(room for kind, room in most.items() if not self._split(kind)) if most else self._stacking.first
        return min(max(spare, 1) - len(self._waiting), MOST - len(self._trials))

    def seconds_a_network(self) -> dict[StackKey, float]:
        """Seconds that a step has taken lately for each network, by kind."""
        return {_key(group): group.seconds / len(group.pack.rows) for group in self._groups if group.seconds}

    def add(self, number: int, trial: Trial, checkpoint: Checkpoint | None = None) -> None:
        """Take in a trial, from its checkpoint if it has one; it starts when it can, at an epoch's boundary."""
        self._trials[number] = trial
        if checkpoint is not None:
            self._saved[number] = checkpoint
        self._waiting.append(trial)

    def remove(self, numbers: Sequence[int]) -> None:
        """Let go of trials; numbers that it doesn't have are none of its business."""
        known = [number for number in numbers if number in self._trials]
        self._leave([self._trials[number] for number in known])
        for number in known:
            self._forget(number)

    def advance(self) -> list[TrialUpdate]:
        """Train every group for an epoch and return the progress of its trials; one that failed has left by itself."""
        began = time.perf_counter()
        self._admit()
        fresh = [trial for group in list(self._groups) for trial in self._advance_group(group)]
        told = [
            TrialUpdate(trial=self._number(trial), report=trial.report, architecture=trial.architecture)
            for trial in fresh
        ]
        failed, self._failed = self._failed, []
        self.seconds += time.perf_counter() - began
        return told + failed

    def checkpoints(self) -> dict[int, Checkpoint]:
        """Checkpoint of every trial in training; it goes on from there if its group fails."""
        fresh = {}
        for trial, own in [(trial, group) for group in self._groups for trial in group.trials]:
            try:
                fresh[self._number(trial)] = Checkpoint.of(own, trial)
            except Exception as error:  # it has the one before, or none, and others have theirs
                traceback.print_exception(error)
        self._saved.update(fresh)
        return fresh

    def _advance_group(self, group: Group) -> list[Trial]:
        try:
            return group.advance()
        except Exception as error:  # whatever a model of a user's own may raise
            self._groups.remove(group)
            self._halve(group, error)
            return []

    def _halve(self, group: Group, error: Exception) -> None:
        """End a trial that failed alone; of several, let each half go on alone from their checkpoints."""
        trials = group.trials
        if len(trials) == 1:
            self._fail(trials[0], error)
            return
        half = (len(trials) + 1) // 2
        if _out_of_memory(error):
            self._limits[stack_key(trials[0].configuration)] = half
        else:
            self._apart.update((self._number(trial), group.epoch(trial) + 1) for trial in trials)
        self._restart(trials[:half])
        self._restart(trials[half:])

    def _restart(self, trials: Sequence[Trial]) -> None:
        """Let trials go on together from their checkpoints."""
        begun = [own for trial in trials if (own := self._begin(trial)) is not None]
        if begun:
            self._groups += self._join_groups(begun)

    def _join_groups(self, groups: Sequence[Group]) -> list[Group]:
        """Groups as one; those that can't be joined to the first are left as they are, and that is remembered."""
        try:
            return [Group.join(groups)]
        except Exception as error:  # whatever a model of a user's own, or a full memory, may raise
            traceback.print_exception(error)
            count = sum(len(group.trials) for group in groups)
            if _out_of_memory(error):
                self._limits[_key(groups[0])] = (count + 1) // 2
                return list(groups)
            if len(groups) > 2:
                joined, rest = groups[0], list[Group]()
                for group in groups[1:]:
                    joined, *left = self._join_groups([joined, group])
                    rest += left
                return [joined, *rest]
            self._apart.update((self._number(trial), NEVER) for trial in groups[1].trials)
            return list(groups)

    def _fail(self, trial: Trial, error: Exception) -> None:
        number = self._number(trial)
        said = f"{type(error).__name__}: {' '.join(str(error).split())}"
        traceback.print_exception(error)  # into the worker's log, which --verbose shows
        self._failed.append(TrialUpdate(trial=number, report=trial.report, architecture=trial.architecture, error=said))
        self._forget(number)

    def _begin(self, trial: Trial) -> Group | None:
        """Group of a trial where its checkpoint left it, or at its beginning; None if it can't be built."""
        try:
            saved = self._saved.get(self._number(trial))
            if saved is not None:
                return saved.resumed(trial)
            trial.restore([], {})
            return Group.of(trial)
        except Exception as error:
            self._fail(trial, error)
            return None

    def _admit(self) -> None:
        """Begin waiting trials: those that a group has room for, and others as long as no group is full."""
        spare = [(_key(group), self._room(group)) for group in self._groups]
        for trial in list(self._waiting):
            key = stack_key(trial.configuration)
            place = next((place for place, (kind, room) in enumerate(spare) if kind == key and room > 0), None)
            if self._split(key) or (place is None and any(room == 0 for _, room in spare)):
                continue
            self._waiting.remove(trial)
            begun = self._begin(trial)
            if begun is None:
                continue
            self._groups.append(begun)
            if place is None:
                spare.append((key, self._room(begun)))
            else:
                spare[place] = (key, spare[place][1] - 1)
        self._merge()

    def _merge(self) -> None:
        """Join groups of a kind, small ones to larger ones, as long as there is room and it's worth it."""
        for group in sorted(self._groups, key=lambda group: -len(group.trials)):
            if group not in self._groups:
                continue
            room, joining = self._room(group), []
            for other in sorted(self._groups, key=lambda other: len(other.trials)):
                alike = other is not group and _key(other) == _key(group) and not self._kept_apart(other)
                if alike and len(other.trials) <= room and self._worth(group, other):
                    room -= len(other.trials)
                    joining.append(other)
            if joining:
                self._groups = [each for each in self._groups if each is not group and each not in joining]
                self._groups += self._join_groups([group, *joining])

    def _worth(self, group: Group, other: Group) -> bool:
        try:
            return self._stacking.worth(group, other)
        except ValueError:  # tensors of another number of axes: trying to join them tells
            return True

    def _room(self, group: Group) -> int:
        if self._kept_apart(group):
            return 0
        limit = self._limits.get(_key(group), len(group.trials) + MOST)
        return min(self._stacking.room(group), max(0, limit - len(group.trials)))

    def _split(self, kind: StackKey) -> bool:
        """Whether so many groups of a kind were not worth joining that more of it would only wait for their turns."""
        return sum(_key(group) == kind for group in self._groups) >= SPLIT

    def _kept_apart(self, group: Group) -> bool:
        """Whether one of its trials has yet to pass the epoch at which a group of it failed."""
        return any(group.epoch(trial) < self._apart.get(self._number(trial), 0) for trial in group.trials)

    def _leave(self, gone: Sequence[Trial]) -> None:
        self._waiting = [trial for trial in self._waiting if trial not in gone]
        for group in list(self._groups):
            staying = [trial for trial in group.trials if trial not in gone]
            if len(staying) == len(group.trials):
                continue
            self._groups.remove(group)
            try:
                self._groups += [group.keep(staying)] if staying else []
            except Exception as error:
                traceback.print_exception(error)
                for trial in staying:
                    self._restart([trial])

    def _forget(self, number: int) -> None:
        known: tuple[dict[int, Any], ...] = (self._trials, self._saved, self._apart)
        for each in known:
            each.pop(number, None)

    def _number(self, trial: Trial) -> int:
        return next(number for number, own in self._trials.items() if own is trial)


def _out_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or any(words in str(error) for words in OUT_OF_MEMORY)


def _key(group: Group) -> StackKey:
    return stack_key(group.trials[0].configuration)
