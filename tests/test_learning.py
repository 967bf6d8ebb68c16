"""Real learning, small: each algorithm learns a bandit, with a forced lag too; blind to reward it cannot."""

from __future__ import annotations

import pytest
from prefrontal.actors.evaluation import evaluate
from prefrontal.actors.rollout import RolloutWorker, WorkerSpec
from prefrontal.actors.settings import ActorsConfig
from prefrontal.envs import registry
from prefrontal.launch.config import RunConfig, TrainConfig
from prefrontal.launch.engine import SerialEngine
from prefrontal.learner.algorithm import AlgorithmConfig, ReplayConfig, ScheduledConfig
from prefrontal.models.agent import ModelConfig
from prefrontal.models.dnd import MemoryConfig

OPTIONS = {"arms": "easy"}
CHANCE = 40.0
"""Regret of 100 pulls at random between .1 and .9."""


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
    engine = SerialEngine(config, folder, None)
    steps = 0
    while steps < env_steps:
        steps += sum(report.env_steps for report in engine.step().reports)
    worker = RolloutWorker(WorkerSpec("bandit", OPTIONS, config.model, 64, 100, seed=0, actor_id=99))
    worker.load(*engine.parameters())
    task = registry.get("bandit")
    settings = task.configure(OPTIONS)
    return task.summarise(evaluate(worker, 400, 0.9).trials(), settings)["regret"]


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
    engine = SerialEngine(config, tmp_path, None)
    steps = 0
    while steps < 800_000:
        steps += sum(report.env_steps for report in engine.step().reports)
    worker = RolloutWorker(WorkerSpec("contextual_choice", options, model, 50, 80, seed=0, actor_id=99))
    worker.load(*engine.parameters())
    task = registry.get("contextual_choice")
    accuracy = task.summarise(evaluate(worker, 1000, 0.0).trials(), task.configure(options))["repeated_noise_accuracy"]
    assert accuracy > 0.8 if reinstate else accuracy == pytest.approx(0.5, abs=0.1)
