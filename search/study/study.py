"""A study: what to search, in checked values; and the one-line label of a configuration."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models import MODELS
from objectives import OBJECTIVES, STANDARD
from search.errors import StudyError, unknown_name
from search.study.budget import Budget
from search.study.configuration import Configuration, Training
from search.study.fields import Prefer, Sampler, refuse_others
from search.study.goals import Goals
from search.study.space import Domain, arguments_of

Domains = dict[str, Domain]
CODED = ("encoder_depth", "encoder_width", "latent", "decoder_depth", "decoder_width")
PLAIN = ("depth", "width")
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

    @property
    def data_name(self) -> str:
        """What its data is called: a table's file, without its folder, or the problem."""
        path = self.problem_arguments.get("data")
        return Path(path).name if path else self.problem

    def pairs(self) -> dict[str, list[str]]:
        """For each model of the study, the objectives of the study that can train it."""
        return {model: [name for name in self.objectives if name in serving(model)] for model in self.models}


def serving(model: str) -> list[str]:
    """Names of all registered objectives that can train `model`."""
    return [name for name, objective in OBJECTIVES.items() if issubclass(MODELS[model], objective.protocol)]


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
    groups: dict[str, tuple[Any, Domains]] = {
        "model": (MODELS[model], study.models[model]),
        "objective": (OBJECTIVES[objective], study.objectives[objective]),
        "training": (Training, study.training),
    }
    known = [key for constructor, _ in groups.values() for key in arguments_of(constructor)]
    refuse_others(point, ["model", "objective", *known], "")
    chosen = {group: _chosen(point, constructor, domains) for group, (constructor, domains) in groups.items()}
    return Configuration(
        model=model,
        objective=objective,
        model_arguments=chosen["model"],
        objective_arguments=chosen["objective"],
        training=Training(**chosen["training"]),
    )


def _chosen(point: dict[str, Any], constructor: Any, domains: Domains) -> dict[str, Any]:
    chosen = {}
    for key, argument in arguments_of(constructor).items():
        domain = domains.get(key)
        value = argument.checked(point[key]) if key in point else argument.default
        if domain is not None and value not in domain:
            if key in point:
                raise StudyError(f"{key} = {value!r} is not in the study's domain for {key}")
            value = domain.extremes()[0]
        if domain is None and key in point and value != argument.default:
            raise StudyError(f"{key} = {value!r}, but the study doesn't search {key} (it stays {argument.default!r})")
        chosen[key] = value
    return chosen


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
