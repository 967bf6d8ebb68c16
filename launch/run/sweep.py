"""A sweep (`-m`): jobs that fail let the others go on, a stop reaches all of them, the end merges what there is.

Hydra runs the jobs, in this process, in joblib's or in Ray's. What they have in common is the sweep's folder: there a
job that failed leaves a note, and there a file says that all are to stop. The end of the sweep draws one figure and
prints one table of what was evaluated, as `prefrontal figures` would, and one of what failed.
"""

from __future__ import annotations

import contextlib
import glob
import json
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig
from rich.table import Table

from ..config import ConfigError
from ..console import console, errors
from ..stopping import StopRequest
from .folder import NotARunFolderError
from .job import STOP, sweep_folder
from .merged import redraw
from .mirror import NotUploadedError
from .others import Played
from .places import runs_matching
from .storage import StorageError, is_url

FAILED = "failed"
"""Folder in a sweep's: one file a job that failed, with its traceback."""


class Sweep(Callback):  # type: ignore[misc]  # Hydra is untyped there
    """Named in `conf/train.yaml` under `hydra.callbacks`. The jobs' processes have copies of their own."""

    def __init__(self) -> None:
        self._stop: StopRequest | None = None

    def __getstate__(self) -> Mapping[str, Any]:
        """Without the signals' handlers, which belong to the process that has set them."""
        return {"_stop": None}

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:  # noqa: ARG002
        """From now on Ctrl-C and SIGTERM are passed on to the jobs."""
        folder = sweep_folder(config.hydra)
        (folder / STOP).unlink(missing_ok=True)
        for note in (folder / FAILED).glob("*.json"):
            note.unlink()
        if "RayLauncher" in config.hydra.launcher._target_:
            _start_ray(config)
        self._stop = StopRequest(tell=folder / STOP)
        self._stop.listen()

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:  # noqa: ARG002
        """In the job's process: a failure becomes a note, so that Hydra goes on to the next job."""
        if config.hydra.mode != RunMode.MULTIRUN or job_return.status != JobStatus.FAILED:
            return
        error = job_return._return_value
        note = {
            "job": config.hydra.job.override_dirname or f"job {config.hydra.job.num}",
            "error": f"{type(error).__name__}: {error}",
            "traceback": "".join(traceback.format_exception(error)),
        }
        place = sweep_folder(config.hydra) / FAILED / f"{config.hydra.job.num}.json"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps(note, indent=2) + "\n")
        with contextlib.suppress(OSError):
            Path(config.hydra.runtime.output_dir).rmdir()  # which Hydra has made; only if nothing is in it
        job_return.status, job_return.return_value = JobStatus.COMPLETED, None

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:  # noqa: ARG002
        """Draw what the jobs evaluated, if they are of one task; say what failed.

        Raises:
            SystemExit: 130 after a stop, 1 if a job failed.
        """
        folder = sweep_folder(config.hydra)
        if self._stop is not None:
            self._stop.leave()
        stopped = (folder / STOP).exists()
        (folder / STOP).unlink(missing_ok=True)
        _merge(folder, str(config.run.folder) if is_url(config.run.folder) else None)
        failed = _show_failures(folder / FAILED)
        if stopped:
            errors.print("the sweep was stopped; each run can go on with resume=<its folder>", style="bold")
        if stopped or failed:
            raise SystemExit(130 if stopped else 1)


def _start_ray(config: DictConfig) -> None:
    """What Hydra's launcher would do a moment later; Ray takes SIGTERM when it starts, so it has to be before us."""
    from hydra_plugins.hydra_ray_launcher._launcher_util import start_ray

    start_ray(config.hydra.launcher.ray.init)


def _merge(folder: Path, url: str | None) -> None:
    try:
        found = glob.glob(f"{glob.escape(str(folder))}/*/evaluation.parquet")  # noqa: PTH207  # names hold brackets
        if len(found if url is None else runs_matching(f"{url}/*")) > 1:
            redraw(Played(run=f"{glob.escape(str(folder)) if url is None else url}/*"))
    except (ConfigError, NotARunFolderError, NotUploadedError, StorageError) as error:
        errors.print(f"the runs were not merged: {error}", style="yellow")


def _show_failures(folder: Path) -> int:
    """A table of the notes that jobs left; returns how many there are."""
    notes = sorted(folder.glob("*.json"), key=lambda path: int(path.stem))
    if not notes:
        return 0
    table = Table(title=f"{len(notes)} job(s) failed", title_justify="left")
    table.add_column("job", overflow="fold")
    table.add_column("why", overflow="fold")
    for path in notes:
        note = json.loads(path.read_text())
        table.add_row(note["job"], note["error"].partition(": ")[2] or note["error"])
    errors.print(table)
    console.print(f"their tracebacks lie in {folder}")
    return len(notes)
