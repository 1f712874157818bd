"""Studies: what a file may say, and the one line that tells each mistake."""

import itertools
from pathlib import Path

import pytest

from models import MODELS
from objectives import OBJECTIVES, PROBLEMS
from search.errors import GenseekError
from search.study.budget import Budget
from search.study.configuration import Configuration, Training
from search.study.parse import load_study, parse_study
from search.study.presets import preset_names
from search.study.space import Choice, Fixed, Range, arguments_of
from search.study.study import check_point, serving

STUDY = """
trials = 8
epochs = 30
grace = 3

[problem]
name = "gaussian_2d"
train = 200

[training]
learning_rate = { low = 1e-3, high = 1e-2, log = true }
batch = { low = 8, high = 32, step = 8 }
schedule = "cosine"

[models.pushforward]
width = [8, 16]

[models.vae]
latent = [1, 2]

[objectives.mmd]
kernel = ["mixture", "fixed"]

[objectives.elbo]

[[points]]
model = "vae"
latent = 2

[[points]]
width = 16
"""


def refusal(text: str) -> str:
    with pytest.raises(GenseekError) as error:
        parse_study(text, "mine", "mine.toml")
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_study_is_read() -> None:
    study = parse_study(STUDY, "mine", "mine.toml")
    assert (study.name, study.problem, study.problem_arguments) == ("mine", "gaussian_2d", {"train": 200})
    assert study.budget == Budget(trials=8, epochs=30, grace=3)
    assert study.training == {
        "learning_rate": Range(low=1e-3, high=1e-2, log=True),
        "batch": Range(low=8, high=32, step=8),
        "schedule": Fixed("cosine"),
    }
    assert study.models == {"pushforward": {"width": Choice((8, 16))}, "vae": {"latent": Choice((1, 2))}}
    assert study.objectives == {"mmd": {"kernel": Choice(("mixture", "fixed"))}, "elbo": {}}
    assert study.pairs() == {"pushforward": ["mmd"], "vae": ["elbo"]}


@pytest.mark.parametrize(
    ("written", "most"),
    [("", None), ('pack_size = "auto"', None), ('pack_size = "off"', 1), ("pack_size = 1", 1), ("pack_size = 12", 12)],
)
def test_fuse(written: str, most: int | None) -> None:
    assert parse_study(f"{written}\n{STUDY}", "mine", "mine.toml").pack_size == most


def test_replicas_and_device() -> None:
    plain = parse_study(STUDY, "mine", "mine.toml").budget
    assert (plain.replicas, plain.device) == (1, "auto")
    budget = parse_study(f'replicas = 3\ndevice = "cpu"\n{STUDY}', "mine", "mine.toml").budget
    assert (budget.replicas, budget.device) == (3, "cpu")


