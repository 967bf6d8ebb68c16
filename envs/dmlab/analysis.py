"""Returns in DeepMind Lab's levels; in PsychLab's also accuracy and reaction times, by trial where it is Harlow's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..means import mean
from ..plotting import BLUE, GREY, bars_with_dots, draw_learning_curve, label, new_figure
from ..trials import Evaluation, Reference, Trials
from ..vector import Array
from .env import DMLabSettings
from .levels import HARLOW, find_level

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HARLOW_TRIALS = 6
FIXATION, RIGHT, WRONG = 1.0, 5.0, -5.0
"""Rewards of Harlow's level."""


def _is_harlow(settings: DMLabSettings) -> bool:
    return find_level(settings.level).name == HARLOW


def _is_psychlab(settings: DMLabSettings) -> bool:
    return "psychlab" in find_level(settings.level).name


def _column(trials: Trials, name: str) -> Array:
    return np.asarray(trials.get(name, np.zeros(0)), dtype=float)


def summarise(trials: Trials, settings: DMLabSettings) -> dict[str, Any]:
    """Return of the episodes that ended; in PsychLab accuracy, in Harlow's level by trial; NaN where there is none."""
    measures: dict[str, Any] = {"return": mean(_column(trials, "episode_return")[_column(trials, "ended") > 0])}
    if not _is_psychlab(settings):
        return measures
    answered = _column(trials, "responded") > 0
    trial, correct = _column(trials, "trial")[answered], _column(trials, "correct")[answered]
    measures["accuracy"] = mean(correct)
    if _is_harlow(settings):
        measures["accuracy_by_trial"] = [mean(correct[trial == i]) for i in range(HARLOW_TRIALS)]
        measures["accuracy_after_first"] = mean(correct[trial > 0])
    return measures


def analyse(trials: Trials, settings: DMLabSettings) -> dict[str, Any]:
    """In PsychLab: the median reaction time in frames (1/60 s), and how many trials an episode had answers in."""
    answered = _column(trials, "responded") > 0
    if not _is_psychlab(settings) or not answered.any():
        return {}
    frames = _column(trials, "reaction_frames")[answered]
    episodes = max(1, int((_column(trials, "ended") > 0).sum()))
    told = frames >= 0
    return {
        "reaction_frames": float(np.median(frames[told])) if told.any() else float("nan"),
        "answers_per_episode": float(answered.sum()) / episodes,
    }


def references(settings: DMLabSettings) -> list[Reference]:
    """Harlow's level: the one-shot learner. Other levels have no ideal that is known."""
    if not _is_harlow(settings):
        return []
    later = HARLOW_TRIALS - 1
    ideal = {
        "return": HARLOW_TRIALS * FIXATION + later * RIGHT + 0.5 * (RIGHT + WRONG),
        "accuracy_by_trial": [0.5, *[1.0] * later],
        "accuracy_after_first": 1.0,
    }
    return [Reference("ideal", ideal, "closed form")]


def figures(evaluations: Sequence[Evaluation], settings: DMLabSettings) -> Iterator[tuple[str, Figure]]:
    """Accuracy by trial (Harlow's level, main there), the returns of the episodes, and the return over training."""
    if _is_harlow(settings):
        yield "accuracy_by_trial", _draw_accuracy(evaluations, settings)
    yield "returns", _draw_returns(evaluations, settings)
    figure, (axis,) = new_figure()
    if draw_learning_curve(axis, evaluations, "episode_return"):
        label(axis, find_level(settings.level).name, "environment steps (millions)", "return of an episode")
        yield "learning_curve", figure


def _draw_accuracy(evaluations: Sequence[Evaluation], settings: DMLabSettings) -> Figure:
    figure, (axis,) = new_figure()
    x = np.arange(1, HARLOW_TRIALS + 1)
    runs = np.array([summarise(e.trials, settings)["accuracy_by_trial"] for e in evaluations], dtype=float)
    bars_with_dots(axis, x, 100 * runs, 0.7, BLUE, "")
    axis.axhline(50, color=GREY, linestyle="--", linewidth=1)
    axis.set_ylim(0, 104)
    axis.set_xticks(x)
    label(axis, "Harlow's task in PsychLab", "trial", "correct choices (%)")
    return figure


def _draw_returns(evaluations: Sequence[Evaluation], settings: DMLabSettings) -> Figure:
    figure, (axis,) = new_figure()
    returns = np.concatenate([_column(e.trials, "episode_return")[_column(e.trials, "ended") > 0] for e in evaluations])
    if len(returns):
        axis.hist(returns, bins=min(30, max(5, len(returns) // 4)), color=BLUE)
        axis.axvline(returns.mean(), color=GREY, linestyle="--", linewidth=1)
    label(axis, find_level(settings.level).name, "return of an episode", "episodes")
    return figure
