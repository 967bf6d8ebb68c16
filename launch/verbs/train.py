"""`prefrontal train`: train an agent on a task, evaluate it with frozen weights, draw the figure, print the table."""

from __future__ import annotations

import logging
import shlex
import signal

import hydra
from omegaconf import DictConfig

from ..config import TrainConfig
from ..console import console, shell
from ..engines.opened import open_engine
from ..failures import reported
from ..run.evaluation import evaluate_run, show_results
from ..run.folder import RunFolder
from ..run.mirror import Mirror
from ..run.places import uploading
from ..run.start import Start, prepare
from ..run.sweep import side_by_side, stop_file
from ..run.training import Training
from ..stopping import StopRequest


def train(config: TrainConfig, folder: RunFolder, start: Start, mirror: Mirror | None = None) -> int:
    """Train, evaluate, draw, report; returns the exit status (130 after a stop that was asked for)."""
    stop = StopRequest(told_by=stop_file())
    with stop:
        with open_engine(config, folder.path, stop, start.checkpoint, start.encoder) as engine:
            training = Training(config, folder, engine, start.checkpoint, mirror)
            finished = training.run(stop)
        if not finished:
            training.close({})
            console.print(f"stopped; go on with: prefrontal train {shell(resume=folder.location)}", style="bold")
            return 130
    newest, path, _ = folder.checkpoints().newest()
    console.print(f"trained {newest.scalars['env_steps']:,} steps in {newest.scalars['wall_s']:.0f} s", style="bold")
    results, pictures = evaluate_run(folder, config, newest, folder)
    training.close(results, pictures)
    show_results(config, results, folder)
    console.print(f"checkpoint   {path if mirror is None else folder.shown(path)}")
    console.print(f"curves       tensorboard --logdir {shlex.quote(str(folder.path))}")
    return 0


def run(composed: DictConfig) -> None:
    """One job: compose, train, report. Launchers of sweeps pickle this function by its name."""
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    sweep_stops = stop_file()
    if sweep_stops is not None and sweep_stops.exists():
        return  # before this job began
    if side_by_side():
        # Ctrl-C reaches every process of a terminal, also between two jobs; the sweep's own tells its jobs.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    with reported():
        config, folder, start, mirror = prepare(composed)
        console.print(f"run folder   {folder.location}", style="dim")
        with uploading(mirror):
            status = train(config, folder, start, mirror)
        if status and sweep_stops is not None:
            sweep_stops.touch()  # what stopped one job stops all
        elif status:
            raise SystemExit(status)


main = hydra.main(config_path="pkg://prefrontal.conf", config_name="train", version_base="1.3")(run)
"""Entry point of the verb; see the module's text."""