def test_points_are_completed_with_defaults_and_with_values_of_the_space() -> None:
    study = parse_study(STUDY, "mine", "mine.toml")
    first, second = (check_point(study, point) for point in study.points)
    assert (first.model, first.objective, first.model_arguments["latent"]) == ("vae", "elbo", 2)
    assert (second.model, second.objective, second.model_arguments["width"]) == ("pushforward", "mmd", 16)
    assert first.model_arguments["sigma"] == arguments_of(MODELS["vae"])["sigma"].default
    assert first.training == Training(learning_rate=1e-3, batch=8, schedule="cosine")  # 256 isn't in the study


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("trials = 8", "trails = 8", "unknown key 'trails'; did you mean 'trials'?"),
        ("trials = 8", "trials = 8.5", "trials = 8.5: expected a whole number"),
        ("trials = 8", "trials = 0", "trials must be at least 1, got 0"),
        ("epochs = 30", "epochs = 0", "epochs must be at least 1, got 0"),
        ("trials = 8", "evaluations = 0", "evaluations must be at least 1, got 0"),
        ("trials = 8", "eval_samples = -1", "eval_samples must be at least 1, got -1"),
        ("grace = 3", "grace = 0", "grace must be at least 1, got 0"),
        ("trials = 8", "reduction = 1", "reduction must be at least 2, got 1"),
        ("trials = 8", "cpus = 0", "cpus and gpus must be above 0, got 0.0 and 1.0"),
        ("trials = 8", "gpus = -0.5", "cpus and gpus must be above 0, got 1.0 and -0.5"),
        ("trials = 8", "replicas = 0", "replicas must be at least 1, got 0"),
        ("trials = 8", "replicas = 1.5", "replicas = 1.5: expected a whole number"),
        ("trials = 8", 'device = "gpus"', "device: unknown value 'gpus'; did you mean 'gpu'?"),
        (
            "trials = 8",
            'pack_size = "of"',
            "pack_size: unknown value 'of'; did you mean 'off'? (or a number of trials)",
        ),
        (
            "trials = 8",
            "pack_size = 0",
            'pack_size = 0: expected "auto", "off" or a whole number of trials, at least 1',
        ),
        ("trials = 8", "pack_size = true", 'pack_size = True: expected "auto", "off" or a whole number of trials'),
        ("trials = 8", "pack_size = 2.0", 'pack_size = 2.0: expected "auto", "off" or a whole number of trials'),
        ("trials = 8", "pack_sise = 2", "unknown key 'pack_sise'; did you mean 'pack_size'?"),
        ("trials = 8", 'prefer = "smal"', "prefer: unknown value 'smal'; did you mean 'small'?"),
        ("trials = 8", "prefer = true", "prefer: unknown value 'True'; known: best, small"),
        ("trials = 8", 'rank = "ad"', "rank = 'ad': expected a list of names, each once"),
        ("trials = 8", "rank = []", "rank = []: expected a list of names, each once"),
        ("trials = 8", 'rank = ["ad", "ad"]', "rank = ['ad', 'ad']: expected a list of names, each once"),
        (
            "trials = 8",
            'rank = ["ad"]',
            "rank = ['ad']: expected two at least; to rank by one score, ",
        ),
        ("trials = 8", 'rank = ["ad", "kendal"]', "rank: unknown goal 'kendal'; did you mean 'kendall'?"),
        ("trials = 8", 'rank = ["misfit", "overfit"]', "rank: unknown goal 'overfit'; known: misfit, ad, kendall"),
        (
            "trials = 8",
            'rank = ["parameters", "sample_seconds"]',
            "rank = ['parameters', 'sample_seconds']: ",
        ),
        (
            "[training]",
            "[constraints]\noverfitt = 1\n[training]",
            "[constraints] unknown key 'overfitt'; did you mean",
        ),
        (
            "[training]",
            "[constraints]\nad = 0\n[training]",
            "[constraints] ad = 0: expected a number above 0, the ",
        ),
        ("[training]", "[constraints]\nad = true\n[training]", "[constraints] ad = True: expected a number above 0"),
        (
            "trials = 8",
            'sampler = "cmaes"\nrank = ["misfit", "ad"]',
            'sampler = "cmaes" takes one goal, and rank names 2',
        ),
        ("trials = 8", "constraints = 3", "constraints = 3: expected a table, [constraints]"),
        ("trials = 8", "seed = -1", "seed must be from 0 to 4294967295, got -1"),
        ("trials = 8", "seed = 4294967296", "seed must be from 0 to 4294967295, got 4294967296"),
        ("train = 200", "trian = 200", "[problem] unknown key 'trian'; did you mean 'train'?"),
        ("train = 200", 'train = "many"', "[problem] train = 'many': expected a whole number"),
        ("gaussian_2d", "gausian_2d", "[problem] name: unknown problem 'gausian_2d'; did you mean 'gaussian_2d'?"),
        ('name = "gaussian_2d"', "name = []", "[problem] name: unknown problem '[]'; known: gaussian_to_uniform, "),
        ("[training]", "[trainig]", "unknown key 'trainig'; did you mean 'training'?"),
        ("schedule", "shedule", "[training] unknown key 'shedule'; did you mean 'schedule'?"),
        ('"cosine"', '"cosin"', "[training] schedule: unknown value 'cosin'; did you mean 'cosine'?"),
        ('"cosine"', "3", "[training] schedule = 3: expected a word in quotes"),
        ("low = 1e-3, ", "", "[training] learning_rate: a range needs low and high"),
        ("low = 1e-3", "low = 0.0", "[training] learning_rate: a logarithmic range needs low above 0 and no step"),
        ("low = 1e-3", "low = 1e-2", "[training] learning_rate: low = 0.01 must be below high = 0.01"),
        ("high = 1e-2", "high = inf", "[training] learning_rate = inf: expected a finite number"),
        ("width = [8, 16]", "widht = [8, 16]", "[models.pushforward] unknown key 'widht'; did you mean 'width'?"),
        ("width = [8, 16]", "width = []", "[models.pushforward] width = []: expected at least one value"),
        ("width = [8, 16]", "width = [8, 8]", "[models.pushforward] width = [8, 8]: a value stands twice"),
        ("[models.vae]", "[models.vea]", "[models.vea]: unknown model 'vea'; did you mean 'vae'?"),
        ("[objectives.elbo]", "[objectives.elb]", "[objectives.elb]: unknown objective 'elb'; did you mean 'elbo'?"),
        ("[objectives.elbo]", "", "[models.vae]: no objective here can train it; add one of: elbo"),
        (
            "[models.vae]\nlatent = [1, 2]",
            "",
            "[objectives.elbo]: no model here can serve it; add one of: vae",
        ),
        ('kernel = ["mixture", "fixed"]', "kernal = 1", "[objectives.mmd] unknown key 'kernal'; did you mean 'kernel'"),
        ("latent = 2", "latent = 3", "[[points]] number 1: latent = 3 is not in the study's domain for latent"),
        ("latent = 2", "batch = 9", "[[points]] number 1: batch = 9 is not in the study's domain for batch"),
        ("width = 16", "width = 24", "[[points]] number 2: width = 24 is not in the study's domain for width"),
        ("width = 16", "latent = 2", "[[points]] number 2: unknown key 'latent'; known: model, objective, width"),
        ("width = 16", 'width = "wide"', "[[points]] number 2: width = 'wide': expected a whole number"),
        ("width = 16", "l1 = 0.5", "[[points]] number 2: l1 = 0.5, but the study doesn't search l1 (it stays 0.0)"),
        ('model = "vae"', 'model = "vea"', "[[points]] number 1: unknown model 'vea'; did you mean 'vae'?"),
        ('model = "vae"', 'model = ["vae"]', "[[points]] number 1: unknown model"),
        (
            'model = "vae"',
            'model = "vae"\nobjective = "mmd"',
            "[[points]] number 1: objective: unknown objective 'mmd'; known: elbo for model vae",
        ),
        ("trials = 8", "trials = ", "not valid TOML: "),
        ("trials = 8", "epochs = 1\n", "not valid TOML: "),
    ],
)
def test_mistakes(old: str, new: str, said: str) -> None:
    assert old in STUDY
    assert refusal(STUDY.replace(old, new, 1)).startswith(f"mine.toml: {said}")


