"""Agents to hold a network against: an observer that infers, a learner that does not, a random agent.

Both judge what they see: their trials have values and reward-prediction errors (`envs.trials.Critic`) with a discount
of 1. What comes after a trial is worth the same whatever is believed, so it is left out of the values; with a discount
γ the exact errors at the cue are γ times those here.
"""

from __future__ import annotations

import numpy as np

from ..random_agent import RandomAgent
from ..two_sides import FIXATE
from ..vector import Array, Mask, VectorTask
from .env import InferredValueEnv, InferredValueSettings

LEARNING_RATE = 0.7
"""Of the model-free learner: above .5, so that one outcome changes a target's value from high to low."""

OF_FIXATION = 0.5
"""Value of the fixation cue: each target comes as often, and one of them has the reward, whatever was reversed."""


class Random(RandomAgent[InferredValueEnv]):
    """Takes each of the three actions equally often."""

    def __init__(self, env: VectorTask) -> None:
        super().__init__(env, InferredValueEnv)


class _Judge(Random):
    """Looks where it should; subclasses value the targets."""

    def __init__(self, env: VectorTask) -> None:
        super().__init__(env)
        self.value, self.rpe = np.zeros(env.num_envs), np.zeros(env.num_envs)
        self._shown = np.zeros(env.num_envs, dtype=int)

    def act(self, obs: Array) -> Array:
        """See `envs.trials.Baseline`."""
        self._shown = obs.argmax(1)
        return self._shown

    def learn(self, action: Array, reward: Array, next_obs: Array) -> None:  # noqa: ARG002
        """See `envs.trials.Baseline`."""
        if self._shown[0] == FIXATE:
            self.value = np.full(len(reward), OF_FIXATION)
            self.rpe = reward + self._worth(next_obs.argmax(1)) - self.value
        else:
            self.value = self._worth(self._shown)
            self.rpe = reward - self.value
            self._outcome(self._shown, reward)

    def _worth(self, target: Array) -> Array:
        """What a target is expected to bring, [B]."""
        raise NotImplementedError

    def _outcome(self, target: Array, reward: Array) -> None:
        raise NotImplementedError


def hazards(settings: InferredValueSettings) -> Array:
    """P(the roles reverse before a trial | they did not before), [trials] float64, for one reversal an episode."""
    trial = np.arange(1, settings.trials + 1)
    may = (trial >= settings.earliest) & (trial <= settings.latest)
    return np.where(may, 1 / np.maximum(settings.latest - trial + 1, 1), 0.0)


class IdealObserver(_Judge):
    """Knows the rules: Bayes' rule on which side is rewarded and whether the reversal is over, with exact values."""

    def __init__(self, env: VectorTask) -> None:
        super().__init__(env)
        self.belief = np.full((env.num_envs, 2, 2), 0.25)
        """P(side, the reversal is over)."""
        self._trial = np.zeros(env.num_envs, dtype=int)

    def begin(self, which: Mask) -> None:
        """See `envs.trials.Baseline`."""
        self.belief[which] = np.array([0.5, 0.0])
        self._trial[which] = 0

    def _worth(self, target: Array) -> Array:
        worth: Array = self.belief.sum(2)[np.arange(len(target)), target]
        return worth

    def _outcome(self, target: Array, reward: Array) -> None:
        side = np.where(reward > 0, target, 1 - target)
        seen = self.belief * (np.arange(2) == side[:, None])[:, :, None]
        self.belief = self._may_reverse(seen / seen.sum((1, 2), keepdims=True))
        self._trial += 1

    def _may_reverse(self, belief: Array) -> Array:
        """Belief before the next trial, given that after this one."""
        settings = self.env.settings
        if settings.hazard:
            return np.asarray((1 - settings.hazard) * belief + settings.hazard * belief[:, ::-1])
        upcoming = np.minimum(self._trial + 1, settings.trials - 1)
        moved = belief[:, :, 0] * hazards(settings)[upcoming, None]
        return np.asarray(belief + np.stack([-moved, moved[:, ::-1]], axis=2))


class ModelFree(_Judge):
    """TD(0): each target has a value of its own, which only its own outcomes change."""

    def __init__(self, env: VectorTask) -> None:
        super().__init__(env)
        self.values = np.full((env.num_envs, 2), 0.5)

    def begin(self, which: Mask) -> None:
        """See `envs.trials.Baseline`."""
        self.values[which] = 0.5

    def _worth(self, target: Array) -> Array:
        worth: Array = self.values[np.arange(len(target)), target]
        return worth

    def _outcome(self, target: Array, reward: Array) -> None:  # noqa: ARG002
        self.values[np.arange(len(target)), target] += LEARNING_RATE * self.rpe


BASELINES = {"ideal_observer": IdealObserver, "model_free": ModelFree, "random": Random}
