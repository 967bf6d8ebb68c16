"""Runs that stop, are killed and go on, through the whole program: nothing is lost and nothing is left behind."""

from __future__ import annotations

import json
import os
import signal
import time

import numpy as np
import pytest
from prefrontal.learner.checkpoint import CheckpointFolder, read
from processes import left_running
from program import ONE_PROCESS, SMALL, call, ended, newest, runs, start, wait_until

CONSTANT = ["algo.learning_rate.end=null", "algo.entropy_weight.end=null"]


def test_a2c_repeats_bit_for_bit_and_resumes_exactly(tmp_path):
    """The same run twice, and N + resume + N against 2 N, through the whole program."""
    a2c = ["train", "algo=a2c", *ONE_PROCESS, *CONSTANT, "evaluate.episodes=4", "run.env_steps=20000"]
    for name in ("one", "two"):
        call(tmp_path, *a2c, f"run.folder={name}")
    call(tmp_path, *a2c, "run.folder=half", "run.env_steps=10000", "algo.learning_rate.fraction=1.0")
    one, two, half = (tmp_path / name for name in ("one", "two", "half"))
    assert same(newest(one), newest(two))
    assert not same(newest(half), newest(one))
    call(tmp_path, "train", f"resume={half}", "run.env_steps=20000")
    assert same(newest(half), newest(one))
    assert len(json.loads((half / "provenance.json").read_text())) == 2


def same(one, other):
    assert one.tensors.keys() == other.tensors.keys()
    return all((tensor == other.tensors[name]).all() for name, tensor in one.tensors.items())


def checkpoint_of(folder, process):
    """The first that there is."""
    return wait_until(
        lambda: next((folder / "runs" / "two_step").glob("*/checkpoints/update_*.safetensors"), None), process
    )


LONG = ["run.env_steps=100000000", "run.checkpoint_every_s=0.5"]


@pytest.mark.parametrize("cluster", ["none", "local"])
def test_killed_run_resumes_from_its_newest_checkpoint(tmp_path, cluster):
    process = start(tmp_path, "train", *SMALL, *LONG, f"cluster={cluster}", "actors.num=2", start_new_session=True)
    checkpoint = checkpoint_of(tmp_path, process)
    time.sleep(1.0)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait(60) == -signal.SIGKILL
    (run,) = runs(tmp_path)
    saved = newest(run).scalars["env_steps"]
    target = saved + 50_000
    output = call(tmp_path, "train", f"resume={run}", f"run.env_steps={target}", "cluster=none")
    assert f"going on from {run}" in output
    assert f"({saved:,} steps)" in output
    results = json.loads((run / "results.json").read_text())
    assert target <= results["env_steps"] < target + 10_000
    steps = np.genfromtxt(run / "metrics.csv", delimiter=",", names=True)["env_steps"]
    assert (np.diff(steps) > 0).all()
    assert read(checkpoint) if checkpoint.exists() else True


def test_one_command_starts_and_goes_on(tmp_path):
    """`resume=auto`, for jobs that are started again by themselves."""
    command = ["train", *ONE_PROCESS, "resume=auto", "run.folder=job"]
    assert "going on" not in call(tmp_path, *command)
    assert "(40,000 steps)" in " ".join(call(tmp_path, *command, "run.env_steps=50000").split())
    assert newest(tmp_path / "job").scalars["env_steps"] >= 50_000
    assert "run.folder=<folder>" in call(tmp_path, "train", "resume=auto", status=2)


def test_settings_that_only_the_run_knows_are_changed_when_it_goes_on(tmp_path):
    """Those of another task or model than the default ones, for which the command line is read first."""
    call(tmp_path, "train", *ONE_PROCESS, "task=bandit", "model=rgu", "run.folder=bandit")
    more = ["resume=bandit", "run.env_steps=50000"]
    output = call(tmp_path, "train", *more, "task.arms=hard", "algo.discount=0.8")
    assert "task.arms: independent -> hard" in output and "algo.discount: 0.95 -> 0.8" in output
    assert "did you mean task.arms?" in call(tmp_path, "train", *more, "task.arm=hard", status=2)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_saves_and_says_how_to_go_on(tmp_path, number):
    process = start(tmp_path, "train", *ONE_PROCESS, *LONG)
    checkpoint_of(tmp_path, process)
    process.send_signal(number)
    output = ended(process, 130)
    (run,) = runs(tmp_path)
    assert f"go on with: prefrontal train resume={run}" in output
    assert newest(run).scalars["env_steps"] > 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_while_ray_trains(tmp_path, number):
    """Ctrl-C as a terminal does it, the whole group gets the signal; SIGTERM as a preempted machine does."""
    process = start(tmp_path, "train", *SMALL, *LONG, start_new_session=True)
    checkpoint_of(tmp_path, process)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    output = ended(process, 130)
    assert "go on with: prefrontal train resume=" in output
    assert "Traceback" not in output
    wait_until(lambda: not left_running(tmp_path))


def test_a_damaged_checkpoint_is_passed_over(tmp_path):
    call(tmp_path, "train", *ONE_PROCESS, "run.checkpoint_every_s=0.05")
    (run,) = runs(tmp_path)
    paths = CheckpointFolder(run / "checkpoints").paths()
    paths[0].write_bytes(paths[0].read_bytes()[:1000])
    output = call(tmp_path, "evaluate", f"run={run}", "episodes=10")
    assert "skipped a damaged checkpoint" in output
    for path in paths[1:]:
        path.unlink()
    assert "no usable checkpoint" in call(tmp_path, "evaluate", f"run={run}", status=2)