@pytest.mark.parametrize("written", ["points = 3", 'points = ["vae"]', "[points]\nwidth = 8"])
def test_points_that_are_no_tables(written: str) -> None:
    text = STUDY.partition("[[points]]")[0]
    text = f"{text}\n{written}" if written.startswith("[") else f"{written}\n{text}"
    assert "expected tables, each headed [[points]]" in refusal(text)


@pytest.mark.parametrize("kind", ["problem", "training", "models", "objectives"])
def test_a_value_where_a_table_belongs(kind: str) -> None:
    tables = {
        "problem": '[problem]\nname = "gaussian_2d"',
        "training": "[training]",
        "models": "[models.vae]",
        "objectives": "[objectives.elbo]",
    }
    text = "\n".join([f"{kind} = 3", *[table for name, table in tables.items() if name != kind]])
    assert refusal(text) == f"mine.toml: {kind} = 3: expected a table, [{kind}]"


@pytest.mark.parametrize("kind", ["models", "objectives"])
def test_a_study_without_models_or_objectives(kind: str) -> None:
    other = {"models": "[objectives.elbo]", "objectives": "[models.vae]"}[kind]
    said = refusal(f'[problem]\nname = "gaussian_2d"\n{other}')
    assert said.startswith(f"mine.toml: no [{kind}.NAME] table; known: ")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(GenseekError, match=r"nowhere\.toml: can't read the study file"):
        load_study(str(tmp_path / "nowhere.toml"))
    (tmp_path / "latin.toml").write_bytes(b'name = "\xe9"')
    with pytest.raises(GenseekError, match=r"latin\.toml: can't read the study file"):
        load_study(str(tmp_path / "latin.toml"))
    with pytest.raises(GenseekError, match=r"can't read the study file"):
        load_study(f"{tmp_path}/.toml")


