"""Figures of fitted models: how well each predicts whose choices, fitted parameters, recovery."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..plotting import BLUE, GREY, GROUP_COLORS, label, new_figure
from ..vector import Array
from .fitting import Fit
from .model import ChoiceModel
from .recovery import Recovery

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Fits = Mapping[str, Mapping[str, Sequence[Fit]]]
"""By group, then by model; one a subject, subjects in the same order."""

SIDE = 1.75
"""Inches of a panel of a grid."""


def fit_figures(fits: Fits, models: Sequence[ChoiceModel]) -> dict[str, Figure]:
    """How well each model predicts (main), and the fitted parameters."""
    return {"fits": _draw_fits(fits, models), "parameters": _draw_parameters(fits, models)}


def recovery_figures(recoveries: Sequence[Recovery]) -> dict[str, Figure]:
    """Fitted against true parameters (main), and which model is chosen for subjects of each."""
    return {"recovery": _draw_recovery(recoveries), "model_recovery": _draw_confusion(recoveries)}


def _names(models: Sequence[ChoiceModel]) -> list[str]:
    return [model.shown for model in models]


def _draw_fits(fits: Fits, models: Sequence[ChoiceModel]) -> Figure:
    """Left: probability of a choice (geometric mean). Right: BIC above the best model's of the same subject."""
    from matplotlib.ticker import StrMethodFormatter

    figure, axes = new_figure(2, 3.9, 0.8 + 0.42 * len(models) * max(1, len(fits)) ** 0.5 + 0.8)
    height = 0.8 / len(fits)
    places = np.arange(len(models))[::-1]
    for number, (group, by_model) in enumerate(fits.items()):
        bics = np.array([[one.bic for one in by_model[model.called]] for model in models])
        shares = np.array([[one.likelihood_per_trial for one in by_model[model.called]] for model in models])
        y = places + 0.4 - height * (number + 0.5)
        color = GROUP_COLORS[number % len(GROUP_COLORS)]
        for axis, values in zip(axes, (shares, bics - bics.min(0)), strict=True):
            _dots(axis, values, y, height, color, f"{group} ({bics.shape[1]})")
    chance = 1 / models[0].choices
    axes[0].axvline(chance, color=GREY, linestyle="--", linewidth=1)
    axes[0].text(chance, places[0] + 0.5, " chance", color=GREY, fontsize=8, va="bottom")
    axes[0].set_yticks(places, _names(models))
    axes[1].set_yticks(places, [])
    axes[1].set_xscale("symlog", linthresh=10)
    axes[1].xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes[1].set_xlim(-1, max(20.0, 1.3 * axes[1].get_xlim()[1]))
    label(axes[0], "how well each predicts", "probability of a choice (geometric mean)", "")
    label(axes[1], "what its parameters are worth", "BIC - lowest BIC of the subject (0: chosen)", "")
    if len(fits) > 1:
        handles, texts = axes[0].get_legend_handles_labels()
        figure.legend(handles, texts, frameon=False, fontsize=8, loc="outside lower center", ncols=len(texts))
    return figure


def _dots(axis: Axes, values: Array, y: Array, height: float, color: str, name: str) -> None:
    """One dot a subject [models, N] at the heights y [models], and their mean."""
    spread = np.linspace(-0.3, 0.3, values.shape[1]) * height if values.shape[1] > 1 else np.zeros(1)
    axis.plot(values.T, spread[:, None] + y, "o", color=color, markersize=3, alpha=0.45, markeredgewidth=0)
    axis.plot(values.mean(1), y, "|", color=color, markersize=11, markeredgewidth=2.2, label=name)


