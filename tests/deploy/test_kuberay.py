"""deploy/: Kubernetes' own schemas, the fields that KubeRay's resources have, and what must agree between files."""

import copy
import re
import shlex
import subprocess
import warnings
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import click
import kubernetes_validate
import pytest
import typer
import yaml

from search.cli.app import app

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy" / "kuberay"
KUBERNETES = "1.30"
RAY = metadata.version("ray")
# Fields of KubeRay 1.6 (ray.io/v1): for each object the required ones, and those that it may have besides.
FIELDS = {
    "RayCluster": (
        "headGroupSpec",
        "authOptions autoscalerOptions enableInTreeAutoscaling gcsFaultToleranceOptions headServiceAnnotations "
        "managedBy rayVersion suspend workerGroupSpecs",
    ),
    "RayJob": (
        "",
        "activeDeadlineSeconds backoffLimit clusterSelector deletionStrategy entrypoint entrypointNumCpus "
        "entrypointNumGpus entrypointResources jobId managedBy metadata rayClusterSpec runtimeEnvYAML "
        "shutdownAfterJobFinishes submissionMode submitterConfig submitterPodTemplate suspend ttlSecondsAfterFinished",
    ),
    "headGroupSpec": ("rayStartParams template", "enableIngress headService serviceType"),
    "workerGroupSpecs": (
        "groupName maxReplicas minReplicas rayStartParams template",
        "idleTimeoutSeconds numOfHosts replicas scaleStrategy suspend",
    ),
    "authOptions": ("mode", "enableK8sTokenAuth secretName"),
    "autoscalerOptions": (
        "",
        "env envFrom idleTimeoutSeconds image imagePullPolicy resources securityContext upscalingMode version "
        "volumeMounts",
    ),
}


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((FOLDER / name).read_text()))


def document(name: str, kind: str) -> dict[str, Any]:
    return next(each for each in documents(name) if each["kind"] == kind)


def cluster(name: str) -> dict[str, Any]:
    """Specification of the cluster in a RayCluster's or a RayJob's file."""
    job = name == "rayjob.yaml"
    spec: dict[str, Any] = document(name, "RayJob" if job else "RayCluster")["spec"]
    return spec["rayClusterSpec"] if job else spec


def groups(spec: dict[str, Any]) -> list[dict[str, Any]]:
    return [spec["headGroupSpec"], *spec["workerGroupSpecs"]]


def pods(name: str) -> list[dict[str, Any]]:
    """Specifications of all pods that a file makes."""
    if name == "mlflow.yaml":
        return [document(name, "Deployment")["spec"]["template"]["spec"]]
    return [group["template"]["spec"] for group in groups(cluster(name))]


def misfits(where: str, value: dict[str, Any], kind: str) -> Iterator[str]:
    required, optional = (set(words.split()) for words in FIELDS[kind])
    yield from (f"{where}: {key} is missing" for key in sorted(required - value.keys()))
    yield from (f"{where}: no field {key}" for key in sorted(value.keys() - required - optional))


def complaints_of_cluster(spec: dict[str, Any]) -> Iterator[str]:
    yield from misfits("cluster", spec, "RayCluster")
    for kind in ("authOptions", "autoscalerOptions"):
        yield from misfits(kind, spec.get(kind, {}), kind)
    if spec.get("authOptions", {}).get("mode") != "token":
        yield "authOptions: no token authentication"
    yield from misfits("head", spec["headGroupSpec"], "headGroupSpec")
    for group in spec["workerGroupSpecs"]:
        name = group.get("groupName", "a group")
        yield from misfits(name, group, "workerGroupSpecs")
        if not 0 <= group["minReplicas"] <= group.get("replicas", 0) <= group["maxReplicas"]:
            yield f"{name}: replicas don't fit"
    for group in groups(spec):
        name = group.get("groupName", "head")
        if any(not isinstance(value, str) for value in group.get("rayStartParams", {}).values()):
            yield f"{name}: rayStartParams must be strings"
        if group["template"]["spec"].get("restartPolicy") != "Never":
            yield f"{name}: the autoscaler wants restartPolicy Never"


