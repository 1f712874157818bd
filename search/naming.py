"""Names of trials: what a configuration is, in a few letters, as lists and legends show it."""

from typing import Any

from models import MODELS
from search.configuration import Configuration
from search.schema import arguments_of
from search.study import serving

CODED = ("encoder_depth", "encoder_width", "latent", "decoder_depth", "decoder_width")
PLAIN = ("depth", "width")
WEIGHTS = {"lam": "lambda", "beta": "beta"}  # of an objective's penalty, by their key
MOST_LETTERS = 80


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
