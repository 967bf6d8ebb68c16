"""Figures of contextual choice. Evaluations of several groups (agents) are shown side by side."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..groups import groups_of
from ..plotting import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, draw_learning_curve, label, new_figure
from ..trials import Evaluation
from ..vector import Array
from .analysis import KINDS, counts_by_step, ideal, share_of
from .env import ContextualChoiceSettings

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLORS = (BLUE, RED, GREEN, ORANGE, PURPLE)
"""Of the groups, in turn."""

INK = "#222222"
CHANCE = 0.5


def figures(evaluations: Sequence[Evaluation], settings: ContextualChoiceSettings) -> Iterator[tuple[str, Figure]]:
    """Accuracy by time-step (main) and learning curve."""
    groups = groups_of(evaluations)
    yield "accuracy_by_step", _draw_accuracy(groups, settings)
    curve = _draw_learning(groups, settings)
    if curve is not None:
        yield "learning_curve", curve


def _colors(groups: Mapping[str, Sequence[Evaluation]]) -> list[str]:
    return [COLORS[i % len(COLORS)] for i in range(len(groups))]


def _named(name: str, count: int) -> str:
    return (name or "agent") + (f", {count} seeds" if count > 1 else "")


def accuracy_and_error(evaluations: Sequence[Evaluation], settings: ContextualChoiceSettings) -> tuple[Array, Array]:
    """Accuracy [kind, step] of all trials of these evaluations together, and its standard error over trials."""
    counts = [counts_by_step(e.trials, settings) for e in evaluations]
    right, answers = (np.sum(parts, axis=0) for parts in zip(*counts, strict=True))
    share = share_of(right, answers)
    return share, np.sqrt(share * (1 - share) / np.maximum(answers, 1))


def _draw_accuracy(groups: Mapping[str, Sequence[Evaluation]], settings: ContextualChoiceSettings) -> Figure:
    """One panel for new trials and one for repeated ones; error bars are ± 2 standard errors over trials."""
    figure, axes = new_figure(2, 3.3, 3.4)
    x = np.arange(settings.steps)
    tables = {name: accuracy_and_error(group, settings) for name, group in groups.items()}
    shown = [mean[np.isfinite(mean)] for mean, _ in tables.values()]
    lowest = min([0.4, *(float(part.min()) - 0.05 for part in shown if part.size)])
    for kind, (axis, title) in enumerate(zip(axes, ("new contexts", "contexts seen before"), strict=True)):
        axis.axhline(CHANCE, color=GREY, linewidth=0.8, linestyle=":", label="chance")
        axis.axvline(settings.noise_steps - 0.5, color=GREY, linewidth=1, linestyle="--")
        best = ideal(settings)["accuracy_by_step"][KINDS[kind]]
        axis.plot(x, best, "_", color=INK, markersize=11, markeredgewidth=1.3, label="ideal observer", clip_on=False)
        apart = 0.12 * (np.arange(len(tables)) - (len(tables) - 1) / 2)
        for offset, (name, (mean, error)), color in zip(apart, tables.items(), _colors(groups), strict=True):
            axis.errorbar(
                x + offset,
                mean[kind],
                2 * error[kind],
                fmt="o-",
                color=color,
                markersize=3.5,
                linewidth=1.5,
                elinewidth=1,
                label=_named(name, len(groups[name])),
                clip_on=False,
            )
        axis.set_ylim(lowest, 1.005)
        axis.set_xticks(x if settings.steps <= 12 else x[:: -(-settings.steps // 10)])
        if kind:
            axis.tick_params(labelleft=False)
        label(axis, title, "time-step", "" if kind else "share of right answers (± 2 SE)")
    _say_where_noise_ends(axes[0], settings, lowest)
    handles, texts = axes[0].get_legend_handles_labels()
    figure.legend(handles, texts, frameon=False, fontsize=8, loc="outside lower center", ncols=min(5, len(texts)))
    return figure


def _say_where_noise_ends(axis: Axes, settings: ContextualChoiceSettings, lowest: float) -> None:
    edge, height = settings.noise_steps - 0.5, lowest + 0.015
    axis.text(edge - 0.15, height, "noise", color=GREY, fontsize=8, ha="right", va="bottom")
    axis.text(edge + 0.15, height, "evidence", color=GREY, fontsize=8, ha="left", va="bottom")


def _finite(evaluations: Sequence[Evaluation], measure: str) -> list[Evaluation]:
    """With histories of those windows of training in which there were trials to tell the measure."""
    kept = []
    for evaluation in evaluations:
        if measure in evaluation.history:
            rows = np.isfinite(evaluation.history[measure])
            history = {name: evaluation.history[name][rows] for name in ("env_steps", measure)}
            kept.append(dataclasses.replace(evaluation, history=history))
    return kept


def _draw_learning(groups: Mapping[str, Sequence[Evaluation]], settings: ContextualChoiceSettings) -> Figure | None:
    """Return of a trial over training, mean ± SD over seeds; None if there is no history."""
    figure, (axis,) = new_figure(width=5.4, height=3.4)
    drawn = False
    for (name, group), color in zip(groups.items(), _colors(groups), strict=True):
        for kind, style in (("repeated", "-"), ("new", ":")):
            measure = f"return_{kind}"
            if draw_learning_curve(axis, _finite(group, measure), measure, color):
                axis.lines[-1].set(label=f"{_named(name, len(group))}: {kind}", linestyle=style)
                drawn = True
    if not drawn:
        return None
    best = ideal(settings)
    for kind in KINDS:
        height = best[f"return_{kind}"]
        axis.axhline(height, color=GREY, linestyle="--", linewidth=1)
        text = f"ideal observer, {kind}"
        axis.text(
            1, height, text, color=GREY, fontsize=8, va="bottom", ha="right", transform=axis.get_yaxis_transform()
        )
    label(axis, "learning", "environment steps (millions)", f"right answers in a trial (of {settings.steps})")
    figure.legend(frameon=False, fontsize=8, loc="outside right upper")
    return figure
