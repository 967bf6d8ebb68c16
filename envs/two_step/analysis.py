"""Behaviour in the two-step task: stay probabilities, lag regression, ANOVA."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from scipy import special

from ..logistic import logistic
from ..table_columns import Column
from ..tables import TableForm
from ..trials import Reference, Trials, simulate
from ..vector import Array
from .baselines import IdealObserver
from .env import TwoStepEnv, TwoStepSettings
from .prediction_errors import arrival_regression, rpe_regression

CELLS = ("rewarded_common", "rewarded_uncommon", "unrewarded_common", "unrewarded_uncommon")
LAGS = 5


def _pairs(trials: Trials) -> tuple[Array, Array, Array]:
    """For each trial that has a next one: its index, its cell (0-3, in the order of CELLS), whether the next stays."""
    if not len(trials.get("trial", ())):
        empty = np.zeros(0, dtype=int)
        return empty, empty, empty.astype(bool)
    follows = (trials["episode"][1:] == trials["episode"][:-1]) & (trials["trial"][1:] == trials["trial"][:-1] + 1)
    index = np.flatnonzero(follows)
    cell = 2 * (trials["reward"][index] <= 0) + ~trials["common"][index].astype(bool)
    return index, cell, trials["choice"][index + 1] == trials["choice"][index]


def _complete(trials: Trials, settings: TwoStepSettings) -> Trials:  # noqa: ARG001
    """The state that was reached and whether that was the common one follow from each other."""
    choice = trials["choice"]
    found: dict[str, Array] = {}
    if "common" in trials and "state" not in trials:
        found["state"] = choice ^ ~trials["common"].astype(bool)
    elif "state" in trials and "common" not in trials:
        found["common"] = choice == trials["state"]
    return found


def _table_columns(settings: TwoStepSettings) -> tuple[Column, ...]:  # noqa: ARG001
    return (
        Column("choice", 2),
        Column("state", 2, follows_from=("common",)),
        Column("common", 2, follows_from=("state",)),
        Column("reward"),
    )


TABLE = TableForm(_table_columns, _complete, TwoStepEnv.info_spec)
"""What tables of others need: choice of the first stage, second-stage state (or whether the transition was common),
and reward; common is the transition from choice 0 to state 0, and from 1 to 1."""


def summarise(trials: Trials, settings: TwoStepSettings) -> dict[str, Any]:  # noqa: ARG001
    """Reward per trial and the four stay probabilities; NaN where there is no trial to tell."""
    _, cell, stay = _pairs(trials)
    count = np.bincount(cell, minlength=4)
    share = np.divide(np.bincount(cell, stay, minlength=4), count, out=np.full(4, np.nan), where=count > 0)
    reward = trials.get("reward", np.zeros(0))
    return {
        "reward_per_trial": float(reward.mean()) if len(reward) else float("nan"),
        "stay_probability": dict(zip(CELLS, share.tolist(), strict=True)),
    }


def analyse(trials: Trials, settings: TwoStepSettings) -> dict[str, Any]:
    """Lag regression, ANOVA of the stay probabilities and, for a network, the regressions of its prediction errors."""
    result: dict[str, Any] = {"lag_regression": lag_regression(trials), "anova": anova(trials)}
    if "rpe" in trials:
        result["rpe_regression"] = rpe_regression(trials, settings)
        if at_second_stage := arrival_regression(trials, settings):
            result["rpe_regression_second_stage"] = at_second_stage
    return result


def lag_regression(trials: Trials, lags: int = LAGS, ridge: float = 1.0) -> dict[str, list[float]]:
    """Logistic regression of the choice on the last `lags` trials (Wang et al. 2018, after Miller et al. 2017).

    For each lag four regressors: +1 (action 0) or -1 (action 1) if that trial was of the cell, else 0; a positive
    weight means that such a trial favours repeating its choice. A ridge penalty of `ridge` / 2 times the squared
    weights keeps them finite for agents that never err.

    Returns:
        Weights by cell, lag 1 first; empty lists if there are too few trials.
    """
    index = np.flatnonzero(trials.get("trial", np.zeros(0)) >= lags)
    # Complete histories only: the trial `lags` rows above is the one `lags` trials ago.
    index = index[index >= lags]
    index = index[trials["episode"][index - lags] == trials["episode"][index]] if len(index) else index
    if len(index) < 8 * lags:
        return {cell: [] for cell in CELLS}
    cell = 2 * (trials["reward"] <= 0) + ~trials["common"].astype(bool)
    choice = trials["choice"]
    histories = [2 * cell[index - lag] + (choice[index - lag] == choice[index]) for lag in range(1, lags + 1)]
    # A good agent meets few histories, many times each: each of them is a row, with its number.
    shape = (2, *[8] * lags)
    codes, counts = np.unique(np.ravel_multi_index((choice[index], *histories), shape), return_counts=True)
    chosen, *histories = np.unravel_index(codes, shape)
    columns = [(2 * (past % 2) - 1) * (past // 2 == c) for c in range(4) for past in histories]
    weights = logistic(np.column_stack([1.0 - 2.0 * chosen, *columns]), counts, ridge)[1:].reshape(4, lags)
    return {name: row.tolist() for name, row in zip(CELLS, weights, strict=True)}


def anova(trials: Trials) -> dict[str, dict[str, float]]:
    """Two-way ANOVA of stay probabilities per episode: reward x transition, both with two levels.

    Only episodes in which all four cells occur count, so that the design is balanced. F with (1, 4 (n - 1)) degrees of
    freedom and p for both main effects and the interaction; a model-based agent shows the interaction, a model-free
    one the effect of reward.
    """
    index, cell, stay = _pairs(trials)
    empty = {"F": float("nan"), "p": float("nan")}
    if not len(index):
        return {"reward": empty, "transition": dict(empty), "interaction": dict(empty)}
    _, episode = np.unique(trials["episode"][index], return_inverse=True)
    flat = episode * 4 + cell
    size = 4 * (int(episode.max()) + 1)
    count = np.bincount(flat, minlength=size).reshape(-1, 4)
    total = np.bincount(flat, stay, minlength=size).reshape(-1, 4)
    full = (count > 0).all(1)
    table = total[full] / count[full]
    n = len(table)
    if n < 2:
        return {"reward": empty, "transition": dict(empty), "interaction": dict(empty)}
    means = table.mean(0)
    within = ((table - means) ** 2).sum()
    freedom = 4 * (n - 1)
    contrasts = {"reward": (1, 1, -1, -1), "transition": (1, -1, 1, -1), "interaction": (1, -1, -1, 1)}
    effects = {}
    for name, contrast in contrasts.items():
        effect = n * (means @ np.array(contrast)) ** 2 / 4
        f = effect / (within / freedom) if within > 0 else float("inf")
        effects[name] = {"F": float(f), "p": float(special.fdtrc(1, freedom, f))}
    return effects


@functools.lru_cache(maxsize=16)
def ideal(settings: TwoStepSettings, episodes: int = 2000) -> dict[str, Any]:
    """What the ideal observer reaches, by simulation (standard error of the reward per trial below .001)."""
    env = TwoStepEnv(settings, min(episodes, 1000))
    trials, _ = simulate(env, IdealObserver(env), episodes, seed=0)
    return summarise(trials, settings)


def references(settings: TwoStepSettings) -> list[Reference]:
    """Ideal observer, and the publication that the settings are those of."""
    found = [Reference("ideal observer", ideal(settings), "Bayes filter, 2,000 simulated episodes")]
    key = (settings.common, settings.reward, settings.reversal, settings.trials)
    published = {
        (0.8, 0.9, 0.025, 100): ("Wang et al. 2018", (0.99, 0.64, 0.62, 0.99)),
        (0.75, 0.9, 0.0, 10): ("Wang et al. 2016", (1.0, 0.0, 0.0, 0.96)),
    }
    if key in published:
        name, bars = published[key]
        values = {"stay_probability": dict(zip(CELLS, bars, strict=True))}
        found.append(Reference(name, values, "read off the published figure, ± .02"))
    return found
