"""Recovery: what a fit finds in subjects that were simulated with known parameters, or with a known model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..registry import Task
from ..vector import Array
from .fitting import Fit, fit
from .model import ChoiceModel
from .sessions import sessions_of
from .simulation import drawn, simulated


@dataclass(frozen=True)
class Recovery:
    """N subjects of one model, fitted with it and with the others."""

    model: ChoiceModel
    true: Array
    """[N, P] parameters that the subjects played with."""
    fits: Sequence[Sequence[Fit]]
    """Of each model, in their order, N fits."""
    own: int
    """Place of the model among them."""

    @property
    def found(self) -> Array:
        """[N, P] parameters that were fitted."""
        return np.array([list(one.parameters.values()) for one in self.fits[self.own]])

    @property
    def errors(self) -> Array:
        """[N, P] their standard errors."""
        return np.array([list(one.errors.values()) for one in self.fits[self.own]])

    @property
    def chosen(self) -> Array:
        """[models] share of the subjects for which each model has the lowest BIC."""
        best = np.array([[one.bic for one in fits] for fits in self.fits]).argmin(0)
        return np.bincount(best, minlength=len(self.fits)) / len(best)

    @property
    def correlation(self) -> Array:
        """[P] Spearman's, of true and fitted parameters: a fit that lies on a bound counts by its rank."""
        true, found = (values.argsort(0).argsort(0) for values in (self.true, self.found))
        count = len(true)
        return np.asarray(1 - 6 * ((true - found) ** 2).sum(0) / (count * (count**2 - 1)))


def recover(
    task: Task,
    settings: Any,
    models: Sequence[ChoiceModel],
    subjects: int,
    sessions: int,
    *,
    starts: int = 4,
    seed: int = 0,
    progress: Callable[[], None] = lambda: None,
) -> list[Recovery]:
    """Simulate subjects of each model, with parameters from their typical ranges, and fit all models to them.

    Args:
        task: that is played.
        settings: of the task.
        models: of the task.
        subjects: of each model.
        sessions: that each plays.
        starts: see `fit`.
        seed: of parameters, task and choices.
        progress: called after each fit of all subjects of a model.
    """
    columns = tuple(dict.fromkeys(name for model in models for name in model.columns))
    found = []
    for own, model in enumerate(models):
        true = drawn(model, subjects, seed + own)
        played = sessions_of(simulated(task, settings, model, true, sessions, seed + own), columns)
        fits = []
        for other in models:
            fits.append(fit(other, played, starts=starts, seed=seed))
            progress()
        found.append(Recovery(model, true, fits, own))
    return found
