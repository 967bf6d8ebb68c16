"""Means of trials, NaN where there is nothing to take the mean of."""

from __future__ import annotations

import numpy as np

from .vector import Array


def mean(values: Array) -> float:
    """Of all, in double precision."""
    return float(values.mean(dtype=float)) if len(values) else float("nan")


def mean_by(index: Array, values: Array, size: int) -> Array:
    """Of `values` [N] by `index` [N], for each index below `size`: [size] float64."""
    index = index.astype(int)
    count = np.bincount(index, minlength=size)
    total = np.bincount(index, values.astype(float), minlength=size)
    means: Array = np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)
    return means
