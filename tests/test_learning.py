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
