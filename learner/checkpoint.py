"""Checkpoints: one safetensors file each, with the counters as JSON in its header. No pickle is ever loaded.

A file is written under a temporary name, flushed to the disk and renamed, so that a file with the final name is whole
whatever happened; a checksum finds what was damaged later. The newest few are kept, and the best.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

FORMAT = 1


class DamagedCheckpointError(RuntimeError):
    """A file that is no whole checkpoint."""


class NoCheckpointError(FileNotFoundError):
    """A folder without a single checkpoint that can be read."""


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds."""

    tensors: Mapping[str, Tensor]
    scalars: Mapping[str, Any]
    """Plain JSON: counters, random generators, what the caller added."""


def _checksum(tensors: Mapping[str, Tensor]) -> int:
    total = 0
    for name in sorted(tensors):
        total = zlib.crc32(tensors[name].contiguous().reshape(-1).view(torch.uint8).numpy().data, total)
    return total


def write(path: Path, checkpoint: Checkpoint) -> None:
    """Write atomically.

    Raises:
        OSError: if the disk is full or the folder cannot be written; nothing is left behind then.
    """
    metadata = {
        "format": str(FORMAT),
        "scalars": json.dumps(checkpoint.scalars),
        "checksum": str(_checksum(checkpoint.tensors)),
    }
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(save(dict(checkpoint.tensors), metadata))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read(path: Path) -> Checkpoint:
    """Read and verify.

    Raises:
        DamagedCheckpointError: if the file is cut off, altered or of another format.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping
    except (SafetensorError, OSError, ValueError) as error:
        raise DamagedCheckpointError(f"{path} cannot be read: {error}") from error
    if metadata.get("format") != str(FORMAT):
        raise DamagedCheckpointError(f"{path} has format {metadata.get('format')}, this version reads {FORMAT}")
    if metadata["checksum"] != str(_checksum(tensors)):
        raise DamagedCheckpointError(f"{path} was altered after it was written (its checksum does not match)")
    return Checkpoint(tensors, json.loads(metadata["scalars"]))


class CheckpointFolder:
    """The checkpoints of a run: `update_<number>.safetensors`, and `best.safetensors`.

    Args:
        folder: made when the first checkpoint is written.
        keep: how many of the newest stay.
    """

    def __init__(self, folder: Path, keep: int = 3) -> None:
        self.folder = folder
        self.best = folder / "best.safetensors"
        self._keep = keep
        self._clean = False

    def save(self, checkpoint: Checkpoint) -> Path:
        """Write a checkpoint, then drop the oldest.

        Raises:
            OSError: as `write`; older checkpoints are untouched then.
        """
        self._prepare()
        path = self.folder / f"update_{int(checkpoint.scalars['updates']):09d}.safetensors"
        write(path, checkpoint)
        for old in self.paths()[self._keep :]:
            old.unlink(missing_ok=True)
        return path

    def save_best(self, checkpoint: Checkpoint) -> None:
        """Write the checkpoint whose weights scored highest so far, in the place of the one before.

        Raises:
            OSError: as `write`; the one before is untouched then.
        """
        self._prepare()
        write(self.best, checkpoint)

    def _prepare(self) -> None:
        """Make the folder; once, remove what a killed process was about to write (a run has one writer)."""
        if self._clean:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        for unfinished in self.folder.glob(".*.tmp"):
            unfinished.unlink(missing_ok=True)
        self._clean = True

    def paths(self) -> list[Path]:
        """All numbered checkpoints, newest first."""
        return sorted(self.folder.glob("update_*.safetensors"), reverse=True)

    def newest(self) -> tuple[Checkpoint, Path, list[str]]:
        """The newest whole checkpoint, its path, and a warning for each damaged one that was passed over.

        Raises:
            NoCheckpointError: if there is none.
        """
        warnings: list[str] = []
        for path in self.paths():
            try:
                return read(path), path, warnings
            except DamagedCheckpointError as error:
                warnings.append(f"skipped a damaged checkpoint: {error}")
        detail = "".join(f"\n  {warning}" for warning in warnings) or " (the folder has none)"
        raise NoCheckpointError(f"no usable checkpoint in {self.folder}{detail}")
