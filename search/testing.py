"""Checks of the contract that every model, objective, score and problem must meet, for the tests of a plug-in.

    from search.testing import check_model

    def test_my_model():
        check_model(MyModel, {"width": 5}, {"width": 9})

Each check raises an `AssertionError` of one line that names the broken rule. The checks consist of clauses; genseek's
own tests run them for everything that is registered. pytest isn't needed.

Notation: alone = one network in a pack of its own, company = the same networks in one pack.
"""

import inspect
import pickle
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import ge
from typing import Any, TypeVar, final
from unittest import mock

import numpy as np
import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from models import MODELS, Model, Noise, Shape
from models.pack import join, keep, pack_size
from objectives import OBJECTIVES, Problem
from objectives.losses import Objective
from objectives.problems.problem import LEAST_ROWS, Array
from objectives.scores import Reference, Score
from search.study.configuration import Training
from search.train.pack import Pack

SHAPE = Shape(features=3, source="normal", source_features=2)
ROWS, BATCH, BUDGET = 96, 32, 4
CLOSE = {"rtol": 1e-4, "atol": 2e-5}
COMPANY = 5  # least number of stacked networks
WIDTHS = (5, 9, 4, 6, 7)  # columns of the networks with which a loss is tested
TRAININGS = (
    Training(learning_rate=3e-3, batch=BATCH),
    Training(learning_rate=1e-2, batch=BATCH, l1=0.05, average=0.8),
    Training(learning_rate=5e-3, batch=BATCH, l2=0.5, schedule="cosine"),
)

Arguments = Mapping[str, Any]
Subject = TypeVar("Subject")


def check_model(
    model: Callable[..., Model],
    *variants: Arguments,
    objective: type[Objective[Any]] | None = None,
    still: Callable[[str, Arguments], bool] = lambda name, arguments: False,
) -> None:
    """Check that networks of a family learn, and that stacking, padding and interruption don't change them.

    Args:
        model: the family.
        variants: keyword arguments of the stacked networks; each argument must take at least two values.
        objective: what trains them; by default the first registered objective of each protocol that they meet.
        still: returns whether by design no gradient reaches a parameter, by its name and the network's arguments.

    Raises:
        AssertionError: a clause of the contract doesn't hold.
    """
    networks = Networks(model, variants or ({},))
    subject = _name(model)
    _check(subject, (arguments_vary,), networks)
    _check(subject, NETWORKS, networks)
    for trained_by in [objective] if objective else _objectives(model):
        pairing = Pairing(networks, Losses(trained_by, ({},)), still)
        _check(f"{subject} with {_name(trained_by)}", PAIRINGS, pairing)


def check_loss(
    objective: type[Objective[Any]], *variants: Arguments, model: Callable[..., Model] | None = None
) -> None:
    """Check that a loss keeps the networks of a pack apart, in value, gradient and its own state.

    Args:
        objective: the loss.
        variants: its keyword arguments; each must take at least two values.
        model: what it trains; by default the first registered family that meets its protocol.

    Raises:
        AssertionError: a clause of the contract doesn't hold.
    """
    losses, subject = Losses(objective, variants or ({},)), _name(objective)
    _check(subject, (arguments_vary, keep_gives_back_losses), losses)
    family = model or next((each for each in MODELS.values() if isinstance(each(SHAPE, 0), objective.protocol)), None)
    if family is None:
        raise AssertionError(f"{subject}: no registered model meets {_name(objective.protocol)}; name one as model=")
    widths = [name for name in _keywords(family) if name.endswith("width")]
    networks = Networks(family, [dict.fromkeys(widths, width) for width in WIDTHS])
    # The family, not its loss, says which parameters get no gradient.
    clauses = [clause for clause in PAIRINGS if clause is not gradients_reach_every_parameter]
    _check(f"{subject} with {_name(family)}", clauses, Pairing(networks, losses))


def check_score(score: type[Score]) -> None:
    """Check that a score keeps the samples of a pack apart, accepts any values, and can be pickled.

    It must serve three non-negative columns.

    Raises:
        AssertionError: a clause of the contract doesn't hold.
    """
    subject = _name(score)
    for name in ("ranking", "limit", "decay", "repeats"):
        _hold(hasattr(score, name), f"{subject}: {name} isn't set")
    reference = reference_rows()
    _hold(score.serves(reference.held), f"{subject}: it doesn't serve three columns of at least 0")
    _check(subject, SCORES, score(reference))


