"""Seeds of several agents: who belongs together, and tests of differences between agents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from .plotting import mean_and_sd
from .trials import Evaluation, Trials
from .vector import Array


def groups_of(evaluations: Sequence[Evaluation]) -> dict[str, list[Evaluation]]:
    """The evaluations of each group, groups in the order in which they appear."""
    found: dict[str, list[Evaluation]] = {}
    for evaluation in evaluations:
        found.setdefault(evaluation.group, []).append(evaluation)
    return found


def compare(
    evaluations: Sequence[Evaluation], summarise: Callable[[Trials, Any], dict[str, Any]], settings: Any, measure: str
) -> dict[str, Any]:
    """A measure of `summarise` in each group (mean and SD over seeds), and Welch's t-test of each pair of groups.

    Returns:
        `{group: {mean, sd, seeds}}` and `{"<one>_vs_<other>": {t, p}}`; t and p are NaN where a group has one seed.
    """
    runs = {
        name: np.array([summarise(evaluation.trials, settings)[measure] for evaluation in group])
        for name, group in groups_of(evaluations).items()
    }
    table: dict[str, Any] = {}
    for name, values in runs.items():
        mean, sd = mean_and_sd(values)
        table[name] = {"mean": float(mean), "sd": float(sd), "seeds": len(values)}
    for one, other in combinations(runs, 2):
        table[f"{one}_vs_{other}"] = welch(runs[one], runs[other])
    return table


def welch(one: Array, other: Array) -> dict[str, float]:
    """Welch's t-test of two samples, positive t where the first is larger."""
    from scipy import stats  # takes longer to import than most of us together

    if min(len(one), len(other)) < 2:
        return {"t": float("nan"), "p": float("nan")}
    with np.errstate(divide="ignore", invalid="ignore"):
        t, p = stats.ttest_ind(one, other, equal_var=False)
    return {"t": float(t), "p": float(p)}
