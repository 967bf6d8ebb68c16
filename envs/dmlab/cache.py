"""Compiled maps on disk: levels that make a new map for an episode compile it (seconds) or take it from here."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from urllib.parse import quote


class LevelCache:
    """A folder of compiled maps, in the form that the game wants (`level_cache=`). Any number of processes share one.

    A cache that cannot be read or written makes an episode start later; it never ends a run.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def fetch(self, key: str, pk3_path: str) -> bool:
        """Copy the map called `key` to where the game looks for it; False if it is not here."""
        try:
            shutil.copyfile(self._path(key), pk3_path)
        except OSError:
            Path(pk3_path).unlink(missing_ok=True)  # half a copy
            return False
        return True

    def write(self, key: str, pk3_path: str) -> None:
        """Keep the map that the game has just compiled. Whoever reads at the same time sees all of it or nothing."""
        with contextlib.suppress(OSError):
            handle, unfinished = tempfile.mkstemp(dir=self._folder, prefix=".unfinished_")
            os.close(handle)
            try:
                shutil.copyfile(pk3_path, unfinished)
                Path(unfinished).replace(self._path(key))
            finally:
                Path(unfinished).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self._folder / f"{quote(key, safe='')}.pk3"
