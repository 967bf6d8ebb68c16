"""Figures of the water maze: path length by encounter; learning curve. Groups (agents) side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..groups import groups_of
from ..plotting import GREY, GROUP_COLORS, draw_learning_curves, label, legend, mean_and_sd, new_figure
from ..trials import Evaluation
from .analysis import HEADLINE, by_encounter, simulated
from .env import WaterMazeSettings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK = "#222222"


def figures(evaluations: Sequence[Evaluation], settings: WaterMazeSettings) -> Iterator[tuple[str, Figure]]:
    """Moves to the platform by encounter (main); learning curve."""
    groups = groups_of([e for e in evaluations if len(e.trials.get("path", ()))])
    figure, (axis,) = new_figure(width=5.0)
    x = np.arange(1, settings.encounters + 1)
    for number, (name, own) in enumerate(groups.items()):
        mean, sd = mean_and_sd([by_encounter(e.trials, settings, "path") for e in own])
        color, error = GROUP_COLORS[number % len(GROUP_COLORS)], sd if len(own) > 1 else None
        axis.errorbar(x, mean, error, fmt="o-", color=color, markersize=4, capsize=2, label=name or "network")
    for name, title, line in (("searcher", "searcher with recall", "-"), ("without_recall", "without recall", ":")):
        path = simulated(settings, name)["path_by_encounter"]
        axis.plot(x, path, line, color=INK, linewidth=1.2, label=title, zorder=1)
    shortest = float(np.mean(simulated(settings, "oracle")["path_by_encounter"]))
    axis.axhline(shortest, color=GREY, linestyle="--", linewidth=1, label="shortest path", zorder=0)
    axis.set_yscale("log")
    axis.set_yticks(ticks := [t for t in (2, 5, 10, 20, 50, 100) if t <= settings.longest], [str(t) for t in ticks])
    axis.minorticks_off()
    label(axis, "way to the platform", "encounter with the barcode", "moves")
    legend(axis)
    yield "path_by_encounter", figure
    figure, (axis,) = new_figure(width=4.8)
    if draw_learning_curves(axis, groups_of(evaluations), HEADLINE):
        axis.axhline(1, color=GREY, linestyle="--", linewidth=1, label="shortest path")
        axis.set_yscale("log")
        axis.set_yticks([1, 2, 5, 10, 20], ["1", "2", "5", "10", "20"])
        axis.minorticks_off()
        label(axis, "learning", "environment steps (millions)", "path on returns, times the shortest")
        legend(axis)
        yield "learning_curve", figure
