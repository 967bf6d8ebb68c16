"""Agents to hold a network against in the volatility task: observers that infer p, Rescorla-Wagner, chance."""

from __future__ import annotations

import numpy as np

from ..two_sides import RandomSide
from ..vector import Array, Mask, VectorTask
from .env import VolatilityEnv

VALUES = 49
"""Of p, between 0 and 1, that an observer keeps apart."""
HAZARDS = np.geomspace(0.002, 0.16, 8)
"""Probabilities per trial that p changes, between which the ideal observer cannot choose beforehand."""
FIXED_HAZARD = np.array([0.065])
"""The one that pays best in the paper's order of blocks (.753 a trial; .752 with .05 or .08, 4,000 episodes)."""
SWITCH = 0.02
"""Probability per trial that the hazard changes."""


class Random(RandomSide[VolatilityEnv]):
    """Takes each side equally often."""

    def __init__(self, env: VectorTask) -> None:
        super().__init__(env, VolatilityEnv)

    def _choose(self) -> Array:
        left = self._left()
        return np.where(left == 0.5, super()._choose(), left < 0.5)

    def _left(self) -> Array:
        """How likely the left side seems to pay, [B]; 0.5: no matter which."""
        return np.full(self.env.num_envs, 0.5)


class Oracle(Random):
    """Is told p."""

    def _left(self) -> Array:
        return self.env.p_left


class Observer(Random):
    """Infers p and how often it changes from all outcomes, and takes the side that is likelier to pay.

    In each trial p stays, or with the hazard's probability is drawn anew from 0..1; the hazard too stays, or is drawn
    anew with the probability `SWITCH` (of Behrens et al. 2007 the volatility changes by small steps; here it jumps).
    """

    hazards = HAZARDS

    def __init__(self, env: VectorTask) -> None:
        super().__init__(env)
        self.values = (np.arange(VALUES) + 0.5) / VALUES
        self.belief = np.zeros((env.num_envs, len(self.hazards), VALUES))
        """Of each hazard and value of p, as things stand before the coming trial."""
        self.begin(np.ones(env.num_envs, dtype=bool))

    @property
    def hazard(self) -> Array:
        """Its estimate, the posterior mean, [B]."""
        mean: Array = self.belief.sum(2) @ self.hazards
        return mean

    def begin(self, which: Mask) -> None:
        """See `envs.trials.Baseline`."""
        self.belief[which] = 1 / self.belief[0].size

    def learn(self, action: Array, reward: Array, next_obs: Array) -> None:  # noqa: ARG002
        """See `envs.trials.Baseline`."""
        for_left = (action == 0) == (reward > 0)
        belief = self.belief * np.where(for_left[:, None], self.values, 1 - self.values)[:, None]
        belief /= belief.sum((1, 2), keepdims=True)
        belief += SWITCH * (belief.mean(1, keepdims=True) - belief)
        self.belief = belief + self.hazards[:, None] * (belief.mean(2, keepdims=True) - belief)

    def _left(self) -> Array:
        mean = self.belief.sum(1) @ self.values
        return np.asarray(np.where(np.abs(mean - 0.5) < 1e-12, 0.5, mean))


class FixedHazard(Observer):
    """The same for whom p changes with one probability throughout: a control that cannot tell how volatile it is."""

    hazards = FIXED_HAZARD


class RescorlaWagner(Random):
    """One value moves by a fixed rate towards the outcome; softmax choice."""

    rate, inverse_temperature = 0.3, 10.0

    def __init__(self, env: VectorTask) -> None:
        super().__init__(env)
        self.value = np.full(env.num_envs, 0.5)
        """Of the left side; of the right one 1 minus that."""

    def begin(self, which: Mask) -> None:
        """See `envs.trials.Baseline`."""
        self.value[which] = 0.5

    def learn(self, action: Array, reward: Array, next_obs: Array) -> None:  # noqa: ARG002
        """See `envs.trials.Baseline`."""
        self.value += self.rate * (((action == 0) == (reward > 0)) - self.value)

    def _left(self) -> Array:
        """1 or 0, drawn from the softmax."""
        odds = np.exp(-self.inverse_temperature * (2 * self.value - 1))
        return np.asarray((self.rng.random(len(odds)) < 1 / (1 + odds)).astype(float))


BASELINES = {
    "observer": Observer,
    "fixed_hazard": FixedHazard,
    "oracle": Oracle,
    "rescorla_wagner": RescorlaWagner,
    "random": Random,
}
