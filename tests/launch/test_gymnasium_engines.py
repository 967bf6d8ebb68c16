"""PPO and environments of others under Ray: what its actors and learner make of them is what one process makes."""

from __future__ import annotations

import numpy as np
import pytest
from prefrontal.actors.settings import ActorsConfig
from prefrontal.launch.config import RunConfig, TrainConfig
from prefrontal.launch.engines.distributed import RayEngine
from prefrontal.launch.engines.serial import SerialEngine
from prefrontal.learner.algorithm import AlgorithmConfig, PPOConfig
from prefrontal.models.agent import ModelConfig

UPDATES = 4


@pytest.mark.parametrize("name", ["Pendulum-v1", "CartPole-v1"])
def test_ppo_through_ray_is_ppo_in_one_process(ray_session, tmp_path, name):
    """Two actors, two passes in two minibatches; episodes end by themselves (CartPole) and by `max_steps`."""
    config = TrainConfig(
        task={"name": "gymnasium", "id": name, "max_steps": 12},
        run=RunConfig(env_steps=10**6),
        model=ModelConfig(hidden_sizes=(6,)),
        algo=AlgorithmConfig(
            name="ppo", returns="gae", synchronous=True, unroll_length=16, ppo=PPOConfig(epochs=2, minibatches=2)
        ),
        actors=ActorsConfig(num=2, envs=2, cpus=0.5),
    )
    serial = SerialEngine(config, tmp_path, None)
    expected = [serial.step() for _ in range(UPDATES)]
    engine = RayEngine(config, tmp_path, None, lambda: False)
    try:
        found = [engine.step() for _ in range(UPDATES)]
        parameters = engine.parameters()
    finally:
        engine.close()
    assert parameters.version == UPDATES
    assert np.array_equal(parameters.vector, serial.parameters().vector)
    for mine, theirs in zip(found, expected, strict=True):
        assert mine.metrics["learner/lag_max"] == 0
        ended, those = ([report.returns.tolist() for report in update.reports] for update in (mine, theirs))
        assert sorted(ended) == sorted(those)
