"""Q-learning with forgetting (Ito and Doya 2009): the values of what was not chosen decay to 0.

Chosen: Q += α (r - Q). Not chosen: Q -= φ Q. Values begin at 0; softmax of β Q.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..vector import Array, Mask
from .model import INVERSE_TEMPERATURE, LEARNING_RATE, ChoiceModel, Learner, Parameter, log_softmax

FORGETTING_RATE = Parameter("forgetting_rate", "φ", 0.0, 1.0, (0.1, 0.9))


@dataclass(frozen=True)
class ForgettingQ(ChoiceModel):
    """See the module's text."""

    name: ClassVar[str] = "forgetting"
    title: ClassVar[str] = "Q-learning, forgetting"

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """α, φ and β."""
        return LEARNING_RATE, FORGETTING_RATE, INVERSE_TEMPERATURE

    def learner(self, parameters: Array) -> Learner:
        """See `ChoiceModel`."""
        return _ForgettingQ(self.choices, parameters)


class _ForgettingQ(Learner):
    def __init__(self, choices: int, parameters: Array) -> None:
        self._rate, forgetting, beta = np.ascontiguousarray(parameters.T)
        self._kept, self._beta = 1 - forgetting[:, None], beta[:, None]
        self._start_of_row = choices * np.arange(len(parameters))
        self._values = np.zeros((len(parameters), choices))

    def begin(self, which: Mask) -> None:
        """See `Learner`."""
        self._values[which] = 0.0

    def log_policy(self) -> Array:
        """See `Learner`."""
        return log_softmax(self._beta * self._values)

    def learn(self, trial: Mapping[str, Array]) -> None:
        """See `Learner`."""
        chosen = self._start_of_row + trial["choice"]
        before = self._values.ravel().take(chosen)
        self._values *= self._kept
        self._values.ravel()[chosen] = before + self._rate * (trial["reward"] - before)
