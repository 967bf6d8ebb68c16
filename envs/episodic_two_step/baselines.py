"""Agents to hold a network against in the episodic two-step task: ideal observers, oracle, random."""

from __future__ import annotations

import numpy as np

from ..random_agent import RandomAgent
from ..two_step.baselines import posterior
from ..vector import Array, Mask, VectorTask
from .env import EpisodicTwoStepEnv


class Random(RandomAgent[EpisodicTwoStepEnv]):
    """Chooses at random."""

    def __init__(self, env: VectorTask) -> None:
        super().__init__(env, EpisodicTwoStepEnv)
        self.settings = self.env.settings


class IdealObserver(Random):
    """Filters which state is good and recalls the cue's trial; takes the action with the higher expected reward.

    A reward that was the stored one tells nothing about which state is good, and is not learned from.
    """

    def __init__(self, env: VectorTask) -> None:
        super().__init__(env)
        self.belief = np.full(env.num_envs, 0.5)
        """P(state 1 is good) [B] in the trial to come."""
        self._stored = np.zeros((env.num_envs, 2, 2))
        """For the trial to come, P(the cue's trial led to this state and paid 0 or 1), [B, state, reward]."""

    def begin(self, which: Mask) -> None:
        """See `envs.trials.Baseline`."""
        self.belief[which] = 0.5

    def _recall(self) -> Array:
        """What is known of the trials that the cues stand for, as `_stored`; 0 where there is no cue."""
        stored = self.env.stored()
        found = np.zeros_like(self._stored)
        rows = np.flatnonzero(stored.trial >= 0)
        found[rows, stored.state[rows], stored.reward[rows]] = 1.0
        return found

    def _current(self) -> Array:
        """Reward probability of each state without cues, [B, 2]."""
        good = np.column_stack([1 - self.belief, self.belief])
        current: Array = good * self.settings.reward + (1 - good) * (1 - self.settings.reward)
        return current

    def act(self, obs: Array) -> Array:
        """See `envs.trials.Baseline`."""
        self._stored = self._recall()
        worth = self._stored[:, :, 1] + (1 - self._stored.sum(2)) * self._current()  # of reaching each state
        # The action with the likelier way to the better state.
        lead = (2 * self.settings.common - 1) * (worth[:, 1] - worth[:, 0])
        either = self.rng.integers(2, size=len(obs))
        return np.where(np.abs(lead) < 1e-12, either, lead > 0).astype(int)

    def learn(self, action: Array, reward: Array, next_obs: Array) -> None:  # noqa: ARG002
        """See `envs.trials.Baseline`."""
        rows, state, paid = np.arange(len(reward)), next_obs[:, :3].argmax(1) - 1, (reward > 0).astype(int)
        chance = self._current()[rows, state]
        by_chance = (1 - self._stored[rows, state].sum(1)) * np.where(paid, chance, 1 - chance)
        by_cue = self._stored[rows, state, paid]
        both = by_cue + by_chance
        told_nothing = np.divide(by_cue, both, out=np.zeros(len(both)), where=both > 0)  # P(it was the stored reward)
        drifted = self.belief * (1 - self.settings.reversal) + (1 - self.belief) * self.settings.reversal
        learned = posterior(self.belief, state, reward, self.settings.two_step())
        self.belief = told_nothing * drifted + (1 - told_nothing) * learned


class IdealWithoutRecall(IdealObserver):
    """Cannot tell which trial a cue stands for: any of the quarter's, whose outcomes it has counted."""

    def _recall(self) -> Array:
        shown, quarter = self.env.shown(), self.settings.trials // 4
        found = np.zeros_like(self._stored)
        rows = np.flatnonzero(shown >= 0)
        trials = (shown[rows] // quarter * quarter)[:, None] + np.arange(quarter)
        states, rewards = self.env._states[rows[:, None], trials], self.env._rewards[rows[:, None], trials]
        for state in (0, 1):
            for paid in (0, 1):
                found[rows, state, paid] = ((states == state) & (rewards == paid)).mean(1)
        return found


class IdealTwoStep(IdealObserver):
    """The two-step task's ideal observer: takes each reward for one of the current state of things, cued or not."""

    def _recall(self) -> Array:
        return np.zeros_like(self._stored)


class Oracle(IdealObserver):
    """Is told which state is good, and recalls the cue's trial."""

    def act(self, obs: Array) -> Array:
        """See `envs.trials.Baseline`."""
        self.belief = self.env._good.astype(float)
        return super().act(obs)


BASELINES = {
    "ideal_observer": IdealObserver,
    "ideal_without_recall": IdealWithoutRecall,
    "ideal_two_step": IdealTwoStep,
    "oracle": Oracle,
    "random": Random,
}
