"""Behaviour in the matching task: how choices follow rewards over episodes, and from trial to trial."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from ..logistic import logistic
from ..table_columns import Column
from ..tables import TableForm
from ..trials import Reference, Trials, simulate
from ..vector import Array, Mask
from .baselines import BASELINES, best_cycle
from .env import MatchingEnv, MatchingSettings

LAGS = 15
SIMULATED = 2000
"""Episodes that a reference plays."""


def _complete(trials: Trials, settings: MatchingSettings) -> Trials:
    """Others fixate; where p0 is not told, nothing is held out."""
    count = len(trials["choice"])
    held_out = settings.held_out(trials["p0_left"]) if "p0_left" in trials else np.zeros(count, dtype=bool)
    found = {"fixated": np.ones(count, dtype=bool), "held_out": held_out}
    return {name: column for name, column in found.items() if name not in trials}


TABLE = TableForm(lambda _: (Column("choice", 2), Column("reward")), _complete, MatchingEnv.info_spec)
"""What tables of others need: choice (0 left, 1 right) and reward; `p0_left` or `held_out` tell held-out sessions."""


def log_ratios(trials: Trials) -> tuple[Array, Array, Mask]:
    """Of each episode with choices of both sides and rewards from both: log2(left / right) of choices and of rewards,
    and whether its p0 was held out; [E] each."""
    _, first, episode = np.unique(trials["episode"], return_index=True, return_inverse=True)
    choice, reward = trials["choice"], np.maximum(trials["reward"], 0)
    choices = np.array([np.bincount(episode, choice == side, len(first)) for side in range(2)])
    rewards = np.array([np.bincount(episode, reward * (choice == side), len(first)) for side in range(2)])
    both = (choices > 0).all(0) & (rewards > 0).all(0)
    choices, rewards = choices[:, both], rewards[:, both]
    return np.log2(choices[0] / choices[1]), np.log2(rewards[0] / rewards[1]), trials["held_out"][first][both]


def line(choices: Array, rewards: Array) -> tuple[float, float]:
    """Slope and intercept of the regression of log choice ratios on log reward ratios (generalised matching law, Baum
    1974); NaN where there is none. Slope 1: choices match rewards; below 1: they undermatch."""
    if len(rewards) < 2 or np.ptp(rewards) == 0:
        return float("nan"), float("nan")
    slope, intercept = np.polyfit(rewards, choices, 1)
    return float(slope), float(intercept)


def summarise(trials: Trials, settings: MatchingSettings) -> dict[str, Any]:  # noqa: ARG001
    """Reward per trial, slope of the matching line (of all episodes; of those whose p0 training has, or holds out), and
    share of trials with an invalid action; NaN where there is nothing to tell."""
    if not len(trials.get("trial", ())):
        nothing = float("nan")
        return {
            "reward_per_trial": nothing,
            "slope": dict.fromkeys(("all", "trained", "held_out"), nothing),
            "invalid": nothing,
        }
    choices, rewards, held_out = log_ratios(trials)
    parts = {"all": np.ones_like(held_out), "trained": ~held_out, "held_out": held_out}
    return {
        "reward_per_trial": float(trials["reward"].mean(dtype=float)),
        "slope": {name: line(choices[part], rewards[part])[0] for name, part in parts.items()},
        "invalid": float(((trials["choice"] < 0) | ~trials["fixated"]).mean()),
    }


def analyse(trials: Trials, settings: MatchingSettings) -> dict[str, Any]:  # noqa: ARG001
    """The matching line's intercept (a bias to the left), how many episodes it rests on, undermatching (how much
    larger the share of rewards from the side that gave more is than the share of choices of it), and lag regression."""
    if not len(trials.get("trial", ())):
        return {}
    choices, rewards, _ = log_ratios(trials)
    share_of_rewards, share_of_choices = 1 / (1 + 2 ** -np.abs(rewards)), 1 / (1 + 2 ** -(choices * np.sign(rewards)))
    under = share_of_rewards - share_of_choices
    return {
        "matching": {
            "intercept": line(choices, rewards)[1],
            "episodes": len(choices),
            "undermatching": float(under.mean()) if len(under) else float("nan"),
        },
        "lag_regression": lag_regression(trials),
    }


def lag_regression(trials: Trials, lags: int = LAGS, ridge: float = 1.0) -> dict[str, list[float]]:
    """Logistic regression of the choice on rewards and choices of the last `lags` trials, both at once (Lau & Glimcher
    2005; Wang et al. 2018).

    For each lag two regressors: the reward from the left side minus that from the right one, and +1 (left), -1 (right)
    or 0 (neither) for the choice. A positive weight favours the side of that reward, or of that choice. A ridge penalty
    of `ridge` / 2 times the squared weights keeps them finite for agents that never err. That trials with a whole
    history count, and no others, is our choice.

    Returns:
        Weights of `reward` and `choice`, lag 1 first; empty lists if there are too few trials.
    """
    side = np.array([1, -1, 0])[trials["choice"]]  # the last one of -1
    paid = np.maximum(trials["reward"], 0) * side
    index = np.flatnonzero((trials["trial"] >= lags) & (side != 0))
    # The trial `lags` rows above is the one `lags` trials ago, in the same piece of an episode.
    index = index[index >= lags]
    index = index[trials["episode"][index - lags] == trials["episode"][index]]
    if len(index) < 8 * lags:
        return {"reward": [], "choice": []}
    past = [column[index - lag] for column in (paid, side) for lag in range(1, lags + 1)]
    design = np.column_stack([np.ones(len(index)), *past]) * side[index, None]
    weights = logistic(design, np.ones(len(index)), ridge)[1:].reshape(2, lags)
    return {name: row.tolist() for name, row in zip(("reward", "choice"), weights, strict=True)}


@functools.lru_cache(maxsize=16)
def played(settings: MatchingSettings, baseline: str) -> Trials:
    """The trials of a baseline, by simulation (standard error of the reward per trial about .001)."""
    env = MatchingEnv(settings, SIMULATED)
    return simulate(env, BASELINES[baseline](env), SIMULATED, seed=0)[0]


@functools.lru_cache(maxsize=16)
def references(settings: MatchingSettings) -> list[Reference]:
    """A Bayes filter with momentary maximising, the same when told p0, and the best that can be done when told p0."""
    by_simulation = f"{SIMULATED:,} simulated episodes"
    cycle = float(best_cycle(settings.base((np.arange(1000) + 0.5) / 1000), settings)[1].mean())
    return [
        Reference("Bayes player", summarise(played(settings, "bayes"), settings), f"infers p0, {by_simulation}"),
        Reference("maximiser", summarise(played(settings, "maximiser"), settings), f"is told p0, {by_simulation}"),
        Reference("best cycle", {"reward_per_trial": cycle, "invalid": 0.0}, "is told p0, exact in the long run"),
    ]
