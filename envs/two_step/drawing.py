"""Figures of the two-step task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..groups import groups_of
from ..plotting import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    RED,
    bars_with_dots,
    draw_learning_curves,
    label,
    legend,
    mean_and_sd,
    new_figure,
)
from ..trials import Evaluation
from .analysis import CELLS, LAGS, ideal, lag_regression, references, summarise
from .env import TwoStepSettings
from .prediction_errors import Errors, arrival_errors, best_rate, outcome_errors, r_squared

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def figures(evaluations: Sequence[Evaluation], settings: TwoStepSettings) -> Iterator[tuple[str, Figure]]:
    """Stay probabilities (main), lag regression, prediction errors of a network, learning curve; groups apart."""
    groups = groups_of(evaluations)
    yield "stay_probability", _draw_stay(groups, settings)
    weights = {
        name: [fit for e in own if all((fit := lag_regression(e.trials)).values())] for name, own in groups.items()
    }
    if any(weights.values()):
        yield "lag_regression", _draw_lags({name: fits for name, fits in weights.items() if fits})
    networks = [e for e in evaluations if "rpe" in e.trials]
    if networks:
        yield "prediction_errors", _draw_errors(networks[0], settings)
    figure, (axis,) = new_figure()
    if draw_learning_curves(axis, groups, "reward_per_trial"):
        best = ideal(settings)["reward_per_trial"]
        axis.axhline(best, color=GREY, linestyle="--", linewidth=1)
        place = axis.get_yaxis_transform()
        axis.text(1, best, " ideal observer", color=GREY, fontsize=8, va="bottom", ha="right", transform=place)
        label(axis, "learning", "environment steps (millions)", "reward per trial")
        yield "learning_curve", figure


def _draw_stay(groups: Mapping[str, Sequence[Evaluation]], settings: TwoStepSettings) -> Figure:
    """A panel a group."""
    figure, axes = new_figure(len(groups), 4.2 if len(groups) == 1 else 3.2)
    for i, (axis, (name, own)) in enumerate(zip(axes, groups.items(), strict=True)):
        runs = np.array([list(summarise(e.trials, settings)["stay_probability"].values()) for e in own])
        x = np.arange(2.0)
        bars_with_dots(axis, x - 0.2, runs[:, [0, 2]], 0.36, BLUE, "common")
        bars_with_dots(axis, x + 0.2, runs[:, [1, 3]], 0.36, RED, "uncommon")
        _mark_references(axis, settings)
        axis.set_xticks(x, ["rewarded", "unrewarded"])
        axis.set_ylim(0, 1.04)
        title = _title(own) if len(groups) == 1 else f"{name} ({len(own)})"
        label(axis, title, "last trial", "" if i else "stay probability")
    handles, texts = axes[0].get_legend_handles_labels()
    figure.legend(handles, texts, frameon=False, fontsize=8, loc="outside right upper")
    return figure


def _mark_references(axis: Axes, settings: TwoStepSettings) -> None:
    markers = {"ideal observer": ("_", "#222222", 22)}
    for reference in references(settings):
        values = [reference.values["stay_probability"][cell] for cell in CELLS]
        marker, color, size = markers.get(reference.name, ("D", ORANGE, 5))
        axis.plot(
            np.array([-0.2, 0.2, 0.8, 1.2]),
            values,
            marker,
            color=color,
            markersize=size,
            markeredgewidth=1.5,
            label=reference.name,
            linestyle="none",
        )


def _title(evaluations: Sequence[Evaluation]) -> str:
    return "two-step task" + (f", {len(evaluations)} seeds" if len(evaluations) > 1 else "")


def _draw_lags(groups: Mapping[str, Sequence[Mapping[str, list[float]]]]) -> Figure:
    """Two panels a group, which have a scale of their own: weights of agents that never err know no bound."""
    figure, axes = new_figure(2 * len(groups), 3.4 if len(groups) == 1 else 2.6)
    for i, (name, fits) in enumerate(groups.items()):
        for axis, kind in zip(axes[2 * i : 2 * i + 2], ("common", "uncommon"), strict=True):
            for outcome, color in (("rewarded", GREEN), ("unrewarded", GREY)):
                mean, sd = mean_and_sd([np.array(fit[f"{outcome}_{kind}"]) for fit in fits])
                spread = sd if len(fits) > 1 else None
                lags = np.arange(1, LAGS + 1)
                axis.errorbar(lags, mean, spread, fmt="o-", color=color, markersize=4, label=outcome)
            axis.axhline(0, color="#bbbbbb", linewidth=0.8)
            axis.set_xticks(np.arange(1, LAGS + 1))
            whose = "" if len(groups) == 1 else f"{name}: "
            what = "weight on repeating the choice" if axis is axes[0] else ""
            label(axis, f"{whose}{kind} transition", "trials back", what)
        axes[2 * i + 1].sharey(axes[2 * i])
    legend(axes[0])
    return figure


def _draw_errors(evaluation: Evaluation, settings: TwoStepSettings) -> Figure:
    """A row a stage: the network's errors over the model-based and the model-free ones."""
    stages: dict[str, Errors | None] = {
        "second stage met": arrival_errors(evaluation.trials, settings),
        "reward": outcome_errors(evaluation.trials, settings),
    }
    shown = {name: errors for name, errors in stages.items() if errors is not None}
    figure, axes = new_figure(2 * len(shown), 3.4)
    for i, (name, errors) in enumerate(shown.items()):
        network = errors.network.ravel()
        r2_free, rate = best_rate(network, errors.free["free"])
        both = {
            "model-based": (errors.based, r_squared(network, errors.based.ravel())),
            "model-free": (errors.free["free"][rate], r2_free),
        }
        thinned = slice(None, None, max(1, network.size // 3000))
        for axis, (whose, (values, r2)) in zip(axes[2 * i : 2 * i + 2], both.items(), strict=True):
            axis.plot(values.ravel()[thinned], network[thinned], ".", color=BLUE, markersize=2, alpha=0.4)
            title = f"{name}: r² = {r2:.2g}" if len(shown) > 1 else f"r² = {r2:.2f}"
            label(axis, title, f"{whose} prediction error", "network's prediction error" if axis is axes[0] else "")
    return figure