def check_problem(problem: Callable[..., Problem], *, continuous: bool = True, **arguments: Any) -> None:
    """Check that a problem's rows depend on the seed alone, and that its splits and pairs have its columns.

    Args:
        problem: its class.
        continuous: whether no value of the first column occurs twice, as in rows drawn from a density.
        arguments: its keyword arguments.

    Raises:
        AssertionError: a clause of the contract doesn't hold.
    """
    known = _keywords(problem)

    def build(**sizes: int) -> Problem:
        return problem(**{**arguments, **sizes})

    drawn = Drawn(build, continuous, tuple(name for name in ("train", "validation", "test") if name in known))
    _check(_name(problem), PROBLEMS, drawn)


@final
@dataclass(frozen=True)
class Networks:
    """A family, and the arguments of its stacked networks."""

    build: Callable[..., Model]
    variants: Sequence[Arguments]

    @property
    def trials(self) -> range:
        """Return the numbers of the networks, at least five; arguments repeat if there are fewer."""
        return range(max(COMPANY, len(self.variants)))

    def arguments(self, trial: int) -> Arguments:
        """Return the arguments of a network."""
        return self.variants[trial % len(self.variants)]

    def network(self, trial: int, shape: Shape = SHAPE) -> Model:
        """Return a new network, whose seed is its number."""
        return self.build(shape, trial, **self.arguments(trial))

    def all(self) -> list[Model]:
        """Return a new network of each number."""
        return [self.network(trial) for trial in self.trials]


@final
@dataclass(frozen=True)
class Losses:
    """An objective, and the arguments of its stacked losses."""

    build: type[Objective[Any]]
    variants: Sequence[Arguments]

    def loss(self, trial: int) -> Objective[Any]:
        """Return a new loss, whose seed is its number."""
        return self.build(training_rows(trial), trial, **self.variants[trial % len(self.variants)])


@final
@dataclass(frozen=True)
class Pairing:
    """Networks and the losses that train them; `still` says which parameters get no gradient, by arguments."""

    networks: Networks
    losses: Losses
    still: Callable[[str, Arguments], bool] = lambda name, arguments: False

    @property
    def trials(self) -> range:
        """Return the numbers of the networks."""
        return self.networks.trials

    def prepared(self, trial: int) -> tuple[Model, Objective[Any]]:
        """Return a new network and its loss, before training."""
        single, loss = self.networks.network(trial), self.losses.loss(trial)
        loss.setup(single, training_rows(trial).unsqueeze(0))
        return single, loss

    def alone(self, trial: int, device: str = "cpu", **changes: Any) -> Pack:
        """Return a network in a pack of its own; `changes` are to its training arguments."""
        return Pack(
            *self.prepared(trial),
            training_rows(trial).unsqueeze(0).to(device),
            [replace(TRAININGS[trial % len(TRAININGS)], **changes)],
            seeds=[1000 + trial],
            budget=BUDGET,
        )

    def together(self, trials: Sequence[int] | None = None, device: str = "cpu") -> Pack:
        """Return networks in one pack; all of them if None."""
        return Pack.join([self.alone(trial, device) for trial in (self.trials if trials is None else trials)])


@final
@dataclass(frozen=True)
class Drawn:
    """A problem, whether its values come from a density, and the splits whose sizes are arguments."""

    build: Callable[..., Problem]
    continuous: bool
    sizes: Sequence[str]


def training_rows(trial: int) -> Tensor:
    """Return the training rows `[ROWS, 3]` of a network."""
    generator = torch.Generator().manual_seed(100 + trial)
    return torch.randn(ROWS, 3, generator=generator) @ torch.tensor([[1.0, 0.5, 0], [0, 1, -1], [0.3, 0, 0.6]])


def reference_rows() -> Reference:
    """Return real rows that most scores serve: three non-negative columns."""
    return Reference.of(np.abs(_normal(300, 3)), np.abs(_normal(200, 3, seed=1)))


def history(trainer: Pack, epochs: int) -> Tensor:
    """Train for some epochs; return the losses `[epochs, pack]`."""
    return torch.stack([trainer.advance() for _ in range(epochs)])


# Of arguments


