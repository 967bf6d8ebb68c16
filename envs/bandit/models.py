"""Models of choices among arms that are fitted to whoever pulls them.

The Bayes observer knows how the arms of an episode are drawn: its expectation of an arm is the mean of the exact
posterior. Arms that pay fixed amounts, or whose probabilities are always the same, leave nothing to be observed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ..behaviour.bayes_observer import BayesObserver, Observer
from ..behaviour.forgetting import ForgettingQ
from ..behaviour.model import ChoiceModel, Learner, sample
from ..behaviour.rescorla_wagner import RescorlaWagner
from ..vector import Array, Mask, VectorTask
from .baselines import RestlessFilter
from .env import TWO_POINT, BanditEnv, BanditSettings

CELLS = 200
"""Of the grid over the first arm's probability, where arms are drawn from a density."""


class IndependentArms:
    """Each arm's probability is uniform in 0..1: the mean of a beta distribution. R sessions."""

    def __init__(self, arms: int, count: int) -> None:
        self.pulls, self.paid = np.zeros((2, count, arms))
        self._rows = np.arange(count)

    def begin(self, which: Mask) -> None:
        """See `Observer`."""
        self.pulls[which] = self.paid[which] = 0.0

    def expected(self) -> Array:
        """See `Observer`."""
        return np.asarray((1 + self.paid) / (2 + self.pulls))

    def observe(self, trial: Mapping[str, Array]) -> None:
        """See `Observer`."""
        self.pulls[self._rows, trial["choice"]] += 1
        self.paid[self._rows, trial["choice"]] += trial["reward"]


class OppositeArms:
    """The arms pay with p and 1 - p, and p is one of `grid` [G] with the probabilities `prior` [G]. R sessions."""

    def __init__(self, grid: Array, prior: Array, count: int) -> None:
        self._grid = grid
        self._prior = np.log(prior)
        self._log_belief = np.tile(self._prior, (count, 1))
        self._evidence = np.log(np.stack([1 - grid, grid]))
        """Log-likelihood of what speaks against and for the first arm, [2, G]."""

    def begin(self, which: Mask) -> None:
        """See `Observer`."""
        self._log_belief[which] = self._prior

    def expected(self) -> Array:
        """See `Observer`."""
        belief = np.exp(self._log_belief - self._log_belief.max(1, keepdims=True))
        first = belief @ self._grid / belief.sum(1)
        return np.column_stack([first, 1 - first])

    def observe(self, trial: Mapping[str, Array]) -> None:
        """See `Observer`."""
        for_the_first = (trial["choice"] == 0) == (trial["reward"] > 0)
        self._log_belief += self._evidence[for_the_first.astype(int)]


class RestlessArms:
    """The Bayes filter of `baselines.RestlessFilter`, in R sessions."""

    def __init__(self, settings: BanditSettings, count: int) -> None:
        self._filter = RestlessFilter(BanditEnv(settings, count))

    def begin(self, which: Mask) -> None:
        """See `Observer`."""
        self._filter.begin(which)

    def expected(self) -> Array:
        """See `Observer`."""
        return self._filter.scores()

    def observe(self, trial: Mapping[str, Array]) -> None:
        """See `Observer`."""
        self._filter.learn(trial["choice"], trial["reward"], trial["choice"])


class ModelPlayer:
    """A model with its parameters pulls the arms."""

    def __init__(self, env: VectorTask, learner: Learner, rng: np.random.Generator) -> None:  # noqa: ARG002
        self._learner, self._rng = learner, rng

    def begin(self, which: Mask) -> None:
        """See `envs.trials.Baseline`."""
        self._learner.begin(which)

    def act(self, obs: Array) -> Array:  # noqa: ARG002
        """See `envs.trials.Baseline`."""
        return sample(self._learner.log_policy(), self._rng)

    def learn(self, action: Array, reward: Array, next_obs: Array) -> None:  # noqa: ARG002
        """See `envs.trials.Baseline`."""
        self._learner.learn({"choice": action, "reward": reward})


def observer_of(settings: BanditSettings) -> Callable[[int], Observer] | None:
    """What makes R sessions of the observer that knows how these arms are drawn; None if nothing is left to observe."""
    grid = (np.arange(CELLS) + 0.5) / CELLS
    if settings.arms == "independent":
        return lambda count: IndependentArms(settings.arm_count, count)
    if settings.arms == "restless":
        return lambda count: RestlessArms(settings, count)
    if settings.arms == "uniform":
        return lambda count: OppositeArms(grid, np.full(CELLS, 1 / CELLS), count)
    if settings.arms == "normalised" and settings.num_arms == 2:  # density of u / (u + v)
        density = 0.5 / np.maximum(grid, 1 - grid) ** 2
        return lambda count: OppositeArms(grid, density / density.sum(), count)
    if settings.arms in TWO_POINT:
        low = TWO_POINT[settings.arms]
        return lambda count: OppositeArms(np.array([low, 1 - low]), np.array([0.5, 0.5]), count)
    return None


def models(settings: BanditSettings) -> Sequence[ChoiceModel]:
    """Those that can be fitted to trials of these settings."""
    arms = settings.arm_count
    learning = (RescorlaWagner(arms), RescorlaWagner(arms, perseveration=True), ForgettingQ(arms))
    observer = observer_of(settings)
    return learning if observer is None else (*learning, BayesObserver(arms, observer=observer))
