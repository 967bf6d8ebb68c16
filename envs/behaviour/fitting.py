"""Maximum likelihood: the parameters under which each subject's choices are likeliest, and what that is worth.

Bounded parameters are searched on a logit scale between their bounds, from the best of some random points in the
parameters' typical range. Same sessions, same seed: same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ..vector import Array
from .model import ChoiceModel, Parameter
from .optimise import hessian, minimise
from .sessions import Sessions

SCREENED = 16
"""Points of the typical range that are looked at for each search that begins at one of them."""
ROWS = 8192
"""Sessions that are gone through side by side: what stays in a core's cache."""
SUBJECTS = 64
"""That are fitted side by side."""
AT_BOUND = 1e-3
"""Of a parameter's range: what is nearer to a bound lies on it."""


@dataclass(frozen=True)
class Fit:
    """One model fitted to one subject."""

    subject: str
    model: str
    parameters: Mapping[str, float]
    """The fitted ones, by name."""
    errors: Mapping[str, float]
    """Their standard errors, from the curvature of the log-likelihood; NaN on a bound, or where it is flat."""
    log_likelihood: float
    sessions: int
    trials: int
    choices: int
    converged: bool
    """False where the search was cut off."""

    @property
    def likelihood_per_trial(self) -> float:
        """Geometric mean of the probabilities of the choices; 1 / choices is chance."""
        return float(np.exp(self.log_likelihood / self.trials))

    @property
    def bic(self) -> float:
        """Bayesian information criterion: -2 log L + k log n (Schwarz 1978)."""
        return float(-2 * self.log_likelihood + len(self.parameters) * np.log(self.trials))

    @property
    def aic(self) -> float:
        """Akaike's information criterion: -2 log L + 2 k."""
        return -2 * self.log_likelihood + 2 * len(self.parameters)


