"""Agents to hold a network against in contextual choice: ideal observers with and without recall, oracle, random."""

from __future__ import annotations

import numpy as np

from ..random_agent import RandomAgent
from ..vector import Array, Mask, VectorTask
from .env import ContextualChoiceEnv


class Random(RandomAgent[ContextualChoiceEnv]):
    """Answers at random."""

    def __init__(self, env: VectorTask) -> None:
        super().__init__(env, ContextualChoiceEnv)
        self.settings = self.env.settings


class Oracle(Random):
    """Is told the answers."""

    def act(self, obs: Array) -> Array:
        """See `envs.trials.Baseline`."""
        answers: Array = self.env._target[np.arange(len(obs)), self.env._item]
        return answers.astype(int)


class WithoutRecall(Random):
    """Adds up the evidence of the trial, which it knows from noise; at random while there is none.

    The sum is all that counts: the likelier answer is that of its sign. Rewards are not looked at, as the published
    agent does not see them (one would give the answer away).
    """

    def __init__(self, env: VectorTask) -> None:
        super().__init__(env)
        self.evidence = np.zeros(env.num_envs)
        """Log odds of answer 1, up to a factor."""

    def begin(self, which: Mask) -> None:
        """See `envs.trials.Baseline`."""
        self.evidence[which] = 0

    def act(self, obs: Array) -> Array:
        """See `envs.trials.Baseline`."""
        shown = obs[:, : self.settings.evidence_size].sum(1)
        self._add(np.where(self.env._step >= self.settings.noise_steps, shown, 0.0))
        return np.where(self.evidence == 0, super().act(obs), self.evidence > 0).astype(int)

    def _add(self, shown: Array) -> None:
        self.evidence += shown


class IdealObserver(WithoutRecall):
    """Recalls what it knew of an item when it comes again. Evidence that is seen twice counts once."""

    def __init__(self, env: VectorTask) -> None:
        super().__init__(env)
        self.recalled = np.zeros((env.num_envs, self.settings.items))
        """Evidence of each item of the life, told apart by their numbers, as contexts are never alike."""

    def begin(self, which: Mask) -> None:
        """See `envs.trials.Baseline`."""
        rows = np.flatnonzero(which)
        item, seen = self.env._item[rows], self.env._item_trial[rows] >= self.settings.items
        self.recalled[rows, item] *= seen
        self.evidence[rows] = self.recalled[rows, item]

    def _add(self, shown: Array) -> None:
        first_time = self.env._item_trial < self.settings.items
        self.evidence += np.where(first_time, shown, 0.0)
        self.recalled[np.arange(len(shown)), self.env._item] = self.evidence


BASELINES = {
    "ideal_observer": IdealObserver,
    "without_recall": WithoutRecall,
    "oracle": Oracle,
    "random": Random,
}
