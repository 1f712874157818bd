"""A study: what to search, in checked values; the spaces of its pairs; and the one-line label of a configuration."""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

from models import MODELS
from objectives import OBJECTIVES, STANDARD
from search.errors import StudyError, unknown_name
from search.study.budget import Budget
from search.study.configuration import Configuration, Training
from search.study.fields import Prefer, Sampler, refuse_others
from search.study.goals import Goals
from search.study.space import Domain, Fixed, arguments_of, count_of, values_of

Domains = dict[str, Domain]
CODED = ("encoder_depth", "encoder_width", "latent", "decoder_depth", "decoder_width")
PLAIN = ("depth", "width")
FEATURES = "features"  # the one key of the training that acts without a gradient
WEIGHTS = {"lam": "lambda", "beta": "beta"}  # of an objective's penalty, by their key
MOST_LETTERS = 80


@dataclass(frozen=True, kw_only=True)
class Study:
    """What to search, checked.

    Args:
        name: of the study (its file's name without the ending).
        problem, problem_arguments: the problem and its constructor's arguments.
        budget: how much to spend.
        training: domains of the training keys.
        models, objectives: for each name, the domains of its own keys.
        points: configurations tried first, flat, as written; for a grid, all of it.
        sampler: what proposes the others: one of Optuna's, a quasi-random sequence, chance, or nothing: "grid" tries
            the whole space and "points" the points alone.
        scores: names of the scores that trials are judged by.
        plugins: modules that hold models, objectives, scores and problems of the user's own; files by whole paths.
        pack_size: trials that train stacked in one process; None where their measured steps decide.
        goals: what trials are ranked by, and the bounds that they must keep.
        prefer: which of finalists that can't be told apart wins: "best" (the lowest misfit) or "small" (the fewest
            parameters).
        refit: whether the winner is trained once more, on all rows, before it is exported and registered.

    Examples:
        >>> from search import load_study
        >>> load_study("gaussian_2d").pairs()["vae"]
        ['elbo']
    """

    name: str
    problem: str
    problem_arguments: dict[str, Any]
    budget: Budget
    training: Domains
    models: dict[str, Domains]
    objectives: dict[str, Domains]
    points: list[dict[str, Any]] = field(default_factory=list)
    sampler: Sampler = "tpe"
    scores: tuple[str, ...] = STANDARD
    plugins: tuple[str, ...] = ()
    pack_size: int | None = None
    goals: Goals = field(default_factory=Goals)
    prefer: Prefer = "best"
    refit: bool = False

    @property
    def data_name(self) -> str:
        """What its data is called: a table's file, without its folder, or the problem."""
        path = self.problem_arguments.get("data")
        return Path(path).name if path else self.problem

    def pairs(self) -> dict[str, list[str]]:
        """For each model of the study, the objectives of the study that can train it."""
        return {model: [name for name in self.objectives if name in serving(model)] for model in self.models}


def descends(configuration: Configuration) -> bool:
    """Whether a configuration is trained by descending a gradient, or else fitted in one step."""
    return OBJECTIVES[configuration.objective].descends


def serving(model: str) -> list[str]:
    """Names of all registered objectives that can train `model`."""
    return [name for name, objective in OBJECTIVES.items() if issubclass(MODELS[model], objective.protocol)]


@final
class PairSpace:
    """The configurations of a study that have one model and one objective.

    A key acts where its condition holds, and a key of the training other than `features` where there is a gradient.
    Keys that don't act have their defaults, so that configurations that train alike are equal.

    Args:
        study: what to search.
        model, objective: one of its pairs.

    Raises:
        StudyError: a condition of a plug-in's class names what is no key.
    """

    def __init__(self, study: Study, model: str, objective: str) -> None:
        self.model, self.objective = model, objective
        classes = MODELS[model], OBJECTIVES[objective]
        self._groups = [arguments_of(constructor) for constructor in (*classes, Training)]
        self.arguments = {key: argument for group in self._groups for key, argument in group.items()}
        self.domains: Domains = study.models[model] | study.objectives[objective] | study.training
        self._conditions = {**classes[0].conditions, **classes[1].conditions}
        self._undescended = () if classes[1].descends else tuple(key for key in self._groups[2] if key != FEATURES)
        deciding = [other for of in self._conditions.values() for other in of]
        for key in [*self._conditions, *deciding]:
            both = f"[models.{model}] and [objectives.{objective}]: the conditions of their keys"
            if key not in self.arguments:
                raise StudyError(f"{both}: {unknown_name('key', key, self.arguments)}")
            if key in deciding and key in self._conditions:
                raise StudyError(f"{both}: {key} has a condition itself, so that none can depend on it")
        # A condition must be known before the keys that depend on it.
        self._asked = sorted(self.domains, key=lambda key: key in self._conditions)

    def configuration(self, values: Mapping[str, Any]) -> Configuration:
        """The configuration of these values; keys that they leave out have their defaults."""
        known = {key: argument.default for key, argument in self.arguments.items()} | dict(values)
        idle = tuple(key for key in known if not self._acts(key, known))
        known |= {key: self.arguments[key].default for key in idle}
        model, objective, training = ({key: known[key] for key in group} for group in self._groups)
        return Configuration(
            model=self.model,
            objective=self.objective,
            model_arguments=model,
            objective_arguments=objective,
            training=Training(**training),
            idle=idle,
        )

    def choose(self, value: Callable[[str, Domain], Any]) -> Configuration:
        """The configuration of which `value` gives the value of each key that acts and has several."""
        known = {key: argument.default for key, argument in self.arguments.items()}
        for key in self._asked:
            domain = self.domains[key]
            if self._acts(key, known):
                known[key] = domain.value if isinstance(domain, Fixed) else value(key, domain)
        return self.configuration(known)

    def grid(self) -> Iterator[Configuration]:
        """Every configuration once, the last key changing first.

        Raises:
            StudyError: a range has no steps.
        """
        found: list[dict[str, Any]] = [{key: argument.default for key, argument in self.arguments.items()}]
        for key in self._asked:
            found = [
                known | {key: value}
                for known in found
                for value in (values_of(key, self.domains[key]) if self._acts(key, known) else (known[key],))
            ]
        return map(self.configuration, found)

    def count(self) -> float:
        """How many configurations there are; infinite where a key is continuous."""
        deciding = {other for of in self._conditions.values() for other in of if other in self.domains}
        deciding = {key for key in deciding if key not in self._undescended}
        if any(math.isinf(count_of(self.domains[key])) for key in deciding):
            return math.inf
        total, default = 0.0, {key: argument.default for key, argument in self.arguments.items()}
        for values in itertools.product(*(values_of(key, self.domains[key]) for key in deciding)):
            known = default | dict(zip(deciding, values, strict=True))
            others = [key for key in self.domains if key not in deciding and self._acts(key, known)]
            total += math.prod(count_of(self.domains[key]) for key in others)
        return total

    def always(self) -> list[str]:
        """The keys that act whatever the others are."""
        return [key for key in self.possible() if key not in self._conditions]

    def possible(self) -> list[str]:
        """The keys that act beside some values of the others."""
        return [key for key in self.arguments if key not in self._undescended]

    def _acts(self, key: str, values: Mapping[str, Any]) -> bool:
        """Whether a key acts beside these values of all keys."""
        met = all(values[other] in allowed for other, allowed in self._conditions.get(key, {}).items())
        return met and key not in self._undescended


