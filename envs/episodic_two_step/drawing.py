"""Figures of the episodic two-step task. Evaluations of several groups (agents) are shown side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from ..groups import groups_of, welch
from ..plotting import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    RED,
    bars_with_dots,
    label,
    learning_curves,
    mean_and_sd,
    new_figure,
)
from ..trials import Evaluation
from ..two_step.analysis import CELLS
from .analysis import REWARDS, ideal, published, summarise
from .env import EpisodicTwoStepSettings

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

EPISODIC, INCREMENTAL = "episodic", "incremental"
"""Groups with and without retrieval, by the names that evaluations give them."""

COLORS = (GREEN, PURPLE, ORANGE, BLUE, RED)
"""Of the groups, in turn."""

INK = "#222222"
CHANCE = 0.5


def figures(evaluations: Sequence[Evaluation], settings: EpisodicTwoStepSettings) -> Iterator[tuple[str, Figure]]:
    """Stay probabilities (main), reward with and without cues, learning curve."""
    groups = groups_of(evaluations)
    measures = {name: [summarise(e.trials, settings) for e in group] for name, group in groups.items()}
    yield "stay_probability", _draw_stay(measures, settings)
    yield "reward", _draw_reward(measures, settings)
    curve = _draw_learning(groups, settings)
    if curve is not None:
        yield "learning_curve", curve


def _named(name: str) -> str:
    return name or "agent"


def _seeds(count: int) -> str:
    return f", {count} seeds" if count > 1 else ""


def _draw_stay(measures: Mapping[str, Sequence[Mapping[str, Any]]], settings: EpisodicTwoStepSettings) -> Figure:
    """Three panels: the agent without retrieval uncued and cued, the one with retrieval by the cue's trial.

    Which groups these are: those of the names above if they are there, else the first group has the retrieval and the
    second has not. A single group fills all panels.
    """
    names = list(measures)
    recalling = next((name for name in (EPISODIC, *names) if name in names and name != INCREMENTAL), names[0])
    others = [name for name in names if name != recalling]
    other = INCREMENTAL if INCREMENTAL in others else (others or [recalling])[0]
    panels = (
        (other, "uncued", "last trial", "uncued trials"),
        (other, "cued", "last trial", "cued trials"),
        (recalling, "episodic", "trial that the cue stands for", "cued trials"),
    )
    figure, axes = new_figure(3, 3.3, 3.4)
    for i, (axis, (group, table, relation, title)) in enumerate(zip(axes, panels, strict=True)):
        runs = np.array([list(run[table]["stay_probability"].values()) for run in measures[group]])
        x = np.arange(2.0)
        bars_with_dots(axis, x - 0.2, runs[:, [0, 2]], 0.36, BLUE, "common")
        bars_with_dots(axis, x + 0.2, runs[:, [1, 3]], 0.36, RED, "uncommon")
        recalls = group == recalling and group != INCREMENTAL
        best = ideal(settings, "ideal_observer" if recalls else "ideal_without_recall")
        _mark(axis, best[table]["stay_probability"], "_", INK, 18, "ideal observer of the agent's kind")
        for reference in published(settings):
            if table in reference.values:
                _mark(axis, reference.values[table]["stay_probability"], "D", ORANGE, 4.5, reference.name)
        axis.set_xticks(x, ["rewarded", "unrewarded"])
        axis.set_ylim(0, 1.04)
        if i:
            axis.tick_params(labelleft=False)
        whose = f"{_named(group)}, {title}{_seeds(len(runs))}"
        label(axis, whose, relation, "" if i else "stay probability")
    handles, texts = axes[2].get_legend_handles_labels()
    figure.legend(handles, texts, frameon=False, fontsize=8, loc="outside lower center", ncols=len(texts))
    return figure


def _mark(axis: Axes, bars: Mapping[str, float], marker: str, color: str, size: float, name: str) -> None:
    """One marker on each of the four bars."""
    axis.plot(
        np.array([-0.2, 0.2, 0.8, 1.2]),
        [bars[cell] for cell in CELLS],
        marker,
        color=color,
        markersize=size,
        markeredgewidth=1.5,
        label=name,
        clip_on=False,
    )


def _draw_reward(measures: Mapping[str, Sequence[Mapping[str, Any]]], settings: EpisodicTwoStepSettings) -> Figure:
    """Reward per uncued and cued trial of each group (SD, one dot a seed), Welch's test of each pair of groups."""
    figure, (axis,) = new_figure(width=4.6, height=3.4)
    runs = {
        name: np.array([[run[measure] for measure in REWARDS] for run in group]) for name, group in measures.items()
    }
    x, width = np.arange(2.0), 0.8 / len(runs)
    offsets = (np.arange(len(runs)) - (len(runs) - 1) / 2) * width
    for offset, color, (name, table) in zip(offsets, _colors(runs), runs.items(), strict=True):
        bars_with_dots(axis, x + offset, table, 0.9 * width, color, _named(name) + _seeds(len(table)))
    best = [ideal(settings)[measure] for measure in REWARDS]
    axis.hlines(best, x - 0.45, x + 0.45, INK, linewidth=1.2, label="ideal")
    unaided = ideal(settings, "ideal_without_recall")["reward_per_cued_trial"]
    axis.hlines(unaided, 0.55, 1.45, INK, ":", linewidth=1.2, label="ideal without recall")
    axis.axhline(CHANCE, color=GREY, linestyle="--", linewidth=1, label="chance")
    values = np.concatenate(list(runs.values()))
    shown = values[np.isfinite(values)]
    top = max([*best, *shown]) + 0.02
    step = 0.035
    for place in (0, 1):
        for level, (one, other) in enumerate(combinations(range(len(runs)), 2)):
            tables = list(runs.values())
            p = welch(tables[one][:, place], tables[other][:, place])["p"]
            if np.isfinite(p):
                _bracket(axis, place + offsets[one], place + offsets[other], top + level * step, _stars(p))
    brackets = len(runs) * (len(runs) - 1) // 2
    axis.set_ylim(min([0.45, *(shown - 0.03)]), top + step * brackets)
    axis.set_xticks(x, ["uncued", "cued"])
    axis.tick_params(axis="x", length=0)
    label(axis, "reward with and without cues", "trials", "reward per trial")
    figure.legend(frameon=False, fontsize=8, loc="outside right upper")
    return figure