def fit(
    model: ChoiceModel,
    sessions: Sessions,
    *,
    starts: int = 4,
    seed: int = 0,
    fixed: Mapping[str, float] | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> list[Fit]:
    """Fit a model to each subject.

    Args:
        model: whose columns the sessions have.
        sessions: of the subjects.
        starts: searches of each subject; the best one counts.
        seed: of the points that searches begin from.
        fixed: values of parameters that are not fitted, by name.
        progress: called with the number of subjects that are done.

    Raises:
        ValueError: for a fixed parameter that the model does not have.
    """
    held = dict(fixed or {})
    if unknown := set(held) - {parameter.name for parameter in model.parameters}:
        raise ValueError(f"{model.called} has no parameter {', '.join(sorted(unknown))}")
    scale = _Scale(model.parameters, held)
    likelihood = _Objective(model, sessions, scale)
    found: list[Fit] = []
    for first in range(0, len(sessions.subjects), SUBJECTS):
        some = np.arange(first, min(first + SUBJECTS, len(sessions.subjects)))
        found += _fitted(model, sessions, likelihood, scale, some, starts, seed)
        progress(len(found))
    return found


def _fitted(
    model: ChoiceModel,
    sessions: Sessions,
    objective: _Objective,
    scale: _Scale,
    subjects: Array,
    starts: int,
    seed: int,
) -> list[Fit]:
    """The fits of some of the subjects."""
    free = scale.free
    counts = [sessions.counts_of(subject) for subject in subjects]
    if not free:
        values = -objective(subjects, np.zeros((len(subjects), 0)))
        pairs = zip(subjects, values, counts, strict=True)
        return [Fit(sessions.subjects[s], model.called, {}, {}, float(v), *n, model.choices, True) for s, v, n in pairs]
    begin = scale.search(_screened(free, SCREENED * starts, seed))
    first = objective(np.repeat(subjects, len(begin)), np.tile(begin, (len(subjects), 1))).reshape(-1, len(begin))
    chosen = np.argsort(first, axis=1, kind="stable")[:, :starts]
    searched = np.repeat(subjects, chosen.shape[1])

    def of_problem(problem: Array, point: Array) -> Array:
        return objective(searched[problem], point)

    minimum = minimise(of_problem, begin[chosen.ravel()])
    best = minimum.value.reshape(chosen.shape).argmin(1) + chosen.shape[1] * np.arange(len(subjects))
    point = minimum.point[best]
    values, errors = scale.natural(point), scale.errors(point, hessian(objective, subjects, point))
    return [
        Fit(
            sessions.subjects[subject],
            model.called,
            {parameter.name: float(x) for parameter, x in zip(free, values[i], strict=True)},
            {parameter.name: float(x) for parameter, x in zip(free, errors[i], strict=True)},
            float(-minimum.value[best[i]]),
            *counts[i],
            model.choices,
            bool(minimum.converged[best[i]]),
        )
        for i, subject in enumerate(subjects)
    ]


def _screened(free: list[Parameter], count: int, seed: int) -> Array:
    """Points all over the typical range, [count, P]."""
    low, high = np.array([parameter.typical for parameter in free]).T
    return np.random.default_rng(seed).uniform(low, high, (count, len(free)))


class _Scale:
    """Between natural parameters and points of the search: logits of where they lie between their bounds."""

    def __init__(self, parameters: tuple[Parameter, ...], fixed: Mapping[str, float]) -> None:
        self.free = [parameter for parameter in parameters if parameter.name not in fixed]
        self._low = np.array([parameter.low for parameter in self.free])
        self._width = np.array([parameter.high for parameter in self.free]) - self._low
        self._places = [i for i, parameter in enumerate(parameters) if parameter.name not in fixed]
        self._all = np.array([fixed.get(parameter.name, 0.0) for parameter in parameters])

    def search(self, natural: Array) -> Array:
        """Points [..., P] of the search."""
        place = (natural - self._low) / self._width
        return np.asarray(np.log(place) - np.log1p(-place))

    def natural(self, point: Array) -> Array:
        """The free parameters."""
        return np.asarray(self._low + self._width * self._place(point))

    def complete(self, point: Array) -> Array:
        """All parameters of the model, with those that are fixed."""
        parameters = np.tile(self._all, (len(point), 1))
        parameters[:, self._places] = self.natural(point)
        return parameters

    def errors(self, point: Array, curvature: Array) -> Array:
        """Standard errors of the free parameters: the inverse of the curvature, on the natural scale."""
        place = self._place(point)
        inside = (place > AT_BOUND) & (place < 1 - AT_BOUND)
        found = np.full(point.shape, np.nan)
        for i, matrix in enumerate(curvature):
            kept = np.flatnonzero(inside[i])
            part = matrix[np.ix_(kept, kept)]
            if len(kept) and np.isfinite(part).all() and np.linalg.eigvalsh(part)[0] > 0:
                found[i, kept] = np.sqrt(np.diag(np.linalg.inv(part)))
        return np.asarray(found * self._width * place * (1 - place))

    @staticmethod
    def _place(point: Array) -> Array:
        return np.asarray(1 / (1 + np.exp(-np.clip(point, -30, 30))))


class _Objective:
    """Minus the log-likelihood of subjects [K] at points [K, P] of the search."""

    def __init__(self, model: ChoiceModel, sessions: Sessions, scale: _Scale) -> None:
        self._likelihood, self._scale = model.likelihood(sessions), scale
        self._count = np.bincount(sessions.subject, minlength=len(sessions.subjects))
        self._first = np.cumsum(self._count) - self._count

    def __call__(self, subject: Array, point: Array) -> Array:
        """[K]"""
        parameters = self._scale.complete(point)
        found = np.zeros(len(subject))
        at_once = max(1, ROWS // max(1, int(self._count[subject].max(initial=1))))
        for begin in range(0, len(subject), at_once):
            part = slice(begin, begin + at_once)
            count = self._count[subject[part]]
            owner = np.repeat(np.arange(len(count)), count)
            within = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
            which = self._first[subject[part]][owner] + within
            found[part] = -np.bincount(owner, self._likelihood(which, parameters[part][owner]), minlength=len(count))
        return found
