"""Agents to hold a network against in the barcode bandit: ideal observers with and without recall, oracle, random."""

from __future__ import annotations

import numpy as np

from ..random_agent import RandomAgent
from ..vector import Array, Mask, VectorTask
from .env import BarcodeBanditEnv


class Random(RandomAgent[BarcodeBanditEnv]):
    """Pulls at random."""

    def __init__(self, env: VectorTask) -> None:
        super().__init__(env, BarcodeBanditEnv)
        self.settings = self.env.settings


class IdealObserver(Random):
    """Bayes' rule over which arm is the best one, with all that was seen under the same barcode in this life.

    Each barcode starts with equal odds for all arms; the likeliest arm is pulled, at random among equals. The observer
    does not look ahead, and does not use that arms of other barcodes are taken: with a new barcode an agent that asked
    its memory about all other barcodes at once could do better.
    """

    def __init__(self, env: VectorTask) -> None:
        super().__init__(env)
        settings = self.settings
        best, other = np.clip([settings.best, settings.other], 1e-12, 1 - 1e-12)
        self._worth = np.log([(1 - best) / (1 - other), best / other])
        """What a pull that paid 0 or 1 adds to the log odds that its arm is the best one."""
        self.log_odds = np.zeros((env.num_envs, settings.barcodes, settings.arms))
        """Log of the posterior of each barcode's best arm, up to a constant."""
        self._rows = np.arange(env.num_envs)
        self._shown = np.zeros(env.num_envs, dtype=int)

    def begin(self, which: Mask) -> None:
        """See `envs.trials.Baseline`; forgets where a life begins."""
        self.log_odds[which & self.env.cue().new_life] = 0

    def act(self, obs: Array) -> Array:  # noqa: ARG002
        """See `envs.trials.Baseline`."""
        self._shown = self.env.barcode().astype(int)
        odds = self.log_odds[self._rows, self._shown]
        likeliest = odds >= odds.max(1, keepdims=True) - 1e-9
        arms: Array = np.where(likeliest, self.rng.random(odds.shape), -1.0).argmax(1)
        return arms

    def learn(self, action: Array, reward: Array, next_obs: Array) -> None:  # noqa: ARG002
        """See `envs.trials.Baseline`."""
        self.log_odds[self._rows, self._shown, action] += self._worth[(reward > 0).astype(int)]


class WithoutRecall(IdealObserver):
    """The ideal observer of a single episode: forgets with each of them."""

    def begin(self, which: Mask) -> None:
        """See `envs.trials.Baseline`."""
        self.log_odds[which] = 0


class Oracle(Random):
    """Is told the best arm."""

    def act(self, obs: Array) -> Array:  # noqa: ARG002
        """See `envs.trials.Baseline`."""
        return self.env.best_arm().astype(int)


BASELINES = {"ideal_observer": IdealObserver, "without_recall": WithoutRecall, "oracle": Oracle, "random": Random}
