"""Agents to hold a network against in Harlow's task: the one-shot learner, the oracle, random."""

from __future__ import annotations

import numpy as np

from ..random_agent import RandomAgent
from ..vector import Array, Mask, VectorTask
from .env import CROSS, EMPTY, HarlowEnv, codes_of
from .ring import LEFT, RIGHT, VIEW


class Random(RandomAgent[HarlowEnv]):
    """Rotates at random."""

    def __init__(self, env: VectorTask) -> None:
        super().__init__(env, HarlowEnv)


class Ideal(Random):
    """Goes straight to the cross and to an object; picks one in the first trial and knows from its outcome."""

    def __init__(self, env: VectorTask) -> None:
        super().__init__(env)
        self.good = np.full(env.num_envs, np.nan, dtype=np.float32)
        """Code of the object that is known to be rewarded."""
        self.goal = np.full(env.num_envs, np.nan, dtype=np.float32)
        """Code of the object that the agent is on its way to."""
        self.pair = np.full((env.num_envs, 2), np.nan, dtype=np.float32)
        """Codes of the left and the right object, as last seen."""

    def begin(self, which: Mask) -> None:
        """See `envs.trials.Baseline`."""
        self.good[which] = self.goal[which] = np.nan
        self.pair[which] = np.nan

    def _preferred(self) -> Array:
        """Code of the object to choose [B]; NaN where it is not known."""
        return self.good

    def act(self, obs: Array) -> Array:
        """See `envs.trials.Baseline`."""
        half = VIEW // 2
        crossed = obs == CROSS
        cross_seen = crossed.any(1)
        cross_right = crossed.argmax(1) > half
        # With the objects just shown the gaze is on the cross's place and both are in view: choose where to go.
        objects = (obs != EMPTY) & ~crossed
        both = objects.sum(1) == 2
        left, right = obs[:, :half], obs[:, half + 1 :]
        codes = np.column_stack([left.sum(1), right.sum(1)])  # the only one on its side
        self.pair[both] = codes[both]
        decide = both & np.isnan(self.goal)
        either = np.where(self.rng.random(len(obs)) < 0.5, codes[:, 0], codes[:, 1])
        preferred = self._preferred()
        self.goal = np.where(decide, np.where(np.isnan(preferred), either, preferred), self.goal)
        goal_right = np.abs(self.pair[:, 1] - self.goal) < np.abs(self.pair[:, 0] - self.goal)
        go_right = np.where(cross_seen, cross_right, goal_right)
        return np.where(go_right, RIGHT, LEFT)

    def learn(self, action: Array, reward: Array, next_obs: Array) -> None:  # noqa: ARG002
        """See `envs.trials.Baseline`."""
        over = ~np.isnan(self.goal) & (next_obs == CROSS).any(1)
        paid = reward > 0
        other = self.pair.sum(1) - self.goal
        self.good = np.where(over, np.where(paid, self.goal, other), self.good).astype(np.float32)
        self.goal = np.where(over, np.nan, self.goal).astype(np.float32)


class Oracle(Ideal):
    """Is told which object is rewarded."""

    def _preferred(self) -> Array:
        return codes_of(self.env._pair[:, 0], self.env.settings.levels)


BASELINES = {"ideal": Ideal, "oracle": Oracle, "random": Random}
