"""cluster.yaml: by Ray's own schema and options, by running its commands with stand-ins, and by Ray's bootstrap."""

import copy
import json
import os
import re
import shlex
import signal
import subprocess
import time
import tomllib
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import boto3
import click
import jsonschema
import pytest
import yaml
from moto import mock_aws
from ray.autoscaler.sdk import bootstrap_config
from ray.scripts.scripts import cli as ray_command

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "cluster.yaml"
SCHEMA = json.loads((files("ray.autoscaler") / "ray-schema.json").read_text())
PROGRAMS = ("ray start", "mlflow server")
TOKEN = "~/.ray/auth_token"
SECRETS = re.compile(r"AKIA[0-9A-Z]{16}|[0-9a-fA-F]{32}|password\s*[:=]|:[^/\s@]+@|token:\s*[A-Za-z0-9]")
HEAD = "10.0.0.5"
Run = Callable[[str], subprocess.CompletedProcess[str]]
STUB = """#!/bin/bash
{{ echo "$*"; env; echo; }} >> "$HOME/calls-{name}"
{body}
"""


def config() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(FILE.read_text())
    return loaded


def commands(cluster: dict[str, Any]) -> dict[str, list[str]]:
    return {name: value for name, value in cluster.items() if name.endswith("_commands")}


def calls(command: str) -> Iterator[tuple[str, list[str]]]:
    """Programs of `PROGRAMS` that a command calls, with their arguments; those of an inner `bash -c` too."""
    for line in command.replace("\\\n", " ").splitlines():
        for program in PROGRAMS:
            before, found, after = line.partition(f"{program} ")
            if found and not before.strip().startswith("echo"):
                yield program, shlex.split(after)


@cache
def parser(program: str) -> click.Command:
    if program == "ray start":
        return ray_command.commands["start"]
    with warnings.catch_warnings(action="ignore"):
        from mlflow.cli import cli as mlflow_command
    return mlflow_command.commands["server"]


def refusal(program: str, arguments: list[str]) -> str:
    """What a program's own parser says against arguments; nothing runs."""
    try:
        parser(program).make_context(program, arguments)
    except click.ClickException as error:
        return error.format_message()
    return ""


def complaints(cluster: dict[str, Any]) -> Iterator[str]:
    """What is wrong with a cluster file."""
    for error in jsonschema.Draft7Validator(SCHEMA).iter_errors(cluster):
        yield f"schema: {error.message}"
    for name, listed in commands(cluster).items():
        for command in listed:
            checked = subprocess.run(["bash", "-n"], input=command, text=True, capture_output=True)
            if checked.returncode:
                yield f"{name}: {checked.stderr.strip()}"
            for program, arguments in calls(command):
                if said := refusal(program, arguments):
                    yield f"{name}: {said}"
            if "ray start" in command and "RAY_AUTH_MODE=token ray start" not in command:
                yield f"{name}: ray start without token authentication"
    types = cluster.get("available_node_types", {})
    if cluster.get("head_node_type") not in types:
        yield f"head_node_type {cluster.get('head_node_type')}: no such type"
    for name, each in types.items():
        if not 0 <= each.get("min_workers", 0) <= each.get("max_workers", 0) <= cluster["max_workers"]:
            yield f"{name}: min_workers, max_workers and those of all together don't fit"
    if sum(each.get("min_workers", 0) for each in types.values()) > cluster["max_workers"]:
        yield "min_workers of all types exceed max_workers"
    if cluster["file_mounts"].get(TOKEN) != TOKEN or not any(
        f"chmod 600 {TOKEN}" in c for c in cluster["setup_commands"]
    ):
        yield "the token isn't carried along, or others may read it"
    for local in cluster["file_mounts"].values():
        if local != TOKEN and not (ROOT / local).exists():
            yield f"file_mounts: there is no {local}"
    text = json.dumps(cluster)
    if found := SECRETS.search(text):
        yield f"secret: {found[0]}"
    if "0.0.0.0" in text:
        yield "something listens on all addresses"


def planted(path: str, change: Callable[[Any], Any]) -> dict[str, Any]:
    """The cluster file with a mistake at a dotted path."""
    cluster = copy.deepcopy(config())
    *way, last = [int(key) if key.isdecimal() else key for key in path.split("/")]
    place: Any = cluster
    for key in way:
        place = place[key]
    place[last] = change(place.get(last) if isinstance(place, dict) else place[last])
    return cluster


def test_the_file_is_sound() -> None:
    assert list(complaints(config())) == []


