"""Behaviour in the two-step task: stay probabilities, lag regression, ANOVA, reward-prediction errors."""

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
from .baselines import IdealObserver, posterior
from .env import TwoStepEnv, TwoStepSettings

CELLS = ("rewarded_common", "rewarded_uncommon", "unrewarded_common", "unrewarded_uncommon")
LAGS = 5
MODEL_FREE_RATES = np.arange(0.1, 1.0, 0.1)


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
    """Lag regression, ANOVA of the stay probabilities and, for a network, the regression of its prediction errors."""
    result: dict[str, Any] = {"lag_regression": lag_regression(trials), "anova": anova(trials)}
    if "rpe" in trials:
        result["rpe_regression"] = rpe_regression(trials, settings)
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


def _episodes(trials: Trials, settings: TwoStepSettings) -> dict[str, Array]:
    """Columns as [episodes, trials], complete episodes only."""
    episode = trials["episode"]
    _, start, count = np.unique(episode, return_index=True, return_counts=True)
    whole = start[count == settings.trials]
    rows = whole[:, None] + np.arange(settings.trials)
    return {name: trials[name][rows] for name in ("choice", "state", "reward", "rpe")}


def prediction_errors(trials: Trials, settings: TwoStepSettings, rates: Array) -> tuple[Array, Array, Array]:
    """Reward-prediction errors of each trial [episodes, trials]: the network's, a model-based and a model-free agent's,
    these at each of `rates` [R]: [R, episodes, trials].

    All three saw the same choices and outcomes. The model-based agent is the ideal observer: before the last action of
    a trial, where the network's error is taken, it expects the reward probability of its choice under its belief or,
    with more than one step a trial, that of the second-stage state which it then sees. The model-free one learns action
    values by TD(1) at a rate.
    """
    seen_already = settings.steps_per_trial > 1
    table = _episodes(trials, settings)
    count = len(table["choice"])
    belief, values, rows = np.full(count, 0.5), np.full((len(rates), count, 2), 0.5), np.arange(count)
    based, free = np.zeros(table["reward"].shape), np.zeros((len(rates), *table["reward"].shape))
    for t in range(settings.trials):
        choice, state, reward = table["choice"][:, t].astype(int), table["state"][:, t], table["reward"][:, t]
        reach_one = state == 1 if seen_already else np.where(choice == 1, settings.common, 1 - settings.common)
        good = reach_one * belief + (1 - reach_one) * (1 - belief)  # P(the state reached is the good one)
        based[:, t] = reward - (good * settings.reward + (1 - good) * (1 - settings.reward))
        free[..., t] = reward - values[:, rows, choice]
        values[:, rows, choice] += rates[:, None] * free[..., t]
        belief = posterior(belief, state, reward, settings)
    return table["rpe"], based, free


def rpe_regression(trials: Trials, settings: TwoStepSettings) -> dict[str, float]:
    """How much of the network's reward-prediction errors the two accounts explain (Wang et al. 2018, figure 5).

    `r2_*`: each alone. `unique_*`: what is lost when it is left out of the regression on both. The model-free account
    gets the learning rate that serves it best.
    """
    best: dict[str, float] = {}
    network, based, frees = prediction_errors(trials, settings, MODEL_FREE_RATES)
    if network.size < 10:
        return {}
    network, based = network.ravel(), based.ravel()
    r2_based = _r_squared(network, based)
    for rate, free in zip(MODEL_FREE_RATES, frees.reshape(len(frees), -1), strict=True):
        r2_free, both = _r_squared(network, free), _r_squared(network, based, free)
        if not best or r2_free > best["r2_model_free"]:
            best = {
                "r2_model_based": r2_based,
                "r2_model_free": r2_free,
                "unique_model_based": both - r2_free,
                "unique_model_free": both - r2_based,
                "model_free_learning_rate": float(rate),
            }
    return best


def _r_squared(target: Array, *columns: Array) -> float:
    """Share of the target's variance that a linear regression on the columns explains; from their covariances, which
    takes a tenth of the time of a fit to the rows."""
    table = np.cov(np.stack([target, *columns]))
    of_target, shared, within = table[0, 0], table[0, 1:], table[1:, 1:]
    explained = shared @ np.linalg.lstsq(within, shared, rcond=None)[0]
    return float(1 - (of_target - explained) / max(1e-12, of_target))


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