def arguments_vary(subject: Networks | Losses) -> None:
    """Check that every keyword argument has a default and takes at least two values."""
    for name, default in _keywords(subject.build).items():
        _hold(default is not inspect.Parameter.empty, f"{name} has no default")
        values = {entry.get(name, default) for entry in subject.variants}
        _hold(len(values) > 1, f"no variant changes {name}; name two values of it")


# Of networks


def keep_gives_back_what_join_was_given(networks: Networks) -> None:
    """Check that a network is unchanged by joining a pack and leaving it."""
    originals = networks.all()
    pack = join(originals)
    _hold(pack_size(pack) == len(originals), f"{len(originals)} networks make a pack of {pack_size(pack)}")
    for trial, original in enumerate(originals):
        alike = keep(pack, [trial])
        _same(alike, original, f"network {trial}")
        _hold(
            alike.architecture() == original.architecture() == [pack.architecture()[trial]],
            f"architecture of network {trial} change",
        )
        drawn, expected = (module.sample(Noise([trial], 9)) for module in (alike, original))
        _close(drawn, expected, f"samples of network {trial}")


def packs_of_different_sizes_join(networks: Networks) -> None:
    """Check that joining in steps equals joining at once."""
    several = networks.all()
    _same(join([join(several[:1]), join(several[1:4]), join(several[4:])]), join(several), "packs of 1, 3 and more")
    _same(keep(join(several), [3, 1]), join([several[3], several[1]]), "networks 3 and 1")


def parameters_are_counted_without_padding(networks: Networks) -> None:
    """Check that `parameters` is the network's own count, however wide its company."""
    architecture = join(networks.all()).architecture()
    for trial, original in enumerate(networks.all()):
        own = [p.numel() for name, p in original.named_parameters() if name.endswith(("weight", "bias"))]
        told = architecture[trial]["parameters"]
        if own:  # a closed form counts its own
            _hold(told == sum(own), f"network {trial} tells {told} parameters and has {sum(own)}")
        _hold(told > 0, f"network {trial} tells {told} parameters")


def samples_are_rows_that_vary(networks: Networks) -> None:
    """Check that samples `[pack, rows, features]` are finite, vary, and equal those of the network alone."""
    for source in ("normal", "uniform"):
        shape = Shape(features=4, source=source, source_features=1)
        singles = [networks.network(trial, shape) for trial in networks.trials]
        pack, seeds = join(singles), [7 + trial for trial in networks.trials]
        rows = pack.sample(Noise(seeds, 11))
        expected = (len(singles), 11, 4)
        _hold(rows.shape == expected, f"samples have shape {tuple(rows.shape)}, expected {expected}")
        _hold(bool(rows.isfinite().all()), "samples aren't finite")
        _hold(bool(rows.std(1).min() > 0), "all rows of a sample are equal")
        for trial, single in enumerate(singles):
            _close(single.sample(Noise([seeds[trial]], 11))[0], rows[trial], f"samples of network {trial}")


# Of losses


def keep_gives_back_losses(losses: Losses) -> None:
    """Check that a loss is unchanged by joining a pack and leaving it."""
    originals = [losses.loss(trial) for trial in range(len(losses.variants))]
    pack = join(originals)
    for trial, original in enumerate(originals):
        _same(keep(pack, [trial]), original, f"loss {trial}")


# Of networks with losses


def alone_equals_in_company(pairing: Pairing) -> None:
    """Check that losses and the state after training equal those of the network alone."""
    company = pairing.together()
    losses = history(company, 3)
    _hold(losses.shape == (3, len(pairing.trials)), f"losses of a pack have shape {tuple(losses.shape[1:])}")
    _hold(bool(losses.isfinite().all()), "losses aren't finite")
    for trial in pairing.trials:
        single = pairing.alone(trial)
        _close(history(single, 3)[:, 0], losses[:, trial], f"losses of network {trial}")
        _same_trial(company.keep([trial]), single, f"network {trial}")


def loss_on_other_rows_equals_in_company(pairing: Pairing) -> None:
    """Check that the loss on other than training rows equals that of the network alone."""
    rows = torch.randn(len(pairing.trials), 40, 3, generator=torch.Generator().manual_seed(1))
    seeds = [50 + trial for trial in pairing.trials]
    losses = pairing.together().loss(rows, seeds)
    for trial in pairing.trials:
        single = pairing.alone(trial).loss(rows[[trial]], [seeds[trial]])
        _close(single[0], losses[trial], f"loss of network {trial}")


