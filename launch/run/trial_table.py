"""`evaluation.parquet`: the table of trials, written while an evaluation plays and measured block by block.

A table of any length passes through memory in blocks of whole episodes. What a task summarises is the mean over blocks
(each counts with its episodes); what it analyses and draws (regressions, tests, figures) is about the first block.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ...envs.memory import gate_by_unit, memory_measures
from ...envs.registry import Task
from ...replay.trajectory import Array

BLOCK = 500_000
"""Most trials of a block; an episode that is longer is a block of its own."""

UNITS = "gate_by_unit"
"""The column of rows [H], which is measured and not written."""


def whole_episodes(episode: Array, most: int) -> int:
    """How many of the first `most` rows (of more) belong to episodes that end among them; at least one episode's."""
    if len(episode) <= most:
        return len(episode)
    cut = int(np.searchsorted(episode, episode[most]))
    return cut or int(np.searchsorted(episode, episode[0], side="right"))


class TrialTable:
    """Takes in trials, episode by episode, and writes and measures them; a context that leaves a whole file or none.

    Args:
        path: of the file.
        task: whose trials they are.
        settings: of the task.
    """

    def __init__(self, path: Path, task: Task, settings: Any) -> None:
        self._path, self._temporary = path, path.with_name(f".{path.name}.tmp")
        self._task, self._settings = task, settings
        self._parts: list[Mapping[str, Array]] = []
        self._rows = 0
        self._writer: pq.ParquetWriter | None = None
        self._summaries: list[tuple[int, dict[str, Any]]] = []
        self._analysis: dict[str, Any] = {}
        self.analysed_episodes = 0
        """How many episodes the analysis is about."""

    def __enter__(self) -> TrialTable:
        return self

    def add(self, trials: Mapping[str, Array]) -> None:
        """Take in the trials of the next whole episodes; there may be none."""
        if not len(trials["episode"]) and (self._parts or self._summaries):
            return  # an empty table has no types
        self._parts = [part for part in self._parts if len(part["episode"])]
        self._parts.append(trials)
        self._rows += len(trials["episode"])
        while self._rows > BLOCK:
            self._take_block()

    def measures(self) -> dict[str, Any]:
        """Of all trials, by their names in `results.json`; after the last `add`."""
        while self._rows or not self._summaries:
            self._take_block()
        return {**mean_of_blocks(self._summaries), **self._analysis}

    def _take_block(self) -> None:
        names = self._parts[0]
        table = {name: np.concatenate([part[name] for part in self._parts]) for name in names}
        rows = whole_episodes(table["episode"], BLOCK)
        self._parts = [{name: column[rows:].copy() for name, column in table.items()}]
        self._rows -= rows
        block = {name: column[:rows] for name, column in table.items()}
        units = block.pop(UNITS, None)
        self._write(block)
        condition = self._task.condition
        summary = {**self._task.summarise(block, self._settings), **memory_measures(block, condition)}
        episodes = len(np.unique(block["episode"]))
        if not self._summaries:
            self.analysed_episodes = episodes
            self._analysis = self._task.analyse(block, self._settings)
            if units is not None:
                self._analysis[UNITS] = gate_by_unit(block, units, condition)
        self._summaries.append((max(1, episodes), summary))

    def _write(self, block: Mapping[str, Array]) -> None:
        table = pa.table({name: pa.array(column) for name, column in block.items()})
        if self._writer is None:
            self._temporary.parent.mkdir(parents=True, exist_ok=True)
            self._writer = pq.ParquetWriter(self._temporary, table.schema)
        self._writer.write_table(table, row_group_size=BLOCK // 8)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.close()
            if kind is None:
                self._temporary.replace(self._path)
        self._temporary.unlink(missing_ok=True)


def mean_of_blocks(blocks: Sequence[tuple[int, Any]]) -> Any:
    """The mean of nested measures, each counted so often; NaN where all are."""
    first = blocks[0][1]
    if len(blocks) == 1:
        return first
    if isinstance(first, Mapping):
        return {name: mean_of_blocks([(count, block[name]) for count, block in blocks]) for name in first}
    if isinstance(first, list | tuple):
        return [mean_of_blocks([(count, block[i]) for count, block in blocks]) for i in range(len(first))]
    values = np.array([np.nan if value is None else value for _, value in blocks], dtype=float)
    counts, known = np.array([count for count, _ in blocks]), np.isfinite(values)
    return float((values[known] * counts[known]).sum() / counts[known].sum()) if known.any() else float("nan")


def read_trials(path: Path) -> dict[str, Array]:
    """The first block of a table, as columns."""
    parts, rows = [], 0
    with pq.ParquetFile(path) as file:
        for part in file.iter_batches(batch_size=BLOCK // 8):
            parts.append(part)
            rows += part.num_rows
            if rows > BLOCK:
                break
        table = pa.Table.from_batches(parts, file.schema_arrow)
    rows = whole_episodes(table["episode"].to_numpy(), BLOCK)
    return {name: table[name][:rows].to_numpy() for name in table.column_names}