def complaints_of_pod(pod: dict[str, Any]) -> Iterator[str]:
    template = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "x"}, "template": {"spec": pod}}
    yield from complaints_of_kubernetes(template)
    security = pod.get("securityContext", {})
    if not (security.get("runAsNonRoot") and security.get("runAsUser") and security.get("seccompProfile")):
        yield "pod may run as root, or without seccomp"
    volumes = {volume["name"] for volume in pod.get("volumes", [])}
    for container in pod["containers"]:
        own = container.get("securityContext", {})
        if own.get("allowPrivilegeEscalation") is not False or own.get("capabilities") != {"drop": ["ALL"]}:
            yield f"{container['name']}: privileges"
        if not {"requests", "limits"} <= container.get("resources", {}).keys():
            yield f"{container['name']}: no requests or no limits"
        for mount in container.get("volumeMounts", []):
            if mount["name"] not in volumes:
                yield f"{container['name']}: no volume {mount['name']}"
        for variable in container.get("env", []):
            secret = re.search("PASSWORD|SECRET|TOKEN|KEY", variable["name"])
            if secret and "secretKeyRef" not in variable.get("valueFrom", {}):
                yield f"{container['name']}: {variable['name']} isn't taken from a Secret"


def complaints_of_kubernetes(value: dict[str, Any]) -> Iterator[str]:
    try:
        kubernetes_validate.validate(value, KUBERNETES, strict=True)
    except kubernetes_validate.ValidationError as error:
        yield f"{value['kind']}: {error.message}"


@pytest.mark.parametrize("name", ["raycluster.yaml", "rayjob.yaml", "mlflow.yaml"])
def test_kubernetes_takes_the_files(name: str) -> None:
    plain = [each for each in documents(name) if not each["kind"].startswith("Ray")]
    assert [said for each in plain for said in complaints_of_kubernetes(each)] == []
    assert [said for pod in pods(name) for said in complaints_of_pod(pod)] == []


@pytest.mark.parametrize("name", ["raycluster.yaml", "rayjob.yaml"])
def test_kuberay_has_these_fields(name: str) -> None:
    found = next(each for each in documents(name) if each["kind"].startswith("Ray"))
    assert found["apiVersion"] == "ray.io/v1"
    assert list(misfits(found["kind"], found["spec"], found["kind"])) == []
    assert list(complaints_of_cluster(cluster(name))) == []
    assert cluster(name)["rayVersion"] == RAY
    assert cluster(name)["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda spec: spec["authOptions"].update(mode="disabled"), "no token authentication"),
        (lambda spec: spec.update(enableInTreeAutoscalling=True), "no field enableInTreeAutoscalling"),
        (lambda spec: spec["workerGroupSpecs"][0].pop("groupName"), "groupName is missing"),
        (lambda spec: spec["workerGroupSpecs"][1].update(minReplicas=9), "gpu: replicas don't fit"),
        (lambda spec: spec["headGroupSpec"]["rayStartParams"].update({"num-cpus": 0}), "must be strings"),
    ],
)
def test_mistakes_in_a_cluster_are_noticed(change: Callable[[dict[str, Any]], Any], expected: str) -> None:
    spec = copy.deepcopy(cluster("raycluster.yaml"))
    change(spec)
    assert any(expected in each for each in complaints_of_cluster(spec))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda pod: pod.update(restartpolicy="Never"), "restartpolicy"),
        (lambda pod: pod["securityContext"].pop("runAsNonRoot"), "as root"),
        (lambda pod: pod["containers"][0].update(securityContext={}), "privileges"),
        (lambda pod: pod["containers"][0]["env"].append({"name": "MLFLOW_TRACKING_PASSWORD", "value": "x"}), "Secret"),
        (lambda pod: pod["containers"][0]["volumeMounts"][0].update(name="stor"), "no volume stor"),
        (lambda pod: pod["containers"][0]["resources"].update(limits={"memory": []}), "PodTemplate"),
    ],
)
def test_mistakes_in_a_pod_are_noticed(change: Callable[[dict[str, Any]], Any], expected: str) -> None:
    pod = copy.deepcopy(pods("raycluster.yaml")[0])
    change(pod)
    assert any(expected in each for each in complaints_of_pod(pod))


def test_the_job_ends_its_cluster_and_runs_a_search() -> None:
    spec = document("rayjob.yaml", "RayJob")["spec"]
    assert spec["shutdownAfterJobFinishes"] and spec["ttlSecondsAfterFinished"] > 0
    shell, option, script = shlex.split(spec["entrypoint"])
    assert (shell, option) == ("sh", "-c")
    assert subprocess.run(["sh", "-n"], input=script, text=True, check=False).returncode == 0
    commands = [shlex.split(part) for part in re.findall(r"exec ([^;]+)", script)]
    assert [command[:2] for command in commands] == [["genseek", "resume"], ["genseek", "run"]]
    known: Any = typer.main.get_command(app)
    for _, name, *arguments in commands:
        options = {option for parameter in known.commands[name].params for option in parameter.opts}
        assert {argument for argument in arguments if argument.startswith("--")} <= options


