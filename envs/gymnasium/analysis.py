"""What can be said of any environment: rewards; where it has trials, how good they were and when they were answered."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..trials import Reference, Trials
from ..vector import Array
from .psychometric import measures, reaction_times
from .settings import GymnasiumSettings


def column(trials: Trials, name: str) -> Array:
    """A column as numbers; empty if there is none."""
    return np.asarray(trials.get(name, np.zeros(0)), dtype=float)


def mean(values: Array) -> float:
    """The mean of what is a number; NaN if nothing is."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def summarise(trials: Trials, settings: GymnasiumSettings) -> dict[str, Any]:  # noqa: ARG001  # as every task's
    """Mean reward of a trial (of an episode, where there are no trials), and what the environment calls performance."""
    told: dict[str, Any] = {"reward_per_trial": mean(column(trials, "reward"))}
    if "performance" in trials:
        told["performance"] = mean(column(trials, "performance"))
    return told


def by_trial(trials: Trials) -> Array:
    """Mean performance of the first, second, ... trial of an episode, [N]."""
    trial, good = column(trials, "trial").astype(int), column(trials, "performance")
    known = np.isfinite(good)
    count = np.bincount(trial[known])
    with np.errstate(invalid="ignore"):
        shares: Array = np.bincount(trial[known], good[known]) / count
    return shares


def analyse(trials: Trials, settings: GymnasiumSettings) -> dict[str, Any]:
    """Of an environment of trials: performance by trial, reaction times, the psychometric curve and its fit."""
    if not np.isfinite(column(trials, "performance")).any():
        return {}
    return {
        "performance_by_trial": by_trial(trials).tolist(),
        **reaction_times(trials, settings.strength),
        **measures(trials, settings.strength),
    }


def references(settings: GymnasiumSettings) -> list[Reference]:  # noqa: ARG001
    """None: what is ideal is known of no environment of others."""
    return []
