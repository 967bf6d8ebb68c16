"""The files of `ray up` against Ray's own schema, the Kubernetes manifest by its structure; no network needed."""

from __future__ import annotations

import copy
import fnmatch
import re
import subprocess
from pathlib import Path

import jsonschema
import pytest
import ray
import yaml
from packed import package_folders
from prefrontal.launch.environment import ENVIRONMENT
from ray.autoscaler._private.util import prepare_config, validate_config

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "launch" / "cluster"
NAMES = ["aws", "gcp", "onprem"]
CONSTRAINTS = (ROOT / ".ci" / "constraints.txt").read_text()


def load(name):
    return yaml.safe_load((FOLDER / f"{name}.yaml").read_text())


def prepared(name):
    """The file as Ray sees it: merged with Ray's defaults, checked with Ray's schema."""
    config = prepare_config(copy.deepcopy(load(name)))
    validate_config(config)
    return config


@pytest.fixture(params=NAMES)
def config(request):
    return load(request.param)


@pytest.fixture(params=["aws", "gcp"])
def cloud(request):
    return load(request.param)


def commands(config):
    return [command for key, value in config.items() if key.endswith("_commands") for command in value]


def starts(config):
    """The commands that start Ray, of the head and of a worker."""
    found = [
        [command for command in config[f"{role}_start_ray_commands"] if "ray start" in command]
        for role in ("head", "worker")
    ]
    assert [len(each) for each in found] == [1, 1]
    return found[0][0], found[1][0]


# `ray up` ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_ray_accepts_the_file(name):
    config = prepared(name)
    assert config["head_node_type"] in config["available_node_types"]


def test_ray_would_notice_a_wrong_field():
    config = prepare_config({**load("aws"), "max_wokers": 3})
    with pytest.raises(jsonschema.ValidationError, match="max_wokers"):
        validate_config(config)


def test_every_command_is_shell(config):
    for command in commands(config):
        subprocess.run(["bash", "-n", "-c", command], check=True)


def test_head_has_the_gpu_and_stays(cloud):
    types = cloud["available_node_types"]
    head = types[cloud["head_node_type"]]
    assert head["resources"]["GPU"] == 1
    assert head["max_workers"] == 0
    assert "spot" not in str(head).lower()


def test_workers_are_spot_machines_without_a_gpu(cloud):
    (worker,) = [kind for name, kind in cloud["available_node_types"].items() if name != cloud["head_node_type"]]
    assert "GPU" not in worker["resources"]
    assert "spot" in str(worker["node_config"]).lower()
    assert 1 <= worker["min_workers"] <= worker["max_workers"] == cloud["max_workers"]


def cpus_of(node_config):
    """Of an instance type: `c7i.4xlarge` has 4 x 4, `n2d-standard-16` has 16."""
    if "InstanceType" in node_config:
        return 4 * int(re.fullmatch(r".*\.(\d+)xlarge", node_config["InstanceType"]).group(1))
    return int(node_config["machineType"].rsplit("-", 1)[1])


def test_resources_are_those_of_the_machines(cloud):
    for name, kind in cloud["available_node_types"].items():
        there = cpus_of(kind["node_config"])
        promised = kind["resources"]["CPU"]
        if name == cloud["head_node_type"]:
            assert 0 < promised <= there - 3, "learner, driver and Ray need room"
        else:
            assert promised == there


def test_aws_knows_the_fields_of_its_machines():
    loaders = pytest.importorskip("botocore.loaders")
    model = pytest.importorskip("botocore.model")
    validate = pytest.importorskip("botocore.validate")
    service = model.ServiceModel(loaders.Loader().load_service_model("ec2", "service-2"))
    shape = service.operation_model("RunInstances").input_shape
    for kind in load("aws")["available_node_types"].values():
        request = {**kind["node_config"], "MinCount": 1, "MaxCount": 1}
        assert not validate.ParamValidator().validate(request, shape).generate_report()


def test_all_machines_of_ones_own_join():
    given, config = load("onprem"), prepared("onprem")
    workers = len(given["provider"]["worker_ips"])
    (kind,) = config["available_node_types"].values()
    assert kind["min_workers"] == kind["max_workers"] == config["max_workers"] == workers
    head, _ = starts(given)
    assert "RAY_enable_autoscaler_v2=0" in head, "the second autoscaler would count the head as a worker"


def test_every_ray_process_has_the_environment_of_the_command_line(config):
    for start in starts(config):
        exported = start.split("export ", 1)[1].split(";", 1)[0].split()
        assert {f"{name}={value}" for name, value in ENVIRONMENT.items()} <= set(exported)


