"""Suggest the next configuration: closed forms first, then the study's points, then what the families' samplers say."""

import logging
from collections import deque
from collections.abc import Mapping, Sequence
from typing import final

import optuna

from search.log import hush
from search.schedule.families import Family, Sharing, sharing_of
from search.study.configuration import Configuration
from search.study.fields import LISTED
from search.study.study import Study, check_point

FITS = 24  # most closed forms of a family that are fitted before networks train


@final
class Suggester:
    """Proposes configurations of a study, none twice, and learns from how they end.

    Densities with a closed-form fit take no time to speak of, so all come first, or `FITS` of each family. Then come
    the study's points, and then proposals of its families' samplers. A list of points is tried as it is written.

    Args:
        study: what to search.
        seed: of the samplers.
        sharing: whose turn it is; None for the rule that suits the study's sampler.

    `closed_forms` counts those that come first, if there are networks to try after them.
    """

    def __init__(self, study: Study, seed: int, sharing: Sharing | None = None) -> None:
        hush("optuna", below=logging.WARNING)
        self._study, self._sharing = study, sharing or sharing_of(study)
        self._families = {model: Family(study, model, seed) for model in study.models}
        networks = [family for family in self._families.values() if not family.closed_form]
        self._searched = networks or list(self._families.values())
        self._running: dict[int, tuple[Family, optuna.Trial]] = {}
        self._reached: dict[int, tuple[int, float]] = {}
        self._asked = 0
        points = [check_point(study, point) for point in study.points]
        self.closed_forms = 0
        if study.sampler not in LISTED:
            fits = [each for each in points if self._families[each.model].closed_form]
            fits += [each for own in self._families.values() if own.closed_form for each in own.everything(FITS)]
            points = list({each.identity: each for each in [*fits, *points]}.values())
            self.closed_forms = len({each.identity for each in fits}) if networks else 0
        self._first = deque(points)

    @property
    def used_up(self) -> bool:
        """Whether every configuration was proposed, so that there is none to ask for."""
        return not (self._first or self._open_families())

    def ask(self) -> tuple[int, Configuration]:
        """Return number (0, 1, ...) and configuration of the next trial."""
        if self._first:
            return self.ask_again(self._first[0])
        family = self._sharing(self._open_families())
        return self._begun(family, *family.propose(self._asked))

    def ask_again(self, configuration: Configuration) -> tuple[int, Configuration]:
        """Return number and configuration of the next trial, which a search that goes on had proposed before."""
        if self._first:
            self._first.popleft()
        family = self._families[configuration.model]
        return self._begun(family, *family.take(configuration))

    def report(self, number: int, epoch: int, misfit: float) -> None:
        """Tell the misfit that a running trial has reached by `epoch`; a restarted trial tells its first again."""
        if epoch <= self._reached.get(number, (0, 0.0))[0]:
            return
        self._reached[number] = epoch, misfit
        if len(self._study.goals.rank) == 1:  # Optuna takes no reports where there are several
            self._running[number][1].report(misfit, epoch)

    def tell(
        self, number: int, outcome: str, values: Sequence[float] = (), violations: Mapping[str, float] | None = None
    ) -> None:
        """Tell how a trial ended, with the value of each goal and what it exceeds bounds by.

        Neither finished nor stopped counts as failed, and teaches nothing but its end.
        """
        if number not in self._running:
            return
        family, trial = self._running.pop(number)
        reached = self._reached.get(number, (0, values[0] if values else 1.0))
        family.tell(trial, outcome, values, violations or {}, reached)

    def _open_families(self) -> list[Family]:
        """Return the families that have configurations left to try."""
        if self._study.sampler in LISTED:
            return []
        return [family for family in self._searched if not family.used_up]

    def _begun(self, family: Family, trial: optuna.Trial, configuration: Configuration) -> tuple[int, Configuration]:
        number = self._asked
        self._running[number] = family, trial
        self._asked += 1
        return number, configuration
