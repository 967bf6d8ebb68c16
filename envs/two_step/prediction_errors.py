"""A network's reward-prediction errors against those of model-based and model-free learners (Wang et al. 2018, fig. 5).

The paper reports that a model-based error explains the network's (r² = .89) and a model-free one does not (5.8e-7), but
not which errors, in which stage, of which learner. Those of an outcome cannot tell the two apart: all learners' are
made of the same reward, and share most of their variance. What can is the error with which the second stage is met,
before anything is paid: there a model-based learner is surprised by the state, while a model-free one that learns
values of actions alone, by what they were paid in the end, has no news at all: its error is its own expectation, taken
back.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..trials import Trials
from ..vector import Array
from .baselines import posterior
from .env import TwoStepSettings

RATES = np.arange(0.1, 1.0, 0.1)
"""Learning rates of the model-free learners: each is given the one that serves it best."""


class Errors(NamedTuple):
    """Of one step of each trial."""

    network: Array
    """[episodes, trials]"""
    based: Array
    """[episodes, trials] of the model-based learner."""
    free: dict[str, Array]
    """[R, episodes, trials] of model-free learners, at each of R rates."""


def outcome_errors(trials: Trials, settings: TwoStepSettings, rates: Array = RATES) -> Errors:
    """Errors of the reward.

    All learners saw the same choices and outcomes. The model-based one is the ideal observer: before the last action of
    a trial, where the network's error is taken, it expects the reward probability of its choice under its belief or,
    with more than one step a trial, that of the second-stage state which it then sees. The model-free one, `free`,
    learns action values by TD(1).
    """
    table = _episodes(trials, settings, "rpe")
    planned, states = _planned(table, settings)
    expected = states if settings.steps_per_trial > 1 else planned
    return Errors(table["rpe"], table["reward"] - expected, {"free": table["reward"] - _cached(table, rates)[0]})


def arrival_errors(trials: Trials, settings: TwoStepSettings, rates: Array = RATES) -> Errors | None:
    """Errors with which the second stage is met, V(s) - Q(a); None for trials of one step.

    Model-free learners are `free`, TD(1), which knows no values of states: its error is -Q(a) but for a constant; and
    `states`, SARSA(1), which learns V(s) of the second stage by what it pays.
    """
    if "rpe_choice" not in trials:
        return None
    table = _episodes(trials, settings, "rpe_choice")
    planned, states = _planned(table, settings)
    actions, cached = _cached(table, rates)
    return Errors(table["rpe_choice"], states - planned, {"free": -actions, "states": cached - actions})


def _episodes(trials: Trials, settings: TwoStepSettings, error: str) -> dict[str, Array]:
    """Columns as [episodes, trials], complete episodes only."""
    episode = trials["episode"]
    _, start, count = np.unique(episode, return_index=True, return_counts=True)
    whole = start[count == settings.trials]
    rows = whole[:, None] + np.arange(settings.trials)
    return {name: trials[name][rows] for name in ("choice", "state", "reward", error)}


def _planned(table: dict[str, Array], settings: TwoStepSettings) -> tuple[Array, Array]:
    """What the ideal observer expects of the choice and of the state reached, [episodes, trials] each."""
    belief = np.full(len(table["choice"]), 0.5)
    of_choice, of_state = np.zeros((2, *table["reward"].shape))
    for t in range(settings.trials):
        choice, state = table["choice"][:, t].astype(int), table["state"][:, t].astype(int)
        one = belief * settings.reward + (1 - belief) * (1 - settings.reward)
        pays = np.stack([1 - one, one])  # [2 states, episodes]; one of them is the good one
        common, uncommon = (np.take_along_axis(pays, place[None], 0)[0] for place in (choice, 1 - choice))
        of_choice[:, t] = settings.common * common + (1 - settings.common) * uncommon
        of_state[:, t] = np.take_along_axis(pays, state[None], 0)[0]
        belief = posterior(belief, table["state"][:, t], table["reward"][:, t], settings)
    return of_choice, of_state


def _cached(table: dict[str, Array], rates: Array) -> tuple[Array, Array]:
    """What model-free learners expect of the choice, learnt by TD(1), and of the state reached, each moved by the
    reward alone and from .5; both [R, episodes, trials]."""
    count, rows = len(table["choice"]), np.arange(len(table["choice"]))
    values = np.full((2, len(rates), count, 2), 0.5)
    expected = np.zeros((2, len(rates), *table["reward"].shape))
    for t in range(table["reward"].shape[1]):
        for of, place in zip(range(2), (table["choice"], table["state"]), strict=True):
            at = place[:, t].astype(int)
            expected[of, ..., t] = values[of][:, rows, at]
            values[of][:, rows, at] += rates[:, None] * (table["reward"][:, t] - expected[of, ..., t])
    return expected[0], expected[1]


def rpe_regression(trials: Trials, settings: TwoStepSettings) -> dict[str, float]:
    """How much of the network's errors of the reward the two accounts explain.

    `r2_*`: each alone. `unique_*`: what is lost when it is left out of the regression on both.
    """
    errors = outcome_errors(trials, settings)
    if errors.network.size < 10:
        return {}
    network, based = errors.network.ravel(), errors.based.ravel()
    r2_free, place = best_rate(network, errors.free["free"])
    free = errors.free["free"][place].ravel()
    r2_based, both = r_squared(network, based), r_squared(network, based, free)
    return {
        "r2_model_based": r2_based,
        "r2_model_free": r2_free,
        "unique_model_based": both - r2_free,
        "unique_model_free": both - r2_based,
        "model_free_learning_rate": float(RATES[place]),
    }


def arrival_regression(trials: Trials, settings: TwoStepSettings) -> dict[str, float]:
    """How much of the errors with which the network meets the second stage each account explains, alone; empty for
    trials of one step."""
    errors = arrival_errors(trials, settings)
    if errors is None or errors.network.size < 10:
        return {}
    network = errors.network.ravel()
    return {
        "r2_model_based": r_squared(network, errors.based.ravel()),
        "r2_model_free": best_rate(network, errors.free["free"])[0],
        "r2_model_free_with_states": best_rate(network, errors.free["states"])[0],
    }


def best_rate(network: Array, free: Array) -> tuple[float, int]:
    """The largest share of the variance that errors [R, ...] at one of R rates explain, and which of them do."""
    shares = [r_squared(network, one.ravel()) for one in free]
    place = int(np.argmax(shares))
    return shares[place], place


def r_squared(target: Array, *columns: Array) -> float:
    """Share of the target's variance that a linear regression on the columns explains; from their covariances, which
    takes a tenth of the time of a fit to the rows."""
    table = np.cov(np.stack([target, *columns]))
    of_target, shared, within = table[0, 0], table[0, 1:], table[1:, 1:]
    explained = shared @ np.linalg.lstsq(within, shared, rcond=None)[0]
    return float(1 - (of_target - explained) / max(1e-12, of_target))
