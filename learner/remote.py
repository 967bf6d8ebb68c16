"""The Ray actor around the learner, placed on the GPU where there is one.

Two updates may be given at once: while one computes, the next one already joins its trajectories and copies them to the
device. Ray starts calls that may run at once in any order, so each carries its number and waits for its turn. The
learner alone counts updates: every answer tells the version that it made.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping
from typing import Any, NamedTuple

import ray
import torch

from ..models.agent import AgentSpec
from ..models.flat import Published
from ..models.process import use_one_core
from ..replay.gradient import Result
from ..replay.trajectory import Array
from . import snapshot
from .algorithm import AlgorithmConfig
from .batch import Batch
from .checkpoint import Checkpoint
from .combined import Combined
from .learner import Learner, NonFiniteLossError
from .turns import Turns

PREFETCH = 2
"""Updates that may be given at once: one computes, one stages."""


class Answer(NamedTuple):
    """What an update tells the driver."""

    metrics: dict[str, float]
    version: int
    """Updates made, this one included."""
    published: bool
    """Parameters of this version came with the answer."""


class RemoteLearner:
    """See `Learner`; this class adds the prefetch and the order of updates."""

    def __init__(
        self,
        spec: AgentSpec,
        config: AlgorithmConfig,
        total_env_steps: int,
        seed: int,
        device: str,
        bf16: bool,
    ) -> None:
        use_one_core()
        self._learner = Learner(spec, config, total_env_steps, seed, device, bf16)
        self._rejected: Batch | Combined | None = None
        self._staging, self._updating = Turns(), Turns()
        self._in_use = threading.Lock()
        cuda = self._learner.device.type == "cuda"
        self._copy_stream = torch.cuda.Stream() if cuda else None

    def device(self) -> str:
        """Where the updates run, once the learner stands."""
        return str(self._learner.device)

    def node(self) -> str:
        """Ray's id of the node, once the learner stands."""
        return str(ray.get_runtime_context().get_node_id())

    @ray.method(num_returns=2)
    def update(self, turn: int, *results: Result) -> tuple[Answer, Published | None]:
        """Update number `turn` of this process, counted from 0, and the parameters if they are due for a broadcast."""
        try:
            with self._staging.turn(turn), self._copying():
                batch = self._learner.stage(results)
        except BaseException:
            self._updating.skip(turn)  # those behind it must not wait for it
            raise
        with self._updating.turn(turn), self._in_use:
            if self._copy_stream is not None:
                torch.cuda.current_stream().wait_stream(self._copy_stream)
            try:
                metrics = self._learner.update(batch)
            except NonFiniteLossError:
                self._rejected = self._rejected or batch
                raise
            version = self._learner.progress.updates
            due = version % self._learner.config.broadcast_every == 0
            return Answer(metrics, version, due), self._learner.published() if due else None

    def skip(self, turn: int) -> None:
        """An update whose call failed before it began (a trajectory was lost); those behind it wait for its turn."""
        self._staging.skip(turn)
        self._updating.skip(turn)

    def parameters(self) -> Published:
        """Version and parameters as they are now."""
        with self._in_use:
            return self._learner.published()

    def load_weights(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """See `Learner.load_weights`."""
        with self._in_use:
            self._learner.load_weights(tensors)

    def rejected_batch(self) -> dict[str, Array]:
        """The first batch that `update` raised `NonFiniteLossError` for; empty if none."""
        return {} if self._rejected is None else snapshot.batch_arrays(self._rejected)

    def checkpoint(self, extra: Mapping[str, Any], worker_arrays: Mapping[str, Array]) -> Checkpoint:
        """The state as it is now; `extra` joins the counters. The driver writes it: only it has the run folder."""
        with self._in_use:
            return snapshot.take(self._learner, extra, worker_arrays)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint."""
        with self._in_use:
            snapshot.restore(self._learner, checkpoint)

    def _copying(self) -> contextlib.AbstractContextManager[Any]:
        return torch.cuda.stream(self._copy_stream) if self._copy_stream else contextlib.nullcontext()


LearnerActor: Any = ray.remote(max_concurrency=PREFETCH + 1, max_restarts=0, max_task_retries=0)(RemoteLearner)
"""`RemoteLearner` as a Ray actor class: the updates, and a question beside them."""
