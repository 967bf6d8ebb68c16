"""Whole runs of environments of others through the program, and what it says of those that cannot be played."""

from __future__ import annotations

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from program import call, runs

GUEST = ["task=gymnasium", "task.module=guests", "cluster=none"]
SHORT = ["run.figures=1", "run.log_points=4", "evaluate.episodes=20", "evaluate.envs=4", "actors.num=1"]


def test_a_training_finds_the_better_arm_and_goes_on_with_new_episodes(tmp_path):
    """Discrete observations: chance is 5 of 10, and the policy only has to do what it sees."""
    arguments = ["train", *GUEST, *SHORT, "task.id=BestArm-v0", "algo.learning_rate.start=0.01", "algo.discount=0.0"]
    arguments += ["actors.envs=16", "algo.unroll_length=50", "algo.value_weight=0.5", "algo.max_grad_norm=0.5"]
    call(tmp_path, *arguments, "run.env_steps=40000")
    (run,) = runs(tmp_path, "gymnasium")
    results = json.loads((run / "results.json").read_text())
    assert results["return"] > 9
    assert results["reward_per_trial"] == pytest.approx(results["return"])
    table = pq.read_table(run / "evaluation.parquet")
    assert table.num_rows == 20
    assert set(table["steps"].to_numpy()) == {10}
    assert {path.name for path in (run / "figures").iterdir()} >= {"returns.png", "episode.gif"}
    output = call(tmp_path, "train", f"resume={run}", "run.env_steps=42000", "cluster=none")
    assert "new episodes begin: those of this task cannot be saved" in output


def test_trials_arrive_in_the_table(tmp_path):
    arguments = ["train", *GUEST, *SHORT, "task.id=Trials-v0", "task.trials=5", "run.env_steps=3000"]
    call(tmp_path, *arguments)
    (run,) = runs(tmp_path, "gymnasium")
    results = json.loads((run / "results.json").read_text())
    assert len(results["performance_by_trial"]) == 5
    table = pq.read_table(run / "evaluation.parquet")
    assert table.num_rows == 20 * 5
    assert set(table["kind"].to_pylist()) == {"ab"}
    assert np.isfinite(table["rpe"].to_numpy()).all()
    assert "performance.png" in call(tmp_path, "figures", f"run={run}")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["task.id=Countin-v0"], "task.id=Countin-v0: Gymnasium has no environment of this name; the closest are: Cou"),
        (["task.module=gests"], "task.module: gests cannot be imported"),
        (["task.id=ShownEndless-v0"], "which have no fixed size"),
        (["task.id=Counting-v0"], "task.max_steps has to be given"),
        (["task.id=Limited-v0", "+task.options.lenght=3"], "did you mean task.options.length?"),
        (["task.id=Limited-v0", "task.wrappers=[NoSuch]"], "there is no wrapper NoSuch"),
        (["task.id=Limited-v0", "++evaluate.task.max_steps=-1"], "evaluate.task.max_steps=-1"),
    ],
)
def test_what_cannot_be_played_is_told_before_anything_starts(tmp_path, arguments, said):
    output = " ".join(call(tmp_path, "train", *GUEST, *arguments, status=2).split())
    assert output.startswith("error: ")
    assert said in output
    assert not (tmp_path / "runs").exists()


def test_an_environment_that_returns_nan_ends_the_run_with_its_name(tmp_path):
    arguments = [*GUEST, *SHORT, "task.id=Limited-v0", "+task.options.nan_after=2", "+task.options.length=0"]
    output = " ".join(call(tmp_path, "train", *arguments, "run.env_steps=3000", status=1).split())
    assert "returned a" in output and "not finite: nan" in output


def test_the_environments_of_a_package_are_listed(tmp_path):
    output = call(tmp_path, "tasks", "module=guests")
    assert "Counting-v0" in output
    assert "ShownEndless-v0" in output
    assert "no fixed size" in " ".join(output.split())
    assert "takes no settings but module" in call(tmp_path, "tasks", "modul=guests", status=2)
