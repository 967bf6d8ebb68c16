"""What analyses of a recording found: as numbers by name, as a tidy table of units, as a table for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.table import Table

from ...replay.trajectory import Array
from .decoding import Decoding
from .population import Trajectories
from .regression import Regression
from .samples import Samples


@dataclass(frozen=True)
class Analyses:
    """Of one recording."""

    activity: str
    """The variable of the recording."""
    samples: Samples
    conditions: list[str]
    trajectories: Trajectories
    regression: Regression
    decoding: Mapping[str, Decoding]
    similarity: Array
    """[C, C]"""

    @property
    def episodes(self) -> int:
        """How many."""
        return len(np.unique(self.samples.episode))

    @property
    def median_partial_r2(self) -> dict[str, float]:
        """Of each variable, over units."""
        medians = np.median(self.regression.partial_r2, axis=1)
        return {name: float(median) for name, median in zip(self.regression.variables, medians, strict=True)}

    def coding_units(self, alpha: float) -> dict[str, int]:
        """How many units code each variable, with a share of false discoveries below `alpha`."""
        counts = (self.regression.q < alpha).sum(1)
        return {name: int(count) for name, count in zip(self.regression.variables, counts, strict=True)}


def results(found: Analyses, alpha: float) -> dict[str, Any]:
    """`analyses.json`."""
    paths, partial, units = found.trajectories, found.median_partial_r2, found.coding_units(alpha)
    return {
        "activity": found.activity,
        "episodes": found.episodes,
        "trials": len(found.samples.episode),
        "units": found.samples.activity.shape[1],
        "conditions": found.conditions,
        "trajectories": {
            "along": paths.along,
            "x": paths.x,
            "explained_variance": paths.explained,
            "mean": dict(zip(found.conditions, paths.mean, strict=True)),
        },
        "regression": {name: {"units": count, "median_partial_r2": partial[name]} for name, count in units.items()},
        "decoding": {name: _decoded(one) for name, one in found.decoding.items()},
        "similarity": found.similarity,
    }


def _decoded(one: Decoding) -> dict[str, Any]:
    return {
        "measure": one.measure,
        "score": one.score,
        "shifted_mean": float(one.shifted.mean()),
        "shifted_highest": float(one.shifted.max()),
        "p": one.p,
        "trials": one.samples,
    }


def rows(found: Analyses) -> list[dict[str, Any]]:
    """`regression.csv`: one row a unit and variable."""
    regression = found.regression
    return [
        {
            "unit": unit,
            "variable": name,
            "coefficient": None if np.isnan(value := regression.coefficient[i, unit]) else float(value),
            "p": float(regression.p[i, unit]),
            "q": float(regression.q[i, unit]),
            "partial_r2": float(regression.partial_r2[i, unit]),
        }
        for i, name in enumerate(regression.variables)
        for unit in range(regression.p.shape[1])
    ]


def table(title: str, found: Analyses, alpha: float) -> Table:
    """What each variable left in the population."""
    coding, partial, units = found.coding_units(alpha), found.median_partial_r2, found.samples.activity.shape[1]
    about = f"{found.activity} of {units} units, {len(found.samples.episode):,} trials in {found.episodes:,} episodes"
    shown = Table(title=f"{title}\n{about}", title_justify="left")
    shown.add_column("variable", no_wrap=True)
    for column in (f"units, q < {alpha:g}", "median partial R²", "decoded", "by", "shifted values", "p"):
        shown.add_column(column, justify="right")
    for name in dict.fromkeys([*coding, *found.decoding]):
        coded = (f"{coding[name]} of {units}", f"{partial[name]:.3f}") if name in coding else ("", "")
        one = found.decoding.get(name)
        decoded = (f"{one.score:.3f}", one.measure, f"{one.shifted.mean():.3f}", f"{one.p:.2g}") if one else ()
        shown.add_row(name, *coded, *decoded)
    return shown
