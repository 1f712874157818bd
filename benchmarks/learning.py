"""Learning curves to search without training: three shapes with a formula, and the table of real ones.

A curve gives the value that a trial reports at each epoch, and a configuration's true value, that of its full budget
without the noise of one seed.
"""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from curves import GOALS, RETURNS, SEEDS, curves, reported, space

from search.study.configuration import Configuration
from search.study.parse import parse_study
from search.study.study import Study, check_point

EPOCHS, NOISE = 81, 0.1
START = 10  # trials after which samplers begin to learn
SPACE = """
epochs = 81
grace = 3
evaluations = 1
[problem]
name = "gaussian_2d"
[training]
learning_rate = { low = 1e-4, high = 1e-1, log = true }
l2 = { low = 1e-5, high = 1e-1, log = true }
[models.pushforward]
width = { low = 4, high = 256, log = true }
depth = { low = 1, high = 4 }
activation = ["relu", "leaky_relu", "elu", "tanh", "silu"]
[objectives.mmd]
"""
OFFSETS = {"relu": 0.4, "leaky_relu": 0.3, "elu": 0.1, "tanh": 0.5, "silu": 0.0}

Suggest = Callable[[optuna.Trial], dict[str, Any]]


@dataclass(frozen=True)
class Learning:
    """A space of configurations and what each would report.

    Args:
        study: the space, as genseek searches it.
        suggest: the same space, define-by-run, for plain Optuna; what it returns are constants.
        epochs: at which a trial reports.
        curve: value at each of these of a configuration in a seed's trial.
        true: value of a configuration at full budget.
        best: the least true value.
        architecture: all that is known at each epoch of a configuration in a seed's trial, by name; None of the shapes.
    """

    study: Study
    suggest: Suggest
    epochs: Sequence[int]
    curve: Callable[[Configuration, int], Sequence[float]]
    true: Callable[[Configuration], float]
    best: float
    architecture: Callable[[Configuration, int], list[dict[str, float]]] | None = None

    def start(self, seed: int) -> list[dict[str, Any]]:
        """Suggestions by chance, the same for every searcher: luck at the start would hide all else."""
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed))
        trials = [study.ask() for _ in range(START)]
        return [self.suggest(trial) | trial.params for trial in trials]

    def configuration(self, flat: dict[str, Any]) -> Configuration:
        """Configuration of what plain Optuna suggested; a key's model or objective stands before its name."""
        return check_point(self.study, {key.rpartition(".")[2]: value for key, value in flat.items()})


def quality(configuration: Configuration) -> float:
    """What a configuration lacks of the best one: a bowl with an offset for each activation."""
    training, own = configuration.training, configuration.model_arguments
    rate, decay, width = math.log10(training.learning_rate), math.log10(training.l2), math.log2(own["width"])
    bowl: float = (rate + 2.5) ** 2 + 0.1 * (decay + 3) ** 2 + 0.15 * (width - 6) ** 2 + 0.2 * (own["depth"] - 2) ** 2
    return bowl + OFFSETS[own["activation"]]


def ordinary(lack: float, share: float) -> float:
    """All fall at the same pace."""
    return 1 + lack + 4 * math.exp(-6 * share)


def crossing(lack: float, share: float) -> float:
    """Good ones fall slowly: their curves cross those of bad ones."""
    pace = 3 + 27 * min(1.0, lack / 3)
    return 1 + lack + 5 * math.exp(-pace * share)


def rising(lack: float, share: float) -> float:
    """A weight warms up over the first half of training, and the value rises with it."""
    return (1 + lack) * (0.2 + 0.8 * min(1.0, 2 * share)) + 0.5 * math.exp(-20 * share)


SHAPES = {"ordinary": ordinary, "crossing": crossing, "rising, with a warm-up": rising}


def shaped(name: str) -> Learning:
    """Curves of one of the shapes."""
    study, shape = parse_study(SPACE, "shapes", "shapes"), SHAPES[name]
    epochs = study.budget.evaluation_epochs()

    def curve(configuration: Configuration, seed: int) -> Sequence[float]:
        noise = NOISE * float(np.random.default_rng([seed, 7]).standard_normal())
        return [shape(quality(configuration), epoch / EPOCHS) + noise for epoch in epochs]

    def suggest(trial: optuna.Trial) -> dict[str, Any]:
        trial.suggest_float("learning_rate", 1e-4, 1e-1, log=True)
        trial.suggest_float("l2", 1e-5, 1e-1, log=True)
        trial.suggest_int("width", 4, 256, log=True)
        trial.suggest_int("depth", 1, 4)
        trial.suggest_categorical("activation", list(OFFSETS))
        return {}

    return Learning(study, suggest, epochs, curve, lambda each: shape(quality(each), 1.0), shape(0.0, 1.0))


def tabled(problem: str = RETURNS) -> Learning:
    """The table of real curves on a problem."""
    study, table = space(problem), curves(problem)
    epochs = reported(study)
    places = {_key(check_point(study, point)): place for place, point in enumerate(study.points)}
    names = ["misfit", *GOALS, "parameters"]
    shape = (len(places), SEEDS, len(epochs), len(names))
    values = table[names].to_numpy(np.float64).reshape(shape)
    means = values[:, :, -1, 0].mean(1)

    def place(configuration: Configuration) -> int:
        return places[_key(configuration)]

    def architecture(configuration: Configuration, seed: int) -> list[dict[str, float]]:
        return [dict(zip(names, row, strict=True)) for row in values[place(configuration), seed % SEEDS].tolist()]

    def suggest(trial: optuna.Trial) -> dict[str, Any]:
        pairs = study.pairs()
        model = trial.suggest_categorical("model", list(pairs))
        objective = trial.suggest_categorical(f"{model}.objective", pairs[model])
        groups = {f"{model}.": study.models[model], f"{objective}.": study.objectives[objective], "": study.training}
        for prefix, domains in groups.items():
            for key, domain in domains.items():
                if len(domain.extremes()) > 1:
                    trial.suggest_categorical(prefix + key, list(domain.extremes()))
        return {}

    return Learning(
        study,
        suggest,
        epochs,
        lambda each, seed: values[place(each), seed % SEEDS, :, 0].tolist(),
        lambda each: float(means[place(each)]),
        float(means.min()),
        architecture,
    )


def _key(configuration: Configuration) -> str:
    return json.dumps(configuration.nested(), sort_keys=True)