def finalized_in_company_equals_finalized_alone(pairing: Pairing) -> None:
    """Check that a network finalized in company equals one finalized alone."""
    company = pairing.together()
    history(company, 1)
    company.finalize()
    with torch.no_grad():
        rows = company.averaged.sample(Noise([50 + trial for trial in pairing.trials], 20))
    for trial in pairing.trials:
        single = pairing.alone(trial)
        history(single, 1)
        single.finalize()
        for name, value in _tensors(keep(company.averaged, [trial])).items():
            own, said = _tensors(single.averaged)[name], f"{name} of network {trial}"
            _close(_unpadded(value, own, said), own, said)
        with torch.no_grad():
            drawn = single.averaged.sample(Noise([50 + trial], 20))[0]
        _close(rows[trial], drawn, f"samples of network {trial}")


def noise_in_company_is_the_same_bit_for_bit(pairing: Pairing) -> None:
    """Check that a network draws the same noise in company as alone."""
    company = _recorded(pairing.together())
    for trial in pairing.trials:
        for stream, draws in _recorded(pairing.alone(trial)).items():
            said = f"network {trial} draws {' '.join(stream)}"
            _hold(len(draws) == len(company[stream]), f"{said} {len(draws)} times, in company {len(company[stream])}")
            for (widths, drawn), (company_widths, company_drawn) in zip(draws, company[stream], strict=True):
                _hold(list(widths) == [company_widths[trial]], f"{said} {list(widths)} wide, in company otherwise")
                _hold(torch.equal(drawn[0], company_drawn[trial, :, : widths[0]]), f"{said} otherwise in company")


def padded_equals_unpadded_in_value_and_gradient(pairing: Pairing) -> None:
    """Check that padding changes neither loss nor gradient, and has no gradient itself."""

    def differentiated(network: Model, loss: Objective[Any], trials: Sequence[int]) -> tuple[Tensor, dict[str, Tensor]]:
        noise = Noise([70 + trial for trial in trials], ROWS)
        value = loss.loss(network, torch.stack([training_rows(trial) for trial in trials]), noise)
        _hold(value.shape == (len(trials),), f"the loss of {len(trials)} networks has shape {tuple(value.shape)}")
        named = dict(network.named_parameters())
        if not value.requires_grad:
            _hold(not named, "the loss depends on no parameter")
            return value, {}
        found = torch.autograd.grad(value.sum(), list(named.values()), allow_unused=True, materialize_grads=True)
        return value.detach(), dict(zip(named, found, strict=True))

    singles, losses = zip(*(pairing.prepared(trial) for trial in pairing.trials), strict=True)
    padded = differentiated(join(singles), join(losses), pairing.trials)
    for trial in pairing.trials:
        value, gradients = differentiated(*pairing.prepared(trial), [trial])
        _close(value[0], padded[0][trial], f"loss of network {trial}")
        _hold(gradients.keys() <= padded[1].keys(), f"parameters of network {trial} are lost in company")
        for name, gradient in padded[1].items():
            rest = gradient[[trial]].clone()
            if name in gradients:
                corner = tuple(slice(0, size) for size in gradients[name].shape)
                _close(rest[corner], gradients[name], f"gradient of {name} of network {trial}")
                rest[corner] = 0
            _hold(bool((rest == 0).all()), f"{name} of network {trial} has a gradient in its padding")


def padding_stays_zero_in_training(pairing: Pairing) -> None:
    """Check that training leaves the padding of narrow networks at zero."""
    company = pairing.together()
    history(company, 2)
    for trial in pairing.trials:
        own = _tensors(pairing.networks.network(trial))
        for name, parameter in company.model.named_parameters():
            rest = parameter.detach()[[trial]].clone()
            if name in own:
                rest[tuple(slice(0, size) for size in own[name].shape)] = 0
            _hold(bool((rest == 0).all()), f"{name} of network {trial} isn't zero in its padding")


def order_is_irrelevant(pairing: Pairing) -> None:
    """Check that networks train the same in any order of stacking."""
    order = list(reversed(pairing.trials))
    losses = history(pairing.together(), 2)
    _close(history(pairing.together(order), 2), losses[:, order], "losses in reverse order")


