"""Figures of any environment: returns, learning curve; of trials also choices, psychometric curve, reaction times."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..plotting import BLUE, GREY, ORANGE, draw_learning_curve, label, mean_and_sd, new_figure
from ..trials import Evaluation, Trials
from .analysis import by_trial, column
from .psychometric import curve, fit, strength_of
from .settings import GymnasiumSettings

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_ACTIONS = 40


def figures(evaluations: Sequence[Evaluation], settings: GymnasiumSettings) -> Iterator[tuple[str, Figure]]:
    """`performance`, or of an environment without trials `returns`, first; and what else there is to draw."""
    trials = evaluations[0].trials
    if not np.isfinite(column(trials, "performance")).any():
        yield "returns", _draw_returns(evaluations, settings)
        return
    yield "performance", _draw_performance(evaluations, settings)
    strength = strength_of(trials, settings.strength)
    if strength is not None and curve(trials, strength) is not None:
        yield "psychometric_curve", _draw_curve(evaluations, strength, settings)
    if "action" in trials and np.isfinite(column(trials, "gt")).any():
        yield "last_actions", _draw_actions(trials, settings)
    if np.isfinite(column(trials, "reaction_ms")).any():
        yield "reaction_times", _draw_reaction_times(trials, strength, settings)


def _draw_returns(evaluations: Sequence[Evaluation], settings: GymnasiumSettings) -> Figure:
    figure, axes = new_figure(2)
    ended = [column(e.trials, "episode_return")[column(e.trials, "ended") > 0] for e in evaluations]
    returns = np.concatenate(ended)
    if len(returns):
        axes[0].hist(returns.tolist(), bins=min(30, max(5, len(returns) // 4)), color=BLUE)
        axes[0].axvline(returns.mean(), color=GREY, linestyle="--", linewidth=1)
    label(axes[0], settings.id, "return of an episode", "episodes")
    draw_learning_curve(axes[1], evaluations, "episode_return")
    label(axes[1], "training", "environment steps (millions)", "return of an episode")
    return figure


def _draw_performance(evaluations: Sequence[Evaluation], settings: GymnasiumSettings) -> Figure:
    figure, axes = new_figure(2)
    runs = [by_trial(evaluation.trials) for evaluation in evaluations]
    shortest = min(len(run) for run in runs)
    mean, sd = mean_and_sd([run[:shortest] for run in runs])
    x = np.arange(1, shortest + 1)
    axes[0].plot(x, mean, color=BLUE, linewidth=1.6)
    if len(runs) > 1:
        axes[0].fill_between(x, mean - sd, mean + sd, color=BLUE, alpha=0.2, linewidth=0)
    axes[0].set_ylim(min(0.0, float(np.nanmin(mean))) - 0.02, max(1.0, float(np.nanmax(mean))) + 0.02)
    label(axes[0], settings.id, "trial in the episode", "performance")
    draw_learning_curve(axes[1], evaluations, "performance")
    label(axes[1], "training", "environment steps (millions)", "performance")
    return figure


def _draw_curve(evaluations: Sequence[Evaluation], strength: str, settings: GymnasiumSettings) -> Figure:
    figure, (axis,) = new_figure()
    for evaluation in evaluations:
        points = curve(evaluation.trials, strength)
        if points is None:
            continue
        error = np.sqrt(points.share * (1 - points.share) / points.trials)
        axis.errorbar(points.strength, points.share, error, fmt="o", color=BLUE, markersize=4, linewidth=1)
        fitted = fit(points)
        if fitted is not None:
            x = np.linspace(points.strength.min(), points.strength.max(), 300)
            axis.plot(x, fitted(x), color=BLUE, linewidth=1.4)
        else:
            axis.plot(points.strength, points.share, color=BLUE, linewidth=1)
        signed = points.signed
    if signed:
        axis.axhline(0.5, color=GREY, linestyle="--", linewidth=0.8)
        axis.axvline(0, color=GREY, linestyle="--", linewidth=0.8)
    axis.set_ylim(-0.02, 1.02)
    toward = f"{strength}, towards the second choice" if signed else strength
    label(axis, settings.id, toward, "share of the second choice" if signed else "share of right choices")
    return figure


def _draw_actions(trials: Trials, settings: GymnasiumSettings) -> Figure:
    """How often each action ended a trial, by what would have been right."""
    figure, (axis,) = new_figure()
    right, action = column(trials, "gt"), column(trials, "action")
    known = np.isfinite(right)
    right, action = right[known].astype(int), action[known].astype(int)
    size = min(MOST_ACTIONS, 1 + int(max(right.max(), action.max())))
    table = np.zeros((size, size))
    inside = (right < size) & (action < size)
    np.add.at(table, (right[inside], action[inside]), 1)
    with np.errstate(invalid="ignore"):
        image = axis.imshow(table / table.sum(1, keepdims=True), vmin=0, vmax=1, cmap="Blues", origin="lower")
    axis.spines[["left", "bottom"]].set_visible(False)
    figure.colorbar(image, ax=axis, label="share of the trials")
    label(axis, f"{settings.id}: end of a trial", "action", "right action")
    return figure


def _draw_reaction_times(trials: Trials, strength: str | None, settings: GymnasiumSettings) -> Figure:
    times, good = column(trials, "reaction_ms"), column(trials, "performance") > 0
    known = np.isfinite(times)
    figure, axes = new_figure(1 if strength is None else 2)
    bins = np.linspace(0, max(1.0, float(times[known].max())), 25)
    axes[0].hist(
        [times[known & good].tolist(), times[known & ~good].tolist()], bins.tolist(), stacked=True, color=[BLUE, ORANGE]
    )
    axes[0].legend(["good", "bad"], frameon=False, fontsize=8)
    label(axes[0], settings.id, "time to respond (ms)", "trials")
    if strength is not None:
        _draw_times_by_strength(axes[1], times, column(trials, strength), known)
        label(axes[1], "median", strength, "time to respond (ms)")
    return figure


def _draw_times_by_strength(axis: Axes, times: np.ndarray, strength: np.ndarray, known: np.ndarray) -> None:
    levels = np.unique(strength[known & np.isfinite(strength)])
    axis.plot(
        levels, [np.median(times[known & (strength == level)]) for level in levels], "o-", color=BLUE, markersize=4
    )
