"""Figures of the barcode bandit. Evaluations of several groups (agents) are shown side by side."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..episodic_two_step.drawing import COLORS, INK
from ..groups import groups_of
from ..plotting import GREY, label, learning_curves, mean_and_sd, new_figure
from ..trials import Evaluation
from ..vector import Array
from .analysis import HEADLINE, analyse, ideal, summarise
from .env import BarcodeBanditSettings

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Groups = Mapping[str, Sequence[Evaluation]]

MOST_TICKS = 20

BOUNDS = IDEAL, ALONE, CHANCE = "ideal observer", "ideal without recall", "chance"
"""Names of the lines that agents are held against."""


def figures(evaluations: Sequence[Evaluation], settings: BarcodeBanditSettings) -> Iterator[tuple[str, Figure]]:
    """First pulls and reward by encounter (main), learning curves, accuracy within an episode."""
    groups = groups_of(evaluations)
    yield "by_encounter", _draw_by_encounter(groups, settings)
    yield "by_pull", _draw_by_pull(groups, settings)
    curve = _draw_learning(groups, settings)
    if curve is not None:
        yield "learning_curve", curve


def _in_turn(groups: Groups) -> Iterator[tuple[str, str, Sequence[Evaluation]]]:
    """Colour, title and evaluations of each group."""
    for i, (name, group) in enumerate(groups.items()):
        seeds = f", {len(group)} seeds" if len(group) > 1 else ""
        yield COLORS[i % len(COLORS)], (name or "agent") + seeds, group


def _draw_lines(axis: Axes, groups: Groups, measure: Callable[[Evaluation], list[float]]) -> None:
    """One line a group over 1, 2, ...: mean ± SD over its seeds."""
    for color, title, group in _in_turn(groups):
        mean, sd = mean_and_sd(np.array([measure(e) for e in group]))
        x = np.arange(1, len(mean) + 1)
        error = sd if len(group) > 1 else None
        axis.errorbar(x, mean, error, fmt="o-", color=color, markersize=4, linewidth=1.6, capsize=2, label=title)


def _draw_bounds(axis: Axes, best: Sequence[float], alone: Sequence[float], chance: float) -> None:
    """The ideal observers' lines over 1, 2, ... and chance."""
    x = np.arange(1, len(best) + 1)
    axis.plot(x, best, "-", color=INK, linewidth=1.2, label=IDEAL, zorder=1)
    axis.plot(x, alone, ":", color=INK, linewidth=1.4, label=ALONE, zorder=1)
    axis.axhline(chance, color=GREY, linestyle="--", linewidth=1, label=CHANCE, zorder=0)
    axis.set_ylim(0, 1.02)
    if len(x) <= MOST_TICKS:
        axis.set_xticks(x)


def _legend_below(figure: Figure, axis: Axes) -> None:
    """A legend under the panels: agents, then what they are held against."""
    named = dict(zip(*reversed(axis.get_legend_handles_labels()), strict=True))
    texts = sorted(named, key=lambda text: text in BOUNDS)
    columns = len(texts) if len(texts) <= 5 else 3
    handles = [named[text] for text in texts]
    figure.legend(handles, texts, frameon=False, fontsize=8, loc="outside lower center", ncols=columns)


def _draw_by_encounter(groups: Groups, settings: BarcodeBanditSettings) -> Figure:
    figure, axes = new_figure(2, 3.6, 3.4)
    best, alone = ideal(settings), ideal(settings, "without_recall")
    panels = (
        ("first_pull_accuracy", 1 / settings.arms, "first pull of an episode", "share of best arm"),
        ("reward_by_encounter", settings.chance, "whole episode", "reward per pull"),
    )
    for axis, (name, chance, title, unit) in zip(axes, panels, strict=True):

        def measure(evaluation: Evaluation, name: str = name) -> list[float]:
            values: list[float] = summarise(evaluation.trials, settings)[name]
            return values

        _draw_bounds(axis, best[name], alone[name], chance)
        _draw_lines(axis, groups, measure)
        label(axis, title, "encounter with the barcode", unit)
    _legend_below(figure, axes[0])
    return figure


def _draw_by_pull(groups: Groups, settings: BarcodeBanditSettings) -> Figure:
    figure, axes = new_figure(2, 3.6, 3.4)
    best, alone = (ideal(settings, name)["accuracy_by_pull"] for name in ("ideal_observer", "without_recall"))
    panels = (("first_encounter", "first encounter"), ("last_encounter", f"encounter {settings.encounters}"))
    for axis, (name, title) in zip(axes, panels, strict=True):

        def measure(evaluation: Evaluation, name: str = name) -> list[float]:
            values: list[float] = analyse(evaluation.trials, settings)["accuracy_by_pull"][name]
            return values

        _draw_bounds(axis, best[name], alone[name], 1 / settings.arms)
        _draw_lines(axis, groups, measure)
        label(axis, title, "pull", "share of best arm")
    _legend_below(figure, axes[0])
    return figure


def _told(evaluations: Sequence[Evaluation], measure: str) -> list[Evaluation]:
    """The evaluations with those points of their histories that tell the measure.

    A look at the last few unrolls may not contain the end of a life.
    """
    found = []
    for evaluation in evaluations:
        if measure in evaluation.history:
            rows: Array = np.isfinite(np.asarray(evaluation.history[measure], dtype=float))
            names = ("env_steps", measure)
            history: dict[str, Any] = {name: np.asarray(evaluation.history[name])[rows] for name in names}
            found.append(dataclasses.replace(evaluation, history=history))
    return found


def _draw_learning(groups: Groups, settings: BarcodeBanditSettings) -> Figure | None:
    """Reward per pull and first pulls at the last encounter over training; None if there is no history."""
    figure, axes = new_figure(2, 3.6, 3.4)
    panels = (
        ("reward_per_trial", settings.chance, "reward", "reward per pull"),
        (HEADLINE, 1 / settings.arms, f"first pull, encounter {settings.encounters}", "share of best arm"),
    )
    drawn = False
    for axis, (measure, chance, title, unit) in zip(axes, panels, strict=True):
        for color, name, group in _in_turn(groups):
            curves = learning_curves(_told(group, measure), measure)
            if curves is None:
                continue
            drawn = True
            steps, (mean, sd) = curves[0] / 1e6, mean_and_sd(curves[1])
            axis.plot(steps, mean, color=color, linewidth=1.6, label=name)
            axis.fill_between(steps, mean - sd, mean + sd, color=color, alpha=0.2, linewidth=0)
        axis.axhline(ideal(settings)[measure], color=INK, linewidth=1.2, label=IDEAL, zorder=1)
        alone = ideal(settings, "without_recall")[measure]
        axis.axhline(alone, color=INK, linestyle=":", linewidth=1.4, label=ALONE, zorder=1)
        axis.axhline(chance, color=GREY, linestyle="--", linewidth=1, label=CHANCE, zorder=0)
        axis.set_ylim(0, 1.02)
        label(axis, title, "environment steps (millions)", unit)
    if not drawn:
        return None
    _legend_below(figure, axes[0])
    return figure
