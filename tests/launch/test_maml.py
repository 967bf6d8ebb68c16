"""Whole trainings with MAML: repeated, resumed, evaluated step by step, an actor killed in the middle of a life."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from prefrontal.actors.settings import ActorsConfig
from prefrontal.envs import registry
from prefrontal.envs.navigation_2d.baselines import expected_returns
from prefrontal.launch.config import RunConfig, TrainConfig
from prefrontal.launch.engines.distributed import RayEngine
from prefrontal.launch.engines.serial import SerialEngine
from prefrontal.learner.algorithm import AlgorithmConfig, MAMLConfig
from prefrontal.models.agent import ModelConfig
from program import call, newest

SMALL = [
    "experiment=maml_navigation_2d",
    "cluster=none",
    "task.steps=20",
    "algo.unroll_length=20",
    "algo.maml.episodes=5",
    "actors.envs=20",
    "evaluate.envs=20",
    "evaluate.episodes=160",
    "model.hidden_sizes=[8]",
    "run.log_points=5",
]
UPDATES = 30
UPDATE = 2 * 20 * 2 * 20
"""Environment steps of an update: actors, rows, phases, steps of an episode."""


def test_a_run_repeats_bit_for_bit_resumes_exactly_and_is_evaluated_after_each_step(tmp_path):
    command = ["train", *SMALL, "model=gru"]
    call(tmp_path, *command, "run.folder=whole", f"run.env_steps={4 * UPDATE}")
    call(tmp_path, *command, "run.folder=half", f"run.env_steps={2 * UPDATE}")
    half, whole = newest(tmp_path / "half"), newest(tmp_path / "whole")
    assert any((whole.tensors[name] != half.tensors[name]).any() for name in whole.tensors)
    call(tmp_path, "train", f"resume={tmp_path / 'half'}", f"run.env_steps={4 * UPDATE}")
    half = newest(tmp_path / "half")
    assert all((whole.tensors[name] == half.tensors[name]).all() for name in whole.tensors)
    results = json.loads((tmp_path / "whole" / "results.json").read_text())
    assert len(results["return_by_episode"]) == 4, "before, and after each of three steps"
    assert results["return_first"] == results["return_by_episode"][0]
    assert results["env_steps"] == 4 * UPDATE
    with Image.open(tmp_path / "whole" / "figures" / "adaptation_film.gif") as film:
        assert film.n_frames == 2 * 20, "an episode before adaptation, one after it"
    call(tmp_path, "evaluate", f"run={tmp_path / 'whole'}", "name=again", "episodes=80")
    said = call(tmp_path, "evaluate", f"run={tmp_path / 'whole'}", "name=other", "record=true", status=2)
    assert "algo=maml" in said
    again = json.loads((tmp_path / "whole" / "evaluations" / "again" / "results.json").read_text())
    assert np.isfinite(again["return_by_episode"]).all()


def test_agents_that_adapt_and_agents_that_remember_stand_in_one_figure(tmp_path):
    quick = ["run.env_steps=1600", "run.figures=0", "evaluate.episodes=80"]
    call(tmp_path, "train", *SMALL, "run.folder=runs/adapts", *quick)
    remembers = ["train", "task=navigation_2d", "cluster=none", "task.starts=true", "actors.envs=10", *quick]
    call(tmp_path, *remembers, "task.steps=20", "run.folder=runs/remembers")
    said = call(tmp_path, "figures", "run=runs/*")
    assert "navigation_2d, mlp, maml" in said
    assert "navigation_2d, gru, ppo" in said
    merged = json.loads((tmp_path / "runs" / "merged_results.json").read_text())
    one, other = (
        json.loads((tmp_path / "runs" / name / "results.json").read_text()) for name in ("adapts", "remembers")
    )
    assert merged["comparison"]["return_last"]["mlp, maml"]["mean"] == pytest.approx(one["return_last"])
    assert merged["comparison"]["return_last"]["gru, ppo"]["mean"] == pytest.approx(other["return_last"])
    call(tmp_path, *remembers, "task.steps=25", "run.folder=runs/longer")
    assert "must have one task with one set of options" in call(tmp_path, "figures", "run=runs/*", status=2)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["algo.unroll_length=30"], "algo.unroll_length=30 is the length of an episode with algo=maml"),
        (["algo.maml.episodes=7"], "no whole number of tasks with algo.maml.episodes=7"),
        (
            ["evaluate.episodes=79"],
            "20 rows (evaluate.envs) with an episode before each step and one after the last are 80",
        ),
        (["evaluate.record=true"], "leave record=false"),
        (["~experiment", "task=harlow", "algo=maml"], "algo=maml needs a task that hides something"),
        (["algo.maml.outer=ppo"], "maml.outer=ppo needs ppo.epochs"),
    ],
)
def test_what_cannot_be_is_told_at_once(tmp_path, arguments, said):
    given = arguments[1:] if arguments[0] == "~experiment" else [*SMALL, *arguments]
    output = call(tmp_path, "train", *given, "cluster=none", status=2)
    assert said in " ".join(output.split())


def config_of(seed=0, actors=2, updates=10**6, **task):
    options = {"name": "navigation_2d", "episodes": 1, "steps": 20, **task}
    return TrainConfig(
        task=options,
        seed=seed,
        cluster="none",
        run=RunConfig(env_steps=updates),
        model=ModelConfig(core="mlp", hidden_sizes=(32,), see_action=False, see_reward=False),
        algo=AlgorithmConfig(
            name="maml",
            returns="gae",
            synchronous=True,
            unroll_length=options["steps"],
            discount=0.99,
            maml=MAMLConfig(steps=1, episodes=10),
        ),
        actors=ActorsConfig(num=actors, envs=100, cpus=0.5, backoff_s=0.05),
    )


@pytest.mark.parametrize("phase", [0, 1], ids=["before_adaptation", "after_adaptation"])
def test_an_actor_killed_while_it_plays_a_life_is_replaced_and_updates_go_on(ray_session, tmp_path, phase):
    """In its second life, in the middle of a phase: of what it had played there nothing is trained on."""
    marker, life = tmp_path / "killed", 2 * 20
    killed = {"name": "mortal:TASK", "at_step": life + 20 * phase + 10, "marker": str(marker)}
    engine = RayEngine(config_of(**killed), tmp_path, None, lambda: False)
    try:
        updates = [engine.step()]
        assert not marker.exists()
        updates += [engine.step() for _ in range(4)]
        assert marker.exists()
        assert engine.counters().restarts == 1
        reports = [[report.params_version for report in update.reports] for update in updates]
        assert reports == [[version] * 2 for version in range(5)], "all actors play by the newest parameters"
        assert engine.parameters().version == 5
        assert all(report.env_steps == 4000 for update in updates for report in update.reports)
    finally:
        engine.close()


@pytest.mark.parametrize("seed", [0])
def test_learns_to_adapt(seed, tmp_path):
    """After one step better than any policy without one: it cannot know the goal, so the best is to stay."""
    config = config_of(seed, actors=1, goals=0.3)
    engine = SerialEngine(config, tmp_path, None)
    metrics = [engine.step().metrics for _ in range(UPDATES)]
    before, after = (np.array([m[f"maml/return_{k}"] for m in metrics]) for k in (0, 1))
    stay = expected_returns(registry.get("navigation_2d").configure(config.task_options))["stay"]
    assert after[:5].mean() < stay
    assert after[-5:].mean() > stay + 1
    assert (after - before)[-5:].mean() > 1
