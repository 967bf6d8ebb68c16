"""Where a game keeps its temporary files: a folder that is known as ours, and goes at the latest with the next game.

The game makes one of its own otherwise, and leaves it behind where its process is killed or aborts.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import weakref
from pathlib import Path

PREFIX = "prefrontal_dmlab_"


class GameFolder:
    """A new folder in the system's temporary one, after those of games whose process is gone were removed.

    That a process holds it is told by a lock, which ends with the process however it ends. On a file system without
    locks nothing is removed that a process left.
    """

    def __init__(self) -> None:
        sweep()
        made = Path(tempfile.mkdtemp(prefix=f"new_{PREFIX}"))  # locked before it has the name of those that are swept
        lock = os.open(made, os.O_RDONLY)
        with contextlib.suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.path = made.rename(made.with_name(made.name.removeprefix("new_")))
        self._remove = weakref.finalize(self, _removed, self.path, lock)

    def remove(self) -> None:
        """Remove it; also done when the process ends by itself."""
        self._remove()


def sweep() -> None:
    """Remove our games' folders that no process holds."""
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # it is held, or somebody else's, or goes at this moment
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                if os.fstat(lock).st_uid == os.getuid():
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(lock)


def _removed(path: Path, lock: int) -> None:
    shutil.rmtree(path, ignore_errors=True)
    os.close(lock)
