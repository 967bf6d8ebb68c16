"""The environment that NumPy, torch, Ray and Hydra's launchers are started in."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",  # BLAS threads of several processes would fight for the same cores
    "RAY_worker_niceness": "0",  # at Ray's default of 15 the workers starve beside a busy driver
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_IGNORE_UNHANDLED_ERRORS": "1",  # the pool reports failures itself
    "RAY_task_events_report_interval_ms": "0",  # a record of every call that nobody reads costs memory and time
}
"""Set before NumPy, torch, Ray or a launcher of Hydra starts anything; what the user has set stays."""


def set_for_good() -> None:
    """In a process that is ours."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)


@contextlib.contextmanager
def set_for_a_while() -> Iterator[None]:
    """In a process of somebody else."""
    missing = [name for name in ENVIRONMENT if name not in os.environ]
    set_for_good()
    try:
        yield
    finally:
        for name in missing:
            os.environ.pop(name, None)
