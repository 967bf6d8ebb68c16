"""CIFAR-100 in its *binary* version: bytes in a fixed order, nothing that is unpickled. Read from disk, never fetched.

A record is 3,074 bytes: coarse label (of 20), fine label (of 100), then 32 x 32 pixels as three planes, red, green and
blue, row by row (Krizhevsky 2009; https://www.cs.toronto.edu/~kriz/cifar.html).
"""

from __future__ import annotations

import hashlib
import tarfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..config import ConfigError

PAGE = "https://www.cs.toronto.edu/~kriz/cifar.html"
ARCHIVE = "cifar-100-binary.tar.gz"
MD5 = "03b5dce01913d631647c71ecec9e9cb8"
"""Of the archive, in the table of downloads on `PAGE`."""

SIDE, CLASSES = 32, 100
RECORD = 2 + 3 * SIDE * SIDE
"""Bytes of an image with its two labels."""

FULL = {"train.bin": 50_000, "test.bin": 10_000}
"""Images in each file."""


class Images(NamedTuple):
    """N pictures with their classes."""

    pixels: NDArray[np.uint8]
    """[N, 32, 32, 3]"""
    labels: NDArray[np.int64]
    """[N] fine labels, 0 to 99."""


class Cifar(NamedTuple):
    """The two sets."""

    train: Images
    test: Images

    @property
    def complete(self) -> bool:
        """Whether this is the whole data set, not a part of it."""
        return [len(self.train.labels), len(self.test.labels)] == list(FULL.values())


def decode(data: bytes, name: str) -> Images:
    """The images in the bytes of a file called `name`.

    Raises:
        ConfigError: if the file is no whole number of records, empty, or holds labels that do not exist.
    """
    if not data or len(data) % RECORD:
        raise ConfigError(
            f"{name} has {len(data):,} bytes, no whole number of records of {RECORD:,} bytes: it is cut off, or not of "
            f"the binary version of CIFAR-100 ({PAGE})"
        )
    records = np.frombuffer(data, dtype=np.uint8).reshape(-1, RECORD)
    labels = records[:, 1].astype(np.int64)
    if labels.max() >= CLASSES:
        raise ConfigError(f"{name} has a label of {labels.max()}; those of CIFAR-100 are 0 to {CLASSES - 1}")
    planes = records[:, 2:].reshape(-1, 3, SIDE, SIDE)
    return Images(np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), labels)


def read(source: str | Path, md5: str = MD5) -> Cifar:
    """The data set from its archive, whose checksum has to be `md5`, or from a folder with `train.bin` and `test.bin`.

    A folder may hold a part of the data set: any whole number of records.

    Raises:
        ConfigError: if there is nothing (with where to get it), or not what it should be.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        inner = path / "cifar-100-binary"
        return _from_folder(inner if inner.is_dir() else path)
    if path.is_file():
        return _from_archive(path, md5)
    raise ConfigError(
        f"data={source}: there is no such file or folder. Download the binary version of CIFAR-100 ({ARCHIVE}, 161 MB, "
        f"MD5 {MD5}) from {PAGE} and give its path, or the folder it was unpacked to: data=<path>"
    )


def _from_folder(folder: Path) -> Cifar:
    missing = [name for name in FULL if not (folder / name).is_file()]
    if missing:
        raise ConfigError(
            f"{folder} has no {' and no '.join(missing)}: give the folder that {ARCHIVE} of {PAGE} was unpacked to"
        )
    return Cifar(*(decode((folder / name).read_bytes(), str(folder / name)) for name in FULL))


def _from_archive(path: Path, md5: str) -> Cifar:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if found != md5:
        raise ConfigError(
            f"{path} has the MD5 checksum {found}, {ARCHIVE} has {md5} ({PAGE}): the download is not whole, or it is "
            "another version (the binary one is needed)"
        )
    sets = []
    with tarfile.open(path, "r:gz") as archive:
        for name in FULL:
            member = archive.extractfile(f"cifar-100-binary/{name}")
            if member is None:
                raise ConfigError(f"{path} holds no file {name}")
            sets.append(decode(member.read(), f"{name} in {path}"))
    return Cifar(*sets)
