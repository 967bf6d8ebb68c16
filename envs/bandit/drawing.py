"""Figures of the bandits: cumulative regret, raster of choices, learning curve, transfer between distributions."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..groups import groups_of
from ..plotting import (
    BLUE,
    GREEN,
    GREY,
    GROUP_COLORS,
    ORANGE,
    PURPLE,
    RED,
    draw_learning_curves,
    label,
    legend,
    mean_and_sd,
    new_figure,
)
from ..trials import Evaluation
from .analysis import TITLES, baseline_trials, comparable, per_episode, references, regret_curve, reward_by_trial
from .env import BanditSettings
from .restless_drawing import draw_tracking

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK = "#222222"
STYLES = {
    "bayes_optimal": (INK, "--"),
    "gittins": (GREEN, "-"),
    "thompson": (ORANGE, "-"),
    "ucb": (RED, "-"),
    "rescorla_wagner": (PURPLE, "-"),
}
COLORS = {title: STYLES[name] for name, title in TITLES.items()}


def figures(evaluations: Sequence[Evaluation], settings: BanditSettings) -> Iterator[tuple[str, Figure]]:
    """Cumulative regret (main; for informative arms the reward by trial), raster of choices, learning curve."""
    played = groups_of([e for e in evaluations if len(e.trials.get("trial", ()))])
    if settings.arms == "informative":
        yield "reward", _draw_reward(played, settings)
    yield "regret", _draw_regret(played, settings)
    if played:
        yield "raster", _draw_raster(played, settings)
    if settings.arms == "restless" and (tracking := draw_tracking(played, settings)):
        yield "learning_rate", tracking
    learning = _draw_learning(groups_of(evaluations), settings)
    if learning is not None:
        yield "learning_curve", learning


def _whose(name: str, groups: Mapping[str, Sequence[Evaluation]]) -> str:
    """What a group is called: one alone is the network that was trained."""
    return name if len(groups) > 1 else "network"


def _draw_regret(groups: Mapping[str, Sequence[Evaluation]], settings: BanditSettings) -> Figure:
    figure, (axis,) = new_figure(width=5.4)
    trials = np.arange(1, settings.trial_count + 1)
    highest = 0.0
    for name in comparable(settings):
        color, line = STYLES[name]
        mean, _ = regret_curve(baseline_trials(name, settings), settings)
        highest = max(highest, mean[-1])
        axis.plot(trials, mean, line, color=color, linewidth=1.3, label=TITLES[name], zorder=4 if line == "--" else 2)
    for (group, own), color in zip(groups.items(), itertools.cycle(GROUP_COLORS), strict=False):
        curves = [regret_curve(e.trials, settings) for e in own]
        mean, spread = mean_and_sd([curve for curve, _ in curves]) if len(curves) > 1 else curves[0]
        name = _whose(group, groups)
        name += f", {len(curves)} {'seeds (SD)' if len(groups) == 1 else '(SD)'}" if len(curves) > 1 else " (95 % CI)"
        axis.plot(trials, mean, color=color, linewidth=2.2, label=name, zorder=3)
        axis.fill_between(trials, mean - spread, mean + spread, color=color, alpha=0.25, linewidth=0, zorder=1)
        highest = max(highest, np.nan_to_num(mean[-1] + spread[-1]))
    label(axis, f"bandit, {settings.arms} arms", "trial", "cumulative regret")
    axis.set_xlim(1, max(2, settings.trial_count))
    axis.set_ylim(0, 1.05 * highest or 1.0)
    figure.legend(frameon=False, fontsize=8, loc="outside right upper")
    return figure


def _draw_reward(groups: Mapping[str, Sequence[Evaluation]], settings: BanditSettings) -> Figure:
    figure, (axis,) = new_figure(width=4.8)
    trials = np.arange(1, settings.trial_count + 1)
    best = reward_by_trial(baseline_trials("bayes_optimal", settings), settings)
    axis.plot(trials, best, "--", color=INK, linewidth=1.3, label="best possible", zorder=4)
    for (group, own), color in zip(groups.items(), itertools.cycle(GROUP_COLORS), strict=False):
        rows = [reward_by_trial(e.trials, settings) for e in own]
        for row in rows if len(rows) > 1 else []:
            axis.plot(trials, row, "o", color="white", markeredgecolor=color, markersize=4, zorder=5)
        mean, sd = mean_and_sd(rows)
        name = _whose(group, groups) + (f", {len(rows)} seeds (SD)" if len(rows) > 1 else "")
        axis.errorbar(trials, mean, sd if len(rows) > 1 else None, color=color, linewidth=2.2, marker="o", label=name)
    label(axis, "informative bandit", "trial", "reward")
    axis.set_xticks(trials)
    axis.set_ylim(0, 5.3)
    legend(axis, loc="lower right")
    return figure


def _draw_raster(groups: Mapping[str, Sequence[Evaluation]], settings: BanditSettings, rows: int = 200) -> Figure:
    """Rows: episodes ordered by the first arm's probability (at the start); columns: trials; colour: the arm."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    arms = settings.arm_count
    colors = [BLUE, ORANGE, GREEN, RED, PURPLE][:arms] if arms <= 5 else colormaps["viridis"](np.linspace(0, 1, arms))
    figure, axes = new_figure(2 + len(groups), 2.6)
    agents = {
        **{_whose(name, groups): own[0].trials for name, own in groups.items()},
        "random": baseline_trials("random", settings),
        "oracle": baseline_trials("oracle", settings),
    }
    for axis, (name, trials) in zip(axes, agents.items(), strict=True):
        choice = per_episode(trials, settings, trials["choice"])[:rows]
        first = per_episode(trials, settings, trials["arm_1"])[:rows, 0]
        settled = choice[:, -1] * (settings.arms == "informative")  # shows there which target was found
        order = np.lexsort((settled, first))
        if len(choice):
            axis.imshow(
                choice[order],
                aspect="auto",
                cmap=ListedColormap(colors),
                interpolation="nearest",
                vmin=-0.5,
                vmax=arms - 0.5,
                origin="lower",
                extent=(0.5, settings.trial_count + 0.5, 0, len(choice)),
            )
        label(axis, name, "trial", "episodes, by probability of arm 1" if axis is axes[0] else "")
        axis.set_yticks([])
    keys = [Patch(color=color, label=f"arm {arm + 1}") for arm, color in enumerate(colors)]
    if arms <= 20:
        figure.legend(handles=keys, frameon=False, fontsize=8, loc="outside right upper")
    return figure


