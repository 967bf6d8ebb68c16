"""A run whose folder is a URL: the run works in a local folder, and a thread carries its files to the storage.

TensorBoard and `metrics.csv` append, checkpoints are renamed: no object store can do that, and training must not wait
for a network. So there is one writer, the driver (a learner on another node sends it the checkpoint), one place where
it writes, and this module beside it. With that, learner and engines know paths only.

At each checkpoint and at the end, everything that changed is uploaded: first what curves are made of, then checkpoints,
the newest first; only when all are there, checkpoints that are gone here are removed there. A checkpoint is one file
with a checksum inside, so the newest one that can be read is what a run goes on from, whenever the driver was killed.
An upload that fails is tried again at the next checkpoint; the local folder keeps everything.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path

from ..console import errors
from .folder import NotARunFolderError
from .storage import Storage, described, protocol_of

LAST_TRIES = 3
"""How often the end of a run tries to upload what is missing."""

LAST_PAUSE_S = 2.0
"""Seconds between these tries."""

STUCK_S = 300.0
"""Seconds without a file taken after which the end of a run waits no longer: clients may hang for ever."""

CHECKPOINTS = "checkpoints/update_"

Signature = tuple[int, int]
"""Size and time of change of a file: what tells that it changed."""


class NotUploadedError(OSError):
    """Files that the storage did not take; the message says where they lie."""


def local_copy(url: str) -> Path:
    """Where a run with this URL works: `runs/s3/bucket/run`."""
    parts = [part for part in url.split("://", 1)[1].split("/") if part not in ("", ".", "..")]
    return Path("runs", protocol_of(url).replace(":", "_"), *parts)


class Mirror:
    """One local folder and its URL.

    Args:
        folder: what is uploaded.
        storage: where to.
    """

    def __init__(self, folder: Path, storage: Storage) -> None:
        self.folder = folder
        self.storage = storage
        self._there: dict[str, Signature] = {}
        self._wake = threading.Condition()
        self._wanted = self._done = 0
        self._warned = self._finishing = False
        self._problem: Exception | None = None
        """Of the last pass."""
        self._last_taken = time.monotonic()
        self._thread: threading.Thread | None = None

    def fetch(self, wanted: Sequence[str] = ("*",)) -> None:
        """Fetch the files whose names match a pattern.

        Raises:
            NotARunFolderError: if there is no run.
            StorageError: if the storage cannot be read.
        """
        names = self.storage.names(wanted)
        if "config.yaml" not in names:
            raise NotARunFolderError(f"{self.storage.url} is not a run folder: it has no config.yaml")
        for name in sorted(names, key=lambda name: name != "config.yaml"):  # which marks the local folder as taken
            if not _passing(name):
                self.storage.download(name, self.folder / name)
        self._there = self._files()

    def upload_soon(self) -> None:
        """Let the thread upload what changed; returns at once."""
        with self._wake:
            self._wanted += 1
            self._wake.notify_all()
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, daemon=True, name="upload")
            self._thread.start()

    def finish(self, way_out: str = "") -> None:
        """Upload all that is missing.

        Args:
            way_out: what a person can do if that fails, for the message.

        Raises:
            NotUploadedError: naming the files that the storage did not take, and what to do.
        """
        problem = self._passed()
        self._finishing = True
        for attempt in range(LAST_TRIES):
            if isinstance(problem, TimeoutError):
                break
            if attempt:
                time.sleep(LAST_PAUSE_S)
            self.upload_soon()
            if (problem := self._passed()) is None:
                return
        missing = sorted(name for name, signature in self._files().items() if self._there.get(name) != signature)
        files = f"{len(missing)} file(s) ({', '.join(missing[:5])}{', ...' if len(missing) > 5 else ''})"
        raise NotUploadedError(
            f"{files if missing else 'the removal of old checkpoints'} could not be brought to {self.storage.url}: "
            f"{described(problem) if problem else ''}\nnothing is lost: everything lies in {self.folder}{way_out}"
        )

    def _passed(self) -> Exception | None:
        """Wait for the thread; what went wrong in its last pass, or a TimeoutError if no file was taken for long."""
        self._last_taken = time.monotonic()
        with self._wake:
            while self._done < self._wanted:
                self._wake.wait(timeout=1.0)
                if time.monotonic() - self._last_taken > STUCK_S:
                    return TimeoutError(f"no file was taken for {STUCK_S:g} s")
        return self._problem

    def _serve(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._done < self._wanted)
                wanted = self._wanted
            problem = self._problem = self._pass()
            if problem is not None and not self._finishing:
                errors.print("warning: ", style="yellow", end="")
                errors.print(
                    f"{self.storage.url} takes no files, training goes on and tries again at the next checkpoint: "
                    f"{described(problem)}"
                )
            elif self._warned:
                errors.print(f"{self.storage.url} takes files again")
            self._warned = problem is not None
            with self._wake:
                self._done = wanted
                self._wake.notify_all()

    def _pass(self) -> Exception | None:
        """Upload what changed, then remove old checkpoints; the first failure ends it, for the others would follow."""
        try:
            for name, signature in sorted(self._files().items(), key=lambda item: _order(item[0])):
                if self._there.get(name) == signature:
                    continue
                try:
                    self.storage.upload(self.folder / name, name)
                except FileNotFoundError:
                    if (self.folder / name).exists():
                        raise
                    continue  # an old checkpoint, dropped meanwhile
                self._there[name] = signature
                self._last_taken = time.monotonic()
            here = self._files()
            for name in [name for name in self._there if name.startswith(CHECKPOINTS) and name not in here]:
                self.storage.remove(name)
                del self._there[name]
        except Exception as error:  # of the storage's client, or of the local disk
            return error
        return None

    def _files(self) -> dict[str, Signature]:
        found = {}
        for path in self.folder.rglob("*"):
            name = path.relative_to(self.folder).as_posix()
            try:
                status = path.stat()
            except FileNotFoundError:
                continue  # dropped meanwhile
            if path.is_file() and not _passing(name):
                found[name] = (status.st_size, status.st_mtime_ns)
        return found


def _passing(name: str) -> bool:
    """Whether a file is being written."""
    last = name.rpartition("/")[2]
    return last.startswith(".") or last.endswith(".tmp")


def _order(name: str) -> tuple[int, int]:
    """Curves before the checkpoint that goes with them; of checkpoints the newest first, for it matters most."""
    if name.startswith(CHECKPOINTS):
        number = name.removeprefix(CHECKPOINTS).partition(".")[0]
        return 1, -int(number) if number.isdigit() else 0
    return (2, 0) if name.startswith("checkpoints/") else (0, 0)
