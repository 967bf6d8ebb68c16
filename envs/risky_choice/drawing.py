"""Figures of the safe and the risky lever: share of risky choices by probability and by trial; learning curve."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..groups import groups_of
from ..plotting import (
    BLUE,
    GREY,
    GROUP_COLORS,
    ORANGE,
    bars_with_dots,
    draw_learning_curves,
    label,
    legend,
    mean_and_sd,
    new_figure,
)
from ..trials import Evaluation
from ..vector import Array
from .analysis import by_trial, conditions, ideal_by_trial, references, summarise
from .env import RiskyChoiceSettings
from .planning import plannable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#222222"


def figures(evaluations: Sequence[Evaluation], settings: RiskyChoiceSettings) -> Iterator[tuple[str, Figure]]:
    """Share of risky choices by probability (main) and by free trial; learning curve."""
    played = groups_of([e for e in evaluations if len(e.trials.get("trial", ()))])
    yield "risky", _draw_shares(played, settings)
    yield "risky_by_trial", _draw_by_trial(played, settings)
    figure, (axis,) = new_figure(width=4.8)
    if draw_learning_curves(axis, groups_of(evaluations), "reward_per_trial"):
        for reference, line in zip(references(settings), ("--", "-.", ":"), strict=False):
            axis.axhline(reference.values["reward_per_trial"], color=GREY, linestyle=line, label=reference.name)
        label(axis, "learning", "environment steps (millions)", "reward in a free trial")
        legend(axis, loc="lower right")
        yield "learning_curve", figure


def _draw_shares(groups: Mapping[str, Sequence[Evaluation]], settings: RiskyChoiceSettings) -> Figure:
    figure, (axis,) = new_figure(width=4.6)
    names = list(conditions(settings))
    x = np.arange(len(names), dtype=float)
    width = 0.7 / max(1, len(groups))
    for number, (group, own) in enumerate(groups.items()):
        runs = np.array([list(summarise(e.trials, settings)["risky"].values()) for e in own])
        place = x + (number - (len(groups) - 1) / 2) * width
        name = group if len(groups) > 1 else "network"
        bars_with_dots(axis, place, runs, width, GROUP_COLORS[number % len(GROUP_COLORS)], name)
    for reference, line in zip(references(settings)[:2], ("-", ":"), strict=False):
        shares = list(reference.values["risky"].values())
        axis.hlines(shares, x - 0.4, x + 0.4, color=INK, linestyle=line, linewidth=1.6, label=reference.name)
    axis.set_xticks(x, [name.replace("p_", "p = " if settings.probabilities else "p ") for name in names])
    axis.set_ylim(0, 1)
    label(axis, "risky choices", "", "share of free trials")
    figure.legend(frameon=False, fontsize=8, loc="outside right upper")
    return figure


def _draw_by_trial(groups: Mapping[str, Sequence[Evaluation]], settings: RiskyChoiceSettings) -> Figure:
    named = conditions(settings)
    figure, axes = new_figure(max(1, len(groups)), 4.8)
    shown: Mapping[str, Sequence[Evaluation]] = groups or {"": ()}
    for axis, (group, own) in zip(axes, shown.items(), strict=True):
        for (name, within), color in zip(named.items(), itertools.cycle((BLUE, ORANGE, *GROUP_COLORS)), strict=False):
            _draw_curve(axis, own, settings, name, within, color)
        label(axis, group or "network", "free trial", "share of risky choices")
        axis.set_ylim(-0.02, 1.02)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, fontsize=8, loc="outside right upper")
    return figure


def _draw_curve(
    axis: Axes, own: Sequence[Evaluation], settings: RiskyChoiceSettings, name: str, within: Array, color: str
) -> None:
    trial = np.arange(1, settings.free + 1)
    if own:
        mean, sd = mean_and_sd([by_trial(e.trials, settings, within) for e in own])
        axis.plot(trial, mean, color=color, linewidth=2, label=name.replace("_", " "))
        axis.fill_between(trial, mean - sd, mean + sd, color=color, alpha=0.25, linewidth=0)
    if plannable(settings):
        ideal = ideal_by_trial(settings, within)
        axis.plot(trial, ideal, "--", color=color, linewidth=1.2, label=f"{name.replace('_', ' ')}, ideal observer")
