"""The Ray actor around the learner, placed on the GPU where there is one.

Two calls may run at once: while one updates, the next one already joins its trajectories and copies them to the
device. The updates themselves exclude each other.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping
from typing import Any

import ray
import torch

from ..models.agent import AgentSpec
from ..models.flat import Vector
from ..replay.trajectory import Array, Trajectory
from . import snapshot
from .algorithm import AlgorithmConfig
from .batch import Batch
from .checkpoint import Checkpoint
from .learner import Learner, NonFiniteLossError

PREFETCH = 2
"""Calls that may run at once: one updates, one stages."""


class RemoteLearner:
    """See `Learner`; this class adds the prefetch and nothing else."""

    def __init__(
        self,
        spec: AgentSpec,
        config: AlgorithmConfig,
        total_env_steps: int,
        seed: int,
        device: str,
        bf16: bool,
    ) -> None:
        torch.set_num_threads(1)
        self._learner = Learner(spec, config, total_env_steps, seed, device, bf16)
        self._rejected: Batch | None = None
        self._updating = threading.Lock()
        self._staging = threading.Lock()
        cuda = self._learner.device.type == "cuda"
        self._copy_stream = torch.cuda.Stream() if cuda else None

    def device(self) -> str:
        """Where the updates run, once the learner stands."""
        return str(self._learner.device)

    def node(self) -> str:
        """Ray's id of the node, once the learner stands."""
        return str(ray.get_runtime_context().get_node_id())

    def update(self, *trajectories: Trajectory) -> tuple[dict[str, float], Vector | None]:
        """One update; with `num_returns=2`: the metrics, and the parameters if they are due for a broadcast."""
        with self._staging:
            with torch.cuda.stream(self._copy_stream) if self._copy_stream else contextlib.nullcontext():
                batch = self._learner.stage(trajectories)
            self._updating.acquire()  # taken before staging is released: updates keep the order of staging
        try:
            if self._copy_stream is not None:
                torch.cuda.current_stream().wait_stream(self._copy_stream)
            metrics = self._learner.update(batch)
            due = self._learner.progress.updates % self._learner.config.broadcast_every == 0
            return metrics, self._learner.parameters_vector() if due else None
        except NonFiniteLossError:
            self._rejected = self._rejected or batch
            raise
        finally:
            self._updating.release()

    def parameters(self) -> tuple[int, Vector]:
        """Version and parameters as they are now."""
        with self._updating:
            return self._learner.progress.updates, self._learner.parameters_vector()

    def load_encoder(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """See `Learner.load_encoder`."""
        with self._updating:
            self._learner.load_encoder(tensors)

    def rejected_batch(self) -> dict[str, Array]:
        """The first batch that `update` raised `NonFiniteLossError` for; empty if none."""
        return {} if self._rejected is None else snapshot.batch_arrays(self._rejected)

    def checkpoint(self, extra: Mapping[str, Any], worker_arrays: Mapping[str, Array]) -> Checkpoint:
        """The state as it is now; `extra` joins the counters. The driver writes it: only it has the run folder."""
        with self._updating:
            return snapshot.take(self._learner, extra, worker_arrays)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint."""
        with self._updating:
            snapshot.restore(self._learner, checkpoint)


LearnerActor: Any = ray.remote(max_concurrency=PREFETCH, max_restarts=0, max_task_retries=0)(RemoteLearner)
"""`RemoteLearner` as a Ray actor class."""
