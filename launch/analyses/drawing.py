"""Figures of a recording's analyses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...envs.plotting import BLUE, GREY, GROUP_COLORS, label, new_figure
from ...replay.trajectory import Array
from .decoding import Decoding
from .population import Trajectories
from .regression import Regression

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

X_LABELS = {"lag": "trials from that of the condition", "step": "step of the trial", "trial": "trial of the episode"}


def draw_trajectories(found: Trajectories, conditions: Sequence[str]) -> Figure:
    """The plane of the first two components, and the first ones one by one along the trajectory."""
    components = min(2, found.mean.shape[2])
    figure, axes = new_figure(1 + components, height=3.4)
    plane, rest = axes[0], axes[1:]
    shares = [f"component {i + 1} ({share:.0%} of variance)" for i, share in enumerate(found.explained)]
    for number, name in enumerate(conditions):
        color = GROUP_COLORS[number % len(GROUP_COLORS)]
        mean = found.mean[number]
        if components > 1:
            plane.plot(mean[:, 0], mean[:, 1], ".-", color=color, linewidth=1.2, markersize=4)
            start = mean[np.argmin(np.abs(found.x))]
            plane.plot(*start[:2], "o", color=color, markersize=7, markeredgecolor="white")
        for axis, values in zip(rest, mean.T, strict=False):
            axis.plot(found.x, values, ".-", color=color, linewidth=1.2, markersize=4, label=name)
    label(plane, "Trajectories (dot: 0)", shares[0], shares[1] if components > 1 else "")
    for i, axis in enumerate(rest):
        label(axis, f"Component {i + 1}", X_LABELS[found.along], "mean score")
    handles, names = rest[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=min(4, len(names)), frameon=False, fontsize=8)
    return figure


def draw_coding(
    found: Regression, decoded: Mapping[str, Decoding], alike: Array, conditions: Sequence[str], alpha: float
) -> Figure:
    """Which units code what, what can be decoded, which conditions look alike."""
    figure, (units, decoders, matrix) = new_figure(3, width=4.6, height=1.9 + 0.28 * max(len(found.variables), 6))
    places = np.arange(len(found.variables))[::-1]
    share = (found.q < alpha).mean(1)
    units.barh(places, share, 0.6, color=BLUE)
    for place, partial, part in zip(places, found.partial_r2, share, strict=True):
        units.text(part + 0.02, place, f"R² {partial.max():.2f}", va="center", fontsize=8, color="#333333")
    units.set_xlim(0, 1.25)
    units.set_xticks([0, 0.5, 1])
    units.set_yticks(places, found.variables, fontsize=8)
    label(units, "Units that code it (largest partial R²)", f"share of units, q < {alpha:g}", "")
    _draw_decoding(decoders, decoded)
    _draw_similarity(matrix, alike, conditions)
    return figure


def _draw_decoding(axis: Axes, decoded: Mapping[str, Decoding]) -> None:
    places = np.arange(len(decoded))[::-1]
    for place, one in zip(places, decoded.values(), strict=True):
        axis.plot(one.shifted, np.full(len(one.shifted), place), "|", color=GREY, markersize=9, label="shifted values")
        axis.plot(one.score, place, "o", color=BLUE, markersize=7, label="left-out episodes")
    names = [f"{name} ({one.measure.replace('balanced ', '')})" for name, one in decoded.items()]
    axis.set_yticks(places, names, fontsize=8)
    axis.set_ylim(-0.6, len(decoded) - 0.1)
    axis.set_xlim(min(0.0, min(one.score for one in decoded.values())) - 0.03, 1.03)
    handles, labels = axis.get_legend_handles_labels()
    axis.legend(handles[:2], labels[:2], frameon=False, fontsize=8, loc="upper center", ncols=2)
    label(axis, "Linear decoding", "accuracy, R²", "")


def _draw_similarity(axis: Axes, alike: Array, conditions: Sequence[str]) -> None:
    picture = axis.imshow(alike, cmap="RdBu_r", vmin=-1, vmax=1)
    places = range(len(conditions))
    axis.set_yticks(places, conditions, fontsize=7)
    axis.set_xticks(places, [str(i + 1) for i in places], fontsize=7)
    for row, column in np.ndindex(*alike.shape):
        if len(conditions) <= 8 and np.isfinite(value := alike[row, column]):
            ink = "white" if abs(value) > 0.6 else "black"
            axis.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=7, color=ink)
    bar = axis.figure.colorbar(picture, ax=axis, shrink=0.8)
    bar.ax.tick_params(labelsize=7)
    label(axis, "Similarity of conditions", "", "")
