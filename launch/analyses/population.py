"""How a population moves and what it holds alike: trajectories in principal components, similarity of conditions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ...replay.trajectory import Array
from .columns import TrialEnds
from .samples import Samples

Along = Literal["lag", "step", "trial"]
"""What a trajectory runs along: trials around that of the condition, steps of a trial, trials of an episode."""

LAGS = (-2, 8)
"""Trials before and after."""

COMPONENTS = 3


@dataclass(frozen=True)
class Trajectories:
    """Mean activity of C conditions at X places, in principal components of all samples.

    Along lags it is what differs from other episodes at the same trial: how an episode settles in is taken away.
    """

    along: Along
    x: Array
    """[X]"""
    mean: Array
    """[C, X, P]; NaN where a condition has no trial."""
    explained: Array
    """[P] share of the variance."""


def trajectories(samples: Samples, ends: TrialEnds, condition: Array, count: int, along: Along) -> Trajectories:
    """Trajectories by condition.

    Args:
        samples: one a trial; with `along` "step" all steps.
        ends: of the trials.
        condition: [K] of each trial, -1: none.
        count: C.
        along: what.
    """
    everywhere = np.zeros(len(samples.trial), dtype=int)
    centred = _deviations(samples.activity, ends.trial[samples.trial] if along == "lag" else everywhere)
    variance, directions = np.linalg.eigh(np.cov(centred, rowvar=False).reshape(centred.shape[1], -1))
    first = np.argsort(variance)[::-1][:COMPONENTS]
    scores = centred @ directions[:, first]
    explained = variance[first] / max(variance.sum(), 1e-300)
    if along == "lag":
        x = np.arange(LAGS[0], LAGS[1] + 1)
        mean = np.stack([_means(scores, _seen_from(condition, ends, lag), count) for lag in x.tolist()], axis=1)
    else:
        place = samples.step if along == "step" else ends.trial[samples.trial]
        x = np.arange(place.max() + 1)
        own = condition[samples.trial]
        cell = np.where(own < 0, -1, own * len(x) + place)
        mean = _means(scores, cell, count * len(x)).reshape(count, len(x), -1)
    return Trajectories(along, x, mean, explained)


def _deviations(activity: Array, group: Array) -> Array:
    """Activity [N, H] without the mean of each sample's group [N], float64."""
    return np.asarray(activity - _means(activity, group, group.max() + 1)[group])


def _seen_from(condition: Array, ends: TrialEnds, lag: int) -> Array:
    """[K] the condition of the trial that lies `lag` trials before, in the same episode; else -1."""
    before = np.arange(len(condition)) - lag
    inside = (before >= 0) & (before < len(condition))
    before = before.clip(0, len(condition) - 1)
    return np.where(inside & (ends.episode[before] == ends.episode), condition[before], -1)


def _means(values: Array, cell: Array, count: int) -> Array:
    """[count, P] the mean of values [N, P] in each cell; NaN where there are none."""
    there = cell >= 0
    sizes = np.bincount(cell[there], minlength=count)[:, None]
    sums = np.stack([np.bincount(cell[there], column[there], minlength=count) for column in values.T], axis=1)
    return np.where(sizes > 0, sums / np.maximum(sizes, 1), np.nan)


def similarity(samples: Samples, condition: Array, count: int) -> Array:
    """[C, C] how alike conditions look to the population: correlation over units between halves of the episodes.

    Each unit counts by its standard deviations from its mean over all trials. One pattern is the mean over episodes of
    even numbers, the other that over odd ones, so that the diagonal tells how reliable patterns are (Kriegeskorte et
    al. 2008; Haxby et al. 2001). NaN where a condition is missing in a half.

    Args:
        samples: one a trial.
        condition: [K] of each trial, -1: none.
        count: C.
    """
    spread = samples.activity.std(0)
    scaled = (samples.activity - samples.activity.mean(0)) / np.where(spread > 0, spread, 1)
    halves = []
    for half in (0, 1):
        own = np.where(samples.episode % 2 == half, condition[samples.trial], -1)
        pattern = _means(scaled, own, count)
        pattern = pattern - pattern.mean(1, keepdims=True)
        norm = np.linalg.norm(pattern, axis=1, keepdims=True)
        halves.append(pattern / np.where(norm > 0, norm, np.nan))
    across = halves[0] @ halves[1].T
    return np.asarray((across + across.T) / 2)
