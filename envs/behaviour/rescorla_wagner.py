"""Rescorla-Wagner: the value of what was chosen moves towards what it paid, Q += α (r - Q); softmax of β Q.

Values begin at 0.5. On demand: perseveration, κ added to the logit of the last choice (Lau and Glimcher 2005), and a
lapse, choices at random with probability ε (Wang et al. 2016 call the four forms b, ab, be and abe). Of opposite
options one pays where the other does not: all values move, those of the others towards 1 - r.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..vector import Array, Mask
from .model import INVERSE_TEMPERATURE, LEARNING_RATE, ChoiceModel, Learner, Parameter, log_softmax

INITIAL_VALUE = 0.5
PERSEVERATION = Parameter("perseveration", "κ", -10.0, 10.0, (-1.0, 1.0))
LAPSE = Parameter("lapse", "ε", 0.0, 1.0, (0.02, 0.4))


@dataclass(frozen=True)
class RescorlaWagner(ChoiceModel):
    """See the module's text."""

    name: ClassVar[str] = "rescorla_wagner"
    title: ClassVar[str] = "Rescorla-Wagner"
    perseveration: bool = False
    lapse: bool = False
    opposite: bool = False

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """α and β, and what was added."""
        added = [(self.perseveration, PERSEVERATION), (self.lapse, LAPSE)]
        return LEARNING_RATE, INVERSE_TEMPERATURE, *(parameter for there, parameter in added if there)

    @property
    def called(self) -> str:
        """With its additions."""
        added = {"_perseveration": self.perseveration, "_lapse": self.lapse, "_opposite": self.opposite}
        return self.name + "".join(name for name, there in added.items() if there)

    @property
    def shown(self) -> str:
        """With its additions."""
        added = {"perseveration": self.perseveration, "lapse": self.lapse, "opposite options": self.opposite}
        return ", ".join([self.title, *(name for name, there in added.items() if there)])

    def learner(self, parameters: Array) -> Learner:
        """See `ChoiceModel`."""
        return _RescorlaWagner(self, parameters)


class _RescorlaWagner(Learner):
    def __init__(self, model: RescorlaWagner, parameters: Array) -> None:
        names = [parameter.name for parameter in model.parameters]
        by_name = dict(zip(names, np.ascontiguousarray(parameters.T), strict=True))
        self._rate, self._beta = by_name["learning_rate"], by_name["inverse_temperature"][:, None]
        self._kappa, self._lapse = by_name.get("perseveration"), by_name.get("lapse")
        self._opposite = model.opposite
        self._start_of_row = model.choices * np.arange(len(parameters))
        self._values = np.full((len(parameters), model.choices), INITIAL_VALUE)
        self._last = np.zeros_like(self._values)
        """One-hot of the last choice; nothing before the first."""

    def begin(self, which: Mask) -> None:
        """See `Learner`."""
        self._values[which], self._last[which] = INITIAL_VALUE, 0.0

    def log_policy(self) -> Array:
        """See `Learner`."""
        logits = self._beta * self._values
        if self._kappa is not None:
            logits += self._kappa[:, None] * self._last
        policy = log_softmax(logits)
        if self._lapse is None:
            return policy
        at_random = self._lapse[:, None] / policy.shape[1]
        return np.asarray(np.log(np.maximum((1 - self._lapse[:, None]) * np.exp(policy) + at_random, 1e-300)))

    def learn(self, trial: Mapping[str, Array]) -> None:
        """See `Learner`."""
        chosen = self._start_of_row + trial["choice"]
        values = self._values.ravel()  # a view
        if self._opposite:
            own = values[chosen]
            self._values += self._rate[:, None] * ((1 - trial["reward"])[:, None] - self._values)
            values[chosen] = own
        values[chosen] += self._rate * (trial["reward"] - values[chosen])
        if self._kappa is not None:
            self._last.fill(0.0)
            self._last.ravel()[chosen] = 1.0
