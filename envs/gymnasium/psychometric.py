"""Choices by the strength of the evidence: the psychometric curve and its fit (Wichmann & Hill 2001)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.stats import norm

from ..trials import Trials
from ..vector import Array

STRENGTHS = ("coh", "coherence", "contrast", "strength", "evidence", "difficulty")
"""Names that a trial's strength goes by, in NeuroGym's environments and elsewhere; the first one found is taken."""

MOST_LEVELS = 24
"""More strengths than so many are gathered in this many groups of equal size."""
LARGEST_LAPSE = 0.5


class Curve(NamedTuple):
    """Shares of choices at N strengths, in rising order."""

    strength: Array
    """[N]; signed where there are two choices: positive towards the second one."""
    share: Array
    """[N] of the second of two choices; of right ones where there are more."""
    trials: Array
    """[N] how many were answered."""
    signed: bool


class Fit(NamedTuple):
    """P(second choice) = lapse / 2 + (1 - lapse) * Phi((strength - bias) / threshold)."""

    bias: float
    """The strength at which both choices are equally likely."""
    threshold: float
    """What has to be added to the bias for 84 % of the choices (lapses aside): the standard deviation of the noise."""
    lapse: float
    """Part of the trials that is answered at random."""

    def __call__(self, strength: Array) -> Array:
        """Probability of the second choice."""
        share: Array = self.lapse / 2 + (1 - self.lapse) * norm.cdf((strength - self.bias) / self.threshold)
        return share


def strength_of(trials: Trials, name: str | None) -> str | None:
    """The column that holds the strength of the evidence, or None: `name`, or one that is called like it."""
    named = [name] if name is not None else [known for known in STRENGTHS if known in trials]
    return named[0] if named and named[0] in trials else None


def curve(trials: Trials, column: str) -> Curve | None:
    """Choices by strength, of the trials in which one of the right answers was given; None where there is none.

    What is right is the column `gt` at a trial's end.
    """
    if "gt" not in trials or "action" not in trials:
        return None
    strength, right, action = (np.asarray(trials[name], dtype=float) for name in (column, "gt", "action"))
    known = np.isfinite(strength) & np.isfinite(right)
    answers = np.unique(right[known])
    answered = known & np.isin(action, answers)
    if not answered.any() or len(answers) < 2:
        return None
    strength, right, action = strength[answered], right[answered], action[answered]
    signed = len(answers) == 2
    if signed:
        strength = strength * np.where(right == answers[1], 1, -1)
    chosen = action == answers[1] if signed else action == right
    levels, place = np.unique(strength, return_inverse=True)
    if len(levels) > MOST_LEVELS:
        edges = np.quantile(strength, np.linspace(0, 1, MOST_LEVELS + 1)[1:-1])
        place = np.searchsorted(edges, strength, side="right")
    count = np.bincount(place)
    some = count > 0
    mean = np.bincount(place, strength)[some] / count[some]
    return Curve(mean, np.bincount(place, chosen)[some] / count[some], count[some], signed)


def fit(points: Curve) -> Fit | None:
    """The most likely cumulative Gaussian; None for a curve of unsigned strengths, or of fewer than three."""
    x, span = points.strength, float(np.ptp(points.strength))
    if not points.signed or len(x) < 3 or span == 0:
        return None
    chosen, others = points.share * points.trials, (1 - points.share) * points.trials

    def surprise(free: Array) -> float:
        p = np.clip(Fit(free[0] * span, np.exp(free[1]) * span, free[2])(x), 1e-9, 1 - 1e-9)
        return -float((chosen * np.log(p) + others * np.log(1 - p)).sum())

    bounds = ((-1.0, 1.0), (np.log(1e-3), np.log(1e2)), (0.0, LARGEST_LAPSE))
    starts = [np.array([0.0, np.log(width), lapse]) for width in (0.02, 0.1, 0.5, 2.0) for lapse in (0.01, 0.2)]
    best = min((minimize(surprise, start, bounds=bounds) for start in starts), key=lambda found: float(found.fun))
    return Fit(float(best.x[0] * span), float(np.exp(best.x[1]) * span), float(best.x[2]))


def measures(trials: Trials, name: str | None) -> dict[str, Any]:
    """Curve and fit by their names in `results.json`; empty where a trial has no strength."""
    column = strength_of(trials, name)
    points = curve(trials, column) if column is not None else None
    if points is None:
        return {}
    told: dict[str, Any] = {
        "psychometric_curve": {
            "strength": points.strength.tolist(),
            "share_of_second_choice" if points.signed else "share_right": points.share.tolist(),
            "trials": points.trials.tolist(),
        }
    }
    fitted = fit(points)
    if fitted is not None:
        told["psychometric_fit"] = fitted._asdict()
    return told


def reaction_times(trials: Trials, name: str | None) -> Mapping[str, Any]:
    """Median time to respond in ms, in all trials and by strength; empty where there is none."""
    if "reaction_ms" not in trials:
        return {}
    times = np.asarray(trials["reaction_ms"], dtype=float)
    if not np.isfinite(times).any():
        return {}
    told: dict[str, Any] = {"reaction_ms": float(np.nanmedian(times))}
    column = strength_of(trials, name)
    if column is not None and len(levels := np.unique(np.asarray(trials[column], dtype=float))) <= MOST_LEVELS:
        strength = np.asarray(trials[column], dtype=float)
        answered = np.isfinite(times)
        told["reaction_ms_by_strength"] = {
            f"{level:g}": float(np.median(times[at]))
            for level in levels
            if (at := answered & (strength == level)).any()
        }
    return told
