"""Figures of the two-step task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..plotting import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    RED,
    bars_with_dots,
    draw_learning_curve,
    label,
    legend,
    mean_and_sd,
    new_figure,
)
from ..trials import Evaluation
from .analysis import CELLS, LAGS, ideal, lag_regression, prediction_errors, references, rpe_regression, summarise
from .env import TwoStepSettings

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def figures(evaluations: Sequence[Evaluation], settings: TwoStepSettings) -> Iterator[tuple[str, Figure]]:
    """Stay probabilities (main), lag regression, prediction errors of a network, learning curve."""
    yield "stay_probability", _draw_stay(evaluations, settings)
    if fits := [fit for e in evaluations if all((fit := lag_regression(e.trials)).values())]:
        yield "lag_regression", _draw_lags(fits)
    if all("rpe" in e.trials for e in evaluations):
        yield "prediction_errors", _draw_errors(evaluations, settings)
    figure, (axis,) = new_figure()
    if draw_learning_curve(axis, evaluations, "reward_per_trial"):
        axis.axhline(ideal(settings)["reward_per_trial"], color=GREY, linestyle="--", linewidth=1)
        axis.text(
            1,
            ideal(settings)["reward_per_trial"],
            " ideal observer",
            color=GREY,
            fontsize=8,
            va="bottom",
            ha="right",
            transform=axis.get_yaxis_transform(),
        )
        label(axis, "learning", "environment steps (millions)", "reward per trial")
        yield "learning_curve", figure


def _draw_stay(evaluations: Sequence[Evaluation], settings: TwoStepSettings) -> Figure:
    runs = np.array([list(summarise(e.trials, settings)["stay_probability"].values()) for e in evaluations])
    figure, (axis,) = new_figure()
    x = np.arange(2.0)
    bars_with_dots(axis, x - 0.2, runs[:, [0, 2]], 0.36, BLUE, "common")
    bars_with_dots(axis, x + 0.2, runs[:, [1, 3]], 0.36, RED, "uncommon")
    places = np.array([-0.2, 0.2, 0.8, 1.2])
    markers = {"ideal observer": ("_", "#222222", 22)}
    for reference in references(settings):
        values = [reference.values["stay_probability"][cell] for cell in CELLS]
        marker, color, size = markers.get(reference.name, ("D", ORANGE, 5))
        axis.plot(
            places,
            values,
            marker,
            color=color,
            markersize=size,
            markeredgewidth=1.5,
            label=reference.name,
            linestyle="none",
        )
    axis.set_xticks(x, ["rewarded", "unrewarded"])
    axis.set_ylim(0, 1.04)
    label(axis, _title(evaluations), "last trial", "stay probability")
    figure.legend(frameon=False, fontsize=8, loc="outside right upper")
    return figure


def _title(evaluations: Sequence[Evaluation]) -> str:
    return "two-step task" + (f", {len(evaluations)} seeds" if len(evaluations) > 1 else "")


def _draw_lags(fits: Sequence[Mapping[str, list[float]]]) -> Figure:
    figure, axes = new_figure(2, 3.4)
    for axis, kind in zip(axes, ("common", "uncommon"), strict=True):
        for outcome, color in (("rewarded", GREEN), ("unrewarded", GREY)):
            mean, sd = mean_and_sd([np.array(fit[f"{outcome}_{kind}"]) for fit in fits])
            axis.errorbar(
                np.arange(1, LAGS + 1),
                mean,
                sd if len(fits) > 1 else None,
                fmt="o-",
                color=color,
                markersize=4,
                label=outcome,
            )
        axis.axhline(0, color="#bbbbbb", linewidth=0.8)
        axis.set_xticks(np.arange(1, LAGS + 1))
        label(axis, f"{kind} transition", "trials back", "weight on repeating the choice")
    axes[1].sharey(axes[0])
    legend(axes[0])
    return figure


def _draw_errors(evaluations: Sequence[Evaluation], settings: TwoStepSettings) -> Figure:
    figure, axes = new_figure(2, 3.4)
    fit = rpe_regression(evaluations[0].trials, settings)
    rate = fit.get("model_free_learning_rate", 0.5)
    network, based, (free,) = prediction_errors(evaluations[0].trials, settings, np.array([rate]))
    shown = slice(None, None, max(1, network.size // 3000))
    for axis, values, name in ((axes[0], based, "model_based"), (axes[1], free, "model_free")):
        axis.plot(values.ravel()[shown], network.ravel()[shown], ".", color=BLUE, markersize=2, alpha=0.4)
        r2 = fit.get(f"r2_{name}", float("nan"))
        label(axis, f"r² = {r2:.2f}", f"{name.replace('_', '-')} prediction error", "network's prediction error")
    return figure
