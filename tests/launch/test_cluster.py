"""Faults larger than an actor: a learner that is killed, nodes of a real Ray cluster that join and go."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest
from processes import processes
from program import ended, history, wait_until
from program import start as start_program
from ray.cluster_utils import Cluster

SMALL = [
    "actors.cpus=1",
    "evaluate.episodes=20",
    "run.checkpoint_every_s=0.5",
    "run.folder=run",
    "algo.batch_unrolls=1",
]


@pytest.fixture
def cluster():
    """A head with one (logical) CPU; nodes are added by the tests."""
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    yield made
    made.shutdown()


@pytest.fixture
def start(tmp_path, cluster):
    """Starts a training in the test's folder; what a failed test leaves running is ended."""
    started = []

    def begin(*arguments):
        started.append(start_program(tmp_path, "train", f"cluster={cluster.address}", *SMALL, *arguments))
        return started[-1]

    yield begin
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.wait(60)


@pytest.mark.parametrize("algo", ["impala", "a2c"])
def test_a_killed_learner_is_replaced_from_the_newest_checkpoint(tmp_path, start, algo):
    process = start("actors.num=1", f"algo={algo}", "run.env_steps=1000000", "run.log_points=200")
    checkpoints = tmp_path / "run" / "checkpoints"
    wait_until(lambda: len(list(checkpoints.glob("update_*"))) >= 2, process)
    os.kill(processes("RemoteLearner")[-1], signal.SIGKILL)
    assert "another learner goes on from" in ended(process)
    rows = history(tmp_path / "run")
    steps = rows["env_steps"]
    assert (np.diff(steps) > 0).all(), "a step was counted twice"
    assert (np.diff(steps) < 3 * np.median(np.diff(steps))).all(), "the curve has a gap"
    assert rows["learner/restarts"][-1] == 1
    assert 1_000_000 <= steps[-1] < 1_020_000


def test_the_pool_grows_and_shrinks_with_the_cluster(tmp_path, start, cluster):
    process = start(
        "actors.num=auto",
        "run.env_steps=100000000",
        "run.log_points=20000",
        "algo.learning_rate.start=0.001",
    )

    def playing():
        rows = history(tmp_path / "run")
        return None if rows is None else rows["actors/playing"][-1]

    wait_until(lambda: playing() == 1, process)
    # Now: a driver that starts beside several nodes of one address may belong to any of them.
    worker = cluster.add_node(num_cpus=1)
    cluster.add_node(num_cpus=1)
    wait_until(lambda: playing() == 3, process)
    cluster.remove_node(worker, allow_graceful=False)
    wait_until(lambda: playing() == 2, process)
    # Ray takes a while to know that it was the node; then the budget is as it was.
    wait_until(lambda: history(tmp_path / "run")["actors/restarts"][-1] == 0, process)
    steps = history(tmp_path / "run")["env_steps"][-1]
    wait_until(lambda: history(tmp_path / "run")["env_steps"][-1] > steps + 50_000, process)
    process.send_signal(signal.SIGTERM)
    ended(process, 130)
    assert (np.diff(history(tmp_path / "run")["env_steps"]) > 0).all()


def test_a_cluster_that_is_too_small_is_named(start):
    asked = {
        "actors.num=3": "the run asks for 3 CPUs (actors.num x actors.cpus), the cluster has 1",
        "learner.device=cuda": "no node of the cluster has a GPU",
    }
    # One of them does not wait for what the other holds: neither gets as far as an actor.
    common = ["actors.num=1", "ray.wait_s=600"]
    started = {one: start(*common, one, f"run.folder={one.split('=')[0]}") for one in asked}
    for one, process in started.items():
        assert asked[one] in " ".join(ended(process, 2).split())
