"""Figures of two-dimensional navigation: paths to the goal; return within a life and over training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..families import place_in_life
from ..family_drawing import family_figures
from ..plotting import GREEN, GROUP_COLORS, label, new_figure
from ..trials import Evaluation, Trials
from ..vector import Array
from .analysis import references
from .env import PATH, NavigationSettings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = 5
"""Goals in the figure of paths."""
PATHS = 3
"""Episodes of each that are drawn."""


def figures(evaluations: Sequence[Evaluation], settings: NavigationSettings) -> Iterator[tuple[str, Figure]]:
    """Those of all families (see `family_figures`), and paths."""
    yield from family_figures(evaluations, references(settings))
    shown = [e for e in evaluations if len(e.trials.get("trial", ()))][:1]
    if shown:
        yield "paths", draw_paths(shown[0].trials, settings)


def paths(trials: Trials) -> Array:
    """Where it was at moments of each trial, with the start, [N, PATH + 1, 2]."""
    columns = [[trials[f"{axis}_{i}"] for i in range(1, PATH + 1)] for axis in "xy"]
    along = np.array(columns, dtype=float).transpose(2, 1, 0)
    return np.concatenate((np.zeros((len(along), 1, 2)), along), axis=1)


def draw_paths(trials: Trials, settings: NavigationSettings) -> Figure:
    """Some goals, one colour each, with paths in the first and in the last episode of a life."""
    goal = np.stack((trials["goal_x"], trials["goal_y"]), axis=1)
    _, first = np.unique(goal.round(5), axis=0, return_index=True)
    place, along = place_in_life(trials), paths(trials)
    last = int(place.max())
    what = "step" if "adaptation" in trials else "episode"
    titles = {0: "nothing learned yet"} | ({last: f"after {last} {what}{'s' * (last > 1)}"} if last else {})
    figure, axes = new_figure(len(titles), 3.6, 3.6)
    for axis, (when, title) in zip(axes, titles.items(), strict=True):
        for number, one in enumerate(sorted(first)[:SHOWN]):
            color = GROUP_COLORS[number % len(GROUP_COLORS)]
            rows = np.flatnonzero((place == when) & (np.abs(goal - goal[one]) < 1e-5).all(1))[:PATHS]
            for row in rows:
                axis.plot(*along[row].T, color=color, linewidth=1.2, alpha=0.8)
            axis.plot(*goal[one], "*", color=color, markersize=12, markeredgecolor="white")
        axis.plot(0, 0, "o", color=GREEN, markersize=4)
        size = 1.5 * settings.goals
        axis.set_xlim(-size, size)
        axis.set_ylim(-size, size)
        axis.set_aspect("equal")
        label(axis, title, "x", "y" if axis is axes[0] else "")
    return figure
