"""Penalised logistic regression, as the tasks' analyses of choices use it."""

from __future__ import annotations

import numpy as np
from scipy import special

from .vector import Array

CONVERGED, MOST_STEPS = 1e-8, 100
"""What ends a regression: the loss is so near to its minimum, or so many steps of Newton's method were made."""


def logistic(design: Array, counts: Array, ridge: float) -> Array:
    """Weights w [K] that minimise the sum of log(1 + exp(-x w)) over rows x of `design` [N, K], each counted `counts`
    [N] times, plus ridge / 2 |w|^2: by Newton's method with step halving, on a function that is strictly convex.

    Rows are regressors times +1 or -1, the outcome.
    """

    def loss(weights: Array) -> float:
        return float(counts @ np.logaddexp(0.0, -(design @ weights)) + 0.5 * ridge * weights @ weights)

    weights = np.zeros(design.shape[1])
    for _ in range(MOST_STEPS):
        wrong = special.expit(-(design @ weights))
        slope = ridge * weights - (counts * wrong) @ design
        curvature = (design * (counts * wrong * (1 - wrong))[:, None]).T @ design + ridge * np.eye(len(weights))
        step = np.linalg.solve(curvature, slope)
        if slope @ step < CONVERGED:
            break
        lowest = loss(weights)
        while loss(weights - step) > lowest:
            step = step / 2
        weights = weights - step
    return weights
