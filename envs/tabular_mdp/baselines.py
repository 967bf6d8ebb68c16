"""Agents to hold a network against in random decision processes."""

from __future__ import annotations

import numpy as np

from ..random_agent import RandomAgent
from ..vector import Array, Mask, VectorTask
from .env import TabularEnv, plan


class Random(RandomAgent[TabularEnv]):
    """Takes each action equally often: `mean` a step in expectation."""

    def __init__(self, env: VectorTask) -> None:
        super().__init__(env, TabularEnv)
        self._step = 0

    def learn(self, action: Array, reward: Array, next_obs: Array) -> None:  # noqa: ARG002
        """See `envs.trials.Baseline`."""
        self._step = (self._step + 1) % self.env.steps


class Oracle(Random):
    """Is told the process and plays it optimally (dynamic programming)."""

    def __init__(self, env: VectorTask) -> None:
        super().__init__(env)
        self._best = np.zeros((env.num_envs, self.env.steps, self.env.settings.states), dtype=np.int64)

    def begin(self, which: Mask) -> None:
        """See `envs.trials.Baseline`."""
        chances = np.diff(self.env.transitions[which], axis=-1, prepend=0.0)
        self._best[which] = plan(chances, self.env.rewards[which], self.env.steps)[1]

    def act(self, obs: Array) -> Array:
        """See `envs.trials.Baseline`."""
        state = obs[:, : self.env.settings.states].argmax(1)
        return np.asarray(self._best[np.arange(len(obs)), self._step, state])


class PosteriorSampling(Oracle):
    """Draws a process from what it believes before each episode, and plays that optimally (Strens 2000; PSRL).

    Beliefs are the exact posteriors: Dirichlet transitions, normal means.
    """

    def __init__(self, env: VectorTask) -> None:
        super().__init__(env)
        shape = env.num_envs, self.env.settings.states, self.env.settings.actions
        self._seen = np.ones((*shape, shape[1]))
        self._count, self._sum = np.zeros(shape), np.zeros(shape)
        self._state = np.zeros(env.num_envs, dtype=np.int64)

    def begin(self, which: Mask) -> None:
        """See `envs.trials.Baseline`."""
        self._seen[which], self._count[which], self._sum[which] = 1, 0, 0
        self._state[which] = 0
        self._sample(which)

    def _sample(self, which: Mask) -> None:
        told, (count, total) = self.env.settings, (self._count[which], self._sum[which])
        # Precisions add up; without noise one look is enough, without spread none is needed.
        prior, each = 1 / max(told.spread, 1e-6) ** 2, 1 / max(told.noise, 1e-6) ** 2
        precision = prior + each * count
        mean = (prior * told.mean + each * total) / precision
        rewards = self.rng.normal(mean, precision**-0.5)
        gammas = self.rng.standard_gamma(self._seen[which])
        chances = gammas / gammas.sum(-1, keepdims=True)
        self._best[which] = plan(chances, rewards, self.env.steps)[1]

    def act(self, obs: Array) -> Array:
        """See `envs.trials.Baseline`."""
        self._state = obs[:, : self.env.settings.states].argmax(1)
        return super().act(obs)

    def learn(self, action: Array, reward: Array, next_obs: Array) -> None:
        """See `envs.trials.Baseline`."""
        super().learn(action, reward, next_obs)
        here = np.arange(len(action)), self._state, action
        self._count[here] += 1
        self._sum[here] += reward
        if self._step:  # after an episode's last step the next one's first state is seen
            self._seen[(*here, next_obs[:, : self.env.settings.states].argmax(1))] += 1
        else:
            self._sample(np.ones(len(action), dtype=bool))


BASELINES = {"oracle": Oracle, "posterior_sampling": PosteriorSampling, "random": Random}