def test_token_is_asked_for_and_the_dashboard_is_local(config):
    assert config["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"
    assert all("export RAY_AUTH_MODE=token" in start for start in starts(config))
    head, worker = starts(config)
    assert "--dashboard-host=127.0.0.1" in head
    assert "--address=$RAY_HEAD_IP:6379" in worker
    assert "--port=6379" in head
    assert "--autoscaling-config=~/ray_bootstrap_config.yaml" in head


def test_project_is_installed_from_the_checkout_with_the_constraints(config):
    assert config["file_mounts"]["~/prefrontal"] == "."
    installs = [command for command in commands(config) if "--editable ~/prefrontal" in command]
    assert installs
    assert all("--constraint ~/prefrontal/.ci/constraints.txt" in command for command in installs)
    assert len(re.findall(r"^torch==", CONSTRAINTS, re.MULTILINE)) == 1, "what the commands grep for"


def test_copied_is_what_the_project_is_made_of(config):
    def excluded(path):
        parts = Path(path).parts
        return any(fnmatch.fnmatch(part, pattern) for part in parts for pattern in config["rsync_exclude"])

    needed = ["pyproject.toml", "README.md", "LICENSE", ".ci/constraints.txt", "conf/task/two_step.yaml"]
    needed += [f"{package}/__init__.py" for package in package_folders()]
    assert not [path for path in needed if excluded(path)]
    assert [path for path in needed if (ROOT / path).is_file()] == needed
    unwanted = [".git/config", ".venv/bin/python", "runs/two_step", "prefrontal.egg-info", "envs/__pycache__/a.pyc"]
    assert all(excluded(path) for path in [*unwanted, ".mypy_cache/x", ".ruff_cache", "build", "dist"])


# Kubernetes -------------------------------------------------------------------------------------------------


@pytest.fixture
def manifest():
    documents = list(yaml.safe_load_all((FOLDER / "kuberay.yaml").read_text()))
    return {document["kind"]: document for document in documents}


def groups(cluster):
    return [cluster["spec"]["headGroupSpec"], *cluster["spec"]["workerGroupSpecs"]]


def container(group):
    (only,) = group["template"]["spec"]["containers"]
    return only


def test_manifest_has_what_kuberay_requires(manifest):
    assert set(manifest) == {"PersistentVolumeClaim", "RayCluster", "RayJob"}
    cluster, job = manifest["RayCluster"], manifest["RayJob"]
    assert cluster["apiVersion"] == job["apiVersion"] == "ray.io/v1"
    known = {"rayVersion", "authOptions", "enableInTreeAutoscaling", "autoscalerOptions", "headGroupSpec"}
    assert set(cluster["spec"]) == known | {"workerGroupSpecs"}
    for group in groups(cluster):
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
        assert {"name", "image", "resources"} <= set(container(group))
    for group in cluster["spec"]["workerGroupSpecs"]:
        assert group["groupName"]
        assert 0 <= group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
    assert job["spec"]["entrypoint"].startswith("prefrontal train cluster=auto")
    assert job["spec"]["clusterSelector"] == {"ray.io/cluster": cluster["metadata"]["name"]}


def test_manifest_names_the_ray_that_is_installed(manifest):
    version = manifest["RayCluster"]["spec"]["rayVersion"]
    assert version == ray.__version__
    assert f"\nray=={version}\n" in CONSTRAINTS


def test_parts_of_the_manifest_can_be_applied_alone(manifest):
    parts = {kind: document["metadata"]["labels"]["prefrontal/part"] for kind, document in manifest.items()}
    assert parts == {"PersistentVolumeClaim": "cluster", "RayCluster": "cluster", "RayJob": "job"}


def test_pods_promise_ray_what_they_have(manifest):
    head, *workers = groups(manifest["RayCluster"])
    for group in (head, *workers):
        resources = container(group)["resources"]
        assert resources["requests"] == resources["limits"]
    assert int(head["rayStartParams"]["num-cpus"]) <= int(container(head)["resources"]["limits"]["cpu"]) - 2
    assert container(head)["resources"]["limits"]["nvidia.com/gpu"] == 1
    for group in workers:
        assert group["rayStartParams"]["num-cpus"] == container(group)["resources"]["limits"]["cpu"]
        assert "nvidia.com/gpu" not in container(group)["resources"]["limits"]


def test_pods_are_locked_down_and_ask_for_the_token(manifest):
    cluster = manifest["RayCluster"]
    assert cluster["spec"]["authOptions"] == {"mode": "token"}
    assert cluster["spec"]["headGroupSpec"]["serviceType"] == "ClusterIP"
    for group in groups(cluster):
        pod = group["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["runAsUser"] == 1000
        assert container(group)["securityContext"]["allowPrivilegeEscalation"] is False
        assert container(group)["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert {"livenessProbe", "readinessProbe"} <= set(container(group))
        environment = {entry["name"]: entry["value"] for entry in container(group)["env"]}
        assert ENVIRONMENT.items() <= environment.items()


def test_volumes_are_declared(manifest):
    claim = manifest["PersistentVolumeClaim"]["metadata"]["name"]
    for group in groups(manifest["RayCluster"]):
        pod = group["template"]["spec"]
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        mounts = {mount["name"]: mount["mountPath"] for mount in container(group)["volumeMounts"]}
        assert set(volumes) == set(mounts)
        assert mounts["shm"] == "/dev/shm"
    runs = groups(manifest["RayCluster"])[0]["template"]["spec"]["volumes"][0]
    assert runs["persistentVolumeClaim"]["claimName"] == claim


# All files --------------------------------------------------------------------------------------------------

SECRETS = [
    r"AKIA[0-9A-Z]{16}",  # a key of AWS
    r"AIza[0-9A-Za-z_-]{35}",  # a key of Google
    r"-----BEGIN",
    r"RAY_AUTH_TOKEN\s*[=:]\s*[^$\s]",  # not one that another command looks up
    r"(?i)(password|secret|api_?key|credentials?)\s*[=:]\s*[\"']?\w",
    r"(?<!sha256:)\b[0-9a-f]{32,}\b",  # what `ray get-auth-token` makes, and hashes
]

FILES = [*FOLDER.glob("*.yaml"), *(ROOT / "docker").glob("*"), ROOT / ".dockerignore", ROOT / "docs" / "cluster.md"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_secret_stands_in_a_file(path):
    text = path.read_text()
    assert not [found.group() for pattern in SECRETS for found in re.finditer(pattern, text)]


def test_the_patterns_of_secrets_find_some():
    samples = [
        "AKIA" + "A" * 16,
        "AIza" + "b" * 35,
        "-----BEGIN KEY",
        "RAY_AUTH_TOKEN=x",
        "password: x",
        "0123abcd" * 8,
    ]
    assert all(re.search(pattern, sample) for pattern, sample in zip(SECRETS, samples, strict=True))