def joining_in_the_middle_equals_uninterrupted_training(pairing: Pairing) -> None:
    """Check that networks that join others after some epochs train on as if alone."""
    early, late = pairing.together([1, 2]), pairing.together([0, 3])
    history(early, 2)
    history(late, 1)
    merged = Pack.join([early, late])
    losses = history(merged, 2)
    for place, (trial, before) in enumerate([(1, 2), (2, 2), (0, 1), (3, 1)]):
        single = pairing.alone(trial)
        _close(history(single, before + 2)[before:, 0], losses[:, place], f"losses of network {trial}")
        _same_trial(merged.keep([place]), single, f"network {trial}")


def leaving_in_the_middle_equals_uninterrupted_training(pairing: Pairing) -> None:
    """Check that networks that leave others after some epochs train on as if they had stayed."""
    company = pairing.together()
    history(company, 1)
    pair = company.keep([4, 0])
    untouched = history(company, 2)[:, [4, 0]]
    _close(history(pair, 2), untouched, "losses of networks 4 and 0")
    _same_trial(pair, company.keep([4, 0]), "networks 4 and 0")


def restored_training_equals_uninterrupted_training(pairing: Pairing) -> None:
    """Check that training from a checkpoint gives the same numbers, and that a checkpoint doesn't change later."""
    company = pairing.together()
    history(company, 2)
    state = company.state()
    frozen = {name: value.clone() for name, value in state.items()}
    expected = history(company, 2)
    for stored in (state, load(save(state))):
        again = pairing.together()
        again.restore(stored)
        _hold(again.epochs == [2] * len(again.seeds), f"restored after 2 epochs, it is at {again.epochs}")
        _hold(torch.equal(history(again, 2), expected), "losses differ")
        _same_trial(again, company, "the pack")
        _same(again.averaged, company.averaged, "the mean")
    for name, value in state.items():
        _hold(torch.equal(value, frozen[name]), f"{name} of the state changed as training went on")


def a_diverged_network_harms_no_other(pairing: Pairing) -> None:
    """Check that a network with an absurd learning rate doesn't affect the others of its pack."""
    others = [0, 2, 3]
    company = Pack.join([pairing.alone(1, learning_rate=1e38), *(pairing.alone(trial) for trial in others)])
    losses = history(company, 3)
    _hold(bool(losses[:, 1:].isfinite().all()), "losses of the others aren't finite")
    _close(losses[:, 1:], history(pairing.together(others), 3), "losses of the others")


def poisoned_weights_harm_no_other(pairing: Pairing) -> None:
    """Check that a network with non-finite weights doesn't affect the others of its pack."""
    others = [trial for trial in pairing.trials if trial != 1]
    for poison in (float("nan"), float("inf")):
        losses = history(poisoned(pairing, poison), 2)
        _close(losses[:, others], history(pairing.together(others), 2), f"losses of the others, beside {poison}")


def poisoned(pairing: Pairing, poison: float) -> Pack:
    """Return a pack in which all weights of network 1 are `poison`."""
    company = pairing.together()
    with torch.no_grad():
        for parameter in company.model.parameters():
            parameter[1] = poison
    return company


def same_seed_same_training(pairing: Pairing) -> None:
    """Check that the same seed gives the same losses and weights."""
    first, second = (pairing.alone(1) for _ in range(2))
    _hold(torch.equal(history(first, 2), history(second, 2)), "losses differ")
    _same(first.model, second.model, "the network")


def gradients_reach_every_parameter(pairing: Pairing) -> None:
    """Check that every parameter has a gradient that isn't zero, except those that get none by design."""
    for trial in pairing.trials:
        single, own_loss = pairing.prepared(trial)
        loss = own_loss.loss(single, training_rows(trial).unsqueeze(0), Noise([trial], ROWS))
        for name, parameter in single.named_parameters():
            (gradient,) = torch.autograd.grad(loss.sum(), [parameter], retain_graph=True, materialize_grads=True)
            still = pairing.still(name, pairing.networks.arguments(trial))
            said = f"a gradient reaches {name}" if still else f"no gradient reaches {name}"
            _hold(bool((gradient != 0).any()) is not still, f"{said} of network {trial}")


# Of scores


