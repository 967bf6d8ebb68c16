"""Figures of families of tasks: return by episode of a life (or by step of adaptation), and over training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from .families import returns_by_episode
from .groups import groups_of
from .plotting import GREY, GROUP_COLORS, draw_learning_curve, label, mean_and_sd, new_figure
from .trials import Evaluation, Reference

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STYLES = ("-", "--", ":", "-.")


def family_figures(evaluations: Sequence[Evaluation], references: Sequence[Reference]) -> Iterator[tuple[str, Figure]]:
    """Return by episode of a life (main); before and after adaptation over training."""
    played = groups_of([e for e in evaluations if len(e.trials.get("trial", ()))])
    yield "adaptation", _draw_adaptation(played, references)
    drawn = _draw_curves(groups_of(evaluations), references)
    if drawn is not None:
        yield "learning_curve", drawn


def _draw_adaptation(groups: Mapping[str, Sequence[Evaluation]], references: Sequence[Reference]) -> Figure:
    figure, (axis,) = new_figure(width=4.8)
    some, all_of_them = _adapting(groups)
    last = 0
    for number, (group, own) in enumerate(groups.items()):
        color = GROUP_COLORS[number % len(GROUP_COLORS)]
        rows = [returns_by_episode(e.trials) for e in own]
        most = max(map(len, rows))
        mean, sd = mean_and_sd(np.array([row + [np.nan] * (most - len(row)) for row in rows]))
        x = np.arange(most)
        axis.errorbar(x, mean, sd if len(own) > 1 else None, color=color, marker="o", capsize=3, label=group)
        for row in rows if len(own) > 1 else []:
            axis.plot(np.arange(len(row)), row, "o", color="white", markeredgecolor=color, markersize=3.5)
        last = max(last, most - 1)
    for reference, style in zip(references, STYLES, strict=False):
        axis.axhline(reference.values["return_last"], color=GREY, linestyle=style, linewidth=1.2, label=reference.name)
    axis.set_xticks(range(last + 1), [str(k) if some else str(k + 1) for k in range(last + 1)])
    axis.set_xlim(-0.3, last + 0.3)
    title, what = "within a life", "episode of a life"
    if some:
        title, what = "adaptation", "steps of adaptation" + ("" if all_of_them else ", or episodes before")
    axis.margins(y=0.08)
    label(axis, title, what, "return of an episode")
    figure.legend(frameon=False, fontsize=8, loc="outside right upper")
    return figure


def _draw_curves(groups: Mapping[str, Sequence[Evaluation]], references: Sequence[Reference]) -> Figure | None:
    """Solid what is reached at the end of lives, dashed at their start."""
    figure, (axis,) = new_figure(width=6.4)
    drawn = False
    for number, (group, own) in enumerate(groups.items()):
        color = GROUP_COLORS[number % len(GROUP_COLORS)]
        for measure, style in (("return_last", "-"), ("return_first", "--")):
            if draw_learning_curve(axis, own, measure, color):
                axis.lines[-1].set(linestyle=style, label=group if style == "-" else None)
                drawn = True
    if not drawn:
        return None
    for reference, style in zip(references, (":", "-."), strict=False):
        axis.axhline(reference.values["return_last"], color=GREY, linestyle=style, linewidth=1.2, label=reference.name)
    some, all_of_them = _adapting(groups)
    first, last = ("before adaptation", "after it") if all_of_them else ("first episode", "last episode")
    if some and not all_of_them:
        first, last = f"before adaptation, {first}", f"after it, {last}"
    axis.plot([], [], color=GREY, label=last)
    axis.plot([], [], color=GREY, linestyle="--", label=first)
    label(axis, "before and after learning of the task", "environment steps (millions)", "return of an episode")
    figure.legend(frameon=False, fontsize=8, loc="outside right upper")
    return figure


def _adapting(groups: Mapping[str, Sequence[Evaluation]]) -> tuple[bool, bool]:
    """Whether some adapt their parameters, and whether all do."""
    found = ["adaptation" in e.trials for own in groups.values() for e in own]
    return any(found), all(found)