def test_a_file_and_a_shipped_name(tmp_path: Path) -> None:
    path = tmp_path / "own study.toml"
    path.write_text(STUDY)
    assert load_study(str(path)).name == "own study"
    with pytest.raises(GenseekError, match="unknown study or problem 'gausian_2d'; did you mean 'gaussian_2d'"):
        load_study("gausian_2d")


def test_each_problem_has_a_study_of_its_own_name() -> None:
    assert all(load_study(name).problem == name for name in PROBLEMS)


def test_one_study_has_every_family_and_every_objective() -> None:
    study = load_study("all_families")
    assert (set(study.models), set(study.objectives)) == (set(MODELS), set(OBJECTIVES))
    assert {load_study(name).name for name in PROBLEMS} == set(PROBLEMS)


@pytest.mark.parametrize("name", preset_names())
def test_shipped_points_lie_in_their_space(name: str) -> None:
    study = load_study(name)
    for point in study.points:
        flat = check_point(study, point).flat()
        assert {key: flat[key] for key in point} == point


@pytest.mark.parametrize(
    ("budget", "rungs"),
    [
        (Budget(epochs=270, grace=10), [10, 30, 90, 270]),
        (Budget(epochs=100, grace=7, reduction=2, evaluations=3), [7, 14, 28, 56, 100]),
        (Budget(epochs=5, grace=9), [5]),
        (Budget(epochs=1), [1]),
        (Budget(epochs=3, grace=1, evaluations=50), [1, 3]),
    ],
)
def test_evaluations_hold_the_rungs_and_the_last_epoch(budget: Budget, rungs: list[int]) -> None:
    evaluations = budget.evaluation_epochs()
    assert set(rungs) <= set(evaluations)
    assert evaluations == sorted(set(evaluations))
    assert evaluations[-1] == budget.epochs
    assert evaluations[0] >= 1


def test_evaluations_are_about_as_many_as_asked_for() -> None:
    assert Budget(epochs=100, grace=100, evaluations=4).evaluation_epochs() == [25, 50, 75, 100]
    for epochs, reports in itertools.product((19, 39, 270, 811), (1, 5, 20)):
        found = Budget(epochs=epochs, grace=epochs, evaluations=reports).evaluation_epochs()
        assert min(reports, epochs) <= len(found) <= 2 * reports


PAIRS = [(model, objective) for model in MODELS for objective in serving(model)]


@pytest.mark.parametrize(("model", "objective"), PAIRS)
def test_a_flat_configuration_loses_nothing(model: str, objective: str) -> None:
    own, loss = arguments_of(MODELS[model]), arguments_of(OBJECTIVES[objective])
    keys = ["model", "objective", *own, *loss, *arguments_of(Training)]
    assert len(set(keys)) == len(keys)
    configuration = Configuration(
        model=model,
        objective=objective,
        model_arguments=dict.fromkeys(own, 1),
        objective_arguments=dict.fromkeys(loss, 2),
    )
    assert list(configuration.flat()) == keys
    assert Configuration.from_nested(configuration.nested()) == configuration


def test_every_model_and_every_objective_has_a_partner() -> None:
    assert {model for model, _ in PAIRS} == set(MODELS)
    assert {objective for _, objective in PAIRS} == set(OBJECTIVES)
