"""Agents to hold a network against in bandits: Gittins index, Bayes-optimal, UCB, Thompson, Rescorla-Wagner, ..."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..random_agent import baseline_rng
from ..vector import Array, Mask, VectorTask
from .env import INFORMATIVE_ARMS, TARGETS, TWO_POINT, BanditEnv, BanditSettings
from .indices import LONGEST_POLICY, gittins_tables, optimal_policy


class _Agent:
    """Counts pulls and successes; subclasses score the arms. The highest score is pulled, ties at random."""

    bernoulli = False
    """Whether it makes sense only where rewards are 0 or 1."""

    def __init__(self, env: VectorTask) -> None:
        if not isinstance(env, BanditEnv):
            raise TypeError(f"these baselines play bandits, not {type(env).__name__}")
        if self.bernoulli and env.settings.arms == "informative":
            raise ValueError(f"bandit: {type(self).__name__} is for rewards of 0 and 1, not for arms=informative")
        self.env = env
        self.settings: BanditSettings = env.settings
        self.rng = baseline_rng()
        self.rows = np.arange(env.num_envs)
        self.pulls = np.zeros((env.num_envs, env.settings.arm_count))
        self.paid = np.zeros_like(self.pulls)

    def begin(self, which: Mask) -> None:
        """See `envs.trials.Baseline`."""
        self.pulls[which] = 0
        self.paid[which] = 0

    def act(self, obs: Array) -> Array:  # noqa: ARG002
        """See `envs.trials.Baseline`."""
        scores = self.scores()
        tied = scores >= scores.max(1, keepdims=True) - 1e-9
        return np.asarray((tied * self.rng.random(scores.shape)).argmax(1))

    def learn(self, action: Array, reward: Array, next_obs: Array) -> None:  # noqa: ARG002
        """See `envs.trials.Baseline`."""
        self.pulls[self.rows, action] += 1
        self.paid[self.rows, action] += reward

    def scores(self) -> Array:
        """[B, arms]"""
        return np.zeros_like(self.pulls)


class Random(_Agent):
    """Pulls at random."""


class Oracle(_Agent):
    """Knows the arms' means."""

    def scores(self) -> Array:
        """[B, arms]"""
        return self.env.means


class UCB(_Agent):
    """Mean + sqrt(chi ln n / n_i) after one pull of each arm (Auer et al. 2002 with chi = 2; 1 is better here)."""

    bernoulli = True
    chi = 1.0

    def scores(self) -> Array:
        """[B, arms]"""
        total = np.maximum(self.pulls.sum(1, keepdims=True), 1)
        tried = np.maximum(self.pulls, 1)
        return np.where(self.pulls == 0, np.inf, self.paid / tried + np.sqrt(self.chi * np.log(total) / tried))

    def act(self, obs: Array) -> Array:
        """See `envs.trials.Baseline`."""
        untried = self.pulls == 0
        first = (untried * self.rng.random(untried.shape)).argmax(1)
        return np.where(untried.any(1), first, super().act(obs))


class UCB1(UCB):
    """UCB with chi = 2."""

    chi = 2.0


class Thompson(_Agent):
    """Beta(1, 1) priors, one posterior sample an arm."""

    bernoulli = True

    def scores(self) -> Array:
        """[B, arms]"""
        return self.rng.beta(1 + self.paid, 1 + self.pulls - self.paid)


class Gittins(_Agent):
    """The arm with the highest finite-horizon Gittins index for the pulls that are left."""

    bernoulli = True

    def scores(self) -> Array:
        """[B, arms]"""
        left = self.settings.trial_count - self.pulls.sum(1, keepdims=True)
        horizon = (self.pulls + left).astype(int)  # of an arm: its own pulls and those still to come
        paid = self.paid.astype(int)
        index: Array = gittins_tables(self.settings.trial_count)[horizon, paid, self.pulls.astype(int) - paid]
        return index


class RescorlaWagner(_Agent):
    """Values move by a fixed rate towards what was paid; softmax choice.

    Rate 0.5 as in Wang et al. 2016; the inverse temperature 10 is near the best for all the distributions here.
    """

    bernoulli = True
    rate, inverse_temperature = 0.5, 10.0

    def __init__(self, env: VectorTask) -> None:
        super().__init__(env)
        self.values = np.full_like(self.pulls, 0.5)

    def begin(self, which: Mask) -> None:
        """See `envs.trials.Baseline`."""
        super().begin(which)
        self.values[which] = 0.5

    def learn(self, action: Array, reward: Array, next_obs: Array) -> None:
        """See `envs.trials.Baseline`."""
        super().learn(action, reward, next_obs)
        self.values[self.rows, action] += self.rate * (reward - self.values[self.rows, action])

    def scores(self) -> Array:
        """[B, arms]: adding Gumbel noise to the logits samples the softmax."""
        return self.inverse_temperature * self.values + self.rng.gumbel(size=self.values.shape)


