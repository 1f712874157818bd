"""Before a search starts: its problem, what all its trials share, and everything that can be wrong with them."""

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from models import MODELS, Shape
from models.features import FEATURES
from models.noise import Noise
from objectives import OBJECTIVES, SCORES, Judge, Problem, Rows, judge_for
from objectives.problems.problem import Array
from objectives.scores.judge import REPEATS
from objectives.scores.threads import one_thread
from search.errors import ClusterError, DataError, StudyError
from search.study.budget import Budget, cores
from search.study.configuration import Configuration, Training
from search.study.goals import FACTS
from search.study.plugins import blamed, pickled_by_value, source_of
from search.study.space import Choice, Fixed
from search.study.study import Study, pair_spaces
from search.train.context import TrialContext, draw_samples
from search.train.pack import Pack
from search.train.trial import Trial
from search.tune.cluster import check_places

TEST_ROWS = 10_000  # most test rows that finalists are judged on
STACKING = "what every tensor and tuple of a model must begin with is in docs/plugins.md"


def task_of(study: Study, problem: Problem, repeats: int = REPEATS) -> TrialContext:
    """What the study's trials share: rows, and the judge of the validation rows, with floors of `repeats` draws.

    Raises:
        DataError: the rows can't be judged.
    """
    with blamed(f"problem {study.problem}", problems=[study.problem]):
        rows = _bounded(problem.rows(study.budget.seed), study.budget)
    shape = Shape(len(problem.columns), problem.source.kind, problem.source.features)
    judge = judge_of(study, problem, rows, rows.validation, repeats=repeats)
    budget = study.budget
    models = {name: MODELS[name] for name in study.models}
    objectives = {name: OBJECTIVES[name] for name in study.objectives}
    sources = {name: source for name in models if (source := source_of(name)) is not None}
    evaluations = budget.evaluation_epochs()
    return TrialContext(
        rows=rows,
        columns=problem.columns,
        shape=shape,
        judge=judge,
        epochs=budget.epochs,
        evaluations=evaluations,
        eval_samples=budget.eval_samples,
        models=models,
        objectives=objectives,
        sources=sources,
        replicas=budget.replicas,
        epoch_rows=budget.epoch_rows,
        goals=study.goals,
    )


def _bounded(rows: Rows, budget: Budget) -> Rows:
    """Return the rows that a search uses: all for training, and as many for judging as it may take.

    Training rows that are more than an epoch are shuffled, since an epoch takes those that stand together.
    """
    generator = np.random.default_rng([budget.seed, 3])
    train = rows.train
    if len(train) > budget.epoch_rows:
        train = train[generator.permutation(len(train))]
    judged = {"validation": (rows.validation, budget.judged_rows), "test": (rows.test, TEST_ROWS)}
    chosen = {
        name: own if len(own) <= most else own[np.sort(generator.choice(len(own), most, replace=False))]
        for name, (own, most) in judged.items()
    }
    return Rows(train=train, **chosen)


def judge_of(study: Study, problem: Problem, rows: Rows, held: Array, *, repeats: int = REPEATS) -> Judge:
    """Judge of held-out rows `[n, columns]`, with floors for samples of as many rows.

    Raises:
        DataError: the rows can't be judged.
    """
    where, scores = f"problem {study.problem}", {name: SCORES[name] for name in study.scores}
    try:
        with blamed(where, problems=[study.problem], scores=scores):
            seed = study.budget.seed
            return judge_for(problem, rows.train, held, len(held), seed=seed, scores=scores, repeats=repeats)
    except ValueError as error:
        raise DataError(f"{where}: {error}") from error


def check(study: Study, task: TrialContext) -> int:
    """Build and train for a step every extreme configuration, and judge one; return how many there are.

    Raises:
        StudyError: something is out of its range.
        DataError: something doesn't fit the rows.
        ClusterError: more is asked of this machine than it has.
    """
    _check_resources(study)
    _check_transport(task)
    _check_goals(study, task)
    some = Rows(*(part[: _batch(study)] for part in (task.rows.train, task.rows.validation, task.rows.test)))
    for name in study.training.get("features", Fixed(Training().features)).extremes():
        try:
            FEATURES[name](torch.from_numpy(task.rows.train))
        except ValueError as error:
            raise DataError(f"[training] features: {error}") from error
    from threadpoolctl import threadpool_limits

    small, count = replace(task, rows=some), 0
    ends: defaultdict[tuple[str, str], list[tuple[Trial, Pack]]] = defaultdict(list)
    for configuration in extreme_configurations(study):
        pair = f"study {study.name}: [models.{configuration.model}] with [objectives.{configuration.objective}]"
        try:
            own = blamed(pair, models=[configuration.model], objectives=[configuration.objective])
            with own, one_thread(), threadpool_limits(1):  # as in a trainer; more threads spin on a busy machine
                trial = Trial(configuration, small, seed=0)
                pack = trial.untrained()
                _check_step(pack, len(task.columns))
                draw_samples(pack.averaged, [trial.featured.features] * task.replicas, 1, 2, seeds=pack.seeds)
                alike = ends[configuration.model, configuration.objective]
                alike.append((trial, pack))
                if len(alike) == 2:  # the lowest, and now the highest
                    _check_joining(alike)
        except ValueError as error:
            raise StudyError(f"{pair}: {error}") from error
        count += 1
    with blamed(f"study {study.name}", scores=study.scores):
        task.judge(task.rows.validation[np.newaxis])
    return count


