"""The Ray actor around a rollout worker: one process, one environment object, torch on one thread."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

import ray

from ..models.flat import Published
from ..models.process import use_one_core
from ..replay.gradient import Result
from ..replay.trajectory import Array
from .adapting import make_rollout_worker
from .rollout import UnrollReport, WorkerSpec


class WrongParametersError(RuntimeError):
    """An actor does not hold the parameters that it is to act with."""


class Rollouts:
    """Hosts one worker. Built from a small plain spec; the environment never crosses a process."""

    def __init__(self, spec: WorkerSpec, import_paths: Sequence[str]) -> None:
        use_one_core()
        # Tasks of the user's own live where the driver found them.
        sys.path.extend(path for path in import_paths if path not in sys.path)
        self._worker = make_rollout_worker(spec)

    def ready(self) -> tuple[int, str]:
        """The process id and Ray's id of the node, once the environment stands."""
        return os.getpid(), ray.get_runtime_context().get_node_id()

    @ray.method(num_returns=2)
    def unroll(
        self, version: int, published: Published | None, with_info: bool
    ) -> tuple[tuple[UnrollReport, dict[str, Array] | None], Result]:
        """Play one unroll with the parameters of `version`, which are sent unless this worker already holds them.

        Two objects: for the driver the report, and the task's truth if it is asked for; for the learner the trajectory
        or its gradient.

        Raises:
            WrongParametersError: if the worker neither holds that version nor is sent it.
        """
        if published is not None:
            self._worker.load(*published)
        if self._worker.params_version != version:
            raise WrongParametersError(
                f"asked to act with the parameters of update {version}, this actor holds {self._worker.params_version}"
            )
        unroll = self._worker.unroll()
        return (unroll.report, dict(unroll.info) if with_info else None), unroll.result

    def close(self) -> None:
        """See `RolloutWorker.close`; the last call."""
        self._worker.close()

    def state(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """See `RolloutWorker.state`."""
        return self._worker.state()

    def restore(self, arrays: dict[str, Array], scalars: dict[str, Any]) -> None:
        """See `RolloutWorker.restore`."""
        self._worker.restore(arrays, scalars)


RolloutActor: Any = ray.remote(Rollouts)
"""`Rollouts` as a Ray actor class."""
