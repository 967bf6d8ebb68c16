"""Behaviour in two-dimensional navigation: returns within a life, and how near the goal episodes end."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from .. import families
from ..families import by_episode
from ..trials import Reference, Trials
from ..vector import Array
from .baselines import expected_returns
from .env import PATH, NavigationSettings


def summarise(trials: Trials, settings: NavigationSettings) -> dict[str, Any]:
    """See `families.summarise`."""
    return families.summarise(trials, settings.episodes)


def analyse(trials: Trials, settings: NavigationSettings) -> dict[str, Any]:  # noqa: ARG001
    """See `families.analyse`; `final_distance`: the mean distance from the goal at the end, by episode of a life."""
    if not len(trials.get("trial", ())):
        return {}
    return {**families.analyse(trials), "final_distance": by_episode(trials, distance(trials))}


def distance(trials: Trials) -> Array:
    """From the goal at the end of each trial, [N]."""
    away: Array = np.hypot(trials[f"x_{PATH}"] - trials["goal_x"], trials[f"y_{PATH}"] - trials["goal_y"])
    return away.astype(float)


@functools.lru_cache(maxsize=16)
def references(settings: NavigationSettings) -> list[Reference]:
    """The oracle, and who stays at the start, in closed form."""
    known = expected_returns(settings)
    return [
        Reference("is told the goal", dict.fromkeys(families.RETURNS, known["oracle"]), "closed form"),
        Reference("stays", dict.fromkeys(families.RETURNS, known["stay"]), "closed form"),
    ]
