"""`activity.nc`: everything recorded of an evaluation, written while it plays, as netCDF4 that xarray opens.

Variables have the axes (episode, step, ...), padded at the end of shorter episodes: NaN, -1 in whole numbers, 0 where
numbers have no sign, False. `mask` [episode, step] tells steps from padding, `length` [episode] how many there are.
Parts of the file in which nothing is written take no room.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np

from ...actors.activity import Column
from ...replay.trajectory import Array

CHUNK_BYTES = 2**18
"""About what is read and written at once of a variable."""

LONGEST_CHUNK = 64
"""Most steps of an episode in a chunk."""

SPARE_BYTES = 2**24
"""Of the disk that are never written: a file system that is full leaves HDF5 unable to close a file."""


class Block(NamedTuple):
    """Steps that lie side by side in an unroll and in the file."""

    times: slice
    rows: slice
    episodes: slice
    steps: slice


class Places:
    """Which episode each of B rows is in, and how far: numbers as `envs.trials.TrialRecorder` gives them.

    Args:
        rows: B.
        episodes: how many are wanted; what is played beyond them is left out.
    """

    def __init__(self, rows: int, episodes: int) -> None:
        self._rows, self._wanted = rows, episodes
        self._episode = np.arange(rows)
        self._step = np.zeros(rows, dtype=np.int64)
        self.lengths = np.zeros(episodes, dtype=np.int32)
        """Steps of each episode so far."""

    def take(self, ended: Array) -> list[Block]:
        """Where the steps of an unroll belong, of which `ended` [T, B] says after which ones an episode was over."""
        length, found = len(ended), list[Block]()
        for row in range(self._rows):
            cuts = [*(np.flatnonzero(ended[:, row]) + 1).tolist(), length]
            start = 0
            for end in dict.fromkeys(cuts):
                self._add(found, row, start, end)
                if end in cuts[:-1]:
                    self._episode[row] += self._rows
                    self._step[row] = 0
                start = end
        return _joined(found)

    def _add(self, found: list[Block], row: int, start: int, end: int) -> None:
        episode, step = int(self._episode[row]), int(self._step[row])
        self._step[row] += end - start
        if episode < self._wanted:
            self.lengths[episode] += end - start
            steps = slice(step, step + end - start)
            found.append(Block(slice(start, end), slice(row, row + 1), slice(episode, episode + 1), steps))


def _joined(blocks: list[Block]) -> list[Block]:
    """The same in fewer: neighbouring rows whose episodes stand at the same step are one block."""
    found: list[Block] = []
    for block in sorted(blocks, key=lambda b: (b.times.start, b.times.stop, b.steps.start, b.episodes.start)):
        last = found[-1] if found else None
        if (
            last is not None
            and (last.times, last.steps) == (block.times, block.steps)
            and (last.rows.stop, last.episodes.stop) == (block.rows.start, block.episodes.start)
        ):
            rows, episodes = slice(last.rows.start, block.rows.stop), slice(last.episodes.start, block.episodes.stop)
            found[-1] = last._replace(rows=rows, episodes=episodes)
        else:
            found.append(block)
    return found


class ActivityFile:
    """Takes in unrolls one after the other; a context that leaves a whole file or none.

    Args:
        path: of the file.
        episodes: how many are recorded.
        length: steps that an episode is expected to have, by which the file is laid out.
        attributes: of the whole, texts and numbers.
    """

    def __init__(self, path: Path, episodes: int, length: float, attributes: Mapping[str, Any]) -> None:
        self._path, self._temporary = path, path.with_name(f".{path.name}.tmp")
        self._episodes, self._length, self._attributes = episodes, length, attributes
        self._file: Any = None
        self._places: Places | None = None

    def __enter__(self) -> ActivityFile:
        return self

    def add(self, columns: Mapping[str, Column], ended: Array) -> None:
        """Take in T steps of B episodes, the same ones in all columns; `ended` [T, B] tells where one was over.

        Raises:
            OSError: if the disk has no more room, or refuses to write.
        """
        if self._places is None:
            self._places = Places(ended.shape[1], self._episodes)
            self._begin(columns)
        blocks = self._places.take(ended)
        self._check_room(ended.size * step_bytes(columns))
        reach = max((block.steps.stop for block in blocks), default=0)
        if reach > self._file.dimensions["step"].size:
            self._file.resize_dimension("step", reach)
        for name, column in columns.items():
            if column.step_bytes:
                self._write(name, column.data, blocks)
        self._write("mask", np.ones(ended.shape, np.int8), blocks)

    def _check_room(self, needed: int) -> None:
        free = shutil.disk_usage(self._temporary.parent).free
        if free < needed + SPARE_BYTES:
            assert self._places is not None
            done = int((self._places.lengths > 0).sum())
            raise OSError(
                f"{self._path}: the disk is full (free: {in_words(free)}) after {done} of {self._episodes} episodes; "
                "record fewer, or make room"
            )

    def _write(self, name: str, data: Array, blocks: list[Block]) -> None:
        variable = self._file.variables[name]
        for block in blocks:
            part = data[block.times, block.rows].swapaxes(0, 1)
            variable[block.episodes, block.steps] = part.astype(object) if part.dtype.kind == "U" else part

    def _begin(self, columns: Mapping[str, Column]) -> None:
        import h5netcdf

        self._temporary.parent.mkdir(parents=True, exist_ok=True)
        self._file = file = h5netcdf.File(self._temporary, "w")
        file.dimensions["episode"], file.dimensions["step"] = self._episodes, None
        for name, column in columns.items():
            if column.step_bytes:  # an axis without entries would be one that grows
                self._make(name, column)
        somewhere = np.zeros((1, 1), dtype=np.bool_)
        self._make("mask", Column(somewhere, (), "step", "a step was made here; else padding after the episode's end"))
        for name, value in self._attributes.items():
            file.attrs[name] = value

    def _make(self, name: str, column: Column) -> None:
        """A variable without entries."""
        import h5py

        file, dtype, shape = self._file, column.data.dtype, column.data.shape[2:]
        for axis, size in zip(column.axes, shape, strict=True):
            if axis not in file.dimensions:
                file.dimensions[axis] = size
        variable = file.create_variable(
            name,
            ("episode", "step", *column.axes),
            np.dtype(np.int8) if dtype.kind == "b" else h5py.string_dtype() if dtype.kind == "U" else dtype,
            fillvalue={"f": np.nan, "i": -1, "b": 0, "u": 0}.get(dtype.kind),
            chunks=(*chunk_of(column.step_bytes, self._length, self._episodes), *shape),
        )
        if dtype.kind in "iub":
            del variable.attrs["_FillValue"]  # by which xarray would make floating point numbers of whole ones
        if dtype.kind == "b":
            variable.attrs["dtype"] = "bool"  # as xarray writes truth values
        for key, text in (("long_name", column.meaning), ("units", column.units), ("kind", column.kind)):
            variable.attrs[key] = text

    def _finish(self) -> None:
        """What is known at the end."""
        assert self._places is not None
        steps = np.arange(self._file.dimensions["step"].size, dtype=np.int32)
        for name, axis, values, text in (
            ("length", "episode", self._places.lengths, "steps of the episode"),
            ("episode", "episode", np.arange(self._episodes, dtype=np.int32), "number in the table of trials"),
            ("step", "step", steps, "number within the episode"),
        ):
            variable = self._file.create_variable(name, (axis,), values.dtype, values)
            variable.attrs["long_name"] = text

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if self._file is not None and kind is None:
                self._finish()
                self._file.close()
                self._temporary.replace(self._path)
            elif self._file is not None:
                with contextlib.suppress(OSError):  # what went wrong is being told
                    self._file.close()
        finally:
            self._temporary.unlink(missing_ok=True)


def chunk_of(step_bytes: int, length: float, episodes: int) -> tuple[int, int]:
    """Episodes and steps of a chunk of a variable with so many bytes a step, where episodes are about so long."""
    steps = int(np.ceil(length / np.ceil(length / LONGEST_CHUNK)))  # that fill chunks, not more than they have to
    return int(np.clip(CHUNK_BYTES // (steps * step_bytes), 1, episodes)), steps


def step_bytes(columns: Mapping[str, Column]) -> int:
    """Bytes that a step takes in the file."""
    return sum(column.step_bytes for column in columns.values()) + 1


def in_words(size: float) -> str:
    """A number of bytes for people."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"