def _colors(groups: Mapping[str, Any]) -> list[str]:
    return [COLORS[i % len(COLORS)] for i in range(len(groups))]


def _stars(p: float) -> str:
    return next((stars for stars, bound in (("***", 0.001), ("**", 0.01), ("*", 0.05)) if p < bound), "n.s.")


def _bracket(axis: Axes, left: float, right: float, height: float, text: str) -> None:
    axis.plot([left, left, right, right], [height - 0.005, height, height, height - 0.005], color=INK, linewidth=0.9)
    axis.text((left + right) / 2, height, text, ha="center", va="bottom", fontsize=8)


def _draw_learning(groups: Mapping[str, Sequence[Evaluation]], settings: EpisodicTwoStepSettings) -> Figure | None:
    """Reward over training, mean ± SD: cued trials solid, uncued ones dotted; None if there is no history."""
    figure, (axis,) = new_figure(width=5.6, height=3.4)
    drawn = False
    for color, (name, group) in zip(_colors(groups), groups.items(), strict=True):
        for measure, style in zip(reversed(REWARDS), ("-", ":"), strict=True):
            curves = learning_curves(group, measure)
            if curves is None:
                continue
            drawn = True
            steps, (mean, sd) = curves[0] / 1e6, mean_and_sd(curves[1])
            kind = "cued" if measure == "reward_per_cued_trial" else "uncued"
            axis.plot(steps, mean, style, color=color, linewidth=1.6, label=f"{_named(name)}, {kind}")
            axis.fill_between(steps, mean - sd, mean + sd, color=color, alpha=0.2, linewidth=0)
    if not drawn:
        return None
    for measure, name in zip(REWARDS, ("ideal, uncued", "ideal, cued"), strict=True):
        best = ideal(settings)[measure]
        axis.axhline(best, color=GREY, linestyle="--", linewidth=1)
        axis.text(1, best, name, color=GREY, fontsize=8, va="bottom", ha="right", transform=axis.get_yaxis_transform())
    label(axis, "learning", "environment steps (millions)", "reward per trial")
    figure.legend(frameon=False, fontsize=8, loc="outside right upper")
    return figure
