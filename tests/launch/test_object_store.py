"""More trajectories on their way than Ray's object store holds."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from processes import left_running
from program import call, wait_until

# An unroll has 26 MB, eight may be on their way, and the store is as small as Ray allows.
LARGE = ["task=contextual_choice", "model=lstm", "task.evidence_size=1000", "task.context_size=1000", "task.items=5"]
MANY = ["actors.envs=32", "actors.num=2", "actors.in_flight=4", "actors.cpus=0.5", "ray.object_store_mb=80"]
SHORT = ["evaluate.episodes=10", "evaluate.envs=2", "run.figures=0", "run.folder=run"]


@pytest.fixture
def session():
    """A place for Ray's sessions; paths of sockets have to be short."""
    with tempfile.TemporaryDirectory(prefix="pf", dir="/tmp") as folder:
        yield Path(folder)


def train(session, *arguments, status=0, **ray):
    env = {**os.environ, "TMPDIR": str(session), **ray}
    return call(session, "train", *LARGE, *MANY, *SHORT, *arguments, status=status, env=env)


def test_what_does_not_fit_is_spilled(session):
    train(session, "run.env_steps=15_000")
    wait_until(lambda: not left_running(session))
    logs = [path.read_text() for path in session.glob("ray/session_2*/logs/raylet.out")]
    assert any(":info_message:Spilled" in log for log in logs)


@pytest.mark.parametrize(
    "too_large",
    [
        # One trajectory is larger than the store: the actor is told.
        ["actors.envs=128", "actors.num=1", "actors.in_flight=1"],
        # One update is: by chance an actor is told, or nobody and the learner waits for what finds no room.
        ["algo.batch_unrolls=8", "learner.timeout_s=60"],
    ],
    ids=["trajectory", "update"],
)
def test_a_full_disk_too_ends_the_run_with_what_to_change(session, too_large):
    # To Ray every disk is full that is used by more than this share.
    full = {"RAY_local_fs_capacity_threshold": "0"}
    message = " ".join(train(session, *too_large, "run.env_steps=10_000_000", status=1, **full).split())
    assert "fill Ray's object store" in message
    assert "Traceback" not in message
    assert all(name in message for name in ("actors.in_flight", "algo.unroll_length", "ray.object_store_mb"))
