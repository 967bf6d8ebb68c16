"""The container files, read as a builder reads them: nothing here needs a container engine."""

from __future__ import annotations

import fnmatch
import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packed import package_folders
from prefrontal.launch.environment import ENVIRONMENT

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
NAMES = ["cpu", "cuda", "dmlab"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def instructions(name):
    """(instruction, its text) pairs; comments dropped, continued lines joined."""
    lines = [line for line in (DOCKER / f"{name}.Dockerfile").read_text().splitlines() if not line.startswith("#")]
    text = "\n".join(lines).replace("\\\n", "")
    return [tuple(line.split(maxsplit=1)) for line in text.splitlines() if line.strip()]


def stages(name):
    """The instructions of each stage, from its FROM on."""
    found = []
    for pair in instructions(name):
        if pair[0] == "FROM":
            found.append([])
        if found:
            found[-1].append(pair)
    return found


def of(stage, instruction):
    return [text for name, text in stage if name == instruction]


def environment(stage):
    return dict(word.split("=", 1) for text in of(stage, "ENV") for word in shlex.split(text))


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


def test_only_known_instructions(name):
    known = {"ARG", "FROM", "ENV", "WORKDIR", "COPY", "RUN", "LABEL", "USER", "HEALTHCHECK", "CMD"}
    assert {instruction for instruction, _ in instructions(name)} <= known


def test_base_is_pinned_and_its_python_fits(name):
    (base,) = [text.split("=", 1)[1] for text in of(instructions(name), "ARG") if text.startswith("PYTHON=")]
    version, digest = re.fullmatch(r"python:(\d\.\d+)\.\d+-slim-\w+@sha256:([0-9a-f]{64})", base).groups()
    assert digest
    assert (3, 11) <= tuple(map(int, version.split("."))) < (3, 14)
    assert PROJECT["project"]["requires-python"] == ">=3.11,<3.14"
    assert [of(stage, "FROM")[0].split()[0] for stage in stages(name)] == ["${PYTHON}", "${PYTHON}"]


def test_images_run_as_a_user_of_their_own(name):
    *_, last = stages(name)
    order = [instruction for instruction, _ in last]
    assert of(last, "USER") == ["1000:1000"]
    assert "useradd --uid 1000" in of(last, "RUN")[0]
    assert not {"RUN", "COPY"} & set(order[order.index("USER") :])


def test_image_says_whether_it_is_well(name):
    (check,) = of(stages(name)[-1], "HEALTHCHECK")
    program, flag, code = json.loads(check.split("CMD", 1)[1])
    assert (program, flag) == ("python", "-c")
    assert "raylet" in code
    # No Ray runs in a process without children: the check passes without asking anyone.
    stub = "import psutil; psutil.process_iter = lambda: []; "
    subprocess.run([sys.executable, "-c", stub + code], check=True, timeout=20)


def test_every_step_is_shell(name):
    for stage in stages(name):
        for step in of(stage, "RUN"):
            subprocess.run(["bash", "-n", "-c", step], check=True)


def test_everything_is_installed_with_the_constraints(name):
    pips = [part for stage in stages(name) for step in of(stage, "RUN") for part in step.split("&&") if "pip " in part]
    assert pips
    assert all("--constraint constraints.txt" in pip or "--no-deps" in pip for pip in pips)
    assert not any("--extra-index-url" in pip for pip in pips), "two registries could both answer for one name"


def test_torch_is_the_build_that_the_image_is_for(name):
    cpu = any("whl/cpu" in step for step in of(stages(name)[0], "RUN"))
    assert cpu == (name != "cuda")
    assert ("NVIDIA_DRIVER_CAPABILITIES" in environment(stages(name)[-1])) == (name == "cuda")


def test_nothing_to_build_with_is_left(name):
    last = stages(name)[-1]
    assert not any(
        tool in step for step in of(last, "RUN") for tool in ("gcc", "g++", "build-essential", "-dev", "git ")
    )
    for step in of(last, "RUN"):
        assert ("apt-get install" in step) == ("rm -rf /var/lib/apt/lists/*" in step)
        assert ("apt-get install" in step) == ("--no-install-recommends" in step)


def test_ray_in_the_image_has_the_environment_of_the_command_line(name):
    given = environment(stages(name)[-1])
    assert ENVIRONMENT.items() <= given.items()
    assert given["RAY_AUTH_MODE"] == "token"
    assert given["PATH"].startswith("/opt/prefrontal/bin:")


def test_images_differ_only_where_they_should():
    def steps(name):
        return [step for stage in stages(name) for step in of(stage, "RUN")]

    cpu, cuda, dmlab = (steps(name) for name in NAMES)
    assert [step for step in cpu if "whl/cpu" not in step] == cuda
    assert [step for step in dmlab if step not in cpu] == [
        step for step in dmlab if "/wheels" in step or "osmesa" in step
    ]
    assert [step for step in dmlab if step in cpu] == cpu


# The steps --------------------------------------------------------------------------------------------------


def ignored(path):
    """Whether .dockerignore keeps a path from the builder: the last pattern that fits it or a folder above wins."""
    verdict = False
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.strip()
        if not pattern or pattern.startswith("#"):
            continue
        wanted, pattern = pattern.startswith("!"), pattern.removeprefix("!")
        above = [str(path), *(str(parent) for parent in Path(path).parents if str(parent) != ".")]
        deep = pattern.startswith("**/")
        names = [Path(each).name for each in above] if deep else above
        if any(fnmatch.fnmatchcase(each, pattern.removeprefix("**/")) for each in names):
            verdict = not wanted
    return verdict


def test_builder_gets_what_the_project_is_made_of_and_nothing_else():
    needed = ["pyproject.toml", "README.md", "LICENSE", ".ci/constraints.txt", "conf/task/two_step.yaml"]
    needed += [f"{package}/__init__.py" for package in package_folders()]
    assert [path for path in needed if (ROOT / path).is_file()] == needed
    assert not [path for path in needed if ignored(path)]
    assert not ignored("dist/deepmind_lab-1.0-cp311-cp311-linux_x86_64.whl")
    others = [".git/config", ".venv/bin/python", "runs/two_step/a", "tests/conftest.py", "docs/cluster.md", ".env"]
    assert all(ignored(path) for path in [*others, "dist/a.tar.gz", "envs/__pycache__/a.pyc", "docker/compose.yaml"])


def test_copied_files_exist(name):
    for stage in stages(name):
        for text in of(stage, "COPY"):
            if "--from=" in text:
                continue
            *sources, _ = text.split()
            for source in sources:
                if source == "${WHEEL}":
                    assert name == "dmlab"
                    assert "WHEEL" in of(stage, "ARG")
                else:
                    assert (ROOT / source).exists()
                    assert source == "." or not ignored(source)


def test_steps_find_the_dependencies(name, tmp_path):
    build = stages(name)[0]
    (copied,) = [text for text in of(build, "COPY") if "pyproject" in text]
    for source in copied.split()[:-1]:
        shutil.copy(ROOT / source, tmp_path)
    (step,) = [step for step in of(build, "RUN") if "tomllib" in step]
    listing = step.split("&&")[0].replace("python ", f"{shlex.quote(sys.executable)} ", 1)
    subprocess.run(["bash", "-c", listing], cwd=tmp_path, check=True)
    assert (tmp_path / "requirements.txt").read_text().splitlines() == PROJECT["project"]["dependencies"]
    for step in of(build, "RUN"):
        for grep in re.findall(r"\$\((.*?)\)", step):
            found = subprocess.run(["bash", "-c", grep], cwd=tmp_path, check=True, capture_output=True, text=True)
            assert re.fullmatch(r"torch==[\d.]+\n", found.stdout)


# Compose ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load((DOCKER / "compose.yaml").read_text())


def test_compose_has_a_head_two_workers_and_tensorboard(compose):
    services = compose["services"]
    assert set(services) == {"head", "worker", "tensorboard"}
    assert services["worker"]["deploy"]["replicas"] == 2
    assert services["worker"]["depends_on"]["head"] == {"condition": "service_healthy"}
    assert "--head" in services["head"]["command"]
    assert "--address=head:6379" in services["worker"]["command"]
    for service in services.values():
        build = service["build"]
        assert (DOCKER / build["context"] / build["dockerfile"]).is_file()


def test_ports_are_published_on_the_loopback_alone(compose):
    ports = {name: service.get("ports", []) for name, service in compose["services"].items()}
    assert ports == {"head": ["127.0.0.1:8265:8265"], "worker": [], "tensorboard": ["127.0.0.1:6006:6006"]}
    assert not any("network_mode" in service for service in compose["services"].values())


def test_token_comes_from_a_file_outside_the_repository(compose):
    (secret,) = compose["secrets"].values()
    assert secret["file"] == "${RAY_AUTH_TOKEN_FILE:-${HOME}/.ray/auth_token}"
    for name in ("head", "worker"):
        service = compose["services"][name]
        assert service["secrets"] == list(compose["secrets"])
        assert service["environment"] == {"RAY_AUTH_TOKEN_PATH": f"/run/secrets/{service['secrets'][0]}"}


def test_containers_are_locked_down(compose):
    for service in compose["services"].values():
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert not {"privileged", "user", "cap_add"} & set(service)


def test_every_service_has_a_health_check(compose):
    for name, service in compose["services"].items():
        if name == "worker":  # the image's
            assert "healthcheck" not in service
            continue
        kind, program, flag, code = service["healthcheck"]["test"]
        assert (kind, program, flag) == ("CMD", "python", "-c")
        compile(code, name, "exec")
        port = re.search(r"127\.0\.0\.1:(\d+)/", code).group(1)
        assert service["ports"] == [f"127.0.0.1:{port}:{port}"]


def test_run_folders_are_kept_and_the_object_store_fits(compose):
    services = compose["services"]
    assert services["head"]["volumes"] == ["runs:/home/prefrontal/runs"]
    assert services["tensorboard"]["volumes"] == ["runs:/home/prefrontal/runs:ro"]
    assert set(compose["volumes"]) == {"runs"}
    for name in ("head", "worker"):
        (store,) = re.findall(r"--object-store-memory=(\d+)", services[name]["command"])
        assert services[name]["shm_size"] == "2gb"
        assert int(store) < 2 * 2**30