@pytest.mark.parametrize(
    ("path", "change", "expected"),
    [
        ("idle_timeout_minuts", lambda _: 5, "idle_timeout_minuts"),
        ("available_node_types/cpu_worker/max_worker", lambda _: 5, "max_worker"),
        ("head_node_type", lambda _: "haed", "no such type"),
        ("available_node_types/cpu_worker/min_workers", lambda _: 9, "cpu_worker: min_workers"),
        ("setup_commands/1", lambda old: old.replace("fi\n", ""), "syntax error"),
        ("head_start_ray_commands/2", lambda old: old.replace("--port", "--prot"), "--prot"),
        ("head_start_ray_commands/2", lambda old: old.replace("8265", "high"), "'high' is not a valid integer"),
        ("head_start_ray_commands/1", lambda old: old.replace("--allowed-hosts", "--allow-hosts"), "--allow-hosts"),
        ("head_start_ray_commands/1", lambda old: old.replace('"$HEAD_IP" --port', "0.0.0.0 --port"), "all addresses"),
        ("worker_start_ray_commands/1", lambda old: old.replace("RAY_AUTH_MODE=token ", ""), "without token"),
        ("file_mounts", lambda old: old | {"~/genseek/models": "modles"}, "there is no modles"),
        ("file_mounts", lambda old: {key: value for key, value in old.items() if key != TOKEN}, "token isn't carried"),
        ("head_setup_commands/0", lambda _: "export AWS_ACCESS_KEY_ID=AKIAABCDEFGHIJKLMNOP", "secret: AKIA"),
        ("head_setup_commands/0", lambda _: "echo postgresql://mlflow:hunter2@db/mlflow", "secret: :hunter2@"),
    ],
)
def test_mistakes_are_noticed(path: str, change: Callable[[Any], Any], expected: str) -> None:
    assert any(expected in each for each in complaints(planted(path, change)))


def test_all_that_pip_needs_goes_along() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    needed = {pattern.removesuffix("*") for pattern in project["tool"]["setuptools"]["packages"]["find"]["include"]}
    needed |= {"pyproject.toml", "constraints.txt", project["project"]["readme"]}
    carried = {local: remote for remote, local in config()["file_mounts"].items()}
    assert {carried[name] for name in needed} == {f"~/genseek/{name}" for name in needed}


def test_the_lines_to_change_are_marked() -> None:
    assert {found for found in re.findall(r"  # (\d)(?::|$)", FILE.read_text(), re.MULTILINE)} == set("12345")


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Run]:
    """Runs commands as the launcher does, on a machine whose programs note how they are called, in ~/calls-NAME."""
    home, system = tmp_path / "home", tmp_path / "system"
    stubs = {
        home / "genseek-env/bin/ray": "",
        home / "genseek-env/bin/mlflow": "exec sleep 60",
        system / "curl": 'test ! -e "$HOME/deaf"',
        system / "ip": f"echo '192.0.2.1 via 10.0.0.1 dev eth0 src {HEAD} uid 0'",
    }
    for path, body in stubs.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(STUB.format(name=path.name, body=body))
        path.chmod(0o755)
    token = home / ".ray/auth_token"
    token.parent.mkdir(mode=0o755)
    token.touch(0o644)

    def run(command: str) -> subprocess.CompletedProcess[str]:
        environment = {"HOME": str(home), "PATH": f"{system}:{os.environ['PATH']}", "USER": "me", "RAY_HEAD_IP": HEAD}
        wrapped = f"test ! -e ~/.bashrc || source ~/.bashrc; true && ({command})"
        return subprocess.run(["bash", "-c", wrapped], env=environment, text=True, capture_output=True, timeout=30)

    yield run
    if (home / "mlflow/pid").exists():
        os.killpg(int((home / "mlflow/pid").read_text()), signal.SIGKILL)


def called(home: Path, program: str) -> list[tuple[str, dict[str, str]]]:
    """Arguments and environment of each call of a program, in order."""
    file = home / f"calls-{program}"
    blocks = file.read_text().strip().split("\n\n") if file.exists() else []
    lines = [block.splitlines() for block in blocks]
    return [(first, dict(line.partition("=")[::2] for line in rest)) for first, *rest in lines]


def served(home: Path, times: int) -> bool:
    """Whether MLflow's server has been called so often; it is started in the background."""
    deadline = time.monotonic() + 20
    while len(called(home, "mlflow")) < times and time.monotonic() < deadline:
        time.sleep(0.1)
    return len(called(home, "mlflow")) == times


def set_up(run: Run, *extra: str) -> None:
    """Run the setup commands that need no network."""
    for command in [*config()["setup_commands"], *extra]:
        if "pip" not in command:
            assert run(command).returncode == 0


def test_setup_is_the_same_when_it_runs_again(machine: Run, tmp_path: Path) -> None:
    home, seen = tmp_path / "home", []
    for _ in range(2):
        set_up(machine, *config()["head_setup_commands"])
        seen.append([(home / name).read_text() for name in (".genseek", ".bashrc")])
    assert seen[0] == seen[1]
    assert seen[0][1].count(".genseek") == 1
    assert (home / ".ray").stat().st_mode & 0o777 == 0o700
    assert (home / TOKEN.removeprefix("~/")).stat().st_mode & 0o777 == 0o600


