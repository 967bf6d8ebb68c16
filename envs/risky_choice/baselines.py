"""Agents to hold a network against with a safe and a risky lever: two observers, Rescorla-Wagner, oracle, random."""

from __future__ import annotations

import numpy as np

from ..two_sides import FIXATE, RandomSide
from ..vector import Array, Mask, VectorTask
from .env import RiskyChoiceEnv
from .planning import pulls_risky

LEARNING_RATE, INVERSE_TEMPERATURE = 0.2, 3.0
"""Of the Rescorla-Wagner learner (softmax)."""


class Random(RandomSide[RiskyChoiceEnv]):
    """Fixates when it should, and takes each lever that is there equally often."""

    def __init__(self, env: VectorTask) -> None:
        super().__init__(env, RiskyChoiceEnv)


class Oracle(Random):
    """Is told p, and which lever is safe."""

    def _choose(self) -> Array:
        settings = self.env.settings
        return np.where(
            self.env.probability * settings.risky > settings.safe, 1 - self.env.safe_side, self.env.safe_side
        )


class Ideal(Random):
    """Counts what the risky lever paid, and plans to the end of the episode; the forced trials tell which lever it is.

    Raises:
        ValueError: for episodes that are too long to plan.
    """

    greedy = False

    def __init__(self, env: VectorTask) -> None:
        super().__init__(env)
        self.go = pulls_risky(self.env.settings, self.greedy)
        self.pulls, self.wins, self.trial = (np.zeros(env.num_envs, dtype=int) for _ in range(3))
        self._at_levers = False

    def begin(self, which: Mask) -> None:
        """See `envs.trials.Baseline`."""
        self.pulls[which] = self.wins[which] = self.trial[which] = 0

    def act(self, obs: Array) -> Array:
        """See `envs.trials.Baseline`."""
        self._at_levers = bool(obs[0, :2].any())
        return super().act(obs)

    def _choose(self) -> Array:
        left = np.clip(self.env.settings.trial_count - self.trial, 0, self.env.settings.free)
        return np.where(self.go[left, self.pulls, self.wins], 1 - self.env.safe_side, self.env.safe_side)

    def learn(self, action: Array, reward: Array, next_obs: Array) -> None:  # noqa: ARG002
        """See `envs.trials.Baseline`."""
        if self._at_levers:
            risky = action != self.env.safe_side
            self.pulls += risky
            self.wins += risky & (reward > 0)
            self.trial += 1


class Greedy(Ideal):
    """Has the ideal observer's beliefs, but takes what pays more in this trial: it tries nothing out."""

    greedy = True


class RescorlaWagner(Random):
    """Values of the two levers, moved by prediction errors; a softmax chooses."""

    def __init__(self, env: VectorTask) -> None:
        super().__init__(env)
        self.values = np.zeros((env.num_envs, 2))

    def begin(self, which: Mask) -> None:
        """See `envs.trials.Baseline`."""
        self.values[which] = 0

    def _choose(self) -> Array:
        right = 1 / (1 + np.exp(INVERSE_TEMPERATURE * (self.values[:, 0] - self.values[:, 1])))
        return (self.rng.random(len(right)) < right).astype(int)

    def learn(self, action: Array, reward: Array, next_obs: Array) -> None:  # noqa: ARG002
        """See `envs.trials.Baseline`."""
        rows = np.flatnonzero(action < FIXATE)
        lever = action[rows]
        self.values[rows, lever] += LEARNING_RATE * (reward[rows] - self.values[rows, lever])


BASELINES = {"ideal": Ideal, "greedy": Greedy, "rescorla_wagner": RescorlaWagner, "oracle": Oracle, "random": Random}
