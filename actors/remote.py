"""The Ray actor around a rollout worker: one process, one environment object, torch on one thread."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

import ray
import torch

from ..models.flat import Vector
from ..replay.trajectory import Array, Trajectory
from .rollout import RolloutWorker, UnrollReport, WorkerSpec


class Rollouts:
    """Hosts one worker. Built from a small plain spec; the environment never crosses a process."""

    def __init__(self, spec: WorkerSpec, import_paths: Sequence[str]) -> None:
        torch.set_num_threads(1)
        # Tasks of the user's own live where the driver found them.
        sys.path.extend(path for path in import_paths if path not in sys.path)
        self._worker = RolloutWorker(spec)

    def ready(self) -> tuple[int, str]:
        """The process id and Ray's id of the node, once the environment stands."""
        return os.getpid(), ray.get_runtime_context().get_node_id()

    def unroll(self, version: int, vector: Vector | None) -> tuple[UnrollReport, Trajectory, dict[str, Array]]:
        """Load parameters (unless they are the ones already held, when `vector` may be None) and play one unroll.

        Called with `num_returns=3`: a small report for the driver, the trajectory for the learner, and the task's
        truth, which is fetched only when it is drawn.
        """
        if vector is not None:
            self._worker.load(version, vector)
        unroll = self._worker.unroll()
        return unroll.report, unroll.trajectory, dict(unroll.info)

    def state(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """See `RolloutWorker.state`."""
        return self._worker.state()

    def restore(self, arrays: dict[str, Array], scalars: dict[str, Any]) -> None:
        """See `RolloutWorker.restore`."""
        self._worker.restore(arrays, scalars)


RolloutActor: Any = ray.remote(Rollouts)
"""`Rollouts` as a Ray actor class."""