def _grid(models: Sequence[ChoiceModel]) -> tuple[Figure, list[list[Axes]]]:
    """A row a model, a panel a parameter."""
    from matplotlib.figure import Figure

    columns = max(len(model.parameters) for model in models)
    figure = Figure(figsize=(columns * SIDE, len(models) * (SIDE + 0.05)), layout="constrained")
    table = figure.subplots(len(models), columns, squeeze=False)
    rows = []
    for row, model in zip(table, models, strict=True):
        for axis in row[len(model.parameters) :]:
            axis.set_visible(False)
        for axis in row:
            axis.spines[["top", "right"]].set_visible(False)
            axis.tick_params(labelsize=8)
        rows.append(list(row[: len(model.parameters)]))
    return figure, rows


def _draw_parameters(fits: Fits, models: Sequence[ChoiceModel]) -> Figure:
    figure, rows = _grid(models)
    for row, model, name in zip(rows, models, _names(models), strict=True):
        for axis, parameter in zip(row, model.parameters, strict=True):
            for number, by_model in enumerate(fits.values()):
                found = np.array([one.parameters[parameter.name] for one in by_model[model.called]])
                spread = np.linspace(-0.25, 0.25, len(found)) if len(found) > 1 else np.zeros(1)
                color = GROUP_COLORS[number % len(GROUP_COLORS)]
                axis.plot(number + spread, found, "o", color=color, markersize=3, alpha=0.5, markeredgewidth=0)
                axis.plot(number, np.median(found), "_", color=color, markersize=18, markeredgewidth=2)
            axis.set_xlim(-0.6, len(fits) - 0.4)
            if (parameter.low, parameter.high) == (0, 1):
                axis.set_ylim(-0.03, 1.03)
            shown = list(fits) if row is rows[-1] else [""] * len(fits)
            axis.set_xticks(range(len(fits)), shown, rotation=30, ha="right", rotation_mode="anchor")
            label(axis, name if axis is row[0] else "", "", parameter.symbol)
    return figure


def _draw_recovery(recoveries: Sequence[Recovery]) -> Figure:
    """Fitted (y) against true parameters (x); fits on a bound of the parameter are drawn at the panel's edge."""
    figure, rows = _grid([one.model for one in recoveries])
    names = _names([one.model for one in recoveries])
    for row, recovery, name in zip(rows, recoveries, names, strict=True):
        for axis, parameter, true, found, r in zip(
            row, recovery.model.parameters, recovery.true.T, recovery.found.T, recovery.correlation, strict=True
        ):
            low, high = parameter.typical
            margin = 0.3 * (high - low)
            edges = max(parameter.low, low - margin), min(parameter.high, high + margin)
            axis.plot(edges, edges, color="#bbbbbb", linewidth=0.8, zorder=0)
            within = np.clip(found, *edges)
            axis.plot(true, within, "o", color=BLUE, markersize=2.8, alpha=0.6, markeredgewidth=0, clip_on=False)
            axis.set_xlim(edges)
            axis.set_ylim(edges)
            axis.set_aspect("equal")
            axis.text(0.04, 0.96, f"{parameter.symbol}   ρ = {r:.2f}", fontsize=8, va="top", transform=axis.transAxes)
            first = axis is row[0]
            label(axis, name if first else "", "true" if row is rows[-1] else "", "fitted" if first else "")
    return figure


def _draw_confusion(recoveries: Sequence[Recovery]) -> Figure:
    names = _names([one.model for one in recoveries])
    shares = np.array([one.chosen for one in recoveries])
    figure, (axis,) = new_figure(width=1.6 + 0.75 * len(names), height=1.3 + 0.55 * len(names))
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (row, column), share in np.ndenumerate(shares):
        color = "white" if share > 0.5 else "#222222"
        axis.text(column, row, f"{share:.0%}", ha="center", va="center", fontsize=9, color=color)
    axis.set_xticks(range(len(names)), names, rotation=30, ha="right", rotation_mode="anchor")
    axis.set_yticks(range(len(names)), names)
    axis.spines[:].set_visible(False)
    axis.tick_params(length=0)
    label(axis, f"{len(recoveries[0].true)} subjects of each model", "lowest BIC", "simulated")
    return figure
