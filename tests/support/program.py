"""The program in a process of its own, for the tests of whole runs.

`call` waits for the end; what `start` gives can be looked at, sent signals and killed meanwhile. PROGRAM is for the
tests of the start itself.
"""

from __future__ import annotations

import sys
import time

import numpy as np
from forking import Forked
from prefrontal.learner.checkpoint import CheckpointFolder

PROGRAM = [sys.executable, "-m", "prefrontal.launch.cli"]
SMALL = [
    "actors.envs=8",
    "run.env_steps=40000",
    "run.figures=1",
    "run.figure_every_s=0",
    "evaluate.episodes=40",
    "run.log_points=10",
]
ONE_PROCESS = ["cluster=none", *SMALL]


def start(folder, *arguments, **options):
    return Forked(list(arguments), folder, **options)


def ended(process, status=0, timeout=240):
    """What it printed; it must end with this exit code."""
    code = process.wait(timeout)
    assert code == status, process.output()[-3000:]
    return process.output()


def call(folder, *arguments, status=0, timeout=240, **options):
    """What it printed; it must end with this exit code."""
    return ended(start(folder, *arguments, **options), status, timeout)


def wait_until(condition, process=None, limit_s=180):
    """What the condition gives when it holds; a process, if given, runs until then.

    The limit is there for what stands still, not for a slow machine.
    """
    deadline = time.monotonic() + limit_s
    while not (found := condition()):
        assert process is None or process.poll() is None, process.output()[-3000:]
        assert time.monotonic() < deadline, process and process.output()[-3000:]
        time.sleep(0.05)
    return found


def runs(folder, task="two_step"):
    return sorted(path.parent for path in (folder / "runs" / task).rglob("config.yaml"))


def newest(folder):
    return CheckpointFolder(folder / "checkpoints").newest()[0]


def history(run, at_least=2):
    """The rows of `metrics.csv` that are written whole, by column; None: fewer than asked for."""
    path = run / "metrics.csv"
    whole = path.read_text().rpartition("\n")[0].splitlines() if path.is_file() else []
    return np.genfromtxt(whole, delimiter=",", names=True, deletechars="") if len(whole) > at_least else None
