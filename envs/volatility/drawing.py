"""Figures of the volatility task: learning rates by block, choices through an episode, learning curve."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..groups import groups_of
from ..plotting import (
    GREY,
    GROUP_COLORS,
    bars_with_dots,
    draw_learning_curves,
    label,
    legend,
    mean_and_sd,
    new_figure,
)
from ..trials import Evaluation
from .analysis import learning_rates, likelier_at_first, played, references
from .env import VolatilitySettings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK = "#222222"
STYLES = ("-", "--", ":")


def figures(evaluations: Sequence[Evaluation], settings: VolatilitySettings) -> Iterator[tuple[str, Figure]]:
    """Learning rate by block (main), in the paper's order of blocks also choices by trial; learning curve."""
    groups = groups_of([e for e in evaluations if len(e.trials.get("trial", ()))])
    yield "learning_rate", _draw_rates(groups, settings)
    if settings.order == "figure":
        yield "choices", _draw_choices(groups, settings)
    figure, (axis,) = new_figure(width=4.8)
    if draw_learning_curves(axis, groups_of(evaluations), "reward_per_trial"):
        for reference, line in zip(references(settings), STYLES, strict=True):
            axis.axhline(reference.values["reward_per_trial"], color=GREY, linestyle=line, label=reference.name)
        label(axis, "learning", "environment steps (millions)", "reward per trial")
        legend(axis, loc="lower right")
        yield "learning_curve", figure


def _draw_rates(groups: Mapping[str, Sequence[Evaluation]], settings: VolatilitySettings) -> Figure:
    figure, (axis,) = new_figure(width=5.4)
    rates = references(settings)[0].values["learning_rate"]
    names = [name for name in rates if name != "volatile_to_stable"]
    names = [name for name in names if "_" in name] or names  # each block rather than the kinds
    x, width = np.arange(len(names), dtype=float), 0.7 / max(1, len(groups))
    for number, (group, own) in enumerate(groups.items()):
        fitted = [learning_rates(e.trials, settings) for e in own]
        place = x + (number - (len(groups) - 1) / 2) * width
        color = GROUP_COLORS[number % len(GROUP_COLORS)]
        runs = np.array([[rate[name] for name in names] for rate in fitted])
        bars_with_dots(axis, place, runs, width, color, group if len(groups) > 1 else "network")
    for reference, line in zip(references(settings)[:2], STYLES, strict=False):
        values = [reference.values["learning_rate"][name] for name in names]
        axis.hlines(values, x - 0.4, x + 0.4, color=INK, linestyle=line, linewidth=1.6, label=reference.name)
    axis.set_yscale("log")
    axis.set_ylim(0.05, 1)
    axis.set_yticks([0.05, 0.1, 0.2, 0.5, 1], ["0.05", "0.1", "0.2", "0.5", "1"])
    axis.set_xticks(x, [name.replace("_", " ") for name in names])
    label(axis, "learning rate", "block", "Rescorla-Wagner learning rate")
    figure.legend(frameon=False, fontsize=8, loc="outside right upper")
    return figure


def _draw_choices(groups: Mapping[str, Sequence[Evaluation]], settings: VolatilitySettings) -> Figure:
    figure, (axis,) = new_figure(width=7.2)
    trial = np.arange(1, settings.trials + 1)
    ideal, p = likelier_at_first(played(settings, "observer"), settings)
    axis.plot(trial, p, color=GREY, linewidth=1, drawstyle="steps-mid", label="p")
    axis.plot(trial, ideal, "--", color=INK, linewidth=1, label="ideal observer")
    for number, (group, own) in enumerate(groups.items()):
        color = GROUP_COLORS[number % len(GROUP_COLORS)]
        mean, sd = mean_and_sd([likelier_at_first(e.trials, settings)[0] for e in own])
        axis.plot(trial, mean, color=color, linewidth=1.6, label=group if len(groups) > 1 else "network")
        axis.fill_between(trial, mean - sd, mean + sd, color=color, alpha=0.25, linewidth=0)
    for block in range(1, settings.blocks):
        axis.axvline(block * settings.block_trials + 0.5, color="#bbbbbb", linewidth=0.8)
    axis.set_ylim(-0.02, 1.02)
    label(axis, "choices of the side that is better at first", "trial", "share of episodes")
    figure.legend(frameon=False, fontsize=8, loc="outside right upper")
    return figure
