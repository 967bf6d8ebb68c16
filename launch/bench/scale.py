"""Producers without an environment: recorded trajectories, sent again and again, that push the learner to its limit.

One Ray actor stands for any number of rollout actors. What is measured is everything but their play: the driver's
calls, the object store, the hand-off, the learner's updates and the broadcast.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import ray

from ...actors.rollout import RolloutWorker, UnrollReport, WorkerSpec
from ...models.flat import Published, to_vector
from ...replay.trajectory import Array, Trajectory, on_host

RECORDED = 4
"""Different trajectories that take turns."""


class Producer:
    """Answers the calls of `actors.remote.Rollouts` with what one worker played beforehand."""

    def __init__(self, spec: WorkerSpec) -> None:
        worker = RolloutWorker(spec)
        self._unrolls = [worker.unroll() for _ in range(RECORDED)]
        self._turn = 0

    def ready(self) -> tuple[int, str]:
        """See `Rollouts.ready`."""
        return os.getpid(), ray.get_runtime_context().get_node_id()

    @ray.method(num_returns=2)
    def unroll(
        self,
        version: int,
        published: Published | None,  # noqa: ARG002
        with_info: bool,  # noqa: ARG002
    ) -> tuple[tuple[UnrollReport, dict[str, Array] | None], Trajectory]:
        """See `Rollouts.unroll`; the parameters are received and not used."""
        self._turn += 1
        recorded = self._unrolls[self._turn % RECORDED]
        report = dataclasses.replace(recorded.report, params_version=version)
        return (report, None), dataclasses.replace(recorded.trajectory, params_version=version)

    def close(self) -> None:
        """See `Rollouts.close`; there is no environment."""


def message_sizes(spec: WorkerSpec) -> dict[str, float]:
    """What crosses between processes: an unroll to the learner, and the parameters to an actor."""
    worker = RolloutWorker(spec)
    trajectory = worker.unroll().trajectory
    arrays = [value for value in vars(trajectory).values() if isinstance(value, np.ndarray)]
    arrays += [on_host(component) for component in (*trajectory.initial_state, *trajectory.recall)]
    return {
        "unroll_env_steps": trajectory.env_steps,
        "trajectory_kib": sum(array.nbytes for array in arrays) / 1024,
        "parameters_kib": to_vector(worker.agent.parameters()).nbytes / 1024,
    }


def simulated_actors(spec: WorkerSpec) -> Callable[[WorkerSpec], Any]:
    """For `ActorPool`: the same producer in the place of every actor."""
    producer = ray.remote(Producer).options(num_cpus=0, max_restarts=0).remote(spec)

    def start(_: WorkerSpec) -> Any:
        return producer

    return start
