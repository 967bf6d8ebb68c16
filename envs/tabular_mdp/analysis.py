"""Behaviour in random decision processes: returns within a life, and how they compare with the optimum."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import families
from ..families import by_episode
from ..family_drawing import family_figures
from ..trials import Evaluation, Reference, Trials, simulate
from .baselines import BASELINES
from .env import TabularEnv, TabularSettings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIMULATED = 2000
"""Lives that a reference plays."""


def summarise(trials: Trials, settings: TabularSettings) -> dict[str, Any]:
    """See `families.summarise`."""
    return families.summarise(trials, settings.episodes)


def analyse(trials: Trials, settings: TabularSettings) -> dict[str, Any]:  # noqa: ARG001
    """See `families.analyse`; `regret_by_episode`: what an episode's return lacks to the optimum's expectation."""
    if not len(trials.get("trial", ())):
        return {}
    lacks = trials["optimal"] - trials["reward"]
    return {**families.analyse(trials), "regret_by_episode": by_episode(trials, lacks)}


@functools.lru_cache(maxsize=16)
def references(settings: TabularSettings) -> list[Reference]:
    """The oracle and posterior sampling by simulation, random play in closed form."""
    found = []
    for title, name in (("is told the process", "oracle"), ("posterior sampling", "posterior_sampling")):
        env = TabularEnv(settings, SIMULATED)
        trials, _ = simulate(env, BASELINES[name](env), SIMULATED, seed=0)
        found.append(Reference(title, summarise(trials, settings), f"{SIMULATED:,} simulated lives"))
    chance = dict.fromkeys(families.RETURNS, float(np.float64(settings.mean) * settings.steps))
    return [*found, Reference("random", chance, "closed form")]


def figures(evaluations: Sequence[Evaluation], settings: TabularSettings) -> Iterator[tuple[str, Figure]]:
    """See `family_figures`."""
    return family_figures(evaluations, references(settings))