def _draw_learning(groups: Mapping[str, Sequence[Evaluation]], settings: BanditSettings) -> Figure | None:
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    figure, (axis,) = new_figure(width=4.8)
    if not draw_learning_curves(axis, groups, "regret"):
        return None
    for reference in references(settings):
        color, _ = COLORS.get(reference.name, (GREY, "--"))
        axis.axhline(reference.values["regret"], color=color, linestyle="--", linewidth=1.1, label=reference.name)
    label(axis, f"learning, {settings.arms} arms", "environment steps (millions)", "regret of an episode")
    axis.set_yscale("log")
    axis.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.yaxis.set_minor_formatter(NullFormatter())
    legend(axis)
    return figure


def transfer_figure(regret: Mapping[tuple[str, str], float], names: Sequence[str]) -> Figure:
    """Train/test matrix: `regret[trained on, tested on]`, for the distributions in `names`; "-" where it is not known.

    Reproduces the comparison of Wang et al. 2016, experiment 2.
    """
    figure, (axis,) = new_figure(width=4.6, height=4.0)
    table = np.array([[regret.get((row, column), np.nan) for column in names] for row in names])
    image = axis.imshow(table, cmap="viridis_r")
    known = table[np.isfinite(table)]
    middle = (known.min() + known.max()) / 2 if known.size else 0.0
    for (row, column), value in np.ndenumerate(table):
        text = f"{value:.1f}" if np.isfinite(value) else "-"
        dark = np.isfinite(value) and value > middle
        axis.text(column, row, text, ha="center", va="center", fontsize=9, color="white" if dark else INK)
    axis.set_xticks(range(len(names)), names, rotation=30, ha="right", rotation_mode="anchor")
    axis.set_yticks(range(len(names)), names)
    axis.spines[:].set_visible(False)
    axis.tick_params(length=0)
    label(axis, "regret of an episode", "tested on", "trained on")
    figure.colorbar(image, ax=axis, shrink=0.8).outline.set_visible(False)
    return figure
