"""Figure of restless arms: learning rates by volatility, and which models of them fit best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..plotting import GREY, GROUP_COLORS, bars_with_dots, label, new_figure
from ..trials import Evaluation
from .analysis import TITLES, baseline_trials
from .env import BanditSettings
from .restless import MODELS, volatility_tracking

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BESIDE = ("bayes_optimal", "rescorla_wagner")


def draw_tracking(groups: Mapping[str, Sequence[Evaluation]], settings: BanditSettings) -> Figure | None:
    """Mean learning rate in blocks of low and high volatility, and BIC of the models less that of `b`; of each group,
    of a filter that infers the volatility, and of a learner whose rate is fixed. None without blocks of both."""
    found: dict[str, list[dict[str, Any]]] = {
        name or "network": [volatility_tracking(e.trials, settings) for e in own] for name, own in groups.items()
    }
    for name in BESIDE:
        found[TITLES[name]] = [volatility_tracking(baseline_trials(name, settings), settings)]
    if not all(fit for fits in found.values() for fit in fits):
        return None
    figure, (rates, models) = new_figure(2, 4.2)
    width = 0.75 / len(found)
    for number, (name, fits) in enumerate(found.items()):
        beside = number - (len(found) - 1) / 2
        color = GROUP_COLORS[number % len(GROUP_COLORS)] if number < len(groups) else (GREY, "#d0d0d0")[number % 2]
        runs = np.array([[fit["learning_rate"][kind] for kind in ("low", "high")] for fit in fits])
        bars_with_dots(rates, np.arange(2) + beside * width, runs, width, color, name)
        bic = np.array([[fit["bic"][model] for model in MODELS[1:]] for fit in fits])
        bars_with_dots(models, np.arange(3) + beside * width, bic, width, color, name)
    rates.set_xticks(range(2), ["low", "high"])
    label(rates, "fitted learning rate", "volatility of the block", "Rescorla-Wagner rate")
    models.axhline(0, color="#333333", linewidth=0.8)
    models.set_xticks(range(3), MODELS[1:])
    label(models, "models by block (lower is better)", "what may differ from block to block", "BIC less that of b")
    handles, labels = rates.get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, fontsize=8, loc="outside lower center", ncols=3)
    return figure