def a_pack_scores_as_its_members_alone(score: Score) -> None:
    """Check that a sample's score doesn't depend on the other samples of its pack, nor on their number."""
    pack = _normal(5, 150, 3, seed=2) * np.linspace(0.5, 2, 5)[:, None, None]
    together = score(pack)
    shapes = together.value.shape, together.positive.shape
    _hold(shapes == ((5,), (5,)), f"scores of 5 samples have shapes {shapes}")
    for k in range(5):
        alone = score(pack[k : k + 1])
        same = alone.value[0] == together.value[k] and alone.positive[0] == together.positive[k]
        _hold(bool(same), f"sample {k} scores {alone.value[0]} alone and {together.value[k]} in company")
    # Test more than one group of members, if that takes seconds and not minutes.
    copies = 600 if score.repeats == 200 else 4
    many = score(np.tile(pack, (copies, 1, 1))).value
    _hold(np.array_equal(many, np.tile(together.value, copies)), f"{copies} copies of a pack score otherwise")


def members_that_are_not_finite_measure_nan_and_harm_no_other(score: Score) -> None:
    """Check that a sample with a non-finite value measures nan, and that an empty pack measures nothing."""
    pack = _normal(4, 150, 3, seed=2)
    clean = score(pack)
    pack[1, 7, 0], pack[2, 0, 2] = np.nan, -np.inf
    measure = score(pack)
    for values in (measure.value, measure.positive):
        missing = np.isnan(values).tolist()
        _hold(missing == [False, True, True, False], f"samples 1 and 2 aren't finite; scores are nan: {missing}")
    others = [0, 3]
    _hold(np.array_equal(measure.value[others], clean.value[others]), "the others score otherwise beside them")
    _hold(bool(np.isnan(score(np.full((2, 9, 3), np.nan)).value).all()), "samples of nan don't measure nan")
    empty = score(np.empty((0, 9, 3))).value.shape
    _hold(empty == (0,), f"scores of an empty pack have shape {empty}")


def extreme_and_single_precision_rows_are_served(score: Score) -> None:
    """Check that values of 1e300 and constant values give finite scores, and float32 rows float64 scores."""
    rows = _normal(1, 100, 3, seed=2)
    for factor in (1e300, 0):
        _hold(bool(np.isfinite(score(factor * rows).value).all()), f"rows times {factor:g} have no finite score")
    kind = score(rows.astype(np.float32)).value.dtype
    _hold(kind == np.float64, f"float32 rows have scores of {kind}")


def the_order_of_rows_does_not_matter(score: Score) -> None:
    """Check that a sample in reverse order scores the same."""
    pack = _normal(1, 150, 3, seed=2)
    there, back = score(pack).value[0], score(pack[:, ::-1]).value[0]
    _hold(abs(there - back) <= 1e-12 * max(1.0, abs(there)), f"rows score {there}, in reverse order {back}")


def the_positive_form_is_never_negative(score: Score) -> None:
    """Check that the positive form is at least 0."""
    lowest = score(_normal(50, 200, 3, seed=5)).positive.min()
    _hold(bool(lowest >= 0), f"it is {lowest}")


def scores_survive_pickling(score: Score) -> None:
    """Check that a pickled score measures the same."""
    pack = _normal(2, 50, 3)
    again = pickle.loads(pickle.dumps(score))
    _hold(np.array_equal(again(pack).value, score(pack).value), "it measures otherwise")


def packs_of_another_shape_are_refused(score: Score) -> None:
    """Check that a pack with other columns, or with one row, raises a `ValueError`."""
    for shape in ((3,), (150, 2), (2, 150, 2), (2, 1, 3)):
        try:
            score(_normal(*shape))
        except ValueError:
            continue
        raise AssertionError(f"rows of shape {shape} are taken where [pack, rows >= 2, 3] is expected")


# Of problems


def the_seed_gives_the_rows(drawn: Drawn) -> None:
    """Check that the same seed gives the same rows, and another seed other rows."""
    problem = drawn.build()
    first, again, other = problem.rows(3), problem.rows(3), problem.rows(4)
    _hold(first.digest() == again.digest(), "the same seed gives other rows")
    _hold(first.digest() != other.digest(), "another seed gives the same rows")
    _hold(np.array_equal(first.train, again.train), "the same seed gives other training rows")


