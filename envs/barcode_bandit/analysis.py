"""Behaviour in the barcode bandit: first pulls and reward by how often the barcode was met before, tests of groups."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from ..means import mean_by
from ..trials import Reference, Trials, simulate
from ..vector import Array
from .baselines import BASELINES
from .env import BarcodeBanditEnv, BarcodeBanditSettings

HEADLINE = "first_pull_accuracy_last"

LIVES = 2000
"""Simulated for ideal values: standard errors of the measures by encounter stay below .004."""


def _column(trials: Trials, name: str) -> Array:
    return np.asarray(trials.get(name, np.zeros(0)))


def summarise(trials: Trials, settings: BarcodeBanditSettings) -> dict[str, Any]:
    """Reward per pull; by encounter (0: the barcode is new) the share of right first pulls and the reward per pull.

    `first_pull_accuracy_last` is that of the last encounter. NaN where there is no pull to tell.
    """
    encounter, reward, correct = (_column(trials, name) for name in ("encounter", "reward", "correct"))
    first = _column(trials, "trial") == 0
    first_pulls = mean_by(encounter[first], correct[first], settings.encounters).tolist()
    return {
        "reward_per_trial": float(reward.mean(dtype=float)) if len(reward) else float("nan"),
        "first_pull_accuracy": first_pulls,
        "reward_by_encounter": mean_by(encounter, reward, settings.encounters).tolist(),
        HEADLINE: first_pulls[-1],
    }


def analyse(trials: Trials, settings: BarcodeBanditSettings) -> dict[str, Any]:
    """Share of right choices by pull within the first and the last encounter with a barcode."""
    encounter, pull, correct = (_column(trials, name) for name in ("encounter", "trial", "correct"))
    shares = {}
    for name, number in (("first_encounter", 0), ("last_encounter", settings.encounters - 1)):
        rows = encounter == number
        shares[name] = mean_by(pull[rows], correct[rows], settings.pulls).tolist()
    return {"accuracy_by_pull": shares}


@functools.lru_cache(maxsize=16)
def ideal(settings: BarcodeBanditSettings, name: str = "ideal_observer", lives: int = LIVES) -> dict[str, Any]:
    """The measures of an ideal baseline under these settings, by simulation of whole lives."""
    env = BarcodeBanditEnv(settings, lives)
    trials, _ = simulate(env, BASELINES[name](env), lives * settings.episodes, seed=0)
    return summarise(trials, settings) | analyse(trials, settings)


def references(settings: BarcodeBanditSettings) -> list[Reference]:
    """Ideal observers with and without recall of what was found under a barcode before."""
    source = f"Bayes' rule for each barcode, {LIVES:,} simulated lives"
    return [
        Reference("ideal observer", ideal(settings), f"{source}, perfect recall"),
        Reference("without recall", ideal(settings, "without_recall"), f"{source}, forgets with each episode"),
    ]
