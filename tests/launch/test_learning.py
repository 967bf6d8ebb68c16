"""Real learning, small: each algorithm learns a bandit, with a forced lag too; blind to reward it cannot."""

from __future__ import annotations

import pytest
from prefrontal.actors.evaluation import evaluate
from prefrontal.actors.rollout import RolloutWorker, WorkerSpec
from prefrontal.actors.settings import ActorsConfig
from prefrontal.envs import registry
from prefrontal.launch.config import RunConfig, TrainConfig
from prefrontal.launch.engines.serial import SerialEngine
from prefrontal.learner.algorithm import AlgorithmConfig, ReplayConfig, ScheduledConfig
from prefrontal.models.agent import ModelConfig
from prefrontal.models.dnd import MemoryConfig

OPTIONS = {"arms": "easy"}
CHANCE = 40.0
"""Regret of 100 pulls at random between .1 and .9."""


def measures_after_training(config, folder, episodes, **options):
    """What frozen weights reach on fresh episodes, of a task with other options if some are given."""
    engine = SerialEngine(config, folder, None)
    steps = 0
    while steps < config.run.env_steps:
        steps += sum(report.env_steps for report in engine.step().reports)
    options = {**config.task_options, **options}
    worker = RolloutWorker(WorkerSpec(config.task_name, options, config.model, 50, 100, seed=0, actor_id=99))
    worker.load(*engine.parameters())
    task = registry.get(config.task_name)
    return task.summarise(evaluate(worker, episodes, 0.9).trials(), task.configure(options))


def regret_after_training(folder, algo, model=None, lag=0, env_steps=600_000):
    config = TrainConfig(
        task={"name": "bandit", **OPTIONS},
        cluster="none",
        run=RunConfig(env_steps=env_steps),
        model=model or ModelConfig(hidden_sizes=(32,)),
        algo=AlgorithmConfig(
            unroll_length=50,
            batch_unrolls=2,
            discount=0.0,
            learning_rate=ScheduledConfig(5e-3, 0.0),
            entropy_weight=ScheduledConfig(0.03, 0.0),
            **algo,
        ),
        actors=ActorsConfig(num=2, envs=16, lag_updates=lag),
    )
    return measures_after_training(config, folder, 400)["regret"]


@pytest.mark.parametrize(
    ("algo", "lag"),
    [
        ({"name": "impala", "returns": "vtrace"}, 0),
        ({"name": "impala", "returns": "vtrace"}, 20),
        ({"name": "impala", "returns": "vtrace", "replay": ReplayConfig(ratio=1.0)}, 0),
        ({"name": "a3c", "returns": "gae"}, 0),
        ({"name": "a2c", "returns": "gae", "synchronous": True}, 0),
    ],
    ids=["impala", "impala with a lag of 20 updates", "impala with replay", "a3c", "a2c"],
)
def test_algorithms_learn_the_bandit(tmp_path, algo, lag):
    assert regret_after_training(tmp_path, algo, lag=lag) < 6.0


def test_without_the_reward_as_an_input_nothing_can_be_learned_in_an_episode(tmp_path):
    blind = ModelConfig(hidden_sizes=(32,), see_reward=False)
    assert regret_after_training(tmp_path, {}, blind, env_steps=200_000) == pytest.approx(CHANCE, abs=5.0)


@pytest.mark.parametrize("reinstate", [True, False], ids=["episodic", "incremental"])
def test_an_episodic_memory_carries_answers_from_trial_to_trial(tmp_path, reinstate):
    """Contextual choice: in noise, only what was stored under the same context tells the answer."""
    options = {"items": 10, "steps": 4, "noise_steps": 2, "evidence_size": 8, "context_size": 8}
    memory = MemoryConfig(capacity=10, kernel="l2", reinstate=reinstate)
    model = ModelConfig(core="ep_lstm", hidden_sizes=(16,), see_action=False, see_reward=False, memory=memory)
    config = TrainConfig(
        task={"name": "contextual_choice", **options},
        cluster="none",
        run=RunConfig(env_steps=800_000),
        model=model,
        algo=AlgorithmConfig(
            unroll_length=40,
            batch_unrolls=1,
            discount=0.0,
            value_weight=0.5,
            learning_rate=ScheduledConfig(1e-2, 0.0),
            entropy_weight=ScheduledConfig(0.01, 0.0),
        ),
        actors=ActorsConfig(num=1, envs=32),
    )
    accuracy = measures_after_training(config, tmp_path, 1000)["repeated_noise_accuracy"]
    assert accuracy > 0.8 if reinstate else accuracy == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("reward_prediction", [10.0, 0.0])
def test_a_learning_set_needs_the_reward_prediction_to_leave_the_side_that_paid(tmp_path, reward_prediction):
    """In training the rewarded picture mostly stays on its side, which is learnt first, and without it at last."""
    model = ModelConfig(hidden_sizes=(64,), layer_norm=True, reward_levels=(-5.0, 5.0), reward_by_action=True)
    config = TrainConfig(
        task={"name": "psychlab_ids", "images": 8, "sides": "random", "switch": 0.3},
        cluster="none",
        run=RunConfig(env_steps=140_000),
        model=model,
        algo=AlgorithmConfig(
            unroll_length=24,
            batch_unrolls=1,
            discount=0.8,
            value_weight=0.02,
            reward_prediction=reward_prediction,
            learning_rate=ScheduledConfig(4e-3, 0.0),
            entropy_weight=ScheduledConfig(0.5, 0.0),
        ),
        actors=ActorsConfig(num=1, envs=8),
    )
    measures = measures_after_training(config, tmp_path, 500, sides="balanced")
    assert measures["accuracy_by_trial"][0] == pytest.approx(0.5, abs=0.07)
    if reward_prediction:
        assert measures["accuracy_after_first"] > 0.95
    else:
        assert measures["accuracy_after_first"] < 0.85
