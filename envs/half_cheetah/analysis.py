"""Behaviour of the half-cheetah: returns within a life, and how its velocity follows the goal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import families
from ..families import by_episode, place_in_life
from ..family_drawing import family_figures
from ..groups import groups_of
from ..mujoco_family import mean_speed
from ..plotting import GREY, GROUP_COLORS, label, new_figure
from ..trials import Evaluation, Reference, Trials
from .env import HalfCheetahSettings

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def summarise(trials: Trials, settings: HalfCheetahSettings) -> dict[str, Any]:
    """See `families.summarise`."""
    return families.summarise(trials, settings.episodes)


def analyse(trials: Trials, settings: HalfCheetahSettings) -> dict[str, Any]:
    """See `families.analyse`; by episode of a life: of directions the mean velocity in the right one,
    `velocity_by_episode`, and of speeds the mean distance from the one that was asked for, `off_by_episode`, in m/s."""
    if not len(trials.get("trial", ())):
        return {}
    goal, velocity = trials["goal"].astype(float), trials["velocity"].astype(float)
    directed = settings.goal == "direction"
    value = goal * velocity if directed else np.abs(velocity - goal)
    name = "velocity_by_episode" if directed else "off_by_episode"
    return {**families.analyse(trials), name: by_episode(trials, value)}


def references(settings: HalfCheetahSettings) -> list[Reference]:
    """Who stands still, in closed form."""
    directed = settings.goal == "direction"
    stands = 0.0 if directed else -settings.steps * mean_speed(settings.velocities)
    return [Reference("stands still", dict.fromkeys(families.RETURNS, stands), "closed form")]


def figures(evaluations: Sequence[Evaluation], settings: HalfCheetahSettings) -> Iterator[tuple[str, Figure]]:
    """See `family_figures`; velocity on goal in the first and in the last episode of a life."""
    yield from family_figures(evaluations, references(settings))
    played = groups_of([e for e in evaluations if len(e.trials.get("trial", ()))])
    if played:
        yield "velocity", _draw_velocity(played)


def _draw_velocity(groups: dict[str, list[Evaluation]]) -> Figure:
    figure, axes = new_figure(2, 3.8, 3.4)
    for number, (group, own) in enumerate(groups.items()):
        trials, place = own[0].trials, place_in_life(own[0].trials)
        for axis, when in zip(axes, (0, place.max()), strict=True):
            rows = np.flatnonzero(place == when)[:400]
            goal = trials["goal"][rows]
            axis.plot(goal, trials["velocity"][rows], "o", color=GROUP_COLORS[number % 6], markersize=3, alpha=0.4)
            axis.lines[-1].set_label(group)
            axis.plot([goal.min(), goal.max()], [goal.min(), goal.max()], color=GREY, linewidth=1)
    lows, highs = zip(*(axis.get_ylim() for axis in axes), strict=True)
    for axis, title in zip(axes, ("first episode", "last episode"), strict=True):
        axis.set_ylim(min(lows), max(highs))
        label(axis, title, "goal", "velocity (m/s)" if axis is axes[0] else "")
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(handles, names, frameon=False, fontsize=8, loc="outside right upper")
    return figure
