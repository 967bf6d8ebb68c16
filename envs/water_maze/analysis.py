"""Behaviour in the water maze: how long the way to the platform is by how often its barcode was met before."""

from __future__ import annotations

import functools
from typing import Any

from ..means import mean, mean_by
from ..trials import Reference, Trials, simulate
from ..vector import Array
from .baselines import BASELINES
from .env import WaterMazeEnv, WaterMazeSettings

HEADLINE = "return_path_ratio"
LIVES = 300
"""Simulated for references: the standard error of a mean path stays below .3 moves on first visits, .02 on others."""


def by_encounter(trials: Trials, settings: WaterMazeSettings, name: str) -> Array:
    """Mean of a column by encounter, [encounters]; NaN where there is none."""
    return mean_by(trials["encounter"], trials[name], settings.encounters)


def summarise(trials: Trials, settings: WaterMazeSettings) -> dict[str, Any]:  # noqa: ARG001
    """Mean moves to the platform on first visits and on returns, how many times the shortest path that is, and the
    share of episodes in which it is found; an episode that is cut off counts with its moves. NaN without episodes."""
    if not len(trials.get("path", ())):
        names = ("first_path", "return_path", "first_path_ratio", HEADLINE, "found")
        return dict.fromkeys(names, float("nan"))
    first = trials["encounter"] == 0
    parts = {"first_path": first, "return_path": ~first}
    found = {name: mean(trials["path"][rows]) for name, rows in parts.items()}
    ratios = {f"{name}_ratio": found[name] / mean(trials["shortest"][rows]) for name, rows in parts.items()}
    return {**found, **ratios, "found": mean(trials["found"])}


def analyse(trials: Trials, settings: WaterMazeSettings) -> dict[str, Any]:
    """Mean moves by encounter with the barcode."""
    if not len(trials.get("path", ())):
        return {}
    return {"path_by_encounter": by_encounter(trials, settings, "path").tolist()}


@functools.lru_cache(maxsize=16)
def simulated(settings: WaterMazeSettings, name: str) -> dict[str, Any]:
    """The measures of a baseline, by simulation of whole lives."""
    env = WaterMazeEnv(settings, LIVES)
    trials, _ = simulate(env, BASELINES[name](env), LIVES * settings.episodes, seed=0)
    return summarise(trials, settings) | analyse(trials, settings)


def references(settings: WaterMazeSettings) -> list[Reference]:
    """A searcher with recall, whose returns are shortest paths, and one without."""
    source = f"nearest unvisited cell, {LIVES:,} simulated lives"
    return [
        Reference("searcher with recall", simulated(settings, "searcher"), f"{source}; shortest paths on returns"),
        Reference("without recall", simulated(settings, "without_recall"), f"{source}, forgets with each episode"),
    ]