def splits_are_finite_and_independent(drawn: Drawn) -> None:
    """Check that each split is float64 `[rows, columns]`, finite, and shares no row with another."""
    problem = drawn.build()
    rows = problem.rows(0)
    splits = {"train": rows.train, "validation": rows.validation, "test": rows.test}
    for name, split in splits.items():
        _hold(split.dtype == np.float64, f"{name} is of {split.dtype}, expected float64")
        expected = len(problem.columns)
        _hold(split.ndim == 2 and split.shape[1] == expected, f"{name} is of {split.shape}, of {expected} columns")
        _hold(bool(np.isfinite(split).all()), f"{name} isn't finite")
    if drawn.continuous:
        for one, other in (("train", "validation"), ("validation", "test")):
            _hold(not np.isin(splits[one][:, 0], splits[other][:, 0]).any(), f"{one} and {other} share rows")


def a_pair_holds_two_different_samples(drawn: Drawn) -> None:
    """Check that a pair is two samples of the requested sizes that share no row."""
    problem = drawn.build()
    first, second = problem.pair(300, 200, np.random.default_rng(0))
    shapes, columns = (first.shape, second.shape), len(problem.columns)
    _hold(shapes == ((300, columns), (200, columns)), f"pairs of 300 and 200 rows have shapes {shapes}")
    _hold(not drawn.continuous or not np.isin(first[:, 0], second[:, 0]).any(), "its samples share rows")


def problems_survive_pickling(drawn: Drawn) -> None:
    """Check that a pickled problem gives the same rows."""
    problem = drawn.build()
    again = pickle.loads(pickle.dumps(problem))
    _hold(again.rows(1).digest() == problem.rows(1).digest(), "it gives other rows")


def sizes_are_adjustable_and_checked(drawn: Drawn) -> None:
    """Check that a split has the requested size, and that too small a size is a `ValueError` that names it."""
    for split in drawn.sizes:
        count = len(getattr(drawn.build(**{split: LEAST_ROWS + 10}).rows(0), split))
        _hold(count == LEAST_ROWS + 10, f"{split} = {LEAST_ROWS + 10} gives {count} rows")
        try:
            drawn.build(**{split: LEAST_ROWS - 1})
        except ValueError as error:
            _hold(str(error).startswith(f"{split} = "), f"{split} = {LEAST_ROWS - 1} is refused without its name")
        else:
            raise AssertionError(f"{split} = {LEAST_ROWS - 1} is taken where {LEAST_ROWS} rows are the least")


# The clauses of the contract.
NETWORKS = (
    keep_gives_back_what_join_was_given,
    packs_of_different_sizes_join,
    parameters_are_counted_without_padding,
    samples_are_rows_that_vary,
)
PAIRINGS = (
    alone_equals_in_company,
    loss_on_other_rows_equals_in_company,
    finalized_in_company_equals_finalized_alone,
    noise_in_company_is_the_same_bit_for_bit,
    padded_equals_unpadded_in_value_and_gradient,
    padding_stays_zero_in_training,
    gradients_reach_every_parameter,
    order_is_irrelevant,
    joining_in_the_middle_equals_uninterrupted_training,
    leaving_in_the_middle_equals_uninterrupted_training,
    restored_training_equals_uninterrupted_training,
    a_diverged_network_harms_no_other,
    poisoned_weights_harm_no_other,
    same_seed_same_training,
)
SCORES = (
    a_pack_scores_as_its_members_alone,
    members_that_are_not_finite_measure_nan_and_harm_no_other,
    extreme_and_single_precision_rows_are_served,
    the_order_of_rows_does_not_matter,
    the_positive_form_is_never_negative,
    scores_survive_pickling,
    packs_of_another_shape_are_refused,
)
PROBLEMS = (
    the_seed_gives_the_rows,
    splits_are_finite_and_independent,
    a_pair_holds_two_different_samples,
    problems_survive_pickling,
    sizes_are_adjustable_and_checked,
)


def _check(name: str, clauses: Sequence[Callable[[Subject], None]], subject: Subject) -> None:
    for clause in clauses:
        said = clause.__name__.replace("_", " ")
        try:
            clause(subject)
        except AssertionError as error:
            raise AssertionError(f"{name}: {said}: {error}") from None
        except Exception as error:  # a broken plug-in may raise anything
            line = " ".join(str(error).split())
            raise AssertionError(f"{name}: {said}: {type(error).__name__}: {line}") from error


def _hold(true: bool, said: str) -> None:
    if not true:
        raise AssertionError(said)


