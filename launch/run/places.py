"""Where runs lie, a path or a URL: how one is read, begun, gone on with and brought to its place. See `mirror.py`."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..console import errors, shell
from .folder import NotARunFolderError, RunFolder
from .mirror import CHECKPOINTS, Mirror, NotUploadedError, local_copy
from .storage import Storage, StorageError, is_url

TO_EVALUATE = ("config.yaml", "results.json", "metrics.csv", "checkpoints/*")
"""Files of a run that `prefrontal evaluate` reads."""

TO_DRAW = ("config.yaml", "results.json", "metrics.csv", "evaluation.parquet", "memory.safetensors")
"""Files of a run that `prefrontal figures` reads."""


@contextmanager
def run_at(location: str, wanted: Sequence[str]) -> Iterator[RunFolder]:
    """An existing run to read from and to write results to; what is written at a URL is uploaded at the end.

    Args:
        location: a path or a URL.
        wanted: patterns of the files that are read.

    Raises:
        NotARunFolderError: if there is none.
        StorageError: if its storage cannot be read.
        NotUploadedError: if what was written could not be uploaded; it stays in a temporary folder then.
    """
    if not is_url(location):
        yield RunFolder.open(location)
        return
    with _temporary_copy(location) as mirror:
        mirror.fetch(wanted)
        yield RunFolder(mirror.folder, mirror.storage.url)


@contextmanager
def output_at(location: str) -> Iterator[RunFolder]:
    """A folder, new or not, to write to; see `run_at`."""
    if not is_url(location):
        yield RunFolder(Path(location).absolute())
        return
    with _temporary_copy(location) as mirror:
        yield RunFolder(mirror.folder, mirror.storage.url)


@contextmanager
def _temporary_copy(url: str) -> Iterator[Mirror]:
    folder = Path(tempfile.mkdtemp(prefix="prefrontal_"))
    try:
        mirror = Mirror(folder, Storage(url))
        yield mirror
    except BaseException:
        shutil.rmtree(folder)
        raise
    mirror.finish()
    shutil.rmtree(folder)


def runs_matching(pattern: str) -> list[str]:
    """URLs of the runs that match a URL with a pattern.

    Raises:
        StorageError: if the storage cannot be read.
    """
    return Storage(pattern).matching_folders()


def has_checkpoint(url: str) -> bool:
    """Whether a run can go on from this URL.

    Raises:
        StorageError: if the storage cannot be read.
    """
    return bool(Storage(url).names(("checkpoints/*.safetensors",)))


def new_mirror(url: str, always_this: bool = False) -> Mirror:
    """For a new run: a local folder, and a URL that takes files; another name if a run has this one.

    Args:
        url: of the run.
        always_this: no other name, as for a run that is started again by itself.

    Raises:
        StorageError: if nothing can be written there.
    """
    storage, number = Storage(url), 2
    storage.check_writable()
    while not always_this and storage.names(("config.yaml",)):
        storage, number = Storage(f"{url.rstrip('/')}_{number}"), number + 1
    return Mirror(RunFolder.new(local_copy(storage.url)).path, storage)


def fetched_mirror(url: str) -> Mirror:
    """For a run that goes on: everything of it, in a new local folder.

    Raises:
        NotARunFolderError: if there is no run.
        StorageError: if the storage cannot be read or written.
    """
    storage = Storage(url)
    if not storage.names(("config.yaml",)):
        raise NotARunFolderError(f"{url} is not a run folder: it has no config.yaml")
    storage.check_writable()
    mirror = Mirror(RunFolder.new(local_copy(storage.url)).path, storage)
    mirror.fetch()
    return mirror


def mirror_of(folder: RunFolder, url: str) -> Mirror:
    """For a run that goes on from a local folder and whose files are to be (or were not yet) brought to a URL.

    Raises:
        StorageError: if nothing can be written there, or if a newer checkpoint than the folder's lies there.
    """
    storage = Storage(url)
    storage.check_writable()
    there, here = storage.names((f"{CHECKPOINTS}*",)), folder.checkpoints().paths()
    if there and (not here or there[-1] > f"checkpoints/{here[0].name}"):
        raise StorageError(f"{url} has a newer checkpoint than {folder.path}: go on with it, resume={url}")
    return Mirror(folder.path, storage)


@contextmanager
def uploading(mirror: Mirror | None) -> Iterator[None]:
    """Around a training: its files are at the URL when it ends, also when it ends with an error.

    Raises:
        NotUploadedError: if some are not.
    """
    if mirror is None:
        yield
        return
    settings = shell(resume=mirror.folder, **{"run.folder": mirror.storage.url})
    way_out = f"; bring it there with: prefrontal train {settings}"
    mirror.upload_soon()
    try:
        yield
    except Exception:
        try:
            mirror.finish(way_out)
        except NotUploadedError as error:
            errors.print(f"warning: {error}", style="yellow")
        raise
    mirror.finish(way_out)
