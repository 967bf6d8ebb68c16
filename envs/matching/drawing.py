"""Figures of the matching task: choices against rewards, lag regression, learning curve."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..groups import groups_of
from ..plotting import (
    BLUE,
    GREY,
    GROUP_COLORS,
    ORANGE,
    draw_learning_curves,
    label,
    legend,
    mean_and_sd,
    new_figure,
)
from ..trials import Evaluation
from ..vector import Array
from .analysis import LAGS, lag_regression, line, log_ratios, played, references
from .env import MatchingSettings

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#222222"
SHOWN = 600
"""Episodes in a panel of the matching plot, at most."""


def figures(evaluations: Sequence[Evaluation], settings: MatchingSettings) -> Iterator[tuple[str, Figure]]:
    """Matching plot (main), lag regression, learning curve."""
    groups = groups_of([e for e in evaluations if len(e.trials.get("trial", ()))])
    yield "matching", _draw_matching(groups, settings)
    weights = {
        name: [fit for e in own if all((fit := lag_regression(e.trials)).values())] for name, own in groups.items()
    }
    if any(weights.values()):
        yield "lag_regression", _draw_lags(weights, lag_regression(played(settings, "bayes")))
    figure, (axis,) = new_figure(width=4.8)
    if draw_learning_curves(axis, groups_of(evaluations), "reward_per_trial"):
        for reference, style in zip(references(settings), ("-", "--", ":"), strict=True):
            axis.axhline(
                reference.values["reward_per_trial"], color=GREY, linestyle=style, linewidth=1, label=reference.name
            )
        label(axis, "learning", "environment steps (millions)", "reward per trial")
        legend(axis, loc="lower right")
        yield "learning_curve", figure


def _draw_matching(groups: Mapping[str, Sequence[Evaluation]], settings: MatchingSettings) -> Figure:
    """A panel a group: episodes as dots, those with a held-out p0 apart, and the line through all of them."""
    figure, axes = new_figure(max(1, len(groups)), 3.6, 4.1)
    shown: Mapping[str, Sequence[Evaluation]] = groups or {"": ()}
    bayes = line(*log_ratios(played(settings, "bayes"))[:2])
    for axis, (name, own) in zip(axes, shown.items(), strict=True):
        ends = np.array([-5.0, 5.0])
        axis.plot(ends, ends, color=GREY, linewidth=1, label="matching")
        axis.plot(
            ends, bayes[0] * ends + bayes[1], "--", color=INK, linewidth=1.2, label=f"Bayes player, {bayes[0]:.2f}"
        )
        if own:
            _draw_episodes(axis, *(np.concatenate(part) for part in zip(*map(_ratios, own), strict=True)))
        axis.set_xlim(*ends)
        axis.set_ylim(*ends)
        axis.set_aspect("equal")
        seeds = f", {len(own)} seeds" if len(own) > 1 else ""
        label(axis, f"{name or 'network'}{seeds}", "log₂ rewards, left / right", "log₂ choices, left / right")
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(handles, names, frameon=False, fontsize=8, loc="outside lower center", ncols=2)
    return figure


def _ratios(evaluation: Evaluation) -> tuple[Array, Array, Array]:
    return log_ratios(evaluation.trials)


def _draw_episodes(axis: Axes, choices: Array, rewards: Array, held_out: Array) -> None:
    few = slice(None, None, max(1, -(-len(choices) // SHOWN)))
    for which, color, name in ((~held_out, BLUE, "trained p0"), (held_out, ORANGE, "held-out p0")):
        slope, intercept = line(choices[which], rewards[which])
        part = which[few]
        axis.plot(rewards[few][part], choices[few][part], ".", color=color, markersize=3, alpha=0.5)
        if np.isfinite(slope):
            ends = np.array([rewards[which].min(), rewards[which].max()])
            axis.plot(ends, slope * ends + intercept, color=color, linewidth=2, label=f"{name}, slope {slope:.2f}")


def _draw_lags(groups: Mapping[str, Sequence[Mapping[str, list[float]]]], bayes: Mapping[str, list[float]]) -> Figure:
    """Weights of past rewards and of past choices, by lag."""
    figure, axes = new_figure(2, 3.4)
    lags = np.arange(1, LAGS + 1)
    for axis, name in zip(axes, ("reward", "choice"), strict=True):
        axis.axhline(0, color="#bbbbbb", linewidth=0.8)
        axis.plot(lags, bayes[name], "--", color=INK, linewidth=1.2, label="Bayes player")
        for number, (group, fits) in enumerate(groups.items()):
            if fits:
                mean, sd = mean_and_sd([np.array(fit[name]) for fit in fits])
                color = GROUP_COLORS[number % len(GROUP_COLORS)]
                spread = sd if len(fits) > 1 else None
                axis.errorbar(lags, mean, spread, fmt="o-", color=color, markersize=4, label=group or "network")
        axis.set_xticks(lags[::2])
        label(axis, f"past {name}s", "trials back", f"weight of a {name} on choosing its side")
    legend(axes[0])
    return figure
