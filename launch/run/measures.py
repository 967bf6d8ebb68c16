"""A task's measures as flat names and as a table: nested results -> `stay_probability.rewarded_common: 0.99`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rich.table import Table

from ...envs.trials import Reference


def flatten(measures: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """Numbers of a nested mapping by dotted name; list entries by position. What is not a number is left out."""
    flat: dict[str, float] = {}
    for name, value in measures.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{key}.")
        elif isinstance(value, list | tuple | np.ndarray):
            flat |= flatten({str(i): item for i, item in enumerate(value)}, f"{key}.")
        elif isinstance(value, bool | int | float | np.number):
            flat[key] = float(value)
    return flat


def results_table(title: str, runs: Sequence[Mapping[str, Any]], references: Sequence[Reference]) -> Table:
    """The measures of one run, or mean ± SD and range over several, beside ideal and published values."""
    table = Table(title=title, title_justify="left")
    table.add_column("measure", no_wrap=True)
    # Where the terminal is narrow, the titles of the references break, not the numbers.
    table.add_column("this run" if len(runs) == 1 else "mean ± SD", justify="right", style="bold", min_width=8)
    if len(runs) > 1:
        table.columns[1].min_width = 14
        table.add_column("lowest - highest", justify="right", min_width=15)
    for reference in references:
        table.add_column(reference.name, justify="right")
    others = [flatten(reference.values) for reference in references]
    columns = [flatten(run) for run in runs]
    for name in columns[0]:
        values = np.array([column.get(name, np.nan) for column in columns])
        cells = [_number(values.mean())]
        if len(runs) > 1:
            cells = [f"{cells[0]} ± {values.std(ddof=1):.3f}", f"{_number(values.min())} - {_number(values.max())}"]
        table.add_row(name, *cells, *(_number(other.get(name)) for other in others))
    return table


def _number(value: float | None) -> str:
    if value is None:
        return ""
    if not np.isfinite(value):
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 or (float(value).is_integer() and abs(value) > 1) else f"{value:.3f}"
