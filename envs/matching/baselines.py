"""Agents to hold a network against in the matching task: momentary maximisers, the best cycle, alternation, chance."""

from __future__ import annotations

import numpy as np

from ..two_sides import FIXATE, RandomSide
from ..vector import Array, Mask, VectorTask
from .env import MatchingEnv, MatchingSettings

GRID = 100
"""Values of p0 that the Bayes player keeps apart."""
LONGEST_CYCLE = 200
"""Most trials on the richer side before one on the other."""


class Random(RandomSide[MatchingEnv]):
    """Fixates when it should, and chooses each side equally often."""

    def __init__(self, env: VectorTask) -> None:
        super().__init__(env, MatchingEnv)


class Alternate(Random):
    """Chooses the two sides in turn."""

    def __init__(self, env: VectorTask) -> None:
        super().__init__(env)
        self.side = super()._choose()

    def _choose(self) -> Array:
        self.side = 1 - self.side
        return self.side


class Maximiser(Random):
    """Chooses the side that is likelier to pay now (momentary maximising); is told p0."""

    def __init__(self, env: VectorTask) -> None:
        super().__init__(env)
        self.since = np.zeros((env.num_envs, 2), dtype=int)
        """Trials since each side was last chosen."""

    def begin(self, which: Mask) -> None:
        """See `envs.trials.Baseline`."""
        self.since[which] = 0

    def learn(self, action: Array, reward: Array, next_obs: Array) -> None:  # noqa: ARG002
        """See `envs.trials.Baseline`."""
        if (action < FIXATE).all():
            self.since += 1
            self.since[np.arange(len(action)), action] = 0

    def _choose(self) -> Array:
        left, right = self._misses().T
        return np.where(left == right, super()._choose(), right < left)

    def _misses(self) -> Array:
        """Probability that each side does not pay, [B, 2]."""
        return np.asarray((1 - self.env.base) ** (self.since + 1))


class Bayes(Maximiser):
    """Knows how p0 is drawn and infers it from all outcomes (exact up to the grid), then maximises momentarily.

    What an outcome says of p0 depends on nothing but the side and the trials since it was last chosen.
    """

    def __init__(self, env: VectorTask) -> None:
        super().__init__(env)
        left = self.env.settings.base((np.arange(GRID) + 0.5) / GRID)
        most = self.env.settings.trials[1]
        base = np.stack([left, self.env.settings.total - left])
        self.miss = (1 - base[:, None]) ** (np.arange(most)[:, None] + 1)
        """P(no reward | side, n, p0), [2, most trials, GRID]."""
        self.belief = np.full((env.num_envs, GRID), 1 / GRID)

    def begin(self, which: Mask) -> None:
        """See `envs.trials.Baseline`."""
        super().begin(which)
        self.belief[which] = 1 / GRID

    def learn(self, action: Array, reward: Array, next_obs: Array) -> None:
        """See `envs.trials.Baseline`."""
        if (action < FIXATE).all():
            miss = self.miss[action, self.since[np.arange(len(action)), action]]
            self.belief *= np.where(reward[:, None] > 0, 1 - miss, miss)
            self.belief /= self.belief.sum(1, keepdims=True)
        super().learn(action, reward, next_obs)

    def _misses(self) -> Array:
        misses = [(self.miss[side, self.since[:, side]] * self.belief).sum(1) for side in range(2)]
        return np.stack(misses, axis=1)


class Cycle(Maximiser):
    """Is told p0, and goes through the cycle that pays best in the long run: richer side, ..., richer side, other."""

    def _choose(self) -> Array:
        base = self.env.base
        richer = base.argmax(1)
        away = self.since[np.arange(len(richer)), 1 - richer]
        leaves = away >= best_cycle(base[:, 0], self.env.settings)[0]
        side: Array = np.where(leaves, 1 - richer, richer)
        return side


def best_cycle(left: Array, settings: MatchingSettings) -> tuple[Array, Array]:
    """The best number of trials on the richer side before one on the other, and the reward per trial in the long run.

    Both sides are in a state that depends on the choices alone, so that who knows p0 does best in a cycle.

    Args:
        left: p0 of the left side, [N].
        settings: the task's.
    """
    rich = np.maximum(left, settings.total - left)[:, None].astype(float)
    stay = np.arange(1, LONGEST_CYCLE + 1)
    paid = 1 - (1 - rich) ** 2 + (stay - 1) * rich + 1 - (1 - settings.total + rich) ** (stay + 1)
    gain = paid / (stay + 1)
    return stay[gain.argmax(1)], gain.max(1)


BASELINES = {"bayes": Bayes, "maximiser": Maximiser, "cycle": Cycle, "alternate": Alternate, "random": Random}