def _check_step(pack: Pack, columns: int) -> None:
    """Take a step of training, and look at what it gives and whether it can teach anything.

    Raises:
        ValueError: a loss or a sample has another shape than it must, or no gradient reaches a parameter.
    """
    count, rows = len(pack.seeds), torch.stack(pack.rows)
    noise = Noise(pack.seeds, rows.shape[1], pack.device)
    loss = pack.objective.loss(pack.model, rows, noise)
    if loss.shape != (count,):
        raise ValueError(f"the loss of {count} networks has shape {list(loss.shape)}, expected [{count}]")
    if loss.requires_grad and not pack.objective.descends:
        raise ValueError("its loss has a gradient, but the objective says descends = False")
    parameters = [parameter for parameter in pack.model.parameters() if parameter.numel()]
    if parameters:
        if not loss.requires_grad:
            raise ValueError("the network learns nothing: its loss depends on no parameter (is there a detach?)")
        gradients = torch.autograd.grad(loss.sum(), parameters, allow_unused=True, materialize_grads=True)
        if not any(gradient.any() for gradient in gradients):
            raise ValueError("the network learns nothing: no gradient reaches any of its parameters")
    pack.advance()
    sample = _sampled(pack)
    if sample.shape != (count, 2, columns):
        raise ValueError(
            f"a sample of 2 rows of {count} networks has shape {list(sample.shape)}, expected {[count, 2, columns]}"
        )


def _sampled(pack: Pack) -> Tensor:
    """Two rows of every network, `[pack, 2, features]`, in feature units."""
    with torch.no_grad():
        return pack.averaged.sample(Noise(pack.seeds, 2, pack.device))


def _check_joining(trained: Sequence[tuple[Trial, Pack]]) -> None:
    """Stack networks that were trained for a step, which shall be as they were, train them further, and take one out.

    Raises:
        ValueError: they can't be stacked, or are not the same when they are.
    """
    packs = []
    for trial, pack in trained:
        chosen, batch = trial.configuration, len(trial.featured.train)
        if chosen.training.batch != batch:  # those of other batches train in packs of their own
            alike = replace(chosen, training=replace(chosen.training, batch=batch))
            pack = Trial(alike, trial.task, seed=0).untrained()
            pack.advance()
        packs.append(pack)
    expected = torch.cat([_sampled(pack) for pack in packs])
    try:
        joined = Pack.join(packs)
        stacked = _sampled(joined)
        joined.advance()
        joined.keep([len(joined.seeds) - 1]).advance()
    except Exception as error:
        said = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise ValueError(f"two networks can't be stacked ({said.rstrip(': ')}); {STACKING}") from error
    size = float(expected.nan_to_num(0, 0, 0).abs().max())  # of what has not diverged
    if not torch.allclose(stacked, expected, 1e-2, 1e-2 * size, equal_nan=True):
        raise ValueError(f"a network gives other samples when it's stacked with another; {STACKING}")


def extreme_configurations(study: Study) -> Iterator[Configuration]:
    """For each pair the configuration with all values lowest, with all highest, and with each single choice."""
    for space in pair_spaces(study):
        lowest = {key: domain.extremes()[0] for key, domain in space.domains.items()}
        highest = {key: domain.extremes()[-1] for key, domain in space.domains.items()}
        singles = [
            lowest | {key: value}
            for key, domain in space.domains.items()
            if isinstance(domain, Choice)
            for value in domain.extremes()[1:-1]
        ]
        try:
            ends, others = ([space.configuration(chosen) for chosen in some] for some in ((lowest, highest), singles))
        except ValueError as error:
            raise StudyError(f"[training] {error}") from error
        known = {configuration.identity for configuration in ends}
        yield from ends
        yield from {each.identity: each for each in others if each.identity not in known}.values()


def _check_transport(task: TrialContext) -> None:
    try:
        pickled_by_value((task.models, task.objectives))
    except Exception as error:
        said = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise StudyError(f"a plug-in can't be sent to the workers ({said})") from error


def _check_goals(study: Study, task: TrialContext) -> None:
    for key, names in (("rank", study.goals.rank), ("[constraints]", study.goals.bounds)):
        for name in names:
            if name not in (*task.judge.floors, *FACTS, "misfit"):
                raise StudyError(f"{key}: score {name!r} doesn't serve the rows of problem {study.problem!r}")


def _batch(study: Study) -> int:
    return int(max(study.training.get("batch", Fixed(Training().batch)).extremes()))


def _check_resources(study: Study) -> None:
    if os.environ.get("RAY_ADDRESS"):
        return  # the cluster is asked when the search starts
    check_places()
    have, gpus, budget = cores(), torch.cuda.device_count(), study.budget
    if budget.cpus > have:
        raise ClusterError(f"cpus = {budget.cpus:g}: one trainer wants more than this machine's {have} cores")
    if budget.device == "gpu" and budget.gpus > gpus:
        raise ClusterError(f"gpus = {budget.gpus:g}: one trainer wants more than this machine's {gpus} GPUs")
