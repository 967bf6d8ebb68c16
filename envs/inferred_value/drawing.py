"""Figures of the linked targets: errors at the target around a reversal; learning curve."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..groups import groups_of
from ..plotting import GREY, GROUP_COLORS, ORANGE, bars_with_dots, draw_learning_curves, label, new_figure
from ..trials import Evaluation
from .analysis import ERROR, classical, cue_errors
from .env import InferredValueSettings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK = "#222222"
TITLES = {"to_unrewarded": "target that loses the reward", "to_rewarded": "target that wins the reward"}
PLACES = {"n": "n", "experienced": "n + 1\nexperienced", "inferred": "n + 1\ninferred"}


def figures(evaluations: Sequence[Evaluation], settings: InferredValueSettings) -> Iterator[tuple[str, Figure]]:
    """Errors at the target in the trial of the reversal and in the next one (main); learning curve."""
    yield "cue_errors", _draw_errors(evaluations, settings)
    figure, (axis,) = new_figure(width=4.8)
    if draw_learning_curves(axis, groups_of(evaluations), "valid"):
        axis.set_ylim(0, 1.02)
        label(axis, "learning", "environment steps (millions)", "trials with both steps valid")
        yield "learning_curve", figure


def _draw_errors(evaluations: Sequence[Evaluation], settings: InferredValueSettings) -> Figure:
    """A panel a kind of target. References are drawn with the discount of the networks."""
    judged = [e for e in evaluations if ERROR in e.trials and len(e.trials["trial"])]
    groups = groups_of(judged)
    figure, axes = new_figure(2, 3.6, 3.4)
    x = np.arange(len(PLACES), dtype=float)
    width = 0.7 / max(1, len(groups))
    discount = judged[0].discount if judged else 1.0
    for axis, (kind, title) in zip(axes, TITLES.items(), strict=True):
        for number, (group, own) in enumerate(groups.items()):
            runs = np.array([list(cue_errors(e.trials)[kind].values()) for e in own])
            place = x + (number - (len(groups) - 1) / 2) * width
            name = group if len(groups) > 1 else "network"
            bars_with_dots(axis, place, runs, width, GROUP_COLORS[number % len(GROUP_COLORS)], name)
        for (name, values), color, line in zip(
            classical(settings).items(), (INK, ORANGE), ("-", (0, (2, 1))), strict=True
        ):
            exact = discount * np.array(list(values["cue_errors"][kind].values()))
            axis.hlines(exact, x - 0.42, x + 0.42, color=color, linestyle=line, linewidth=1.8, label=name)
        axis.axhline(0, color=GREY, linewidth=0.8)
        axis.set_xticks(x, list(PLACES.values()))
        axis.set_ylim(-1.25 * discount / 2, 1.25 * discount / 2)
        label(axis, title, "trial (n: reversal)", "prediction error at the target" if axis is axes[0] else "")
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(handles, names, frameon=False, fontsize=8, loc="outside right upper")
    return figure
