"""Exact solutions for Bernoulli arms: the finite-horizon Gittins index, and Bayes-optimal play of two independent arms.

Both by dynamic programming over counts of successes and failures, vectorised over all states of a layer.
"""

from __future__ import annotations

import functools

import numpy as np

from ..vector import Array

LONGEST_INDEX, LONGEST_POLICY = 250, 150
"""Pulls up to which the tables fit into memory (63 and 130 MB) and take seconds; they grow as n^3 and n^4."""


def gittins_table(horizon: int, precision: int = 400) -> Array:
    """Finite-horizon Gittins index of a Bernoulli arm with a uniform prior.

    The index of (s successes, f failures) with m = horizon - s - f pulls left is the payment per pull of a certain
    alternative at which going on and retiring for good are worth the same (Gittins 1979; by calibration over
    `precision` payments, interpolated linearly).

    Returns:
        [horizon + 1, horizon + 1] indexed [s, f]; entries without a pull left are the posterior mean.
    """
    grid = np.linspace(0.0, 1.0, precision)
    index = np.zeros((horizon + 1, horizon + 1), dtype=np.float32)
    value = np.zeros((horizon + 1, precision))  # of states with no pull left: nothing more to earn
    for pulled in range(horizon - 1, -1, -1):
        s = np.arange(pulled + 1)
        p = ((s + 1) / (pulled + 2))[:, None]
        go_on = p * (1 + value[1 : pulled + 2]) + (1 - p) * value[: pulled + 1]
        retire = grid * (horizon - pulled)
        advantage = go_on - retire
        # It falls as the payment rises; the index is where it crosses zero.
        last = np.clip((advantage > 0).sum(1) - 1, 0, precision - 2)
        rows = np.arange(pulled + 1)
        here, there = advantage[rows, last], advantage[rows, last + 1]
        fraction = np.clip(np.divide(here, here - there, out=np.zeros_like(here), where=here > there), 0, 1)
        index[s, pulled - s] = grid[last] + fraction * (grid[1] - grid[0])
        value = np.maximum(go_on, retire)
    diagonal = np.arange(horizon + 1)
    index[diagonal, horizon - diagonal] = (diagonal + 1) / (horizon + 2)
    return index


@functools.lru_cache(maxsize=2)
def gittins_tables(longest: int) -> Array:
    """`gittins_table` of every horizon up to `longest`: [longest + 1] tables in one array, indexed [horizon, s, f].

    Raises:
        ValueError: for more than `LONGEST_INDEX` pulls.
    """
    if longest > LONGEST_INDEX:
        raise ValueError(f"bandit: Gittins indices are computed for up to {LONGEST_INDEX} pulls, not for {longest}")
    tables = np.zeros((longest + 1,) * 3, dtype=np.float32)
    for horizon in range(1, longest + 1):
        tables[horizon, : horizon + 1, : horizon + 1] = gittins_table(horizon)
    return tables


@functools.lru_cache(maxsize=2)
def optimal_policy(horizon: int) -> list[Array]:
    """Bayes-optimal first-arm-or-second for two independent arms with uniform priors, `horizon` pulls in all.

    Returns:
        One array for each number of pulls made n: int8 [n + 1, n + 1, n + 1] indexed [pulls of arm 1, its successes,
        successes of arm 2]; 0 pull the first, 1 the second, 2 both are as good.

    Raises:
        ValueError: for more than `LONGEST_POLICY` pulls.
    """
    if horizon > LONGEST_POLICY:
        raise ValueError(f"bandit: optimal play is computed for up to {LONGEST_POLICY} pulls, not for {horizon}")
    value = np.zeros((horizon + 1,) * 3, dtype=np.float32)
    policy: list[Array] = [np.zeros(0, dtype=np.int8)] * horizon
    for made in range(horizon - 1, -1, -1):
        n1 = np.arange(made + 1)[:, None, None]
        s1 = np.arange(made + 1)[None, :, None]
        s2 = np.arange(made + 1)[None, None, :]
        p1 = ((s1 + 1) / (n1 + 2)).astype(np.float32)
        p2 = ((s2 + 1) / (made - n1 + 2)).astype(np.float32)
        # Entries with more successes than pulls are never reached: any number does, but it must not overflow.
        p1, p2 = np.minimum(p1, 1), np.minimum(p2, 1)
        q1 = p1 * (1 + value[1:, 1:, :-1]) + (1 - p1) * value[1:, :-1, :-1]
        q2 = p2 * (1 + value[:-1, :-1, 1:]) + (1 - p2) * value[:-1, :-1, :-1]
        policy[made] = np.where(np.abs(q1 - q2) < 1e-6, 2, q2 > q1).astype(np.int8)
        value = np.maximum(q1, q2)
    return policy
