"""Behaviour in Harlow's task: accuracy by trial, over training and at its end, and the figures.

Shared by all forms of the task (one-dimensional, image numbers, PsychLab): see `LearningSet`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..means import mean_by
from ..plotting import GREY, draw_learning_curve, label, mean_and_sd, new_figure
from ..trials import Evaluation, Reference, Trials
from ..vector import Array
from .env import HarlowSettings

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class LearningSet(Protocol):
    """What the measures need to know of the task, whichever form it has: trials in an episode, and rewards."""

    @property
    def trials(self) -> int: ...  # noqa: D102

    @property
    def reward_fixation(self) -> float: ...  # noqa: D102

    @property
    def reward_correct(self) -> float: ...  # noqa: D102

    @property
    def reward_wrong(self) -> float: ...  # noqa: D102


QUANTILES = 5
"""Equal parts of training that the main figure shows."""


def summarise(trials: Trials, settings: LearningSet) -> dict[str, Any]:
    """Share of correct choices in each trial of an episode, and over all trials after the first; NaN where none."""
    trial = np.asarray(trials.get("trial", np.zeros(0)), dtype=int)
    correct = np.asarray(trials.get("correct", np.zeros(0)), dtype=float)
    later = trial > 0
    return {
        "accuracy_by_trial": mean_by(trial, correct, settings.trials).tolist(),
        "accuracy_after_first": float(correct[later].mean()) if later.any() else float("nan"),
    }


def analyse(trials: Trials, settings: LearningSet) -> dict[str, Any]:  # noqa: ARG001
    """Accuracy in the second trial after a right and after a wrong first choice: learning from both is one rule."""
    trial = np.asarray(trials.get("trial", np.zeros(0)), dtype=int)
    if not len(trial):
        return {}
    second = np.flatnonzero((trial[1:] == 1) & (trials["episode"][1:] == trials["episode"][:-1])) + 1
    after_right = trials["correct"][second - 1].astype(bool)
    correct = trials["correct"][second].astype(float)
    return {
        "second_trial_accuracy": {
            "after_correct": float(correct[after_right].mean()) if after_right.any() else float("nan"),
            "after_wrong": float(correct[~after_right].mean()) if (~after_right).any() else float("nan"),
        },
        "steps_per_trial": float(trials["steps"].mean()) if "steps" in trials else float("nan"),
    }


def ideal(settings: LearningSet) -> Reference:
    """The one-shot learner."""
    after = [1.0] * (settings.trials - 1)
    fixation, right, wrong = settings.reward_fixation, settings.reward_correct, settings.reward_wrong
    best = settings.trials * fixation + (settings.trials - 1) * right + 0.5 * (right + wrong)
    values = {"accuracy_by_trial": [0.5, *after], "accuracy_after_first": 1.0, "return": best}
    return Reference("ideal", values, "closed form")


def references(settings: HarlowSettings) -> list[Reference]:
    """The one-shot learner; the published one-dimensional result where the settings are its own."""
    found = [ideal(settings)]
    if settings.trials == 6:
        published = {
            "accuracy_by_trial": [0.5, *[0.945] * 5],
            "accuracy_after_first": 0.945,
            "return": 5.7,
        }
        found.append(Reference("published 1-D code", published, "last quantile of its figure, 8 seeds"))
    return found


def figures(evaluations: Sequence[Evaluation], settings: HarlowSettings) -> Iterator[tuple[str, Figure]]:
    """See `learning_set_figures`."""
    final = "held-out objects" if settings.split == "test" else "after training"
    return learning_set_figures(evaluations, settings, "one-dimensional Harlow", final)


def learning_set_figures(
    evaluations: Sequence[Evaluation], settings: LearningSet, title: str, final: str
) -> Iterator[tuple[str, Figure]]:
    """Accuracy by trial at successive parts of training and at the end (main); return over training.

    Args:
        evaluations: seeds of one agent.
        settings: the task's.
        title: what the task is called.
        final: what the evaluation after training is called.
    """
    yield "accuracy_by_trial", _draw_accuracy(evaluations, settings, title, final)
    figure, (axis,) = new_figure()
    if draw_learning_curve(axis, evaluations, "episode_return"):
        best = ideal(settings).values["return"]
        axis.axhline(best, color=GREY, linestyle="--", linewidth=1)
        axis.text(0, best, "ideal ", color=GREY, fontsize=8, va="bottom", transform=axis.get_yaxis_transform())
        label(axis, "learning", "environment steps (millions)", "return of an episode")
        yield "learning_curve", figure


def training_quantiles(evaluation: Evaluation, settings: LearningSet) -> Array | None:
    """Accuracy by trial [QUANTILES, trials] in equal parts of a seed's training; None without a history."""
    history = evaluation.history
    names = [f"accuracy_by_trial.{i}" for i in range(settings.trials)]
    if any(name not in history for name in names) or not len(history["env_steps"]):
        return None
    steps = history["env_steps"]
    part = np.minimum((QUANTILES * steps / steps[-1] - 1e-9).astype(int), QUANTILES - 1)
    rows = [
        [mean_and_sd(history[name][part == q])[0] if (part == q).any() else np.nan for name in names]
        for q in range(QUANTILES)
    ]
    return np.array(rows, dtype=float)


def _draw_accuracy(evaluations: Sequence[Evaluation], settings: LearningSet, title: str, final: str) -> Figure:
    from matplotlib import colormaps

    figure, (axis,) = new_figure(width=6.4)
    x = np.arange(1, settings.trials + 1)
    tables = [table for e in evaluations if (table := training_quantiles(e, settings)) is not None]
    shades = colormaps["Blues"](np.linspace(0.3, 0.8, QUANTILES))
    for q in range(QUANTILES if tables else 0):
        mean, sd = mean_and_sd([table[q] for table in tables])
        axis.errorbar(
            x,
            100 * mean,
            100 * sd if len(tables) > 1 else None,
            fmt="o-",
            color=shades[q],
            markersize=4,
            linewidth=1.3,
            label=f"training, part {q + 1}/{QUANTILES}",
        )
    shares = [summarise(e.trials, settings)["accuracy_by_trial"] for e in evaluations]
    mean, sd = mean_and_sd(shares)
    axis.errorbar(
        x,
        100 * mean,
        100 * sd if len(shares) > 1 else None,
        fmt="s-",
        color="#16213d",
        markersize=5,
        linewidth=2,
        label=final,
    )
    axis.axhline(50, color=GREY, linestyle="--", linewidth=1)
    axis.set_ylim(40, 102)
    axis.set_xticks(x)
    seeds = f", {len(evaluations)} seeds (SD)" if len(evaluations) > 1 else ""
    label(axis, f"{title}{seeds}", "trial", "correct choices (%)")
    figure.legend(frameon=False, fontsize=8, loc="outside right upper")
    return figure
