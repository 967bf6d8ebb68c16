"""Agents to hold a network against in the two-step task: ideal observer, model-based, model-free, oracle, random.

All rows of a batch are in the same stage at the same time (episodes have one length), so that one look at the first
row tells the stage.
"""

from __future__ import annotations

import numpy as np

from ..random_agent import baseline_rng
from ..vector import Array, Mask, VectorTask
from .env import FIXATE, TwoStepEnv, TwoStepSettings

LEARNING_RATE = 0.5
INVERSE_TEMPERATURE = 5.0
"""Of the two classical agents (softmax), in the range fitted to people by Daw et al. 2011."""


class Player:
    """Plays the stages; subclasses choose first-stage actions and learn from a trial's outcome."""

    def __init__(self, env: VectorTask) -> None:
        if not isinstance(env, TwoStepEnv):
            raise TypeError(f"these baselines play the two-step task, not {type(env).__name__}")
        self.env = env
        self.settings: TwoStepSettings = env.settings
        self.rng = baseline_rng()
        self._shown = np.zeros(env.num_envs, dtype=int)
        self._choice = np.zeros(env.num_envs, dtype=int)

    def begin(self, which: Mask) -> None:
        """See `envs.trials.Baseline`."""

    def act(self, obs: Array) -> Array:
        """See `envs.trials.Baseline`."""
        stages = 4 if self.settings.steps_per_trial == 3 else 3
        self._shown = obs[:, :stages].argmax(1)
        if self.settings.steps_per_trial == 1 or self._shown[0] == 0:
            self._choice = self._choose()
            return self._choice
        return np.full(len(obs), FIXATE if self._shown[0] == 3 else 0)

    def learn(self, action: Array, reward: Array, next_obs: Array) -> None:  # noqa: ARG002
        """See `envs.trials.Baseline`."""
        if self.settings.steps_per_trial == 1:
            self._outcome(next_obs[:, :3].argmax(1) - 1, reward)
        elif self._shown[0] in (1, 2):
            self._outcome(self._shown - 1, reward)

    def _choose(self) -> Array:
        return self.rng.integers(2, size=self.env.num_envs)

    def _outcome(self, state: Array, reward: Array) -> None:
        pass


class Random(Player):
    """Chooses at random."""


class Oracle(Player):
    """Is told which state is good."""

    def _choose(self) -> Array:
        good: Array = self.env._good.astype(int)
        return good if self.settings.common >= 0.5 else 1 - good


def posterior(belief: Array, state: Array, reward: Array, settings: TwoStepSettings) -> Array:
    """Bayes' rule for one trial: P(state 1 is good) before the next trial, given the one before this outcome.

    Args:
        belief: P(state 1 is good) [B].
        state: second-stage state reached [B].
        reward: 0 or 1 [B].
        settings: the task's; the reversal that may come is included.
    """
    if_one = np.where(state == 1, settings.reward, 1 - settings.reward)
    like_one = np.where(reward > 0, if_one, 1 - if_one)
    evidence = belief * like_one + (1 - belief) * (1 - like_one)  # for state 0 good, the probabilities are swapped
    seen: Array = np.divide(belief * like_one, evidence, out=np.asarray(belief, dtype=float).copy(), where=evidence > 0)
    next_belief: Array = seen * (1 - settings.reversal) + (1 - seen) * settings.reversal
    return next_belief


class IdealObserver(Player):
    """Knows the task and filters which state is good; goes for the likelier one, at random when it cannot tell."""

    def __init__(self, env: VectorTask) -> None:
        super().__init__(env)
        self.belief = np.full(env.num_envs, 0.5)

    def begin(self, which: Mask) -> None:
        """See `envs.trials.Baseline`."""
        self.belief[which] = 0.5

    def _choose(self) -> Array:
        undecided = np.abs(self.belief - 0.5) < 1e-12
        good = np.where(undecided, self.rng.integers(2, size=len(self.belief)), self.belief > 0.5).astype(int)
        return good if self.settings.common >= 0.5 else 1 - good

    def _outcome(self, state: Array, reward: Array) -> None:
        self.belief = posterior(self.belief, state, reward, self.settings)


class _Softmax(Player):
    def __init__(self, env: VectorTask) -> None:
        super().__init__(env)
        self.values = np.full((env.num_envs, 2), 0.5)

    def begin(self, which: Mask) -> None:
        """See `envs.trials.Baseline`."""
        self.values[which] = 0.5

    def _action_values(self) -> Array:
        raise NotImplementedError

    def _choose(self) -> Array:
        q = self._action_values()
        prefer_one = 1 / (1 + np.exp(-INVERSE_TEMPERATURE * (q[:, 1] - q[:, 0])))
        return (self.rng.random(len(q)) < prefer_one).astype(int)

    def _update(self, index: Array, reward: Array) -> None:
        rows = np.arange(len(index))
        self.values[rows, index] += LEARNING_RATE * (reward - self.values[rows, index])


class ModelFree(_Softmax):
    """TD(1): the reward strengthens the action that was followed by it, whatever the transition."""

    def _action_values(self) -> Array:
        return self.values

    def _outcome(self, state: Array, reward: Array) -> None:  # noqa: ARG002
        self._update(self._choice, reward)


class ModelBased(_Softmax):
    """Learns the values of the states and plans through the known transitions."""

    def _action_values(self) -> Array:
        common = self.settings.common
        return common * self.values + (1 - common) * self.values[:, ::-1]

    def _outcome(self, state: Array, reward: Array) -> None:
        self._update(state, reward)


BASELINES = {
    "ideal_observer": IdealObserver,
    "model_based": ModelBased,
    "model_free": ModelFree,
    "oracle": Oracle,
    "random": Random,
}
