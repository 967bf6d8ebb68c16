"""The learner's process as the driver sees it: updates given in order, answers within a time limit.

A learner that dies and one that hangs are the same to who drives it: `LearnerFailedError`, which says which of the two.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, ObjectLostError, ObjectStoreFullError, RayActorError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
from torch import Tensor

from ...actors.slot import Finished
from ...learner.checkpoint import Checkpoint
from ...learner.remote import PREFETCH, Answer, LearnerActor
from ...replay.trajectory import Array
from ..config import TrainConfig
from .protocol import LearnerFailedError
from .specs import agent_for


@dataclass(frozen=True)
class Broadcast:
    """Parameters to act with: their version, and where the `Published` of that version lies."""

    version: int
    published: ray.ObjectRef


@dataclass(frozen=True)
class Made:
    """An update that was made."""

    metrics: dict[str, float]
    broadcast: Broadcast | None
    """None if no parameters were due."""
    unrolls: list[Finished]


@dataclass(frozen=True)
class _Given:
    """An update that the learner has been given."""

    turn: int
    answer: ray.ObjectRef
    published: ray.ObjectRef
    unrolls: list[Finished]


class UpdateLostError(RuntimeError):
    """A trajectory went with the node that held it, before the learner read it: the update was not made.

    Attributes:
        unrolls: that were given for it.
    """

    def __init__(self, unrolls: list[Finished]) -> None:
        super().__init__("a trajectory was lost on its way to the learner")
        self.unrolls = unrolls


class LearnerProcess:
    """One process; another one, in the place of one that failed, is another object.

    Args:
        config: of the run.
        driver_node: Ray's id of the node that the driver runs on.
    """

    def __init__(self, config: TrainConfig, driver_node: str) -> None:
        self._timeout_s = config.learner.timeout_s
        self._start_timeout_s = max(config.learner.timeout_s, config.actors.start_timeout_s)
        self._limit = 1 if config.algo.synchronous else PREFETCH
        self._given: deque[_Given] = deque()
        self._turn = 0
        self._since = 0.0
        self._driver_node = driver_node
        self.node = ""
        """Ray's id of the node where it runs, once it has begun."""
        on_gpu = config.learner.device == "cuda" or (
            config.learner.device == "auto" and ray.cluster_resources().get("GPU", 0) >= 1
        )
        # Where the GPU is, else on the driver's node and nowhere else: there it shares the driver's part of the machine
        # and reserves no CPU of its own.
        here = NodeAffinitySchedulingStrategy(driver_node, soft=False)
        placed = LearnerActor.options(
            num_cpus=0, num_gpus=int(on_gpu), scheduling_strategy="DEFAULT" if on_gpu else here
        )
        run = config.learner
        self._handle = placed.remote(
            agent_for(config), config.algo, config.run.env_steps, config.seed, run.device, run.bf16
        )

    def begin(self, checkpoint: Checkpoint | None, weights: Mapping[str, Tensor] | None) -> Broadcast:
        """Wait until it stands, with a checkpoint's state or a run's first weights; the parameters to begin with.

        Raises:
            LearnerFailedError: if it dies, or hangs; a process that starts has `actors.start_timeout_s`, as the others.
        """
        if not ray.wait([standing := self._handle.node.remote()], timeout=self._start_timeout_s)[0]:
            raise LearnerFailedError(
                f"the learner did not start within {self._start_timeout_s:g} s (the larger one of learner.timeout_s "
                "and actors.start_timeout_s); if it asks for a GPU, see with `ray status` whether another job holds it"
            )
        self.node = self._ask("did not start", standing)
        if checkpoint is not None:
            self._ask("hangs while it goes on from a checkpoint", self._handle.restore.remote(checkpoint))
        elif weights is not None:
            self._ask("hangs while it loads weights", self._handle.load_weights.remote(weights))
        published = self.parameters()
        return Broadcast(published[0], ray.put(published))

    # Updates -----------------------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether it has something to do."""
        return bool(self._given)

    @property
    def wants_more(self) -> bool:
        """Whether it may be given another update: one beside the one that computes, none if that is synchronous."""
        return len(self._given) < self._limit

    def give(self, unrolls: list[Finished]) -> None:
        """Another update, after those that were given before."""
        if not self._given:
            self._since = time.monotonic()
        answer, published = self._handle.update.remote(self._turn, *(unroll.result for unroll in unrolls))
        self._given.append(_Given(self._turn, answer, published, unrolls))
        self._turn += 1

    def waitables(self) -> list[ray.ObjectRef]:
        """What to wait for: the answer to the oldest update."""
        return [self._given[0].answer] if self._given else []

    def finished(self, ready: Container[ray.ObjectRef]) -> Made | None:
        """The oldest update if its answer is among what is ready.

        Raises:
            LearnerFailedError: if it died or is overdue.
            NonFiniteLossError: of the learner.
            ObjectStoreFullError: if it is overdue because its trajectories find no room.
            UpdateLostError: the others go on.
        """
        if not self._given:
            return None
        if self._given[0].answer not in ready:
            if time.monotonic() - self._since > self._timeout_s:
                self._require_room(self._given[0].unrolls)
                raise LearnerFailedError(self._overdue("hangs: no update was made"))
            return None
        try:
            answer: Answer = self._ask("hangs after an update", self._given[0].answer)
        except ObjectLostError:
            lost = self._given.popleft()
            self._since = time.monotonic()
            self._handle.skip.remote(lost.turn)
            raise UpdateLostError(lost.unrolls) from None
        done = self._given.popleft()
        self._since = time.monotonic()
        broadcast = Broadcast(answer.version, done.published) if answer.published else None
        return Made(answer.metrics, broadcast, done.unrolls)

    # Questions ---------------------------------------------------------------------------------------------

    def parameters(self) -> Any:
        """See `RemoteLearner.parameters`. Raises `LearnerFailedError`, as the other questions do."""
        return self._ask("hangs: it does not give its parameters", self._handle.parameters.remote())

    def checkpoint(self, extra: Mapping[str, Any], worker_arrays: Mapping[str, Array]) -> Checkpoint:
        """See `RemoteLearner.checkpoint`."""
        state: Checkpoint = self._ask("hangs: no checkpoint", self._handle.checkpoint.remote(extra, worker_arrays))
        return state

    def rejected_batch(self) -> dict[str, Array]:
        """See `RemoteLearner.rejected_batch`."""
        arrays: dict[str, Array] = self._ask("hangs: no rejected batch", self._handle.rejected_batch.remote())
        return arrays

    def end(self) -> list[Finished]:
        """Kill it; the unrolls that it had been given and not yet answered."""
        ray.kill(self._handle)
        lost = [unroll for given in self._given for unroll in given.unrolls]
        self._given.clear()
        return lost

    def _require_room(self, unrolls: list[Finished]) -> None:
        """Ray begins an update once all its trajectories lie in memory, and tries in silence for as long as it takes.

        The network has no part in it where actor, learner and driver share a node.
        """
        near = [unroll.result for unroll in unrolls if unroll.node == self.node == self._driver_node]
        if near and ray.wait(near, num_returns=len(near), timeout=0)[1]:
            raise ObjectStoreFullError(f"the learner waits for room for {len(unrolls)} trajectories")

    def _ask(self, what: str, ref: ray.ObjectRef) -> Any:
        try:
            return ray.get(ref, timeout=self._timeout_s)
        except GetTimeoutError:
            raise LearnerFailedError(self._overdue(what)) from None
        except RayTaskError as error:
            raise error.cause if isinstance(error.cause, Exception) else error from None
        except RayActorError as error:
            raise LearnerFailedError(f"the learner's process ended: {error}") from error

    def _overdue(self, what: str) -> str:
        return f"the learner {what} within {self._timeout_s:g} s (learner.timeout_s)"
