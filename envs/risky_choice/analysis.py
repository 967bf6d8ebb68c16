"""Behaviour with a safe and a risky lever: reward, and how often risk is taken at which probability."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..means import mean, mean_by
from ..trials import Reference, Trials
from ..vector import Array
from .env import RiskyChoiceSettings
from .planning import observer_reward, plannable, prior, risky_by_trial


def conditions(settings: RiskyChoiceSettings) -> dict[str, Array]:
    """Names of the conditions that choices are told apart by, with the values of p in each as an interval [2].

    Each probability there is; of p uniform in 0..1, below and above the one where both levers are worth the same.
    """
    if settings.probabilities:
        return {f"p_{p:g}": np.array([p - 1e-6, p + 1e-6]) for p in sorted(set(settings.probabilities))}
    even = min(1.0, settings.safe / settings.risky) if settings.risky else 1.0
    return {"p_below": np.array([0.0, even]), "p_above": np.array([even, 1.0])}


def in_condition(trials: Trials, within: Array) -> Array:
    """Free trials with a lever pulled whose p lies in the interval [2], as a mask over the trials."""
    p = trials["p"]
    mask: Array = trials["free"] & (trials["choice"] >= 0) & (p >= within[0]) & (p <= within[1])
    return mask


def summarise(trials: Trials, settings: RiskyChoiceSettings) -> dict[str, Any]:
    """Reward and share of risky choices in free trials, and share of all trials with an invalid action.

    NaN where there are no trials of a kind.
    """
    names = conditions(settings)
    if not len(trials.get("trial", ())):
        nothing = float("nan")
        return {"reward_per_trial": nothing, "risky": dict.fromkeys(names, nothing), "invalid": nothing}
    return {
        "reward_per_trial": mean(trials["reward"][trials["free"]]),
        "risky": {name: mean(trials["choice"][in_condition(trials, within)]) for name, within in names.items()},
        "invalid": mean((trials["choice"] < 0) | ~trials["fixated"]),
    }


def by_trial(trials: Trials, settings: RiskyChoiceSettings, within: Array) -> Array:
    """Share of risky choices in each free trial, [free], where p lies in the interval [2]; NaN without any."""
    mask = in_condition(trials, within)
    return mean_by(trials["trial"][mask] - 2 * settings.forced, trials["choice"][mask], settings.free)


def analyse(trials: Trials, settings: RiskyChoiceSettings) -> dict[str, Any]:
    """Share of risky choices by free trial, in each condition."""
    if not len(trials.get("trial", ())):
        return {}
    named = conditions(settings).items()
    return {"risky_by_trial": {name: by_trial(trials, settings, within).tolist() for name, within in named}}


def ideal_by_trial(settings: RiskyChoiceSettings, within: Array, greedy: bool = False) -> Array:
    """`by_trial` of the ideal (or the greedy) observer, exact (up to the quadrature where p is uniform), [free]."""
    values, weights = prior(settings)
    inside = (values >= within[0]) & (values <= within[1])
    if not inside.any():
        return np.full(settings.free, np.nan)
    curves = [risky_by_trial(settings, float(p), greedy) for p in values[inside]]
    mean: Array = np.average(curves, axis=0, weights=weights[inside])
    return mean


def references(settings: RiskyChoiceSettings) -> list[Reference]:
    """The ideal and the greedy observer (exact; where an episode can be planned), and the oracle that is told p."""
    values, weights = prior(settings)
    named = conditions(settings)
    middle = settings.safe / settings.risky if settings.risky else 1.0
    if settings.probabilities:
        oracle = float(np.dot(np.maximum(settings.safe, settings.risky * values), weights))
    else:
        even = min(1.0, middle)
        oracle = settings.safe * even + settings.risky * (1 - even**2) / 2
    risk = {name: float(within.mean() > middle) for name, within in named.items()}
    found = [Reference("oracle", {"reward_per_trial": oracle, "risky": risk, "invalid": 0.0}, "is told p")]
    if plannable(settings):
        found = [_observer(settings, greedy=False), _observer(settings, greedy=True), *found]
    return found


def _observer(settings: RiskyChoiceSettings, greedy: bool) -> Reference:
    named = conditions(settings).items()
    risk = {name: float(ideal_by_trial(settings, within, greedy).mean()) for name, within in named}
    values = {"reward_per_trial": observer_reward(settings, greedy), "risky": risk, "invalid": 0.0}
    name, source = ("greedy observer", "plans one trial") if greedy else ("ideal observer", "by dynamic programming")
    return Reference(name, values, f"exact, {source}")
