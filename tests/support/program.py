"""The program in a process of its own, for the tests of whole runs.

`call` waits for the end, `start` is for tests about the process itself: its start, signals, death.
"""

from __future__ import annotations

import subprocess
import sys

from forking import forked
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
    return subprocess.Popen(
        [*PROGRAM, *arguments], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options
    )


def call(folder, *arguments, status=0, timeout=240, stdin=None):
    """What it printed; it must end with this exit code."""
    code, output = forked(list(arguments), folder, stdin, timeout)
    assert code == status, output[-3000:]
    return output


def runs(folder, task="two_step"):
    return sorted(path.parent for path in (folder / "runs" / task).rglob("config.yaml"))


def newest(folder):
    return CheckpointFolder(folder / "checkpoints").newest()[0]
