"""Behaviour in the volatility task: how fast choices follow outcomes in stable and in volatile blocks."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from ..behaviour.fitting import fit
from ..behaviour.rescorla_wagner import RescorlaWagner
from ..behaviour.sessions import sessions_of
from ..means import mean
from ..trials import Reference, Trials, simulate
from ..vector import Array, Mask
from .baselines import BASELINES
from .env import FIGURE, VolatilityEnv, VolatilitySettings

FITTED = 200_000
"""Trials that a fit looks at, at most."""
SIMULATED = 500
"""Episodes that a reference plays."""


def parts(trials: Trials, settings: VolatilitySettings) -> dict[str, Mask]:
    """Kinds of blocks and, in the paper's order, each block too (`stable_1`, `volatile_1`, ...): masks over trials."""
    volatile = trials["volatile"]
    found = {"stable": ~volatile, "volatile": volatile}
    if settings.order == "figure":
        kinds = [FIGURE[block % len(FIGURE)] for block in range(settings.blocks)]
        for block, kind in enumerate(kinds):
            name = f"{'volatile' if kind else 'stable'}_{kinds[: block + 1].count(kind)}"
            found[name] = trials["block"] == block
    return found


def summarise(trials: Trials, settings: VolatilitySettings) -> dict[str, Any]:
    """Reward per trial, over all, by kind of block, and in the paper's order by block; NaN where there are none."""
    if not len(trials.get("trial", ())):
        return {"reward_per_trial": float("nan"), "reward": {"stable": float("nan"), "volatile": float("nan")}}
    reward = trials["reward"]
    named = parts(trials, settings).items()
    return {"reward_per_trial": mean(reward), "reward": {name: mean(reward[mask]) for name, mask in named}}


def analyse(trials: Trials, settings: VolatilitySettings) -> dict[str, Any]:
    """Learning rates by kind of block (and by block), and how many times larger that of volatile blocks is."""
    if not len(trials.get("trial", ())):
        return {}
    rates = learning_rates(trials, settings)
    return {"learning_rate": {**rates, "volatile_to_stable": rates["volatile"] / rates["stable"]}}


def learning_rates(trials: Trials, settings: VolatilitySettings) -> dict[str, float]:
    """Rescorla-Wagner learning rate that makes the choices in each of the `parts` likeliest; NaN without choices.

    One value that follows the outcome (both sides tell of the same p), softmax choice; rate and inverse temperature are
    fitted together to all episodes, and the value begins each block at 0.5.
    """
    rates = {}
    for name, mask in parts(trials, settings).items():
        own = np.flatnonzero(mask & (trials["choice"] >= 0))[:FITTED]
        rates[name] = float("nan")
        if len(own):
            blocks = trials["episode"][own].astype(np.int64) * settings.trials + trials["block"][own]
            table = {"episode": blocks, "choice": trials["choice"][own], "reward": trials["reward"][own]}
            fitted = fit(RescorlaWagner(opposite=True), sessions_of({name: table}), starts=1)[0]
            rates[name] = fitted.parameters["learning_rate"]
    return rates


def likelier_at_first(trials: Trials, settings: VolatilitySettings) -> tuple[Array, Array]:
    """By trial, over episodes: share of choices of the side that is better in trial 0, and its p, [trials] each."""
    first = trials["trial"] == 0
    episodes = trials["episode"].max() + 1
    left = np.zeros(episodes, dtype=bool)
    left[trials["episode"][first]] = trials["p_left"][first] > 0.5
    left = left[trials["episode"]]
    count = np.maximum(1, np.bincount(trials["trial"], minlength=settings.trials))
    chosen = np.bincount(trials["trial"], (trials["choice"] == 0) == left, settings.trials) / count
    p = np.bincount(trials["trial"], np.where(left, trials["p_left"], 1 - trials["p_left"]), settings.trials) / count
    return chosen, p


@functools.lru_cache(maxsize=16)
def played(settings: VolatilitySettings, baseline: str) -> Trials:
    """The trials of a baseline, by simulation (standard error of the reward per trial about .001)."""
    env = VolatilityEnv(settings, SIMULATED)
    return simulate(env, BASELINES[baseline](env), SIMULATED, seed=0)[0]


@functools.lru_cache(maxsize=16)
def references(settings: VolatilitySettings) -> list[Reference]:
    """The ideal observer, one with a fixed hazard (the control), and who is told p."""
    by_simulation = f"{SIMULATED} simulated episodes"
    shown = {
        "observer": ("ideal observer", f"infers p and the hazard, {by_simulation}"),
        "fixed_hazard": ("fixed hazard", f"infers p alone, {by_simulation}"),
    }
    found = []
    for name, (title, source) in shown.items():
        trials = played(settings, name)
        found.append(Reference(title, {**summarise(trials, settings), **analyse(trials, settings)}, source))
    told = summarise(played(settings, "oracle"), settings)
    return [*found, Reference("oracle", told, f"is told p, {by_simulation}")]
