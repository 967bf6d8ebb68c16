"""What the tasks' figures share: a clean canvas, a palette that colour-blind readers can tell apart, seeds as dots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .trials import Evaluation
    from .vector import Array

BLUE, RED, GREEN, ORANGE, PURPLE, GREY = "#3b6fb6", "#c8553d", "#3f9b73", "#e0a030", "#8868a8", "#8a8a8a"
"""Okabe and Ito's idea, in softer shades."""

GROUP_COLORS = (BLUE, "#1f9aa8", "#a4562a", "#7a7f22", "#b85c9e", "#44546a")
"""Of groups that stand in one panel, in turn."""


def new_figure(columns: int = 1, width: float = 4.2, height: float = 3.2) -> tuple[Figure, list[Axes]]:
    """A figure with `columns` panels of `width` x `height` inches, side by side."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(columns * width, height), layout="constrained")
    axes: list[Axes] = list(np.atleast_1d(figure.subplots(1, columns)))
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=9)
    return figure, axes


def label(axis: Axes, title: str, x: str, y: str) -> None:
    """Title and axis labels in the figures' sizes."""
    axis.set_title(title, fontsize=10, loc="left")
    axis.set_xlabel(x, fontsize=9)
    axis.set_ylabel(y, fontsize=9)


def legend(axis: Axes, **options: Any) -> None:
    """A legend without a frame."""
    axis.legend(frameon=False, fontsize=8, **options)


def mean_and_sd(rows: Sequence[Array] | Array) -> tuple[Array, Array]:
    """Mean and standard deviation over the first axis, NaN left out; the SD of a single row is zero."""
    table = np.asarray(rows, dtype=float)
    count = np.isfinite(table).sum(0)
    total = np.where(np.isfinite(table), table, 0.0)
    mean = np.where(count > 0, total.sum(0) / np.maximum(count, 1), np.nan)
    squares = np.where(np.isfinite(table), (table - mean) ** 2, 0.0).sum(0)
    return mean, np.sqrt(squares / np.maximum(count - 1, 1))


def bars_with_dots(axis: Axes, x: Array, runs: Array, width: float, color: str, name: str) -> None:
    """Bars of the mean over runs [R, N] at x [N], with the SD and one dot a run."""
    mean, sd = mean_and_sd(runs)
    error = sd if len(runs) > 1 else None
    axis.bar(x, mean, width, color=color, label=name, yerr=error, error_kw={"elinewidth": 1, "ecolor": "#333333"})
    if len(runs) > 1:
        spread = np.linspace(-0.25, 0.25, len(runs)) * width
        for offset, run in zip(spread, runs, strict=True):
            axis.plot(x + offset, run, "o", color="white", markeredgecolor="#333333", markersize=3.5, linewidth=0)


def learning_curves(evaluations: Sequence[Evaluation], measure: str, points: int = 100) -> tuple[Array, Array] | None:
    """A measure over training: environment steps [P] and one row a seed [R, P], on a common grid.

    None if no evaluation has a history of the measure.
    """
    histories = [e.history for e in evaluations if measure in e.history and len(e.history["env_steps"]) > 1]
    if not histories:
        return None
    steps = np.linspace(max(h["env_steps"][0] for h in histories), min(h["env_steps"][-1] for h in histories), points)
    return steps, np.array([np.interp(steps, h["env_steps"], h[measure]) for h in histories])


def draw_learning_curve(axis: Axes, evaluations: Sequence[Evaluation], measure: str, color: str = BLUE) -> bool:
    """Mean ± SD of a measure over training; False if there is no history."""
    curves = learning_curves(evaluations, measure)
    if curves is None:
        return False
    steps, runs = curves
    mean, sd = mean_and_sd(runs)
    axis.plot(steps / 1e6, mean, color=color, linewidth=1.6)
    axis.fill_between(steps / 1e6, mean - sd, mean + sd, color=color, alpha=0.2, linewidth=0)
    return True


def draw_learning_curves(axis: Axes, groups: Mapping[str, Sequence[Evaluation]], measure: str) -> bool:
    """One curve a group that has a history, with a legend where there are several; False if none has."""
    drawn = []
    for number, (name, own) in enumerate(groups.items()):
        color = GROUP_COLORS[number % len(GROUP_COLORS)]
        if draw_learning_curve(axis, own, measure, color):
            axis.lines[-1].set_label(name)
            drawn.append(name)
    if len(drawn) > 1:
        legend(axis)
    return bool(drawn)
