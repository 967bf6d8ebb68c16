"""Storages that fail as real ones do; used in this process, and by programs that tests start (see `installed`)."""

from __future__ import annotations

import os
import time
from pathlib import Path

import fsspec
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem


class Failing(MemoryFileSystem):
    """`failing://`: takes so many files, then breaks in the middle of one; `left=None`: takes all."""

    protocol = "failing"
    store = {}
    pseudo_dirs = [""]
    left = None

    def put_file(self, lpath, rpath, *arguments, **options):
        if Failing.left == 0:
            self.pipe_file(rpath, Path(lpath).read_bytes()[:100])  # a part of it got there
            raise ConnectionResetError("the storage hung up")
        if Failing.left is not None:
            Failing.left -= 1
        return super().put_file(lpath, rpath, *arguments, **options)


class Slow(LocalFileSystem):
    """`slow://`: a local folder that takes files in two halves with a pause, and none while `down` exists."""

    protocol = "slow"

    def put_file(self, path1, path2, callback=None, **options):
        if Path(os.environ["SLOW_DOWN"]).exists():
            raise ConnectionResetError("the storage hung up")
        content = Path(path1).read_bytes()
        with Path(self._strip_protocol(path2)).open("wb", buffering=0) as file:
            file.write(content[: len(content) // 2])
            time.sleep(0.02)
            file.write(content[len(content) // 2 :])

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(str(path).removeprefix("slow://"))

    def unstrip_protocol(self, name):
        return f"slow://{self._strip_protocol(name)}"


class Silent(MemoryFileSystem):
    """`silent://`: nobody answers."""

    protocol = "silent"

    def pipe_file(self, *arguments, **options):
        time.sleep(600)

    def find(self, *arguments, **options):
        time.sleep(600)


for made in (Failing, Slow, Silent):
    fsspec.register_implementation(made.protocol, made, clobber=True)


def installed(folder: Path) -> dict[str, str]:
    """The environment of a program that knows `slow://` and `silent://`, by an installed package's entry points."""
    package = folder / "faulty_storage-0.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: faulty-storage\nVersion: 0\n")
    lines = [f"{made.protocol} = faulty_storage:{made.__name__}" for made in (Slow, Silent)]
    (package / "entry_points.txt").write_text("\n".join(["[fsspec.specs]", *lines, ""]))
    path = os.pathsep.join([str(folder), os.environ["PYTHONPATH"]])
    return {**os.environ, "PYTHONPATH": path, "SLOW_DOWN": str(folder / "down")}
