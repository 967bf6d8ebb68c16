"""Behaviour in the episodic two-step task: rewards and stay probabilities with and without cues, tests of groups.

Three tables of stay probabilities: `uncued` and `cued` relate a choice to the trial before it, `episodic` relates the
choice of a cued trial to the trial that its cue stands for (stay: choose as then).
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from ..trials import Reference, Trials, simulate
from ..two_step.analysis import CELLS, anova
from ..two_step.analysis import summarise as summarise_two_step
from ..vector import Array
from .baselines import BASELINES
from .env import EpisodicTwoStepEnv, EpisodicTwoStepSettings

TABLES = ("uncued", "cued", "episodic")
REWARDS = ("reward_per_uncued_trial", "reward_per_cued_trial")


def pairs(trials: Trials) -> dict[str, dict[str, Array]]:
    """The three tables as trials of a two-step task, in which what a choice is related to is the trial before it.

    In `episodic` each cued trial is preceded by its stored one; numbers of trials leave a gap after each such pair.
    """
    if not len(trials.get("trial", ())):
        return {name: {} for name in TABLES}
    names = ("episode", "trial", "choice", "reward", "common")
    cued = np.asarray(trials["cued"], dtype=bool)
    before_cued = np.append(cued[1:], False)
    stored = {name: np.asarray(trials[f"stored_{name}"])[cued] for name in ("choice", "reward", "common")}
    stored["episode"], stored["trial"] = trials["episode"][cued], 3 * np.arange(cued.sum())
    current = {name: np.asarray(trials[name])[cued] for name in names} | {"trial": stored["trial"] + 1}
    return {
        "uncued": {name: trials[name][~cued] for name in names},
        "cued": {name: trials[name][cued | before_cued] for name in names},
        "episodic": {name: np.column_stack([stored[name], current[name]]).ravel() for name in names},
    }


def summarise(trials: Trials, settings: EpisodicTwoStepSettings) -> dict[str, Any]:
    """Reward per trial, uncued trial and cued trial, and the three stay probabilities; NaN where there is no trial."""
    reward = np.asarray(trials.get("reward", np.zeros(0)), dtype=float)
    cued = np.asarray(trials.get("cued", np.zeros(0)), dtype=bool)

    def mean(rows: Array) -> float:
        return float(rows.mean()) if len(rows) else float("nan")

    result: dict[str, Any] = {
        "reward_per_trial": mean(reward),
        "reward_per_uncued_trial": mean(reward[~cued]),
        "reward_per_cued_trial": mean(reward[cued]),
    }
    for name, table in pairs(trials).items():
        stay = summarise_two_step(table, settings.two_step())["stay_probability"]
        result[name] = {"stay_probability": stay}
    return result


def analyse(trials: Trials, settings: EpisodicTwoStepSettings) -> dict[str, Any]:
    """ANOVA of each table of stay probabilities; share of cued choices that the stored outcome speaks for."""
    cued = np.asarray(trials.get("cued", np.zeros(0)), dtype=bool)
    share = float("nan")
    if cued.any():
        choice, state, paid = (np.asarray(trials[name])[cued] for name in ("choice", "stored_state", "stored_reward"))
        wanted = np.where(paid > 0, state, 1 - state)
        share = float((choice == (wanted if settings.common >= 0.5 else 1 - wanted)).mean())
    return {
        "memory_consistent_choices": share,
        "anova": {name: anova(table) for name, table in pairs(trials).items()},
    }


@functools.lru_cache(maxsize=16)
def ideal(settings: EpisodicTwoStepSettings, name: str = "ideal_observer", episodes: int = 2000) -> dict[str, Any]:
    """The measures of an ideal baseline under these settings, by simulation."""
    env = EpisodicTwoStepEnv(settings, min(episodes, 1000))
    trials, _ = simulate(env, BASELINES[name](env), episodes, seed=0)
    return summarise(trials, settings)


def published(settings: EpisodicTwoStepSettings) -> list[Reference]:
    """Published stay probabilities, if the settings are those of the publication."""
    if (settings.common, settings.reward, settings.reversal, settings.trials) != (0.9, 0.9, 0.1, 100):
        return []
    bars = dict(zip(CELLS, (0.845, 0.30, 0.355, 0.72), strict=True))
    values = {"episodic": {"stay_probability": bars}}
    return [Reference("Ritter et al. 2018", values, "read off the published figure, ± .02")]


def references(settings: EpisodicTwoStepSettings) -> list[Reference]:
    """Ideal observers with and without recall of single trials, and what is published."""
    source = "Bayes filter, 2,000 simulated episodes"
    return [
        Reference("ideal observer", ideal(settings), f"{source}, perfect recall"),
        Reference("ideal without recall", ideal(settings, "ideal_without_recall"), source),
        *published(settings),
    ]
