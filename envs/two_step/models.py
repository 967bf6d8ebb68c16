"""Models of first-stage choices in the two-step task that are fitted to whoever plays it.

The hybrid is that of Daw et al. 2011: Q = w Q_MB + (1 - w) Q_MF, chosen by softmax of β (Q + p [last choice]). The
model-free values are SARSA(λ)'s, Q(a) += α₁ (V(s) - Q(a)) + α₁ λ (r - V(s)); those of the second-stage states,
V(s) += α₂ (r - V(s)), are what the model-based agent plans with, Q_MB(a) = Σ P(s | a) V(s), through the task's own
transition probabilities. The second stage has no choice here, so its β₂ has nothing to act on and is left out. Values
begin at 0.5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..behaviour.bayes_observer import BayesObserver
from ..behaviour.forgetting import ForgettingQ
from ..behaviour.model import INVERSE_TEMPERATURE, ChoiceModel, Learner, Parameter, log_softmax, sample
from ..behaviour.rescorla_wagner import INITIAL_VALUE, RescorlaWagner
from ..vector import Array, Mask, VectorTask
from .baselines import Player, posterior
from .env import TwoStepSettings

COLUMNS = ("choice", "state", "reward")

RATE_1 = Parameter("learning_rate_1", "α₁", 0.0, 1.0, (0.2, 0.9))
RATE_2 = Parameter("learning_rate_2", "α₂", 0.0, 1.0, (0.2, 0.9))
TRACE = Parameter("lambda", "λ", 0.0, 1.0, (0.1, 0.9))
STICKINESS = Parameter("perseveration", "p", -5.0, 5.0, (-0.2, 0.4))
WEIGHT = Parameter("weight", "w", 0.0, 1.0, (0.1, 0.9))
"""Of the model-based values."""


@dataclass(frozen=True)
class Hybrid(ChoiceModel):
    """See the module's text."""

    name: ClassVar[str] = "hybrid"
    title: ClassVar[str] = "hybrid (Daw et al. 2011)"
    common: float = 0.8
    """Probability that a choice leads to its own state."""

    @property
    def columns(self) -> tuple[str, ...]:
        """See `ChoiceModel`."""
        return COLUMNS

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """α₁, α₂, λ, β, p, w."""
        return RATE_1, RATE_2, TRACE, INVERSE_TEMPERATURE, STICKINESS, WEIGHT

    def learner(self, parameters: Array) -> Learner:
        """See `ChoiceModel`."""
        return _Hybrid(self.common, parameters)


class _Hybrid(Learner):
    def __init__(self, common: float, parameters: Array) -> None:
        self._rate, self._state_rate, self._trace, beta, stickiness, weight = np.ascontiguousarray(parameters.T)
        self._common = common
        self._beta, self._stickiness, self._weight = beta[:, None], stickiness[:, None], weight[:, None]
        self._start_of_row = 2 * np.arange(len(parameters))
        self._values, self._states = np.full((2, len(parameters), 2), INITIAL_VALUE)
        """Model-free values of the choices, and values of the second-stage states."""
        self._last = np.zeros_like(self._values)

    def begin(self, which: Mask) -> None:
        """See `Learner`."""
        self._values[which], self._states[which], self._last[which] = INITIAL_VALUE, INITIAL_VALUE, 0.0

    def log_policy(self) -> Array:
        """See `Learner`."""
        planned = self._common * self._states + (1 - self._common) * self._states[:, ::-1]
        values = self._weight * planned + (1 - self._weight) * self._values
        return log_softmax(self._beta * (values + self._stickiness * self._last))

    def learn(self, trial: Mapping[str, Array]) -> None:
        """See `Learner`."""
        chosen = self._start_of_row + trial["choice"]
        reached = self._start_of_row + trial["state"].astype(int)
        values, states = self._values.ravel(), self._states.ravel()  # views
        value, state = values.take(chosen), states.take(reached)
        error = trial["reward"] - state
        values[chosen] = value + self._rate * (state - value + self._trace * error)
        states[reached] = state + self._state_rate * error
        self._last.fill(0.0)
        self._last.ravel()[chosen] = 1.0


class StateFilter:
    """The ideal observer's belief about which state is good, in R sessions; see `baselines.posterior`."""

    def __init__(self, settings: TwoStepSettings, count: int) -> None:
        self.settings = settings
        self.belief = np.full(count, 0.5)

    def begin(self, which: Mask) -> None:
        """See `Observer`."""
        self.belief[which] = 0.5

    def expected(self) -> Array:
        """See `Observer`."""
        common, pays = self.settings.common, self.settings.reward
        state_one = self.belief * pays + (1 - self.belief) * (1 - pays)
        state_zero = 1 - state_one  # one of the two is good
        return np.column_stack(
            [common * state_zero + (1 - common) * state_one, common * state_one + (1 - common) * state_zero]
        )

    def observe(self, trial: Mapping[str, Array]) -> None:
        """See `Observer`."""
        self.belief = posterior(self.belief, trial["state"], trial["reward"], self.settings)


class ModelPlayer(Player):
    """A model with its parameters plays the task."""

    def __init__(self, env: VectorTask, learner: Learner, rng: np.random.Generator) -> None:
        super().__init__(env)
        self._learner, self.rng = learner, rng

    def begin(self, which: Mask) -> None:
        """See `envs.trials.Baseline`."""
        self._learner.begin(which)

    def _choose(self) -> Array:
        return sample(self._learner.log_policy(), self.rng)

    def _outcome(self, state: Array, reward: Array) -> None:
        self._learner.learn({"choice": self._choice, "state": state, "reward": reward})


def models(settings: TwoStepSettings) -> Sequence[ChoiceModel]:
    """Those that can be fitted to trials of these settings."""
    return (
        RescorlaWagner(),
        RescorlaWagner(perseveration=True),
        ForgettingQ(),
        Hybrid(common=settings.common),
        BayesObserver(observer=lambda count: StateFilter(settings, count), read=COLUMNS),
    )
