"""Many small minimisations side by side: BFGS with a backtracking line search (Nocedal and Wright 2006, chapter 6).

SciPy's optimisers take one problem at a time, so that a thousand subjects with a few starts each would be thousands of
loops over trials. Here the objective gets the points of all problems at once: those of the gradient (central
differences) and those along each search direction.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..vector import Array

Objective = Callable[[Array, Array], Array]
"""`(problem [K], point [K, P]) -> value [K]`."""

LONGEST = 2.0
"""No coordinate moves further in an iteration."""
SHRINK = 0.25 ** np.arange(5)
"""Lengths that are tried along a direction; the best one is gone."""
STEP = 1e-4
"""Of the central differences: errors of rounding and of truncation are about the same, 1e-8 of the function."""


class Minimum(NamedTuple):
    """Of M problems."""

    point: Array
    """[M, P]"""
    value: Array
    """[M]"""
    converged: Array
    """[M] False where the iterations ran out."""


def minimise(objective: Objective, start: Array, iterations: int = 300, tolerance: float = 1e-10) -> Minimum:
    """Local minima near `start` [M, P].

    A problem is done when two iterations in a row, the second along the gradient, gain less than `tolerance` of its
    value. Where the objective is not finite no step leads.
    """
    point = np.array(start, dtype=float)
    count, size = point.shape
    value = _finite(objective(np.arange(count), point))
    slope = gradient(objective, np.arange(count), point)
    inverse = np.tile(np.eye(size), (count, 1, 1))
    idle = np.zeros(count, dtype=int)
    running = np.arange(count)
    for _ in range(iterations):
        direction = -np.einsum("mij,mj->mi", inverse[running], slope[running])
        direction *= np.minimum(1.0, LONGEST / np.maximum(np.abs(direction).max(1, initial=0.0), 1e-300))[:, None]
        tried = point[running, None] + SHRINK[:, None] * direction[:, None]
        flat = _finite(objective(np.repeat(running, len(SHRINK)), tried.reshape(-1, size)))
        values = flat.reshape(len(running), -1)
        best = values.argmin(1)
        gain = value[running] - values.min(1)
        gaining = gain > tolerance * (1 + np.abs(value[running]))
        idle[running] = np.where(gaining, 0, idle[running] + 1)
        inverse[running[~gaining]] = np.eye(size)  # once more along the gradient
        moving = np.flatnonzero(gain > 0)
        moved = running[moving]
        step = tried[moving, best[moving]] - point[moved]
        point[moved] += step
        value[moved] = values[moving, best[moving]]
        before = slope[moved]
        slope[moved] = gradient(objective, moved, point[moved])
        learning = gaining[moving]
        inverse[moved[learning]] = _updated(inverse[moved[learning]], step[learning], (slope[moved] - before)[learning])
        running = running[idle[running] < 2]
        if not len(running):
            break
    return Minimum(point, value, idle >= 2)


def _finite(values: Array) -> Array:
    return np.where(np.isfinite(values), values, np.inf)


def _updated(inverse: Array, step: Array, change: Array) -> Array:
    """The BFGS update of inverse Hessians [M, P, P]; where the curvature is not positive they stay."""
    curvature = (step * change).sum(1)
    sound = curvature > 1e-10 * np.linalg.norm(step, axis=1) * np.linalg.norm(change, axis=1)
    rho = np.divide(1.0, curvature, out=np.zeros_like(curvature), where=sound)
    identity = np.eye(step.shape[1])
    left = identity - rho[:, None, None] * step[:, :, None] * change[:, None, :]
    updated = left @ inverse @ left.swapaxes(1, 2) + rho[:, None, None] * step[:, :, None] * step[:, None, :]
    return np.where(sound[:, None, None], updated, inverse)


def gradient(objective: Objective, problem: Array, point: Array) -> Array:
    """Of each problem [K] at its point [K, P], by central differences."""
    size = point.shape[1]
    offsets = STEP * np.concatenate([np.eye(size), -np.eye(size)])
    values = _at_offsets(objective, problem, point, offsets)
    return np.nan_to_num((values[:, :size] - values[:, size:]) / (2 * STEP), posinf=0.0, neginf=0.0)


def hessian(objective: Objective, problem: Array, point: Array, step: float = 1e-2) -> Array:
    """Of each problem [K] at its point [K, P], by central differences: [K, P, P]."""
    size = point.shape[1]
    pairs = [(i, j) for i in range(size) for j in range(i, size)]
    unit = step * np.eye(size)
    signs = ((1, 1), (1, -1), (-1, 1), (-1, -1))
    offsets = np.array([(a * unit[i] + b * unit[j]) / 2 for i, j in pairs for a, b in signs])
    values = _at_offsets(objective, problem, point, offsets).reshape(len(problem), len(pairs), 4)
    second = (values @ np.array([1.0, -1.0, -1.0, 1.0])) / step**2
    found = np.zeros((len(problem), size, size))
    for (i, j), column in zip(pairs, second.T, strict=True):
        found[:, i, j] = found[:, j, i] = column
    return found


def _at_offsets(objective: Objective, problem: Array, point: Array, offsets: Array) -> Array:
    """Values at each point plus each offset [D, P]: [K, D]."""
    moved = (point[:, None] + offsets).reshape(-1, point.shape[1])
    return np.asarray(objective(np.repeat(problem, len(offsets)), moved)).reshape(len(problem), len(offsets))
