"""What a model of choices is: parameters with bounds, and a learner that says how likely each choice is.

A learner goes through R sessions side by side, each with parameters of its own, so that one pass over the trials
serves all subjects, and all the points that an optimiser asks for. The same learner plays a task (`simulation.py`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..vector import Array, Mask
from .sessions import Sessions

Likelihood = Callable[[Array, Array], Array]
"""`(which [Q], parameters [Q, P]) -> [Q]`: log-likelihood of each of these sessions (numbers of rows of `Sessions`)."""


@dataclass(frozen=True)
class Parameter:
    """A free parameter of a model."""

    name: str
    symbol: str
    low: float
    high: float
    """Bounds of a fit."""
    typical: tuple[float, float]
    """Where fits begin and simulated subjects are drawn from."""


LEARNING_RATE = Parameter("learning_rate", "α", 0.0, 1.0, (0.1, 0.9))
INVERSE_TEMPERATURE = Parameter("inverse_temperature", "β", 0.0, 50.0, (1.0, 8.0))


class Learner(ABC):
    """R sessions of a model at work, each with its own parameters."""

    @abstractmethod
    def begin(self, which: Mask) -> None:
        """A new session starts in the rows of `which` [R]."""

    @abstractmethod
    def log_policy(self) -> Array:
        """Log-probability of each choice in the trial to come, [R, choices]."""

    @abstractmethod
    def learn(self, trial: Mapping[str, Array]) -> None:
        """Take in a trial: the model's columns, [R] each."""


@dataclass(frozen=True)
class ChoiceModel(ABC):
    """A model of choices among `choices` options."""

    name: ClassVar[str]
    title: ClassVar[str]
    """Of its figures."""
    choices: int = 2

    @property
    def columns(self) -> tuple[str, ...]:
        """What it reads of a trial."""
        return "choice", "reward"

    @property
    @abstractmethod
    def parameters(self) -> tuple[Parameter, ...]:
        """In the order of the last axis of arrays of parameters."""

    @property
    def called(self) -> str:
        """Its name among other forms of the same model."""
        return self.name

    @property
    def shown(self) -> str:
        """Its title among other forms of the same model."""
        return self.title

    @abstractmethod
    def learner(self, parameters: Array) -> Learner:
        """One that begins, with parameters [R, P]."""

    def likelihood(self, sessions: Sessions) -> Likelihood:
        """What tells how likely the choices of these sessions are."""

        def log_likelihood(which: Array, parameters: Array) -> Array:
            learner, length = self.learner(parameters), sessions.length.take(which)
            start_of_row = self.choices * np.arange(len(which))
            total = np.zeros(len(which))
            for t in range(int(length.max(initial=0))):
                trial = {name: sessions.columns[name][t].take(which) for name in self.columns}
                chosen = learner.log_policy().ravel().take(start_of_row + trial["choice"])
                total += np.where(t < length, chosen, 0.0)
                learner.learn(trial)
            return total

        return log_likelihood


def log_softmax(logits: Array) -> Array:
    """Over the last axis."""
    shifted = logits - logits.max(-1, keepdims=True)
    normalised: Array = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    return normalised


def sample(log_policy: Array, rng: np.random.Generator) -> Array:
    """A choice [R] from log-probabilities [R, choices] (the largest after adding Gumbel noise)."""
    return np.asarray((log_policy + rng.gumbel(size=log_policy.shape)).argmax(1))
