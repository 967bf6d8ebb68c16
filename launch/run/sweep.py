"""The end of a sweep (`-m`): its runs are merged into one figure and one table, as `prefrontal figures` would."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from ..config import ConfigError
from ..console import errors
from .folder import NotARunFolderError
from .merged import redraw
from .mirror import NotUploadedError, runs_matching
from .storage import StorageError, is_url


class MergeRuns(Callback):  # type: ignore[misc]  # Hydra is untyped there
    """Named in `conf/train.yaml` under `hydra.callbacks`."""

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:  # noqa: ARG002
        """Draw what the jobs evaluated, if they are of one task."""
        url = str(config.run.folder) if is_url(config.run.folder) else None
        folder = Path(config.hydra.sweep.dir)
        try:
            evaluated = list(folder.glob("*/evaluation.parquet")) if url is None else runs_matching(f"{url}/*")
            if len(evaluated) > 1:
                redraw(f"{url or folder}/*")
        except (ConfigError, NotARunFolderError, NotUploadedError, StorageError) as error:
            errors.print(f"the runs were not merged: {error}", style="yellow")
