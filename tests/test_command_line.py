"""The program as a person runs it: whole runs in processes of their own, wrong inputs, Ctrl-C, kill -9, sweeps."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from prefrontal.learner.checkpoint import CheckpointFolder, read

PROGRAM = [sys.executable, "-m", "prefrontal.launch.cli"]
SMALL = ["actors.envs=8", "run.env_steps=40000", "run.figures=1", "evaluate.episodes=40", "run.log_points=10"]
ONE_PROCESS = ["cluster=none", *SMALL]


def start(folder, *arguments, **options):
    return subprocess.Popen(
        [*PROGRAM, *arguments], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options
    )


def call(folder, *arguments, status=0, timeout=240, stdin=None):
    done = subprocess.run(
        [*PROGRAM, *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        input=stdin,
        check=False,
    )
    assert done.returncode == status, done.stdout[-3000:]
    return done.stdout


def runs(folder, task="two_step"):
    return sorted(path.parent for path in (folder / "runs" / task).rglob("config.yaml"))


def newest(folder):
    return CheckpointFolder(folder / "checkpoints").newest()[0]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A short run in one process; its folder, and what it printed."""
    folder = tmp_path_factory.mktemp("trained")
    output = call(folder, "train", *ONE_PROCESS, "run.name=short")
    (run,) = runs(folder)
    return run, output


def test_a_run_leaves_everything_behind(trained):
    run, output = trained
    for name in ("config.yaml", "metrics.csv", "results.json", "provenance.json", "evaluation.parquet"):
        assert (run / name).stat().st_size > 0, name
    assert list(run.glob("events.out.tfevents.*"))
    assert {path.suffix for path in (run / "figures").iterdir()} == {".png", ".svg", ".gif"}
    results = json.loads((run / "results.json").read_text())
    assert results["episodes"] == 40
    assert results["env_steps"] >= 40_000
    assert results["steps_per_second"] == pytest.approx(results["env_steps"] / results["wall_s"])
    assert set(results["stay_probability"]) == {
        "rewarded_common",
        "rewarded_uncommon",
        "unrewarded_common",
        "unrewarded_uncommon",
    }
    table = pq.read_table(run / "evaluation.parquet")
    assert table.num_rows == 40 * 100
    assert np.mean(table["reward"].to_numpy()) == pytest.approx(results["reward_per_trial"])
    for text in ("ideal observer", "Wang et al. 2018", "stay_probability.png", "tensorboard --logdir"):
        assert text in output, text


def test_throughput_is_trained_steps_over_wall_time(trained):
    """The definition of throughput: rows of metrics.csv add up to the steps trained in the time that passed."""
    rows = np.genfromtxt(trained[0] / "metrics.csv", delimiter=",", names=True)
    steps = np.diff(rows["env_steps"], prepend=0)
    seconds = np.diff(rows["wall_s"])
    np.testing.assert_allclose(rows["steps_per_second"][1:], steps[1:] / seconds, rtol=0.15)


def test_tensorboard_holds_scalars_figure_config_and_hparams(trained):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(trained[0]), size_guidance={"tensors": 0, "scalars": 0, "images": 0})
    events.Reload()
    tags = events.Tags()
    assert {"task/reward_per_trial", "loss/entropy", "run/steps_per_second", "learner/lag_mean"} <= set(tags["scalars"])
    assert "figures/stay_probability" in tags["images"]
    assert "config/text_summary" in tags["tensors"]
    assert "_hparams_/session_start_info" in events.summary_metadata


def test_evaluate_and_figures(trained):
    run, _ = trained
    before = (run / "evaluation.parquet").read_bytes()
    output = call(run, "evaluate", f"run={run}", "name=other", "episodes=20", "task.common=0.9")
    assert "20 fresh episodes" in output
    assert (run / "evaluations" / "other" / "results.json").is_file()
    assert (run / "evaluation.parquet").read_bytes() == before
    for path in (run / "figures").iterdir():
        path.unlink()
    assert "stay_probability.png" in call(run, "figures", f"run={run}")
    assert (run / "figures" / "stay_probability.svg").is_file()


