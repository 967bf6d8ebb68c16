"""Reward-prediction errors at the target around a reversal: do they follow what was seen, or also what follows from it?

n is a trial in which the roles were reversed, which its outcome tells. The target shown there is *experienced*, the
other is *inferred*: what it is worth now follows from the other's outcome alone. In trial n + 1 either is shown.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from ..means import mean
from ..trials import Reference, Trials, simulate
from ..vector import Array
from .baselines import IdealObserver, ModelFree
from .env import InferredValueEnv, InferredValueSettings

ERROR = "rpe_fixation"
"""The error at the target is that of the step on the fixation cue, which the target follows."""


def summarise(trials: Trials, settings: InferredValueSettings) -> dict[str, Any]:  # noqa: ARG001
    """Reward per trial, and share of trials in which both steps were answered as they should be; NaN without trials."""
    if not len(trials.get("trial", ())):
        return {"reward_per_trial": float("nan"), "valid": float("nan")}
    valid = trials["valid"] & trials["fixated"]
    return {"reward_per_trial": float(trials["reward"].mean(dtype=float)), "valid": float(valid.mean())}


def around_reversals(trials: Trials) -> tuple[Array, Array]:
    """Rows of the trials n that have a next one in their episode, and of those next ones."""
    last = len(trials["trial"]) - 1
    n = np.flatnonzero(trials["reversed"][:last] & (trials["episode"][:last] == trials["episode"][1:]))
    return n, n + 1


def cue_errors(trials: Trials) -> dict[str, dict[str, float]]:
    """Mean errors at targets that lose (`to_unrewarded`) and win (`to_rewarded`) the reward by a reversal.

    `n`: shown in trial n, before anything tells of the reversal; `experienced` and `inferred`: in trial n + 1, where
    that target or the other one was shown in n. Reversals whose saccade in n was invalid, which told nothing, are left
    out. NaN where there are no such trials.
    """
    found = {}
    for kind, masks in _masks(trials).items():
        found[kind] = {name: mean(trials[ERROR][rows]) for name, rows in masks.items()}
    return found


def _masks(trials: Trials) -> dict[str, dict[str, Array]]:
    """Rows of the trials that `cue_errors` is about."""
    n, following = around_reversals(trials)
    told = trials["valid"][n]
    n, following = n[told], following[told]
    same = trials["target"][n] == trials["target"][following]
    wins = trials["target"][following] == trials["rewarded_side"][n]
    found = {}
    for kind, kept in (("to_unrewarded", False), ("to_rewarded", True)):
        later = wins == kept
        found[kind] = {
            "n": n[trials["rewarded"][n] == kept],
            "experienced": following[later & same],
            "inferred": following[later & ~same],
        }
    return found


def analyse(trials: Trials, settings: InferredValueSettings) -> dict[str, Any]:  # noqa: ARG001
    """Errors at the target around a reversal, of a network (or a `Critic`).

    - `cue_errors`: see there.
    - `inferred_over_experienced`: how much the error changes from n to n + 1 at the inferred target, as a part of the
      change at the experienced one; changes of the two kinds of targets have different signs, and their means count.
      1: what was inferred counts as what was seen; 0: it does not count.
    - `sign_flips`: 1 if the mean error at the inferred target changes its sign in the right direction for both kinds.
    - `flipped_trials`: share of single trials n + 1 with the inferred target in which the error has the new sign.
    """
    if ERROR not in trials or not len(trials["trial"]):
        return {}
    errors = cue_errors(trials)
    lose, win = errors["to_unrewarded"], errors["to_rewarded"]
    change = {name: (win[name] - win["n"]) - (lose[name] - lose["n"]) for name in ("experienced", "inferred")}
    flips = lose["inferred"] < 0 < lose["n"] and win["n"] < 0 < win["inferred"]
    masks = _masks(trials)
    new = np.concatenate(
        [-trials[ERROR][masks["to_unrewarded"]["inferred"]], trials[ERROR][masks["to_rewarded"]["inferred"]]]
    )
    ratio = change["inferred"] / change["experienced"] if change["experienced"] else float("nan")
    return {
        "cue_errors": errors,
        "inferred_over_experienced": ratio,
        "sign_flips": float(flips),
        "flipped_trials": mean(new > 0),
    }


@functools.lru_cache(maxsize=16)
def classical(settings: InferredValueSettings, episodes: int = 4000) -> dict[str, dict[str, Any]]:
    """All measures of the ideal observer and of the model-free learner, by simulation, with a discount of 1."""
    found = {}
    for name, player in (("ideal observer", IdealObserver), ("model-free (TD)", ModelFree)):
        env = InferredValueEnv(settings, min(episodes, 1000))
        trials, _ = simulate(env, player(env), episodes, seed=0)
        found[name] = {**summarise(trials, settings), **analyse(trials, settings)}
    return found


def references(settings: InferredValueSettings) -> list[Reference]:
    """The ideal observer and the model-free learner, without the sizes of errors, which depend on the discount."""
    return [
        Reference(
            name, {key: value for key, value in values.items() if key != "cue_errors"}, "4,000 simulated episodes"
        )
        for name, values in classical(settings).items()
    ]