def test_both_clusters_are_the_same_but_for_how_they_are_used() -> None:
    resting, job = (copy.deepcopy(cluster(name)) for name in ("raycluster.yaml", "rayjob.yaml"))
    for spec in (resting, job):
        for group in spec["workerGroupSpecs"]:
            group["replicas"] = group["minReplicas"] = 0  # a job's nodes come when it asks for them
        head = spec["headGroupSpec"]["template"]["spec"]
        head["volumes"] = [volume for volume in head["volumes"] if volume["name"] != "study"]
        mounts = head["containers"][0]["volumeMounts"]
        head["containers"][0]["volumeMounts"] = [mount for mount in mounts if mount["name"] != "study"]
    assert resting == job


def test_only_the_driver_knows_mlflows_password() -> None:
    head, *workers = (
        {variable["name"]: variable for variable in pod["containers"][0]["env"]} for pod in pods("raycluster.yaml")
    )
    assert head["MLFLOW_TRACKING_PASSWORD"]["valueFrom"]["secretKeyRef"]["name"] == "genseek-mlflow"
    assert not any(name.startswith("MLFLOW") for worker in workers for name in worker)
    assert all(worker["GENSEEK_CHECKPOINTS"] == head["GENSEEK_CHECKPOINTS"] for worker in workers)


def test_the_driver_finds_mlflow() -> None:
    (head, *_) = pods("raycluster.yaml")
    uri = next(each["value"] for each in head["containers"][0]["env"] if each["name"] == "MLFLOW_TRACKING_URI")
    service, deployment = (document("mlflow.yaml", kind) for kind in ("Service", "Deployment"))
    (port,) = service["spec"]["ports"]
    place = f"{service['metadata']['name']}:{port['port']}"
    assert uri == f"http://{place}"
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert labels == service["spec"]["selector"] == deployment["spec"]["selector"]["matchLabels"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["ports"] == [{"name": port["targetPort"], "containerPort": 5000}]
    (hosts,) = (each for each in container["args"] if each.startswith("--allowed-hosts="))
    assert place in hosts.partition("=")[2].split(",")
    policy = document("mlflow.yaml", "NetworkPolicy")["spec"]
    assert policy["podSelector"]["matchLabels"] == labels and policy["policyTypes"] == ["Ingress"]


def test_mlflow_takes_its_options() -> None:
    with warnings.catch_warnings(action="ignore"):
        from mlflow.cli import cli
    (container,) = pods("mlflow.yaml")[0]["containers"]
    assert container["command"] == ["mlflow", "server"]
    cli.commands["server"].make_context("server", list(container["args"]))
    with pytest.raises(click.NoSuchOption):
        cli.commands["server"].make_context("server", ["--alowed-hosts=mlflow"])


def test_what_pods_ask_for_is_there() -> None:
    # None in the clusters' own files: kubectl delete -f would take the journals along.
    kept = [each for each in documents("mlflow.yaml") if each["kind"] == "PersistentVolumeClaim"]
    asked = [
        volume["persistentVolumeClaim"]["claimName"]
        for name in ("raycluster.yaml", "rayjob.yaml", "mlflow.yaml")
        for pod in pods(name)
        for volume in pod.get("volumes", [])
        if "persistentVolumeClaim" in volume
    ]
    assert set(asked) == {each["metadata"]["name"] for each in kept}
    assert document("mlflow.yaml", "ConfigMap")["metadata"]["name"] == "mlflow-auth"


def test_the_image_has_what_the_checkout_has() -> None:
    lines = (ROOT / "deploy" / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
    assert f"ARG RAY={RAY}" in lines
    sources = {word for line in lines if line.startswith("COPY") for word in line.split()[2:-1]}
    assert all((ROOT / source).exists() for source in sources)
    assert sources >= {"models", "objectives", "search", "pyproject.toml", "constraints.txt", "README.md"}
    assert [line for line in lines if line.startswith("USER")] == ["USER ray"]
    (install,) = (line for line in lines if line.startswith("RUN"))
    assert subprocess.run(["bash", "-n"], input=install.removeprefix("RUN"), text=True, check=False).returncode == 0
