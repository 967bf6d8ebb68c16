"""A run folder at a URL (`s3://...`, `gs://...`, whatever fsspec reaches): named files, whole or not there.

Object stores know neither appending nor renaming, so a run never works there: it works in a local folder, and
`mirror.py` carries what is finished to the URL. This module knows files and errors, no runs.
"""

from __future__ import annotations

import fnmatch
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import fsspec
from fsspec.core import url_to_fs

T = TypeVar("T")

ANSWER_S = 20.0
"""Seconds that a storage has to answer the first question."""

_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}
"""Protocols by the extra of this package that brings their client."""

_WHOLE_BY_THEMSELVES = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss"}
"""Object stores: a file appears there when its upload is complete. A rename would be a second copy."""


class StorageError(ValueError):
    """A URL that cannot be used; the message says why."""


def is_url(location: object) -> bool:
    """Whether a run's place is a URL, not a path."""
    return "://" in str(location)


def protocol_of(url: str) -> str:
    """`s3` of `s3://bucket/run`."""
    return url.split("://", 1)[0]


class Storage:
    """The files under a URL, by their names relative to it (`checkpoints/best.safetensors`).

    Args:
        url: of a folder; it need not exist yet.

    Raises:
        StorageError: for an unknown protocol, or one whose package is missing (says what to install).
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        protocol = protocol_of(url)
        try:
            self._fs, root = url_to_fs(self.url)
        except ImportError as error:
            extra = _EXTRAS.get(protocol)
            way_out = f"pip install --editable '.[{extra}]', in the project's folder" if extra else str(error)
            raise StorageError(f"{url}: the package for {protocol}:// is not installed: {way_out}") from error
        except Exception as error:  # a client may raise anything of its own: no credentials, a malformed address
            known = ", ".join(f"{name}://" for name in ("s3", "gs", "file"))
            reason = (
                f"no storage is called {protocol}://; use a path, {known} or another protocol of fsspec"
                if protocol not in fsspec.available_protocols()
                else described(error)
            )
            raise StorageError(f"{url} cannot be used: {reason}") from error
        self._root = str(root).rstrip("/")
        self._renames = protocol not in _WHOLE_BY_THEMSELVES

    def check_writable(self) -> None:
        """Write a small file and remove it.

        Raises:
            StorageError: if that fails, or nobody answers within `ANSWER_S`.
        """

        def probe() -> None:
            path = self._path(f".probe_{os.getpid()}")
            self._make_parent(path)
            self._fs.pipe_file(path, b"prefrontal")
            self._fs.rm_file(path)

        self._asked(probe, "cannot be written")

    def names(self, wanted: Sequence[str] = ("*",)) -> list[str]:
        """Names of all files that match a pattern; none if there is no such folder.

        Raises:
            StorageError: if the storage refuses, or nobody answers within `ANSWER_S`.
        """

        def find() -> list[str]:
            self._fs.invalidate_cache()
            try:
                paths = [str(path) for path in self._fs.find(self._root)]
            except FileNotFoundError:  # some clients: no such folder
                return []
            return [path.removeprefix(f"{self._root}/") for path in paths if path.startswith(f"{self._root}/")]

        found = self._asked(find, "cannot be read")
        return sorted(name for name in found if any(fnmatch.fnmatchcase(name, pattern) for pattern in wanted))

    def upload(self, path: Path, name: str) -> None:
        """Bring a file there: under its name there is the old content or the new one, never a part.

        Raises:
            Exception: whatever the storage's client raises.
        """
        target = self._path(name)
        self._make_parent(target)
        if not self._renames:
            self._fs.put_file(str(path), target)
            return
        folder, _, last = target.rpartition("/")
        temporary = f"{folder}/.{last}.{os.getpid()}.tmp"
        self._fs.put_file(str(path), temporary)
        self._fs.mv(temporary, target)

    def download(self, name: str, path: Path) -> None:
        """Fetch a file; the same promise for `path`.

        Raises:
            StorageError: if it cannot be read.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            self._fs.get_file(self._path(name), str(temporary))
            temporary.replace(path)
        except Exception as error:  # of the storage's client
            raise StorageError(f"{self.url}/{name} cannot be read: {described(error)}") from error
        finally:
            temporary.unlink(missing_ok=True)

    def remove(self, name: str) -> None:
        """Delete a file, if it is there.

        Raises:
            Exception: whatever the storage's client raises.
        """
        try:
            self._fs.rm_file(self._path(name))
        except FileNotFoundError:
            return

    def matching_folders(self) -> list[str]:
        """With a pattern in place of the folder: URLs of the run folders that match it.

        Raises:
            StorageError: if the storage refuses, or nobody answers within `ANSWER_S`.
        """

        def find() -> list[str]:
            self._fs.invalidate_cache()
            return sorted(str(path) for path in self._fs.glob(self._path("config.yaml")))

        return [self._fs.unstrip_protocol(path.rpartition("/")[0]) for path in self._asked(find, "cannot be read")]

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _make_parent(self, path: str) -> None:
        if self._renames:  # object stores have no folders; some clients would make a bucket
            self._fs.makedirs(path.rpartition("/")[0], exist_ok=True)

    def _asked(self, question: Callable[[], T], failed: str) -> T:
        """The answer, or an error within seconds: clients try again for minutes by themselves."""
        answers: list[T] = []
        problems: list[Exception] = []

        def ask() -> None:
            try:
                answers.append(question())
            except Exception as error:  # of the storage's client
                problems.append(error)

        asking = threading.Thread(target=ask, daemon=True)  # one that never ends does not hold up the program's end
        asking.start()
        asking.join(ANSWER_S)
        if problems:
            raise StorageError(f"{self.url} {failed}: {described(problems[0])}") from problems[0]
        if not answers:
            raise StorageError(f"{self.url} {failed}: no answer within {ANSWER_S:g} s")
        return answers[0]


def described(error: BaseException) -> str:
    """A client's error in one line; some have no text."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
