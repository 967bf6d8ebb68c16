"""The engine on Ray: a supervised pool of rollout actors, a learner actor, and this driver, which only coordinates.

The driver handles references: a trajectory goes from the actor that made it through the object store to the learner,
parameters go the other way. An actor gets its next call when the learner has been given its trajectory, and the learner
has at most `PREFETCH` updates in its queue; so nothing grows without bound, whichever side is slow.

The learner is given a trajectory once it lies on the learner's node: one on a node that the network does not reach
holds up itself, and not the updates behind it.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, ObjectStoreFullError, OutOfDiskError, RayError
from torch import Tensor

from ...actors.nodes import room_for
from ...actors.pool import ActorPool
from ...actors.rollout import WorkerSpec
from ...actors.settings import ActorsConfig
from ...actors.slot import Finished
from ...learner import snapshot
from ...learner.checkpoint import Checkpoint, CheckpointFolder, NoCheckpointError
from ...learner.learner import NonFiniteLossError
from ...models.flat import Published
from ...replay.handoff import Handoff
from ...replay.trajectory import Array
from ..config import ConfigError, TrainConfig
from .learner_process import Broadcast, LearnerProcess, Made, UpdateLostError
from .protocol import WINDOW, Counters, Interrupted, LearnerFailedError, LearnerReplaced, StoreFullError, Update
from .specs import WorkerState, batch_unrolls, pack_workers, unpack_workers, worker_specs

log = logging.getLogger(__name__)


FEW = 8
"""With no more to wait for, a call of Ray for each thing that is ready costs less than asking for all at once."""


@contextmanager
def store_errors(config: TrainConfig) -> Iterator[None]:
    """Whatever meets a full object store, an actor, the learner or the driver: the message says what to change.

    Raises:
        StoreFullError: in the place of Ray's own errors.
    """
    try:
        yield
    except (ObjectStoreFullError, OutOfDiskError) as error:
        size = "ray.object_store_mb" if config.cluster == "local" else "--object-store-memory of ray start"
        raise StoreFullError(
            "trajectories on their way fill Ray's object store and the disk that it spills to: lower actors.in_flight, "
            f"actors.envs or algo.unroll_length, raise {size}, or free the disk of Ray's session folder (/tmp/ray)"
        ) from error


class RayEngine:
    """See the module's text. Ray must be initialised.

    Args:
        config: of the run.
        folder: of the run, on this node: the driver writes the checkpoints, wherever the learner is.
        checkpoint: to go on from.
        stopping: is asked while waiting; True ends the wait.
        start_actor: see `ActorPool`.
        weights: the agent's first weights (`learner.pretrained`), where there is no checkpoint.
    """

    def __init__(
        self,
        config: TrainConfig,
        folder: Path,
        checkpoint: Checkpoint | None,
        stopping: Callable[[], bool],
        start_actor: Callable[[WorkerSpec], Any] | None = None,
        weights: Mapping[str, Tensor] | None = None,
    ) -> None:
        self._weights = weights
        self._stopping = stopping
        self._folder = folder
        self._checkpoints = CheckpointFolder(folder / "checkpoints", config.run.keep_checkpoints)
        self._config = config = _sized(config)
        self._synchronous = config.algo.synchronous
        self._pool = ActorPool(worker_specs(config), self._actors_config(), start_actor, _info_every(config))
        self._handoff: Handoff[Finished] = Handoff(batch_unrolls(config))
        self._arriving: list[Finished] = []
        self._window: deque[Mapping[str, Array]] = deque(maxlen=WINDOW)
        self._answered: list[Finished] = []
        self._learner_restarts = 0
        self._node = str(ray.get_runtime_context().get_node_id())
        self._learner = LearnerProcess(config, self._node)
        self._pool.begin()  # processes take seconds to start: all at once
        self._publish_anew(self._learner.begin(checkpoint, weights))
        if checkpoint is not None:
            self._restore_workers(checkpoint)

    def step(self) -> Update:  # noqa: D102  # see Engine
        try:
            return self._step()
        except LearnerFailedError as error:
            raise self._replace_learner(error) from error

    def _step(self) -> Update:
        if self._synchronous:
            # Only now, so that between two steps nobody plays and a checkpoint holds exactly this moment.
            for unroll in self._answered:
                self._pool.feed(unroll)
            self._answered = []
        # A synchronous update under way is finished: a checkpoint between two of them can be resumed exactly.
        while self._synchronous or not self._stopping():
            self._give_learner()
            ready = self._wait()
            made = self._finished_update(ready)
            self._take_in(self._pool.collect(ready))
            if made is not None:
                return self._told(made)
        raise Interrupted

    def counters(self) -> Counters:  # noqa: D102
        handoff = self._handoff
        waited = (handoff.learner_waited_s, handoff.data_waited_s, handoff.taken)
        return Counters(*waited, self._pool.playing, self._pool.restarts, self._learner_restarts)

    def window(self) -> list[Mapping[str, Array]]:  # noqa: D102
        return list(self._window)

    def parameters(self) -> Published:  # noqa: D102
        parameters: Published = self._learner.parameters()
        return parameters

    def checkpoint(self, extra: Mapping[str, Any]) -> Checkpoint:  # noqa: D102
        try:
            return self._learner.checkpoint(*pack_workers(extra, self._worker_states()))
        except LearnerFailedError as error:
            raise self._replace_learner(error) from error

    def close(self) -> None:  # noqa: D102
        self._pool.close()
        self._learner.end()

    # Inside ------------------------------------------------------------------------------------------------

    def _publish_anew(self, broadcast: Broadcast) -> None:
        """These parameters and no older ones, whatever the actors hold and however they call it."""
        self._published = deque([broadcast], maxlen=self._config.actors.lag_updates + 1)
        self._pool.forget_versions()
        self._pool.broadcast(broadcast.version, broadcast.published)

    def _replace_learner(self, error: LearnerFailedError) -> LearnerReplaced:
        """Another learner in the place of one that failed, from the newest checkpoint; what was under way is dropped.

        Raises:
            LearnerFailedError: when `learner.max_restarts` is spent.
        """
        limit = self._config.learner.max_restarts
        while True:
            if self._learner_restarts >= limit:
                text = f"{error}\n{limit} learners were started anew (learner.max_restarts)"
                raise LearnerFailedError(text) from error
            self._learner_restarts += 1
            lost = self._learner.end()
            if self._synchronous:
                # All were played with the parameters of the one that failed; their actors wait to be fed.
                self._answered += lost + self._handoff.clear() + self._arriving
                self._arriving = []
            try:
                checkpoint, _, _ = self._checkpoints.newest()
            except NoCheckpointError:
                checkpoint = None
            self._learner = LearnerProcess(self._config, self._node)
            try:
                self._publish_anew(self._learner.begin(checkpoint, self._weights))
            except LearnerFailedError as another:
                error = another
                continue
            return LearnerReplaced(str(error), checkpoint)

    def _actors_config(self) -> ActorsConfig:
        return dataclasses.replace(self._config.actors, in_flight=1) if self._synchronous else self._config.actors

    def _wait(self) -> set[ray.ObjectRef]:
        """What is ready, as soon as something is; nothing after a while, so that time limits are looked at."""
        refs = self._learner.waitables() + self._pool.waitables() + [unroll.result for unroll in self._arriving]
        if not refs:
            time.sleep(0.05)  # all actors are about to be replaced
            return set()
        ready, others = ray.wait(refs, num_returns=1, timeout=0.2)
        if ready and len(others) > FEW:
            ready += ray.wait(others, num_returns=len(others), timeout=0)[0]
        return set(ready)

    def _take_in(self, finished: list[Finished]) -> None:
        """Hand off what lies on the learner's node; to ask for the rest fetches it.

        Only the driver's node can be asked about. To a learner on another one everything is handed off at once.
        """
        for unroll in finished:
            if self._synchronous and unroll.report.params_version != self._published[0].version:
                self._pool.feed(unroll)  # another learner stands now; it has other parameters
            else:
                self._arriving.append(unroll)
        away = [unroll.result for unroll in self._arriving if unroll.node != self._node]
        if away and self._learner.node == self._node:
            here, _ = ray.wait(away, num_returns=len(away), timeout=0)
            missing = set(away) - set(here)
        else:
            missing = set()
        for unroll in self._arriving:
            if unroll.result not in missing:
                if unroll.info is not None:
                    self._window.append(unroll.info)
                self._handoff.put(unroll)
        self._arriving = [unroll for unroll in self._arriving if unroll.result in missing]

    def _give_learner(self) -> None:
        while self._learner.wants_more:
            unrolls = self._handoff.take()
            if unrolls is None:
                if not self._learner.busy:
                    self._handoff.learner_idle()
                return
            if self._synchronous:
                unrolls.sort(key=lambda unroll: unroll.actor_id)
            self._learner.give(unrolls)
            if not self._synchronous:
                for unroll in unrolls:
                    self._pool.feed(unroll)

    def _finished_update(self, ready: set[ray.ObjectRef]) -> Made | None:
        try:
            return self._learner.finished(ready)
        except NonFiniteLossError as error:
            path = snapshot.save_batch(self._folder, self._learner.rejected_batch())
            raise NonFiniteLossError(f"{error}; the batch lies in {path}") from None
        except UpdateLostError as lost:
            for unroll in lost.unrolls if self._synchronous else []:
                self._pool.feed(unroll)
            return None

    def _told(self, made: Made) -> Update:
        if made.broadcast is not None:
            # Passed on as a reference: small vectors travel inline, large ones are read once a node.
            self._published.append(made.broadcast)
            self._pool.broadcast(self._published[0].version, self._published[0].published)
        self._answered = made.unrolls
        return Update(made.metrics, [unroll.report for unroll in made.unrolls])

    def _worker_states(self) -> list[WorkerState]:
        """Of all actors, or of none: only a synchronous run stands still, so only there are they of the same moment."""
        handles = self._pool.handles()
        if not self._synchronous or None in handles:
            return []
        try:
            return list(ray.get([h.state.remote() for h in handles], timeout=self._config.actors.timeout_s))
        except (RayError, GetTimeoutError):
            return []  # one died just now, or hangs; after a resume all start fresh episodes

    def _restore_workers(self, checkpoint: Checkpoint) -> None:
        if not self._synchronous:
            return
        states = unpack_workers(checkpoint, self._config.actors.num)
        restored = [h.restore.remote(*state) for h, state in zip(self._pool.handles(), states, strict=False)]
        deadline = time.monotonic() + self._config.actors.start_timeout_s + self._config.actors.timeout_s
        for actor_id, ref in enumerate(restored):
            try:
                ray.get(ref, timeout=max(0.0, deadline - time.monotonic()))
            except (RayError, GetTimeoutError) as error:
                # The pool sees to it. This is no longer the run that was saved, and says so.
                reason = (str(error).strip() or type(error).__name__).splitlines()[-1]
                log.warning("actor %d starts fresh episodes, it could not go on with its own: %s", actor_id, reason)


def _info_every(config: TrainConfig) -> int:
    """Of so many unrolls one brings the task's truth, which is `WINDOW` of them between two log points."""
    steps = config.algo.unroll_length * config.actors.envs
    return max(1, config.run.env_steps // (config.run.log_points * WINDOW * steps))


def _sized(config: TrainConfig) -> TrainConfig:
    """With `actors.num=auto`: as many actors as there is room for.

    Raises:
        ConfigError: if these could never fill a batch.
    """
    if not config.actors.auto:
        return config
    num = max(1, room_for(config.actors.cpus))
    if config.algo.batch_unrolls > num * config.actors.in_flight:
        raise ConfigError(
            f"algo.batch_unrolls={config.algo.batch_unrolls} trajectories can never be complete: the cluster has room "
            f"for {num} actors with {config.actors.in_flight} unrolls in flight"
        )
    return dataclasses.replace(config, actors=dataclasses.replace(config.actors, num=num))
