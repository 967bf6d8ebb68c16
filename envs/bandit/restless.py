"""Restless arms: does the learning rate follow how fast the world changes (Wang et al. 2016, experiment 4)?

Rescorla-Wagner models are fitted to blocks of ten episodes of one volatility. Their names tell which parameters may
differ from block to block, while the others have one value for all: `b` the inverse temperature β, `ab` the learning
rate α and β, `be` β and the lapse rate ε, `abe` all three. Where α follows the volatility, models that let it vary have
the lower BIC. That the others are shared by all blocks, and the grid on which all are searched, are our choices.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..trials import Trials
from ..vector import Array
from .env import BanditSettings

BLOCK = 10
"""Episodes of a block."""
MOST = 200
"""Episodes of each volatility that are fitted, at most."""
MODELS = ("b", "ab", "be", "abe")

RATES = np.round(np.arange(0.04, 1.0, 0.04), 2)
INVERSE_TEMPERATURES = np.geomspace(1.0, 60.0, 16)
LAPSES = np.array([0.0, 0.01, 0.03, 0.06, 0.1, 0.2])
"""The grid."""


class Blocks(NamedTuple):
    """Of N blocks."""

    volatile: Array
    """[N] bool"""
    log_likelihood: Array
    """[N, rates, inverse temperatures, lapses] of the choices, nats."""
    trials: int
    """Choices in all of them."""


def blocks_of(trials: Trials, settings: BanditSettings) -> Blocks | None:
    """The blocks of an evaluation; None if there is not one of each kind."""
    length = settings.trial_count
    _, start, count = np.unique(trials["episode"], return_index=True, return_counts=True)
    rows = start[count == length][:, None] + np.arange(length)
    volatile = trials["volatile"][rows[:, 0]].astype(bool) if len(rows) else np.zeros(0, dtype=bool)
    kinds, tables = [], []
    for kind in (False, True):
        own = np.flatnonzero(volatile == kind)[:MOST]
        own = own[: len(own) // BLOCK * BLOCK]
        if not len(own):
            return None
        likelihood = _log_likelihood(trials["choice"][rows[own]], trials["reward"][rows[own]])
        tables.append(likelihood.reshape(-1, BLOCK, *likelihood.shape[1:]).sum(1))
        kinds += [kind] * len(tables[-1])
    table = np.concatenate(tables)
    return Blocks(np.array(kinds), table, len(table) * BLOCK * length)


def _log_likelihood(choice: Array, reward: Array) -> Array:
    """Of each episode at each point of the grid, [E, rates, inverse temperatures, lapses]; choices 0 and 1 and rewards
    are [E, trials]. Values begin at .5."""
    rates = RATES[:, None]
    values = np.full((2, len(RATES), len(choice)), 0.5)
    found = np.zeros((len(choice), len(RATES), len(INVERSE_TEMPERATURES), len(LAPSES)))
    rows = np.arange(len(choice))
    for t in range(choice.shape[1]):
        chosen = choice[:, t].astype(int)
        ahead = np.where(chosen == 1, values[1] - values[0], values[0] - values[1]).T  # [E, rates]
        sure = 1 / (1 + np.exp(-INVERSE_TEMPERATURES * ahead[..., None]))
        found += np.log((1 - LAPSES) * sure[..., None] + LAPSES / 2 + 1e-12)
        values[chosen, :, rows] += (rates * (reward[:, t] - values[chosen, :, rows].T)).T
    return found


def fitted(blocks: Blocks, model: str) -> tuple[float, Array]:
    """BIC of a model, -2 log L + k log T with k parameters and T trials, and the learning rate of each block, [N]."""
    free = tuple(axis for axis, name in ((1, "a"), (2, "b"), (3, "e")) if name in model)
    best = blocks.log_likelihood.max(axis=free, keepdims=True).sum(0)
    shared = np.unravel_index(best.argmax(), best.shape)
    index = [slice(None)] + [slice(None) if axis in free else shared[axis - 1] for axis in (1, 2, 3)]
    own = blocks.log_likelihood[tuple(index)]
    parameters = len(free) * len(own) + 3 - len(free)
    bic = -2 * float(best.max()) + parameters * np.log(blocks.trials)
    if 1 not in free:
        return float(bic), np.full(len(own), RATES[shared[0]])
    places = own.reshape(len(own), len(RATES), -1).max(-1).argmax(1)
    return float(bic), RATES[places]


def volatility_tracking(trials: Trials, settings: BanditSettings) -> dict[str, Any]:
    """BIC of each model less that of `b`; of the best one with a rate by block, the mean rate in blocks of low and of
    high volatility, and their ratio; empty without blocks of both kinds."""
    blocks = blocks_of(trials, settings)
    if blocks is None:
        return {}
    fits = {model: fitted(blocks, model) for model in MODELS}
    bic = {model: value - fits["b"][0] for model, (value, _) in fits.items()}
    rates = fits[min(("ab", "abe"), key=bic.__getitem__)][1]
    low, high = (float(rates[blocks.volatile == kind].mean()) for kind in (False, True))
    return {"bic": bic, "learning_rate": {"low": low, "high": high, "ratio": high / low}}
