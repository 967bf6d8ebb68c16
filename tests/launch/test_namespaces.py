"""Ray nodes with addresses of their own: they go, come back and are cut off from the network."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import time

import psutil
import pytest
from machines import BIN, Machines, signal_to, wait_until, why_not
from prefrontal.launch.environment import ENVIRONMENT
from program import history

WHY_NOT = why_not()
pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)

# A silent node is dead to Ray after some 10 s; by Ray's own values it takes a minute.
IMPATIENT = {
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "3000",
    "RAY_health_check_failure_threshold": "3",
}


@pytest.fixture
def machines():
    # The cluster has a token of its own: who does not know it cannot join.
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    made = Machines({**ENVIRONMENT, **os.environ, **IMPATIENT, **token})
    yield made
    made.close()


def start_ray(head, *joining):
    """A head if it is alone, else nodes that join it, all at once."""
    place = [f"--address={head.address}:6379"] if joining else ["--head", "--port=6379", "--include-dashboard=false"]
    own = ["--num-cpus=1", "--object-store-memory=200000000"]
    started = [
        machine.start(
            BIN / "ray", "start", *place, *own, f"--node-ip-address={machine.address}", stdin=subprocess.DEVNULL
        )
        for machine in joining or [head]
    ]
    for process in started:
        output, _ = process.communicate(timeout=180)
        assert process.returncode == 0, output[-3000:]


def seconds_played(machine):
    """CPU time of the actors on a machine."""
    total = 0.0
    for process in machine.processes():
        try:
            if "Rollouts" in " ".join(process.cmdline()):
                total += sum(process.cpu_times()[:2])
        except (OSError, psutil.NoSuchProcess):
            continue
    return total


def test_training_across_machines_that_go_and_come(machines):
    """Of three nodes one is cut off for a moment, one until it is dead to Ray, one is switched off; it still learns."""
    head, second, third = machines.add(), machines.add(), machines.add()
    start_ray(head)
    start_ray(head, second, third)
    process = head.start(
        BIN / "prefrontal",
        "train",
        f"cluster={head.address}:6379",
        "actors.num=auto",
        "run.folder=run",
        "run.env_steps=100000000",
        "run.log_points=10000",
        "run.figures=0",
        "algo.learning_rate.fraction=0.016",
    )

    def last(column, rows=1):
        written = history(head.path("run"), at_least=11)
        return float("nan") if written is None else written[column][-rows:].mean()

    def wait_for(condition):
        def unless_it_ended():
            assert process.poll() is None, process.stdout.read()[-3000:]
            return condition()

        columns = ("env_steps", "actors/playing", "actors/restarts", "reward_per_trial")
        wait_until(unless_it_ended, 180, 0.5, lambda: str({column: last(column) for column in columns}))

    def goes_on():
        before = last("env_steps")
        wait_for(lambda: last("env_steps") > before + 50_000)  # more than was on its way

    wait_for(lambda: last("actors/playing") == 3)
    machines.unplug(second)
    time.sleep(3)
    goes_on()
    machines.plug(second)
    played = seconds_played(second)
    wait_for(lambda: seconds_played(second) > played + 0.5)
    assert last("actors/playing") == 3

    machines.unplug(third)
    wait_for(lambda: last("actors/playing") == 2)
    goes_on()
    machines.plug(third)
    wait_for(lambda: not [each for each in third.processes() if each.name() == "raylet"])  # it learns that it is dead

    second.switch_off()
    wait_for(lambda: last("actors/playing") == 1)
    fourth = machines.add()
    start_ray(head, third, fourth)
    wait_for(lambda: last("actors/playing") == 3)
    wait_for(lambda: last("actors/restarts") == 0)  # what went with a node costs nothing of the budget
    assert seconds_played(third) > 0
    assert seconds_played(fourth) > 0
    wait_for(lambda: last("reward_per_trial", rows=10) > 0.68)
    signal_to(process, signal.SIGTERM)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 130, output[-3000:]
    assert "with its node" in output
    stranger = {**machines.env, "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    refused = fourth.start(BIN / "prefrontal", "train", f"cluster={head.address}:6379", env=stranger)
    output, _ = refused.communicate(timeout=120)
    assert refused.returncode == 2, output[-3000:]
    assert "RAY_AUTH_TOKEN" in output