def test_sweep_with_joblib_and_merged_figures(tmp_path):
    output = call(tmp_path, "train", "-m", "seed=0,1,2", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", *SMALL)
    assert "starting Ray" not in output
    found = runs(tmp_path)
    assert len(found) == 3
    vectors = [newest(run).tensors["agent.policy.weight"] for run in found]
    assert not (vectors[0] == vectors[1]).all()
    assert "3 runs" in output, "the sweep ends with the merged table"
    assert "mean ± SD" in output
    (found[0].parent / "merged_results.json").unlink()
    assert "3 runs" in call(tmp_path, "figures", f"run={found[0].parent}/*")
    assert len(json.loads((found[0].parent / "merged_results.json").read_text())["runs"]) == 3


def test_agents_with_and_without_a_memory_are_compared(tmp_path):
    """One sweep over agents: memory files and figures, the tests between agents, and a lesion of a trained one."""
    small = [
        "task=episodic_two_step",
        "cluster=none",
        "run.env_steps=20000",
        "evaluate.episodes=64",
        "run.log_points=5",
    ]
    output = call(tmp_path, "train", "-m", "model=ep_lstm,incremental", "seed=0,1", *small)
    assert "episodic_two_step, episodic: 2 runs" in output
    assert "episodic_two_step, incremental: 2 runs" in output
    found = runs(tmp_path, "episodic_two_step")
    merged = json.loads((found[0].parent / "merged_results.json").read_text())
    assert {run["agent"] for run in merged["runs"]} == {"episodic", "incremental"}
    assert merged["comparison"]
    episodic = next(run for run in found if "ep_lstm" in run.name)
    results = json.loads((episodic / "results.json").read_text())
    assert results["memory"]["hit_rate"] > 0.99
    assert len(results["gate_by_unit"]["all"]) == 48
    assert (episodic / "memory.safetensors").is_file()
    assert (episodic / "figures" / "memory_contents.png").is_file()
    lesion = ["evaluate", f"run={episodic}", "episodes=64", "closed_above=0.3"]
    assert "name=<name>" in call(tmp_path, *lesion, status=2)
    call(tmp_path, *lesion, "name=lesion")
    gates = json.loads((episodic / "evaluations" / "lesion" / "results.json").read_text())["gate_by_unit"]["all"]
    assert all(gate == 0 for gate, whole in zip(gates, results["gate_by_unit"]["all"], strict=True) if whole > 0.3)
    assert any(gate == 0 for gate in gates)
    assert "no unit's mean gate" in call(tmp_path, *lesion[:-1], "closed_above=1.0", "name=none", status=2)


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


def test_a_task_that_always_fails_ends_with_its_traceback(tmp_path):
    conf = tmp_path / "conf" / "task"
    conf.mkdir(parents=True)
    (conf / "faulty.yaml").write_text(
        "# @package _global_\ntask:\n  name: 'faulty:TASK'\n  fault: raise\n  at_step: 150\n  length: 7\n"
    )
    output = call(
        tmp_path,
        "train",
        f"--config-dir={conf.parent}",
        "task=faulty",
        *SMALL,
        "actors.max_restarts=1",
        "actors.backoff_s=0.1",
        status=1,
    )
    assert "actors.max_restarts" in output
    assert output.strip().splitlines()[-1] == "ValueError: the maze has no exit"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "task=two_stepp"], "two_step"),
        (["train", "task.comon=0.9"], "Key 'comon' is not in struct"),
        (["train", "task.common=1.5", "cluster=none"], "common is a probability"),
        (["train", "model.core=transformer"], "the cores are: lstm, gru, stacked_lstm"),
        (["train", "algo.returns=montecarlo"], "choose one of: vtrace, gae, n_step, td0"),
        (["train", "actors.num=many"], "could not be converted to Integer"),
        (["train", "actors.num=4000"], "the run asks for 4000 CPUs"),
        (["train", "algo.batch_unrolls=50"], "can never be complete"),
        (["train", "cluster=127.0.0.1:1"], "no Ray answers at 127.0.0.1:1"),
        (["train", "cluster=somewhere"], "use none, local, auto or an address"),
        (["train", "resume=/nowhere"], "there is no folder /nowhere"),
        (["train", "resume=."], "is not a run folder"),
        (["evaluate", "run=/nowhere"], "there is no folder /nowhere"),
        (["figures", "run=nothing*"], "nothing matches"),
        (["play", "task=two_step", "task.trials=0"], "at least one trial"),
        (["dance"], "there is no verb 'dance'"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_wrong_inputs_name_the_cause_and_the_way_out(tmp_path, arguments, message):
    output = call(tmp_path, *arguments, status=1 if "two_stepp" in str(arguments) or "comon" in str(arguments) else 2)
    assert message in output
    assert "Traceback" not in output
    assert not list(tmp_path.rglob("checkpoints"))


def test_cuda_where_there_is_none(tmp_path):
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    output = call(tmp_path, "train", "learner.device=cuda", status=2)
    assert "learner.device=auto" in output


def test_resume_with_another_model_says_what_differs(trained):
    run, _ = trained
    output = call(run, "train", f"resume={run}", "model.hidden_sizes=[32]", "run.env_steps=80000", status=2)
    assert "model.hidden_sizes: (48,) -> (32,)" in output


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


def test_help_and_tasks(tmp_path):
    assert "usage: prefrontal <verb>" in call(tmp_path, "--help")
    assert "two_step" in call(tmp_path, "tasks")
    tasks = sorted(path.stem for path in (Path(__file__).parents[1] / "conf" / "task").glob("*.yaml"))
    assert f"task: {', '.join(tasks)}" in call(tmp_path, "train", "--help")


def test_play_in_a_pipe_and_in_a_terminal(tmp_path):
    output = call(tmp_path, "play", "task=bandit", "task.trials=3", "window=false", stdin="1\n2\n1\n")
    assert "episode over: return" in output
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [*PROGRAM, "play", "task=harlow", "window=false"],
        cwd=tmp_path,
        stdin=follower,
        stdout=follower,
        stderr=follower,
    )
    os.close(follower)
    time.sleep(4)
    os.write(leader, b"x12q")
    seen = b""
    while process.poll() is None or b"stopped" not in seen:
        try:
            seen += os.read(leader, 4096)
        except OSError:
            break
    process.wait(timeout=30)
    os.close(leader)
    assert b"stopped after 2 steps" in seen
    assert b"trial 1 of 6" in seen


def test_no_orphans(tmp_path):
    """After a run through Ray nothing of it is left running."""
    import psutil

    call(tmp_path, "train", *SMALL)
    time.sleep(1)
    left = [
        process.info["cmdline"]
        for process in psutil.process_iter(["cmdline", "cwd"])
        if process.info["cwd"] == str(tmp_path)
    ]
    assert left == []


def test_readme_names_only_what_exists():
    root = Path(__file__).parents[1]
    text = (root / "README.md").read_text()
    for group in ("task", "model", "algo", "experiment"):
        named = {word.split("=")[1] for word in text.replace("`", " ").split() if word.startswith(f"{group}=")}
        for choice in {choice for names in named for choice in names.split(",")}:
            assert (root / "conf" / group / f"{choice}.yaml").is_file(), f"{group}={choice}"
