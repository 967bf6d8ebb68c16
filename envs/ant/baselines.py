"""Agents to hold a network against: one that does not move, and one that moves at random."""

from __future__ import annotations

import numpy as np

from ..random_agent import RandomAgent
from ..vector import Array, VectorTask
from .env import AntEnv


class Random(RandomAgent[AntEnv]):
    """Torques at random."""

    def __init__(self, env: VectorTask) -> None:
        super().__init__(env, AntEnv)


class Still(Random):
    """No torques."""

    def act(self, obs: Array) -> Array:
        """See `envs.trials.Baseline`."""
        return np.zeros((len(obs), *self.env.single_action_space.shape), dtype=np.float32)  # type: ignore[misc]


BASELINES = {"still": Still, "random": Random}
