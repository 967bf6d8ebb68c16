"""The program as a person runs it: whole runs in processes of their own, sweeps, figures, wrong inputs."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from program import ONE_PROCESS, PROGRAM, SMALL, call, newest, runs


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
    np.testing.assert_allclose(rows["steps_per_second"][1:], steps[1:] / seconds, rtol=1e-6)


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


def test_a_recorded_evaluation_is_analysed(trained):
    run, _ = trained
    assert "record=true" in call(run, "analyse", f"run={run}", "name=recorded", status=2)
    evaluate = ["evaluate", f"run={run}", "name=recorded", "episodes=20", "envs=7"]
    output = call(run, *evaluate, "record=true")
    assert "evaluations/recorded/activity.nc" in output
    output = call(run, "analyse", f"run={run}", "name=recorded", "condition=previous_reward", "shuffles=3")
    for text in ("2,000 trials in 20 episodes", "previous_common", "coding.png", "regression.csv"):
        assert text in output, text
    analyses = run / "evaluations" / "recorded" / "analyses"
    found = json.loads((analyses / "analyses.json").read_text())
    assert found["conditions"] == ["previous_reward 0", "previous_reward 1"]
    assert found["decoding"]["previous_reward"]["score"] > 0.9
    assert pyarrow.csv.read_csv(analyses / "regression.csv").num_rows == 48 * 6
    assert {path.name for path in (analyses / "figures").glob("*.svg")} == {"coding.svg", "trajectories.svg"}
    call(run, *evaluate)
    assert not (run / "evaluations" / "recorded" / "activity.nc").exists(), "its trials are no longer there"


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


def test_a_task_that_always_fails_ends_with_its_traceback(tmp_path, ray_session):
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
        f"cluster={ray_session.get_runtime_context().gcs_address}",
        "actors.cpus=0.5",
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
        (["train", "task=two_stepp"], "did you mean task=two_step?"),
        (["train", "task.comon=0.9"], "did you mean task.common?"),
        (["train", "actors.num=many"], "actors.num=many: a whole number, at least 1, or auto"),
        (["train", "actors.num=4000"], "the run asks for 4000 CPUs"),
        (["train", "algo.batch_unrolls=50"], "can never be complete"),
        (["train", "cluster=127.0.0.1:1"], "no Ray answers at 127.0.0.1:1"),
        (["train", "cluster=somewhere"], "use none, local, auto or an address"),
        (["evaluate", "run=a folder [1], seed=0"], "a folder [1], seed=0"),
        (["dance"], "there is no verb 'dance'"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_wrong_inputs_name_the_cause_and_the_way_out(tmp_path, arguments, message):
    output = call(tmp_path, *arguments, status=2)
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


@pytest.mark.parametrize("group", ["experiment=wang2018_two_step", "algo=a2c", "task=harlow", "model=gru"])
def test_a_whole_group_is_no_change_of_a_run_that_goes_on(trained, group):
    run, _ = trained
    before = (run / "config.yaml").read_bytes()
    output = call(run, "train", f"resume={run}", group, status=2)
    assert f"{group}: a run that goes on keeps its {group.partition('=')[0]}" in output
    assert (run / "config.yaml").read_bytes() == before


def test_what_a_resume_changes_is_said(trained, tmp_path):
    run = shutil.copytree(trained[0], tmp_path / "run")
    output = call(tmp_path, "train", f"resume={run}", "run.env_steps=42000", "algo.discount=0.8")
    assert "algo.discount: 0.5 -> 0.8" in output
    assert "algo.lambda_" not in output


def test_help_and_tasks(tmp_path):
    assert "usage: prefrontal <verb>" in call(tmp_path, "--help")
    assert "two_step" in call(tmp_path, "tasks")
    tasks = sorted(path.stem for path in (Path(__file__).parents[2] / "conf" / "task").glob("*.yaml"))
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
    seen = b""
    while b"trial 1 of 6" not in seen:
        seen += os.read(leader, 4096)
    os.write(leader, b"x12q")
    while process.poll() is None or b"stopped" not in seen:
        try:
            seen += os.read(leader, 4096)
        except OSError:
            break
    process.wait(timeout=30)
    os.close(leader)
    assert b"stopped after 2 steps" in seen


def test_readme_names_only_what_exists():
    root = Path(__file__).parents[2]
    text = (root / "README.md").read_text()
    for group in ("task", "model", "algo", "experiment"):
        named = {word.split("=")[1] for word in text.replace("`", " ").split() if word.startswith(f"{group}=")}
        for choice in {choice for names in named for choice in names.split(",")}:
            assert (root / "conf" / group / f"{choice}.yaml").is_file(), f"{group}={choice}"
