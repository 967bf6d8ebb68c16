"""`prefrontal train`: train an agent on a task, evaluate it with frozen weights, draw the figure, print the table."""

from __future__ import annotations

import logging
import signal

import hydra
from omegaconf import DictConfig

from ..console import console, shell
from ..failures import STOPPED, reported
from ..run.job import Job
from ..run.whole import whole_run


def run(composed: DictConfig) -> None:
    """One job: compose, train, report. Launchers of sweeps pickle this function by its name."""
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    job = Job.of_this_process()
    if job.sweep is not None and job.sweep.stop.exists():
        return  # before this job began
    if job.side_by_side:
        # Ctrl-C reaches every process of a terminal, also between two jobs; the sweep's own tells its jobs.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    with reported():
        ended = whole_run(composed, job)
        if ended.finished:
            return
        console.print(f"stopped; go on with: prefrontal train {shell(resume=ended.location)}", style="bold")
        if job.sweep is None:
            raise SystemExit(STOPPED)
        job.sweep.stop.touch()  # what stopped one job stops all


main = hydra.main(config_path="pkg://prefrontal.conf", config_name="train", version_base="1.3")(run)
"""Entry point of the verb; see the module's text."""
