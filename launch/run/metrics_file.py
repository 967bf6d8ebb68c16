"""`metrics.csv`: one row a log point, appended; a run that goes on drops the rows after its checkpoint."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

STEPS = "env_steps"
"""The column that tells when a row was written."""


class MetricsFile:
    """The file of one run, which has one writer.

    Args:
        path: of the file.
        resumed_at: environment steps that the run goes on from: rows after them are dropped; 0: all are.
    """

    def __init__(self, path: Path, resumed_at: int) -> None:
        self._path = path
        self._columns, rows = _read(path) if resumed_at else ([], [])
        if not rows:
            self._columns = []
            path.unlink(missing_ok=True)
            return
        self._write([row for row in rows if float(row[STEPS]) <= resumed_at])

    def append(self, row: Mapping[str, float]) -> None:
        """Add a row. Columns that no row had before are `nan` in those; columns that it lacks are `nan` in it."""
        if new := [name for name in row if name not in self._columns]:
            rows = _read(self._path)[1] if self._columns else []
            self._columns += new
            self._write([*rows, row])
            return
        with self._path.open("a", newline="") as file:
            csv.DictWriter(file, self._columns, restval="nan").writerow(row)

    def _write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        temporary = self._path.with_suffix(".tmp")
        with temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, self._columns, restval="nan")
            writer.writeheader()
            writer.writerows(rows)
        os.replace(temporary, self._path)  # noqa: PTH105  # atomic


def _read(path: Path) -> tuple[list[str], list[dict[str, Any]]]:
    """Columns and whole rows; the last row of a killed run may be cut off."""
    if not path.is_file():
        return [], []
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        rows = [row for row in reader if None not in row.values()]
        return list(reader.fieldnames or ()), rows
