"""Each unit's activity as a linear function of what was going on: which units code what, and how well that is known.

Trials of one episode depend on each other. Standard errors are those of whole episodes drawn anew (cluster-robust,
Liang and Zeger 1986, with the usual correction for few clusters), so that dependence makes no false discovery. p values
of all units and variables together are corrected (Benjamini and Hochberg 1995).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats

from ...conf.checking import ConfigError
from ...replay.trajectory import Array
from .columns import Values


@dataclass(frozen=True)
class Regression:
    """Of H units on V variables."""

    variables: list[str]
    coefficient: Array
    """[V, H] change of activity by one standard deviation of a variable; NaN of one with more than two categories."""
    p: Array
    """[V, H] that all of a variable's coefficients are zero."""
    q: Array
    """[V, H] the same, corrected: the share of false discoveries among all that are as small."""
    partial_r2: Array
    """[V, H] of the variance that the other variables leave, what this one explains."""
    r2: Array
    """[H] what all explain together."""


def regress(activity: Array, episode: Array, variables: Mapping[str, Values]) -> Regression:
    """Ordinary least squares of each unit.

    Args:
        activity: [N, H].
        episode: [N], ascending.
        variables: of the same N samples; samples in which one is not known are left out.

    Raises:
        ConfigError: for a variable that is text of too many kinds, that does not vary, or that follows from those
            before it; or for too few episodes.
    """
    known = np.all([values.known for values in variables.values()], axis=0)
    episode, target = episode[known], activity[known].astype(np.float64)
    blocks = {name: _design(name, values.at(known)) for name, values in variables.items()}
    design = np.column_stack([np.ones(len(target)), *blocks.values()])
    clusters = np.flatnonzero(np.diff(episode, prepend=-1))
    if len(clusters) <= design.shape[1]:
        raise ConfigError(f"{len(clusters)} episodes are too few for {design.shape[1]} coefficients: record more")
    _check_rank(blocks, design)
    inverse = np.linalg.inv(design.T @ design)
    coefficients = inverse @ (design.T @ target)  # [K, H]
    residual = target - design @ coefficients
    covariance = _clustered(design, residual, clusters, inverse)
    rest, total = np.square(residual).sum(0), np.square(target - target.mean(0)).sum(0)
    found, start = [], 1
    for block in blocks.values():
        part = slice(start, start + block.shape[1])
        found.append(_tested(coefficients[part], covariance[:, part, part], inverse[part, part], rest, len(clusters)))
        start = part.stop
    coefficient, p, partial_r2 = (np.stack(column) for column in zip(*found, strict=True))
    q = stats.false_discovery_control(p.ravel()).reshape(p.shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        r2 = np.where(total > 0, 1 - rest / total, 0.0)
    return Regression(list(variables), coefficient, p, q, partial_r2, r2)


def independent(variables: Mapping[str, Values]) -> dict[str, Values]:
    """Those that can be regressed on together: each is numbers or few kinds, varies, and follows from none before.

    Raises:
        ConfigError: if none can.
    """
    kept: dict[str, Values] = {}
    for name, values in variables.items():
        known = np.all([one.known for one in (*kept.values(), values)], axis=0)
        try:
            blocks = {other: _design(other, one.at(known)) for other, one in {**kept, name: values}.items()}
            _check_rank(blocks, np.column_stack([np.ones(known.sum()), *blocks.values()]))
        except ConfigError:
            continue
        kept[name] = values
    if not kept:
        raise ConfigError(f"variables: units cannot be regressed on any of {', '.join(variables)}")
    return kept


def _design(name: str, values: Values) -> Array:
    """[N, C] standardised: the numbers, or a column for each category but the first."""
    if values.is_category and len(values.levels) > 2:
        columns = (values.values[:, None] == values.levels[1:]).astype(np.float64)
    elif values.is_category:
        columns = (values.values == values.levels[-1]).astype(np.float64)[:, None]
    else:
        columns = values.values.astype(np.float64)[:, None]
    spread = columns.std(0)
    if (spread == 0).any():
        raise ConfigError(f"variables: {name} has one value only in these trials")
    if columns.shape[1] >= 64:
        raise ConfigError(f"variables: {name} is text of {columns.shape[1] + 1} kinds, too many to tell apart")
    return np.asarray((columns - columns.mean(0)) / spread)


def _check_rank(blocks: Mapping[str, Array], design: Array) -> None:
    start = 1
    for name, block in blocks.items():
        start += block.shape[1]
        if np.linalg.matrix_rank(design[:, :start]) < start:
            raise ConfigError(f"variables: {name} follows from those before it; leave one of them out")


def _clustered(design: Array, residual: Array, clusters: Array, inverse: Array) -> Array:
    """[H, K, K] covariance of the coefficients of each unit."""
    scores = np.stack([np.add.reduceat(column[:, None] * residual, clusters) for column in design.T], axis=1)
    meat = np.einsum("gkh,glh->hkl", scores, scores)
    (count, width), number = design.shape, len(clusters)
    correction = number / (number - 1) * (count - 1) / (count - width)
    return np.asarray(correction * inverse @ meat @ inverse)


def _tested(
    coefficients: Array, covariance: Array, inverse: Array, rest: Array, clusters: int
) -> tuple[Array, Array, Array]:
    """Of a variable with C columns: its coefficient (NaN where C > 1), p and partial R², [H] each.

    Args:
        coefficients: [C, H].
        covariance: [H, C, C], clustered.
        inverse: [C, C] their part of (X'X)^-1.
        rest: [H] sum of squared residuals.
        clusters: how many.
    """
    width = len(coefficients)
    own = coefficients.T[:, :, None]
    silent = rest <= 1e-12 * max(rest.max(), 1e-300)  # a unit without variance has nothing to tell
    safe = np.where(silent[:, None, None], np.eye(width), covariance)
    wald = (own * np.linalg.solve(safe, own)).sum((1, 2)) / width
    p = np.where(silent, 1.0, stats.f.sf(wald, width, clusters - 1))
    explained = (own[..., 0] * np.linalg.solve(inverse, coefficients).T).sum(1)
    partial = np.where(silent, 0.0, explained / np.where(silent, 1.0, explained + rest))
    coefficient = coefficients[0] if width == 1 else np.full(len(rest), np.nan)
    return coefficient, p, partial
