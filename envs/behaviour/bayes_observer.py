"""An ideal observer that chooses by softmax: what it expects each choice to pay, times β.

What it expects does not depend on β, so that the observer goes through the trials once and a fit of any length reads
what it expected.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

import numpy as np

from ..vector import Array, Mask
from .model import INVERSE_TEMPERATURE, ChoiceModel, Learner, Likelihood, Parameter, log_softmax
from .sessions import Sessions


class Observer(Protocol):
    """R sessions of what knows the task but not its hidden state."""

    def begin(self, which: Mask) -> None:
        """A new session starts in the rows of `which` [R]."""

    def expected(self) -> Array:
        """Reward that each choice will bring on average, [R, choices]."""

    def observe(self, trial: Mapping[str, Array]) -> None:
        """Take in a trial: the model's columns, [R] each."""


@dataclass(frozen=True)
class BayesObserver(ChoiceModel):
    """See the module's text."""

    name: ClassVar[str] = "bayes_observer"
    title: ClassVar[str] = "Bayes observer"
    observer: Callable[[int], Observer] = field(kw_only=True)
    """Makes one of R sessions."""
    read: tuple[str, ...] = ("choice", "reward")
    """Columns that it reads of a trial."""

    @property
    def columns(self) -> tuple[str, ...]:
        """See `ChoiceModel`."""
        return self.read

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """β."""
        return (INVERSE_TEMPERATURE,)

    def learner(self, parameters: Array) -> Learner:
        """See `ChoiceModel`."""
        return _Softmax(self.observer(len(parameters)), parameters[:, 0])

    def likelihood(self, sessions: Sessions) -> Likelihood:
        """See `ChoiceModel`."""
        expected = self._expectations(sessions)

        def log_likelihood(which: Array, parameters: Array) -> Array:
            length, beta = sessions.length.take(which), parameters[:, :1]
            start_of_row = self.choices * np.arange(len(which))
            total = np.zeros(len(which))
            for t in range(int(length.max(initial=0))):
                policy = log_softmax(beta * expected[t].take(which, axis=0))
                chosen = policy.ravel().take(start_of_row + sessions.columns["choice"][t].take(which))
                total += np.where(t < length, chosen, 0.0)
            return total

        return log_likelihood

    def _expectations(self, sessions: Sessions) -> Array:
        """Before each trial, [T, S, choices]."""
        trials, count = sessions.columns["choice"].shape
        observer = self.observer(count)
        expected = np.zeros((trials, count, self.choices))
        for t in range(trials):
            expected[t] = observer.expected()
            observer.observe({name: sessions.columns[name][t] for name in self.read})
        return expected


class _Softmax(Learner):
    def __init__(self, observer: Observer, beta: Array) -> None:
        self._observer, self._beta = observer, beta[:, None]

    def begin(self, which: Mask) -> None:
        """See `Learner`."""
        self._observer.begin(which)

    def log_policy(self) -> Array:
        """See `Learner`."""
        return log_softmax(self._beta * self._observer.expected())

    def learn(self, trial: Mapping[str, Array]) -> None:
        """See `Learner`."""
        self._observer.observe(trial)
