"""Behaviour in contextual choice: accuracy by time-step, in new trials and in those of contexts seen before.

A row of the table of trials is a time-step (see `env.py`). What tells recall is the accuracy of repeated trials in the
steps that show noise.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from ..plotting import mean_and_sd
from ..trials import Reference, Trials, simulate
from ..vector import Array
from .baselines import BASELINES
from .env import ContextualChoiceEnv, ContextualChoiceSettings

KINDS = ("new", "repeated")
HEADLINE = "repeated_noise_accuracy"
SIMULATED = 10_000
"""Trials of each kind behind the ideal values: standard error of an accuracy of one step at most .005."""


def counts_by_step(trials: Trials, settings: ContextualChoiceSettings) -> tuple[Array, Array]:
    """Right answers and all answers, [kind, step] each, kinds in the order of KINDS."""
    step = np.asarray(trials.get("trial", np.zeros(0)), dtype=int)
    repeated = np.asarray(trials.get("repeated", np.zeros(0)), dtype=int)
    correct = np.asarray(trials.get("correct", np.zeros(0)), dtype=float)
    cell, shape = repeated * settings.steps + step, (len(KINDS), settings.steps)
    size = shape[0] * shape[1]
    return (
        np.bincount(cell, correct, minlength=size).reshape(shape),
        np.bincount(cell, minlength=size).reshape(shape),
    )


def share_of(right: Array, answers: Array) -> Array:
    """`right` / `answers`, of one shape; NaN where nothing was answered."""
    share: Array = np.divide(right, answers, out=np.full(np.shape(answers), np.nan), where=np.asarray(answers) > 0)
    return share


def summarise(trials: Trials, settings: ContextualChoiceSettings) -> dict[str, Any]:
    """Return of a trial, of all and of each kind, and accuracies by time-step and in noise; NaN where no trial tells.

    Returns are the number of steps times the share of right answers, so that windows that cut trials tell them too.
    That of all trials counts both kinds alike, as a life does, whatever part of lives a window shows.
    """
    right, answers = counts_by_step(trials, settings)
    early = slice(0, settings.noise_steps)
    of_kind = settings.steps * share_of(right.sum(1), answers.sum(1))
    by_step = share_of(right, answers)
    in_noise = share_of(right[:, early].sum(1), answers[:, early].sum(1))
    return {
        "reward_per_trial": float(mean_and_sd(of_kind)[0]),
        "return_new": float(of_kind[0]),
        "return_repeated": float(of_kind[1]),
        HEADLINE: float(in_noise[1]),
        "accuracy_noise_steps": dict(zip(KINDS, in_noise.tolist(), strict=True)),
        "accuracy_by_step": dict(zip(KINDS, by_step.tolist(), strict=True)),
    }


def analyse(trials: Trials, settings: ContextualChoiceSettings) -> dict[str, Any]:
    """Of an agent with a memory: accuracy in the noise of repeated trials where the right item was recalled or not."""
    if "hit" not in trials:
        return {}
    rows = trials["repeated"].astype(bool) & (trials["trial"] < settings.noise_steps)
    hit, correct = trials["hit"][rows].astype(bool), trials["correct"][rows]
    groups = {"hit": correct[hit], "miss": correct[~hit]}
    shares = {name: float(answers.mean()) if len(answers) else float("nan") for name, answers in groups.items()}
    return {"repeated_noise_accuracy_by_recall": shares}


@functools.lru_cache(maxsize=16)
def ideal(settings: ContextualChoiceSettings, name: str = "ideal_observer") -> dict[str, Any]:
    """The measures of a baseline under these settings, by simulation of whole lives."""
    lives = max(1, SIMULATED // settings.items)
    env = ContextualChoiceEnv(settings, lives)
    trials, returns = simulate(env, BASELINES[name](env), 2 * settings.items * lives, seed=0)
    return {"return": float(returns.mean()), **summarise(trials, settings)}


def references(settings: ContextualChoiceSettings) -> list[Reference]:
    """Ideal observers with and without recall, and what the published code reaches if the settings are its own."""
    source = f"adds up the evidence; simulated, {SIMULATED:,} trials of each kind"
    found = [
        Reference("ideal observer", ideal(settings), f"{source}, perfect recall"),
        Reference("ideal without recall", ideal(settings, "without_recall"), source),
    ]
    own = ContextualChoiceSettings(key=settings.key)
    if settings == own:
        early, late = own.noise_steps, own.steps - own.noise_steps
        values = {
            "return": 8.25,
            "reward_per_trial": 8.25,
            HEADLINE: 0.80,
            "accuracy_noise_steps": {"new": 0.47, "repeated": 0.80},
            "accuracy_by_step": {"new": [0.47] * early + [0.97] * late, "repeated": [0.80] * early + [1.0] * late},
        }
        ranges = "return 8.1-8.4; new .42-.52, then .94-1.0; repeated .74-.86, then 1.0"
        found.append(Reference("published DND-LSTM", values, f"middles of the ranges over steps and runs: {ranges}"))
    return found
