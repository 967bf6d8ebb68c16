"""The baseline that acts at random, which the others of a task are made from."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import numpy as np
from gymnasium.spaces import Discrete

from .vector import Array, Mask, VectorTask

Env = TypeVar("Env", bound=VectorTask)


def baseline_rng() -> np.random.Generator:
    """Random numbers of a baseline: a stream that no environment seeded with a number has."""
    return np.random.default_rng([0, 1])


class RandomAgent(Generic[Env]):
    """Takes each action equally often (see `envs.trials.Baseline`), of a `Box` as Gymnasium samples it.

    Args:
        env: the environment to be played.
        plays: what it must be.

    Raises:
        TypeError: if it is another one.
    """

    def __init__(self, env: VectorTask, plays: type[Env]) -> None:
        if not isinstance(env, plays):
            raise TypeError(f"this baseline plays {plays.__name__}, not {type(env).__name__}")
        self.env: Env = env
        self.rng = baseline_rng()
        self._space = copy.deepcopy(env.action_space)
        self._space.seed(0)

    def begin(self, which: Mask) -> None:
        """See `envs.trials.Baseline`."""

    def act(self, obs: Array) -> Array:
        """See `envs.trials.Baseline`."""
        if isinstance(space := self.env.single_action_space, Discrete):
            return self.rng.integers(int(space.n), size=len(obs))
        drawn: Array = self._space.sample()
        return drawn

    def learn(self, action: Array, reward: Array, next_obs: Array) -> None:
        """See `envs.trials.Baseline`."""
