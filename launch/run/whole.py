"""A whole run: train, evaluate with frozen weights, draw the figures, print the table."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import NamedTuple

from omegaconf import DictConfig

from ..config import TrainConfig
from ..console import console
from ..engines.opened import open_engine
from ..stopping import StopRequest
from .evaluation import draw_run, evaluate_run
from .folder import RunFolder
from .job import Job
from .mirror import Mirror
from .places import uploading
from .reporting import show_results
from .start import Start, prepare
from .training import Training


class Ended(NamedTuple):
    """A run that is over, or was asked to stop."""

    location: str
    """Of its folder, a path or a URL."""
    finished: bool
    """False: it was stopped; its newest checkpoint is there to go on from."""


def whole_run(composed: DictConfig, job: Job) -> Ended:
    """Start the run that was asked for, or go on with it, to its end.

    Args:
        composed: its settings as Hydra composed them.
        job: what is known of it beside.

    Raises:
        ConfigError: for a bad setting; see `start.prepare` for other errors of what was asked for.
    """
    config, folder, start, mirror = prepare(composed, job)
    console.print(f"run folder   {folder.location}", style="dim")
    with uploading(mirror):
        finished = _train(config, folder, start, mirror, None if job.sweep is None else job.sweep.stop)
    return Ended(folder.location, finished)


def _train(config: TrainConfig, folder: RunFolder, start: Start, mirror: Mirror | None, told_by: Path | None) -> bool:
    """Train, evaluate, draw, report; False after a stop that was asked for."""
    stop = StopRequest(told_by=told_by)
    with stop:
        with open_engine(config, folder.path, stop, start.checkpoint, start.weights) as engine:
            training = Training(config, folder, engine, start.checkpoint, mirror)
            finished = training.run(stop)
        if not finished:
            training.close({})
            return False
    newest, path, _ = folder.checkpoints().newest()
    console.print(f"trained {newest.scalars['env_steps']:,} steps in {newest.scalars['wall_s']:.0f} s", style="bold")
    results = evaluate_run(folder, config, newest, folder)
    training.close(results, draw_run(folder, config, newest, folder))
    show_results(config, results, folder)
    console.print(f"checkpoint   {path if mirror is None else folder.shown(path)}")
    console.print(f"curves       tensorboard --logdir {shlex.quote(str(folder.path))}")
    return True