def _close(found: Tensor, expected: Tensor, what: str, **tolerances: float) -> None:
    _hold(found.shape == expected.shape, f"{what} are of {tuple(found.shape)} and {tuple(expected.shape)}")
    _hold(found.dtype == expected.dtype, f"{what} are of {found.dtype} and {expected.dtype}")
    limits = {**CLOSE, **tolerances}
    if not torch.allclose(found, expected, rtol=limits["rtol"], atol=limits["atol"]):
        furthest = (found.detach().double() - expected.detach().double()).abs().max().item()
        raise AssertionError(f"{what}: they differ by up to {furthest:.3g}")


def _same(one: nn.Module, other: nn.Module, what: str) -> None:
    first, second = _tensors(one), _tensors(other)
    _hold(first.keys() == second.keys(), f"{what}: tensors {sorted(first.keys() ^ second.keys())} come or go")
    for name, value in first.items():
        found = _unpadded(value, second[name], f"{name} of {what}")
        _hold(torch.equal(found, second[name]), f"{name} of {what} changes")


def _same_trial(one: Pack, other: Pack, what: str) -> None:
    _hold(one.epochs == other.epochs, f"{what}: {one.epochs} epochs and {other.epochs}")
    first, second = one.state(), other.state()
    _hold(first.keys() == second.keys(), f"{what}: tensors {sorted(first.keys() ^ second.keys())} come or go")
    for name, value in first.items():
        # If a critic's gradient is zero up to rounding, Adam follows the rounding.
        tolerances = {"atol": 1e-3} if "critic" in name else {}
        said = f"{name} of {what}"
        _close(_unpadded(value, second[name], said), second[name], said, **tolerances)


def _unpadded(value: Tensor, other: Tensor, what: str) -> Tensor:
    """Return `value` cropped to the shape of `other` and check that the rest, padding for its company, is zero."""
    fits = value.dim() == other.dim() and all(map(ge, value.shape, other.shape))
    _hold(fits, f"{what} has shape {tuple(value.shape)}, expected {tuple(other.shape)}")
    corner = tuple(map(slice, other.shape))
    rest = value.clone()
    rest[corner] = 0
    _hold(not rest.any(), f"{what} isn't zero in its padding")
    return value[corner]


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach() for name, value in [*module.named_parameters(), *module.named_buffers()]}


def _keywords(constructor: Callable[..., Any]) -> dict[str, Any]:
    """Return the keyword arguments with their defaults."""
    return {
        name: parameter.default
        for name, parameter in inspect.signature(constructor).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }


def _objectives(model: Callable[..., Model]) -> list[type[Objective[Any]]]:
    """Return the first registered objective of each protocol that a model meets."""
    network = model(SHAPE, 0)
    first: dict[type, type[Objective[Any]]] = {}
    for objective in OBJECTIVES.values():
        if isinstance(network, objective.protocol):
            first.setdefault(objective.protocol, objective)
    _hold(bool(first), f"{_name(model)}: no registered objective trains it; name one as objective=")
    return list(first.values())


def _name(subject: Any) -> str:
    return str(getattr(subject, "__name__", subject))


def _normal(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape)


Notes = dict[tuple[str, str], list[tuple[Sequence[int], Tensor]]]


def _recorded(trainer: Pack) -> Notes:
    """Return what a pack draws in two epochs, by kind and key."""
    notes: Notes = defaultdict(list)
    with mock.patch("search.train.pack.Noise", lambda *arguments: _Recorder(Noise(*arguments), notes)):
        history(trainer, 2)
    return notes


@final
class _Recorder:
    """Noise that records each draw with the widths that were asked for."""

    def __init__(self, noise: Noise, notes: Notes) -> None:
        self.noise, self.notes, self.rows = noise, notes, noise.rows

    def normal(self, key: str, widths: Sequence[int]) -> Tensor:
        return self._note("normal", key, widths, self.noise.normal(key, widths))

    def uniform(self, key: str, widths: Sequence[int]) -> Tensor:
        return self._note("uniform", key, widths, self.noise.uniform(key, widths))

    def dropout(self, key: str, widths: Sequence[int], rates: Sequence[float]) -> Tensor | None:
        drawn = self.noise.dropout(key, widths, rates)
        return None if drawn is None else self._note("dropout", key, widths, drawn)

    def _note(self, kind: str, key: str, widths: Sequence[int], drawn: Tensor) -> Tensor:
        self.notes[kind, key].append((widths, drawn.clone()))
        return drawn
