"""Ray nodes with addresses of their own: network namespaces joined by a bridge stand for machines."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from prefrontal.launch.cli import ENVIRONMENT

BIN = Path(sys.executable).parent
BRIDGE, NET = "pfbr0", "10.213.7"
HEAD = f"{NET}.2"


def ip(*arguments, check=True):
    return subprocess.run(["ip", *arguments], check=check, capture_output=True, text=True).stdout


def why_not():
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return "network namespaces need root and the ip command"
    made = subprocess.run(["ip", "netns", "add", "pfprobe"], capture_output=True, text=True, check=False)
    if made.returncode:
        return f"network namespaces are not allowed here: {made.stderr.strip()}"
    ip("netns", "del", "pfprobe")
    return ""


pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())


class Machines:
    """Namespaces `pf1`, `pf2`, ... with the addresses .2, .3, ..."""

    def __init__(self, folder):
        self.folder, self.names = folder, []
        # The cluster has a token of its own: who does not know it cannot join.
        self.env = {**os.environ, **ENVIRONMENT, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        ip("link", "add", BRIDGE, "type", "bridge")
        ip("addr", "add", f"{NET}.1/24", "dev", BRIDGE)
        ip("link", "set", BRIDGE, "up")

    def add(self):
        name = f"pf{len(self.names) + 1}"
        inside = f"{name}i"
        ip("netns", "add", name)
        self.names.append(name)
        ip("link", "add", f"{name}o", "type", "veth", "peer", "name", inside)
        ip("link", "set", f"{name}o", "master", BRIDGE, "up")
        ip("link", "set", inside, "netns", name)
        ip("-n", name, "addr", "add", f"{NET}.{len(self.names) + 1}/24", "dev", inside)
        ip("-n", name, "link", "set", inside, "up")
        ip("-n", name, "link", "set", "lo", "up")
        ip("-n", name, "route", "add", "default", "via", f"{NET}.1")  # how Ray finds out its own address
        return name

    def run(self, name, *command, env=None):
        return subprocess.Popen(
            ["ip", "netns", "exec", name, *command],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=env or self.env,
        )

    def start_ray(self, name):
        """One after the other: the namespaces share a disk, where Ray keeps the ports of a machine's nodes."""
        joins = name != self.names[0]
        place = [f"--address={HEAD}:6379"] if joins else ["--head", "--port=6379", "--include-dashboard=false"]
        address = f"--node-ip-address={NET}.{self.names.index(name) + 2}"
        command = [str(BIN / "ray"), "start", "--block", "--num-cpus=1", address, *place]
        with (self.folder / f"{name}.log").open("w") as log:
            subprocess.Popen(
                ["ip", "netns", "exec", name, *command, "--object-store-memory=200000000"],
                cwd=self.folder,
                stdout=log,
                stderr=log,
                env=self.env,
            )
        deadline = time.monotonic() + 60
        while "Ray runtime started" not in (self.folder / f"{name}.log").read_text():
            assert time.monotonic() < deadline, (self.folder / f"{name}.log").read_text()[-2000:]
            time.sleep(0.2)

    def kill(self, name):
        """As a power cut would."""
        for pid in ip("netns", "pids", name).split():
            os.kill(int(pid), signal.SIGKILL)

    def close(self):
        for name in self.names:
            self.kill(name)
        time.sleep(0.5)
        for name in self.names:
            ip("netns", "del", name, check=False)
        ip("link", "del", BRIDGE, check=False)


@pytest.fixture
def machines(tmp_path):
    made = Machines(tmp_path)
    yield made
    made.close()


def test_training_across_machines_that_go_and_come(machines, tmp_path):
    """Three nodes; one is switched off in mid-run, another one joins; training goes on, and learns."""
    head, second, third = machines.add(), machines.add(), machines.add()
    for name in (head, second, third):
        machines.start_ray(name)
    process = machines.run(
        head,
        str(BIN / "prefrontal"),
        "train",
        f"cluster={HEAD}:6379",
        "actors.num=auto",
        "run.folder=run",
        "run.env_steps=100000000",
        "run.log_points=10000",
        "algo.learning_rate.fraction=0.04",
    )

    def last(column):
        path = tmp_path / "run" / "metrics.csv"
        if not path.is_file() or len(path.read_text().splitlines()) < 12:
            return float("nan")
        return np.genfromtxt(path, delimiter=",", names=True, deletechars="")[column][-10:].mean()

    def wait_until(condition, limit_s=120):
        deadline = time.monotonic() + limit_s
        while not condition():
            assert process.poll() is None, process.stdout.read()[-3000:]
            assert time.monotonic() < deadline, f"{last('actors/playing')} actors, {last('reward_per_trial')} a trial"
            time.sleep(0.5)

    wait_until(lambda: last("actors/playing") == 3)
    machines.kill(third)
    wait_until(lambda: last("actors/playing") == 2)
    machines.start_ray(machines.add())
    wait_until(lambda: last("actors/playing") == 3)
    wait_until(lambda: last("actors/restarts") == 0)  # what went with a node costs nothing of the budget
    wait_until(lambda: last("reward_per_trial") > 0.68)
    process.terminate()
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output[-3000:]
    assert "with its node" in output
    stranger = {**machines.env, "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    refused = machines.run(second, str(BIN / "prefrontal"), "train", f"cluster={HEAD}:6379", env=stranger)
    output, _ = refused.communicate(timeout=120)
    assert refused.returncode == 2, output[-3000:]
    assert "RAY_AUTH_TOKEN" in output