def pair_spaces(study: Study) -> list[PairSpace]:
    """The space of each pair of a study."""
    return [PairSpace(study, model, name) for model, names in study.pairs().items() for name in names]


def check_point(study: Study, point: dict[str, Any]) -> Configuration:
    """Configuration of a flat point; keys that it leaves out take their defaults, or a value of their domain.

    Raises:
        StudyError: an unknown key, or a value outside the study's space.
    """
    model = point.get("model", next(iter(study.models)))
    if model not in list(study.models):
        raise StudyError(unknown_name("model", str(model), study.models))
    objective = point.get("objective", study.pairs()[model][0])
    if objective not in study.pairs()[model]:
        raise StudyError(
            f"objective: {unknown_name('objective', str(objective), study.pairs()[model])} for model {model}"
        )
    space = PairSpace(study, model, objective)
    refuse_others(point, ["model", "objective", *space.arguments], "")
    chosen = {}
    for key, argument in space.arguments.items():
        domain = space.domains.get(key)
        value = argument.checked(point[key]) if key in point else argument.default
        if domain is not None and value not in domain:
            if key in point:
                raise StudyError(f"{key} = {value!r} is not in the study's domain for {key}")
            value = domain.extremes()[0]
        if domain is None and key in point and value != argument.default:
            raise StudyError(f"{key} = {value!r}, but the study doesn't search {key} (it stays {argument.default!r})")
        chosen[key] = value
    return space.configuration(chosen)


def short_name(configuration: Configuration) -> str:
    """Such as `vae 3x64>2<1x32 sigma 0.3`: encoder's layers, latent dimensions, decoder's layers, and what else tells.

    Networks without an encoder are `pushforward 2x64`; of other models, the keys that tell most. The objective
    is named where it isn't the first that serves the model. Of a model whose plug-in isn't merged all keys are told.
    """
    model, arguments = configuration.model, configuration.model_arguments
    words = [model]
    if all(key in arguments for key in CODED):
        words.append("{}x{}>{}<{}x{}".format(*(arguments[key] for key in CODED)))
    elif all(key in arguments for key in PLAIN):
        words.append("{}x{}".format(*(arguments[key] for key in PLAIN)))
    else:
        words += _others(model, arguments)
    if "sigma" in arguments:
        words.append("sigma learned" if arguments.get("learn_sigma") else f"sigma {arguments['sigma']:.3g}")
    first = serving(model)[:1] if model in MODELS else []
    if configuration.objective not in (model, *first):
        words.append(configuration.objective)
    for key, word in WEIGHTS.items():
        value = configuration.objective_arguments.get(key, 1.0)
        if value != 1.0:
            words.append(f"{word} {value:.3g}")
    return " ".join(words)[:MOST_LETTERS]


def _others(model: str, arguments: dict[str, Any]) -> list[str]:
    """The first key, which says most, and those that aren't at their defaults."""
    known = arguments_of(MODELS[model]) if model in MODELS else {}
    defaults = {key: argument.default for key, argument in known.items()}
    first = next(iter(arguments), "")
    usual = {key for key in defaults if key != first and arguments.get(key) == defaults[key]}
    told = {key: value for key, value in arguments.items() if key not in usual}
    return [f"{key} {value:.3g}" if isinstance(value, float) else f"{key} {value}" for key, value in told.items()]
