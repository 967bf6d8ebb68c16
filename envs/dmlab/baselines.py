"""Agents to hold a network against in DeepMind Lab: random."""

from __future__ import annotations

import numpy as np

from ..vector import Array, Mask, VectorTask


class Random:
    """Takes each action equally often."""

    def __init__(self, env: VectorTask) -> None:
        self._actions = int(env.single_action_space.n)  # type: ignore[attr-defined]  # tasks have discrete actions
        self._rng = np.random.default_rng(0)

    def begin(self, which: Mask) -> None:
        """See `envs.trials.Baseline`."""

    def act(self, obs: Array) -> Array:
        """See `envs.trials.Baseline`."""
        return self._rng.integers(self._actions, size=len(obs))

    def learn(self, action: Array, reward: Array, next_obs: Array) -> None:
        """See `envs.trials.Baseline`."""


BASELINES = {"random": Random}
