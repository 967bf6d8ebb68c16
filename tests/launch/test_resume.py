"""Runs that stop, are killed and go on, through the whole program: nothing is lost and nothing is left behind."""

from __future__ import annotations

import json
import os
import signal
import time

import numpy as np
import psutil
import pytest
from prefrontal.learner.checkpoint import CheckpointFolder, read
from program import ONE_PROCESS, SMALL, call, newest, runs, start


def test_a2c_repeats_bit_for_bit_and_resumes_exactly(tmp_path):
    """The same run twice, and N + resume + N against 2 N, through the whole program."""
    a2c = ["train", "algo=a2c", *ONE_PROCESS]
    call(tmp_path, *a2c, "run.name=one")
    call(tmp_path, *a2c, "run.name=two")
    call(tmp_path, *a2c, "run.name=half", "run.env_steps=20000", "algo.learning_rate.fraction=1.0", *CONSTANT)
    call(tmp_path, *a2c, "run.name=whole", *CONSTANT)
    one, two, half, whole = (
        next(r for r in runs(tmp_path) if r.name.endswith(n)) for n in ("one", "two", "half", "whole")
    )
    assert same(newest(one), newest(two))
    call(tmp_path, "train", f"resume={half}", "run.env_steps=40000")
    assert same(newest(half), newest(whole))
    assert not same(newest(one), newest(whole))
    assert len(json.loads((half / "provenance.json").read_text())) == 2


CONSTANT = ["algo.learning_rate.end=null", "algo.entropy_weight.end=null"]


def same(one, other):
    assert one.tensors.keys() == other.tensors.keys()
    return all((tensor == other.tensors[name]).all() for name, tensor in one.tensors.items())


def wait_for_checkpoint(run_parent, process, limit_s=120):
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        assert process.poll() is None, process.stdout.read()[-3000:]
        found = sorted(run_parent.glob("*/checkpoints/update_*.safetensors"))
        if found:
            return found[-1]
        time.sleep(0.05)
    raise AssertionError("no checkpoint was written")


LONG = ["run.env_steps=100000000", "run.checkpoint_every_s=0.5"]


@pytest.mark.parametrize("cluster", ["none", "local"])
def test_killed_run_resumes_from_its_newest_checkpoint(tmp_path, cluster):
    process = start(tmp_path, "train", *SMALL, *LONG, f"cluster={cluster}", "actors.num=2", start_new_session=True)
    checkpoint = wait_for_checkpoint(tmp_path / "runs" / "two_step", process)
    time.sleep(1.0)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_saves_and_says_how_to_go_on(tmp_path, number):
    process = start(tmp_path, "train", *ONE_PROCESS, *LONG)
    wait_for_checkpoint(tmp_path / "runs" / "two_step", process)
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    (run,) = runs(tmp_path)
    assert f"go on with: prefrontal train resume={run}" in output
    assert newest(run).scalars["env_steps"] > 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_while_ray_trains(tmp_path, number):
    """Ctrl-C as a terminal does it, the whole group gets the signal; SIGTERM as a preempted machine does."""
    process = start(tmp_path, "train", *SMALL, *LONG, start_new_session=True)
    wait_for_checkpoint(tmp_path / "runs" / "two_step", process)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    output, _ = process.communicate(timeout=90)
    assert process.returncode == 130, output
    assert "go on with: prefrontal train resume=" in output
    assert "Traceback" not in output


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


def test_no_orphans(tmp_path):
    """After a run through Ray nothing of it is left running."""
    call(tmp_path, "train", *SMALL)
    time.sleep(1)
    left = [
        process.info["cmdline"]
        for process in psutil.process_iter(["cmdline", "cwd"])
        if process.info["cwd"] == str(tmp_path)
    ]
    assert left == []