class TwoArmOptimal(_Agent):
    """Bayes-optimal for two independent uniform arms (dynamic programming over all counts)."""

    def scores(self) -> Array:
        """[B, arms]"""
        made = int(self.pulls[0].sum())
        n1, s1, s2 = (column.astype(int) for column in (self.pulls[:, 0], self.paid[:, 0], self.paid[:, 1]))
        best = optimal_policy(self.settings.trial_count)[made][n1, s1, s2]
        return np.column_stack([best != 1, best != 0]).astype(float)


class PooledGreedy(_Agent):
    """Bayes-optimal when the second arm pays with 1 - p: both arms tell the same, so the likelier one is best.

    A success of one arm and a failure of the other are the same evidence, whatever the (symmetric) prior.
    """

    def scores(self) -> Array:
        """[B, arms]"""
        failed = self.pulls - self.paid
        return self.paid + failed[:, ::-1]


class RestlessFilter(_Agent):
    """Bayes filter on a grid for the restless arms (p, 1 - p), volatility unknown; greedy is optimal as above."""

    cells = 61

    def __init__(self, env: VectorTask) -> None:
        super().__init__(env)
        self.grid = (np.arange(self.cells) + 0.5) / self.cells
        self.move = np.stack([self._transition(v) for v in self.settings.volatility])
        self.belief = np.full((env.num_envs, 2, self.cells), 0.5 / self.cells)

    def _transition(self, deviation: float) -> Array:
        if deviation == 0:
            return np.eye(self.cells)
        images = self.grid[None, :] + np.array([-2, 0, 2])[:, None]
        images = np.concatenate([images, -images])  # reflections at 0 and at 1
        density = np.exp(-0.5 * ((self.grid[:, None, None] - images[None]) / deviation) ** 2).sum(1)
        return np.asarray(density / density.sum(1, keepdims=True))

    def begin(self, which: Mask) -> None:
        """See `envs.trials.Baseline`."""
        super().begin(which)
        self.belief[which] = 0.5 / self.cells

    def learn(self, action: Array, reward: Array, next_obs: Array) -> None:
        """See `envs.trials.Baseline`."""
        super().learn(action, reward, next_obs)
        first_paid = (action == 0) == (reward > 0)
        likelihood = np.where(first_paid[:, None], self.grid, 1 - self.grid)
        seen = self.belief * likelihood[:, None, :]
        seen /= seen.sum((1, 2), keepdims=True)
        self.belief = np.einsum("bvi,vij->bvj", seen, self.move)

    def scores(self) -> Array:
        """[B, arms]"""
        mean = (self.belief.sum(1) * self.grid).sum(1)
        return np.column_stack([mean, 1 - mean])


class InformativeOptimal(_Agent):
    """Pulls the informative arm, reads the target from what it pays, and stays with the target."""

    def scores(self) -> Array:
        """[B, arms]"""
        told = self.pulls[:, -1] > 0
        target = np.rint(self.paid[:, -1] / np.maximum(self.pulls[:, -1], 1) * TARGETS).astype(int) - 1
        return np.eye(INFORMATIVE_ARMS)[np.where(told, target, INFORMATIVE_ARMS - 1)]


def best_known(settings: BanditSettings) -> Callable[[VectorTask], _Agent] | None:
    """The optimal agent of a distribution, or None where none is known."""
    if settings.arms == "independent" and settings.num_arms == 2 and settings.trial_count <= LONGEST_POLICY:
        return TwoArmOptimal
    two_normalised = settings.arms == "normalised" and settings.num_arms == 2  # they add up to one
    if settings.arms == "uniform" or settings.arms in TWO_POINT or two_normalised:
        return PooledGreedy
    return {"restless": RestlessFilter, "informative": InformativeOptimal}.get(settings.arms)


def bayes_optimal(env: VectorTask) -> _Agent:
    """The optimal agent for the environment's distribution.

    Raises:
        ValueError: where none is known.
    """
    settings: BanditSettings = env.settings  # type: ignore[attr-defined]
    factory = best_known(settings)
    if factory is None:
        raise ValueError(
            f"bandit: no Bayes-optimal agent is known for arms={settings.arms} with {settings.arm_count} arms and "
            f"{settings.trial_count} trials"
        )
    return factory(env)


BASELINES: dict[str, Callable[[VectorTask], _Agent]] = {
    "bayes_optimal": bayes_optimal,
    "gittins": Gittins,
    "thompson": Thompson,
    "ucb": UCB,
    "ucb1": UCB1,
    "rescorla_wagner": RescorlaWagner,
    "oracle": Oracle,
    "random": Random,
}
