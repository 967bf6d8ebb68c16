"""Behaviour of the ant: returns within a life, how often it falls, and how far it gets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import families
from ..families import by_episode
from ..family_drawing import family_figures
from ..mujoco_family import mean_speed
from ..trials import Evaluation, Reference, Trials
from .env import AntSettings

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def summarise(trials: Trials, settings: AntSettings) -> dict[str, Any]:
    """See `families.summarise`; `fallen`: share of episodes that ended with a fall."""
    fallen = trials.get("fallen", np.zeros(0))
    return {
        **families.summarise(trials, settings.episodes),
        "fallen": float(fallen.mean()) if len(fallen) else float("nan"),
    }


def analyse(trials: Trials, settings: AntSettings) -> dict[str, Any]:
    """See `families.analyse`; `gone_by_episode`: metres in the direction that was asked for (`goal=direction`) or
    forwards (velocity), or the distance from the place at the end, by episode of a life."""
    if not len(trials.get("trial", ())):
        return {}
    if settings.goal == "position":
        value = np.hypot(trials["x"] - trials["goal"], trials["y"] - trials["goal_y"])
    else:
        value = trials["x"] * (np.sign(trials["goal"]) if settings.goal == "direction" else 1)
    return {**families.analyse(trials), "gone_by_episode": by_episode(trials, value)}


def references(settings: AntSettings) -> list[Reference]:
    """Who stands still and upright, where it starts, without the costs of contact: in closed form."""
    if settings.goal == "direction":
        a_step = 0.0
    elif settings.goal == "velocity":
        a_step = 1 - mean_speed(settings.velocities)
    else:
        a_step = 4 - settings.places
    stands = dict.fromkeys(families.RETURNS, settings.steps * (a_step + settings.up))
    return [Reference("stands still", {**stands, "fallen": 0.0}, "closed form")]


def figures(evaluations: Sequence[Evaluation], settings: AntSettings) -> Iterator[tuple[str, Figure]]:
    """See `family_figures`."""
    return family_figures(evaluations, references(settings))
