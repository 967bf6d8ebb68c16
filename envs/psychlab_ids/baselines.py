"""Agents to hold a network against: the one-shot learner, the oracle, random."""

from __future__ import annotations

import numpy as np

from ..random_agent import RandomAgent
from ..vector import Array, Mask, VectorTask
from .env import LEFT, RIGHT, PictureNumbersEnv


class Random(RandomAgent[PictureNumbersEnv]):
    """Takes either picture."""

    def __init__(self, env: VectorTask) -> None:
        super().__init__(env, PictureNumbersEnv)


class Ideal(Random):
    """Guesses once and knows from the outcome which picture pays."""

    def __init__(self, env: VectorTask) -> None:
        super().__init__(env)
        self.good = np.full(env.num_envs, -1)
        """Number of the picture that is known to pay; -1: not known."""
        self._shown = np.zeros((env.num_envs, 2), dtype=np.int64)

    def begin(self, which: Mask) -> None:
        """See `envs.trials.Baseline`."""
        self.good[which] = -1

    def act(self, obs: Array) -> Array:
        """See `envs.trials.Baseline`."""
        images = self.env.settings.images
        self._shown = np.stack([obs[:, :images].argmax(1), obs[:, images : 2 * images].argmax(1)], axis=1)
        known = np.where(self._shown[:, 1] == self.good, RIGHT, LEFT)
        return np.where(self.good < 0, super().act(obs), known)

    def learn(self, action: Array, reward: Array, next_obs: Array) -> None:  # noqa: ARG002
        """See `envs.trials.Baseline`."""
        settings = self.env.settings
        paid = reward > settings.reward_fixation + (settings.reward_correct + settings.reward_wrong) / 2
        place = np.where(paid, action, 1 - action)
        self.good = self._shown[np.arange(len(action)), place]


class Oracle(Random):
    """Is told which picture pays."""

    def act(self, obs: Array) -> Array:  # noqa: ARG002
        """See `envs.trials.Baseline`."""
        return np.where(self.env._rewarded_right(), RIGHT, LEFT)


BASELINES = {"ideal": Ideal, "oracle": Oracle, "random": Random}