def test_the_head_starts_with_what_submitted_jobs_need(machine: Run, tmp_path: Path) -> None:
    set_up(machine, *config()["head_setup_commands"])
    for command in config()["head_start_ray_commands"]:
        done = machine(command)
        assert done.returncode == 0, done.stderr
    assert f"-L 8265:{HEAD}:8265 -L 5000:{HEAD}:5000 me@$(ray get-head-ip cluster.yaml)" in done.stdout
    (stopped, _), (started, environment) = called(tmp_path / "home", "ray")
    assert stopped == "stop"
    assert "--head" in started and f"--dashboard-host={HEAD}" in started and "--num-cpus=0" in started
    assert environment["RAY_AUTH_MODE"] == "token"
    assert environment["RAY_USAGE_STATS_ENABLED"] == "0"
    assert environment["RAY_JOB_STOP_WAIT_TIME_S"] == "60"
    assert environment["MLFLOW_TRACKING_URI"] == f"http://{HEAD}:5000"
    assert environment["GENSEEK_STORE"] == str(tmp_path / "home/genseek-store")
    assert environment["GENSEEK_CHECKPOINTS"].startswith("s3://")
    silence = [
        int(environment[f"RAY_health_check_{name}"]) for name in ("timeout_ms", "period_ms", "failure_threshold")
    ]
    assert (silence[0] + silence[1]) * silence[2] == 20_000


def test_one_server_of_mlflow_runs_however_often_it_is_started(machine: Run, tmp_path: Path) -> None:
    set_up(machine, *config()["head_setup_commands"])
    home, groups = tmp_path / "home", []
    for times in (1, 2):
        assert machine(config()["head_start_ray_commands"][1]).returncode == 0
        assert served(home, times)
        groups.append(int((home / "mlflow/pid").read_text()))
    running = [
        subprocess.run(["pgrep", "-g", str(group), "-r", "D,R,S"], stdout=subprocess.DEVNULL).returncode == 0
        for group in groups
    ]
    assert running == [False, True]
    arguments, environment = called(home, "mlflow")[-1]
    assert f"server --host {HEAD} --port 5000 --workers 1" in arguments
    assert f"sqlite:///{home}/mlflow/mlflow.db" in arguments
    assert f"--allowed-hosts {HEAD}:5000,localhost:*,127.0.0.1:*" in arguments
    assert environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"
    assert environment["MLFLOW_DISABLE_TELEMETRY"] == "true"


def test_the_start_fails_where_mlflow_does(machine: Run, tmp_path: Path) -> None:
    set_up(machine, *config()["head_setup_commands"])
    (tmp_path / "home/deaf").touch()
    assert machine(config()["head_start_ray_commands"][1]).returncode == 1
    assert served(tmp_path / "home", 1)


def test_workers_join_with_the_token(machine: Run, tmp_path: Path) -> None:
    set_up(machine, *config()["worker_setup_commands"])
    for command in config()["worker_start_ray_commands"]:
        assert machine(command).returncode == 0
    (_, _), (started, environment) = called(tmp_path / "home", "ray")
    assert f"--address={HEAD}:6379" in started
    assert environment["RAY_AUTH_MODE"] == "token"
    assert "MLFLOW_TRACKING_URI" not in environment  # the driver alone writes there


def test_nothing_starts_before_setup(machine: Run, tmp_path: Path) -> None:
    for command in [config()["head_start_ray_commands"][2], config()["worker_start_ray_commands"][1]]:
        assert machine(command).returncode != 0
    assert called(tmp_path / "home", "ray") == []


def test_the_alternative_for_own_machines_is_sound() -> None:
    block = FILE.read_text().split("ray up cluster.yaml\n#\n")[1].split("\n#\n")[0]
    cluster = {k: v for k, v in config().items() if k not in ("head_node_type", "available_node_types")}
    cluster |= yaml.safe_load(re.sub(r"^# ", "", block, flags=re.MULTILINE))
    ready = bootstrap_config(cluster, no_config_cache=True)
    jsonschema.validate(ready, SCHEMA)
    (own,) = ready["available_node_types"].values()
    assert own["min_workers"] == own["max_workers"] == len(cluster["provider"]["worker_ips"])
    assert ready["head_start_ray_commands"] == config()["head_start_ray_commands"]


@pytest.mark.slow
def test_aws_takes_what_ray_makes_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"HOME": str(tmp_path), "AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none"}.items():
        monkeypatch.setenv(name, value)
    cluster = config()
    with mock_aws():
        iam = boto3.client("iam")
        for name in ("genseek-head", "genseek-worker"):
            iam.create_instance_profile(InstanceProfileName=name)
        types = bootstrap_config(cluster, no_config_cache=True)["available_node_types"]
        ec2 = boto3.resource("ec2", region_name=cluster["provider"]["region"])
        for each in types.values():
            node = {key: value for key, value in each["node_config"].items() if key != "SubnetIds"}
            subnet = each["node_config"]["SubnetIds"][0]
            assert len(ec2.create_instances(**node, SubnetId=subnet, MinCount=1, MaxCount=1)) == 1
    assert types["head"]["resources"] == {"CPU": 0}
    assert types["cpu_worker"]["resources"]["CPU"] == 16
    assert types["gpu_worker"]["resources"]["GPU"] == 1
