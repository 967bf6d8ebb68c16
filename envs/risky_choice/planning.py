"""The best possible play with a safe and a risky lever: exact, by dynamic programming over what the risky one paid.

The safe lever teaches nothing, so the ideal observer that leaves the risky lever never comes back: what is to be known
is when to leave (a one-armed bandit with a finite end).
"""

from __future__ import annotations

import functools

import numpy as np

from ..vector import Array
from .env import RiskyChoiceSettings

LONGEST = 300
"""Most pulls of the risky lever in an episode for which play is planned."""
_GRID = 64
"""Nodes of Gauss and Legendre's rule for p uniform in 0..1: exact for polynomials up to degree 127."""


def prior(settings: RiskyChoiceSettings) -> tuple[Array, Array]:
    """Values of p and their weights, both [K] float64; for p uniform in 0..1 the nodes of a quadrature."""
    if settings.probabilities:
        values = np.array(settings.probabilities, dtype=float)
        return values, np.full(len(values), 1 / len(values))
    nodes, weights = np.polynomial.legendre.leggauss(_GRID if plannable(settings) else 2)
    return (nodes + 1) / 2, weights / 2


def plannable(settings: RiskyChoiceSettings) -> bool:
    """Whether an episode is short enough for `plan`."""
    return settings.forced + settings.free <= (LONGEST if settings.probabilities else 2 * _GRID - 2)


def chance_of_win(settings: RiskyChoiceSettings) -> Array:
    """P(the risky lever pays | pulls, wins), [pulls + 1, wins + 1] float64, for what can be in an episode; else 0."""
    most = settings.forced + settings.free
    values, weights = prior(settings)
    pulls, wins = np.arange(most + 1)[:, None, None], np.arange(most + 1)[None, :, None]
    losses = np.maximum(pulls - wins, 0)
    likelihood = weights * values**wins * (1 - values) ** losses
    total = likelihood.sum(-1)
    win = (likelihood * values).sum(-1)
    possible = (wins[..., 0] <= pulls[..., 0]) & (total > 0)
    chance: Array = np.divide(win, total, out=np.zeros_like(total), where=possible)
    return chance


@functools.lru_cache(maxsize=8)
def plan(settings: RiskyChoiceSettings) -> tuple[Array, Array]:
    """Value of the best play, and whether it pulls the risky lever: [free + 1, pulls + 1, wins + 1] by trials to come.

    Raises:
        ValueError: for episodes that are too long.
    """
    if not plannable(settings):
        raise ValueError(f"forced={settings.forced} and free={settings.free} are too many trials to plan for")
    chance = chance_of_win(settings)
    size = len(chance)
    value, go = np.zeros((settings.free + 1, size, size)), np.zeros((settings.free + 1, size, size), dtype=bool)
    for left in range(1, settings.free + 1):
        later = value[left - 1]
        won, lost = np.zeros((size, size)), np.zeros((size, size))
        won[:-1, :-1], lost[:-1] = later[1:, 1:], later[1:]
        risky = chance * (settings.risky + won) + (1 - chance) * lost
        stay = left * settings.safe
        go[left] = risky > stay
        value[left] = np.maximum(risky, stay)
    return value, go


def pulls_risky(settings: RiskyChoiceSettings, greedy: bool = False) -> Array:
    """Whether an observer pulls the risky lever, by trials to come, pulls and wins, as in `plan`.

    Args:
        settings: the task's.
        greedy: it has the ideal observer's beliefs, but takes what pays more in this trial, as if it were the last.
    """
    _, go = plan(settings)
    return np.broadcast_to(go[1], go.shape) if greedy else go


def risky_by_trial(settings: RiskyChoiceSettings, p: float, greedy: bool = False) -> Array:
    """Share of risky choices of an observer in each free trial where the probability is `p`; exact, [free]."""
    go = pulls_risky(settings, greedy)
    forced = settings.forced
    mass = np.zeros(forced + settings.free + 1)
    mass[0] = 1.0
    for _ in range(forced):
        mass = _pulled(mass, p)
    shares = np.zeros(settings.free)
    for trial in range(settings.free):
        mass = mass * go[settings.free - trial, forced + trial]
        shares[trial] = mass.sum()
        mass = _pulled(mass, p)
    return shares


def _pulled(mass: Array, p: float) -> Array:
    """Distribution of wins after one more pull."""
    after = mass * (1 - p)
    after[1:] += mass[:-1] * p
    return after


def observer_reward(settings: RiskyChoiceSettings, greedy: bool = False) -> float:
    """Expected reward of an observer in a free trial: the ideal one, or the greedy one."""
    rewards = [_reward(settings, p, float(risky_by_trial(settings, p, greedy).mean())) for p in prior(settings)[0]]
    return float(np.dot(rewards, prior(settings)[1]))


def _reward(settings: RiskyChoiceSettings, p: float, share: float) -> float:
    return share * settings.risky * p + (1 - share) * settings.safe
