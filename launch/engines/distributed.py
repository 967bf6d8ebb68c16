"""The engine on Ray: a supervised pool of rollout actors, a learner actor, and this driver, which only coordinates.

The driver handles references: a trajectory goes from the actor that made it through the object store to the learner,
parameters go the other way. An actor gets its next call when the learner has been given its trajectory, and the learner
has at most `PREFETCH` updates in its queue; so nothing grows without bound, whichever side is slow.

The learner is given a trajectory once it lies on the learner's node: one on a node that the network does not reach
holds up itself, and not the updates behind it.
"""

from __future__ import annotations

import dataclasses
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import ObjectLostError, ObjectStoreFullError, OutOfDiskError, RayActorError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
from torch import Tensor

from ...actors.pool import ActorPool, Finished, room_for
from ...actors.rollout import WorkerSpec
from ...actors.settings import ActorsConfig
from ...learner import snapshot
from ...learner.checkpoint import Checkpoint, CheckpointFolder, NoCheckpointError
from ...learner.learner import NonFiniteLossError
from ...learner.remote import PREFETCH, LearnerActor
from ...models.flat import Vector
from ...replay.handoff import Handoff
from ...replay.trajectory import Array
from ..config import ConfigError, TrainConfig
from .protocol import WINDOW, Counters, Interrupted, LearnerFailedError, LearnerReplaced, StoreFullError, Update
from .specs import WorkerState, agent_for, batch_unrolls, pack_workers, unpack_workers, worker_specs

INFO_WITHIN_S = 2.0
"""How long a point of the training curves waits for the task's truth."""


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


@dataclass(frozen=True)
class _Pending:
    """An update that the learner has been given."""

    metrics: ray.ObjectRef
    parameters: ray.ObjectRef
    unrolls: list[Finished]


class RayEngine:
    """See the module's text. Ray must be initialised.

    Args:
        config: of the run.
        folder: of the run, on this node: the driver writes the checkpoints, wherever the learner is.
        checkpoint: to go on from.
        stopping: is asked while waiting; True ends the wait.
        start_actor: see `ActorPool`.
        encoder: the encoder's first weights (`learner.pretrained`), where there is no checkpoint.
    """

    def __init__(
        self,
        config: TrainConfig,
        folder: Path,
        checkpoint: Checkpoint | None,
        stopping: Callable[[], bool],
        start_actor: Callable[[WorkerSpec], Any] | None = None,
        encoder: Mapping[str, Tensor] | None = None,
    ) -> None:
        self._encoder = encoder
        self._stopping = stopping
        self._folder = folder
        self._checkpoints = CheckpointFolder(folder / "checkpoints", config.run.keep_checkpoints)
        self._config = config = _sized(config)
        self._synchronous = config.algo.synchronous
        self._pool = ActorPool(worker_specs(config), self._actors_config(), start_actor)
        self._handoff: Handoff[Finished] = Handoff(batch_unrolls(config))
        self._pending: deque[_Pending] = deque()
        self._arriving: list[Finished] = []
        self._window: deque[ray.ObjectRef] = deque(maxlen=WINDOW)
        self._answered: list[Finished] = []
        self._learner_restarts = 0
        self._node = str(ray.get_runtime_context().get_node_id())
        self._learner = self._start_learner()
        self._pool.begin()  # processes take seconds to start: all at once
        self._go_on_from(checkpoint)
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
            update = self._finished_update()
            if update is not None:
                return update
            refs = self._pool.waitables() + [unroll.trajectory for unroll in self._arriving]
            if self._pending:
                refs.append(self._pending[0].metrics)
            ready: list[ray.ObjectRef] = []
            if not refs:
                time.sleep(0.05)  # all actors are about to be replaced
            elif ray.wait(refs, num_returns=1, timeout=0.2)[0]:
                ready, _ = ray.wait(refs, num_returns=len(refs), timeout=0)
            self._arriving += self._pool.collect(ready)
            self._put_what_arrived()
        raise Interrupted

    def counters(self) -> Counters:  # noqa: D102
        handoff = self._handoff
        waited = (handoff.learner_waited_s, handoff.data_waited_s, handoff.taken)
        return Counters(*waited, self._pool.playing, self._pool.restarts, self._learner_restarts)

    def window(self) -> list[Mapping[str, Array]]:  # noqa: D102
        infos, refs = [], list(self._window)
        here = set(ray.wait(refs, num_returns=len(refs), timeout=INFO_WITHIN_S)[0]) if refs else set()
        for ref in refs:
            try:
                if ref in here:
                    infos.append(ray.get(ref, timeout=INFO_WITHIN_S))
                    continue
            except (RayActorError, ray.exceptions.GetTimeoutError, ObjectLostError):
                pass
            self._window.remove(ref)  # its node went, or is cut off; the next unroll takes its place
        return infos

    def parameters(self) -> tuple[int, Vector]:  # noqa: D102
        version, vector = self._ask_learner(self._learner.parameters.remote())
        return version, vector

    def checkpoint(self, extra: Mapping[str, Any]) -> Checkpoint:  # noqa: D102
        try:
            call = self._learner.checkpoint.remote(*pack_workers(extra, self._worker_states()))
            state: Checkpoint = self._ask_learner(call)
        except LearnerFailedError as error:
            raise self._replace_learner(error) from error
        return state

    def close(self) -> None:  # noqa: D102
        self._pool.close()
        ray.kill(self._learner)

    # Inside ------------------------------------------------------------------------------------------------

    def _start_learner(self) -> Any:
        config = self._config
        gpus = 1 if config.learner.device == "cuda" or self._gpu_for_auto() else 0
        # Where the GPU is, else on the driver's node and nowhere else: there it shares the driver's part of the machine
        # and reserves no CPU of its own.
        here = NodeAffinitySchedulingStrategy(self._node, soft=False)
        placed = LearnerActor.options(num_cpus=0, num_gpus=gpus, scheduling_strategy="DEFAULT" if gpus else here)
        return placed.remote(
            agent_for(config),
            config.algo,
            config.run.env_steps,
            config.seed,
            config.learner.device,
            config.learner.bf16,
        )

    def _go_on_from(self, checkpoint: Checkpoint | None) -> None:
        """Give the learner a checkpoint's state, or a run's first encoder, and let the actors act with it."""
        if checkpoint is not None:
            self._ask_learner(self._learner.restore.remote(checkpoint))
        elif self._encoder is not None:
            self._ask_learner(self._learner.load_encoder.remote(self._encoder))
        self._learner_node = self._ask_learner(self._learner.node.remote())
        self._updates, vector = self.parameters()
        self._published = deque([(self._updates, ray.put(vector))], maxlen=self._config.actors.lag_updates + 1)
        self._pool.broadcast(*self._published[0])

    def _replace_learner(self, error: LearnerFailedError) -> LearnerReplaced:
        """Another learner in the place of one that died, from the newest checkpoint; what was under way is dropped.

        Raises:
            LearnerFailedError: when `learner.max_restarts` is spent.
        """
        limit = self._config.learner.max_restarts
        if self._learner_restarts >= limit:
            raise LearnerFailedError(f"{error}\n{limit} learners were started anew (learner.max_restarts)") from error
        self._learner_restarts += 1
        ray.kill(self._learner)
        lost = [unroll for pending in self._pending for unroll in pending.unrolls]
        self._pending.clear()
        try:
            checkpoint, _, _ = self._checkpoints.newest()
        except NoCheckpointError:
            checkpoint = None
        self._learner = self._start_learner()
        self._pool.forget_versions()
        self._go_on_from(checkpoint)
        if self._synchronous:
            self._answered += lost  # their actors wait to be fed
        return LearnerReplaced(str(error), checkpoint)

    def _actors_config(self) -> ActorsConfig:
        return dataclasses.replace(self._config.actors, in_flight=1) if self._synchronous else self._config.actors

    def _gpu_for_auto(self) -> bool:
        return self._config.learner.device == "auto" and ray.cluster_resources().get("GPU", 0) >= 1

    def _put_what_arrived(self) -> None:
        """Hand off what lies on the learner's node; to ask for the rest fetches it.

        Only the driver's node can be asked about. To a learner on another one everything is handed off at once.
        """
        away = [unroll.trajectory for unroll in self._arriving if unroll.node != self._node]
        if away and self._learner_node == self._node:
            here, _ = ray.wait(away, num_returns=len(away), timeout=0)
            missing = set(away) - set(here)
        else:
            missing = set()
        for unroll in self._arriving:
            if unroll.trajectory not in missing:
                self._window.append(unroll.info)
                self._handoff.put(unroll)
        self._arriving = [unroll for unroll in self._arriving if unroll.trajectory in missing]

    def _give_learner(self) -> None:
        limit = 1 if self._synchronous else PREFETCH
        while len(self._pending) < limit:
            unrolls = self._handoff.take()
            if unrolls is None:
                if not self._pending:
                    self._handoff.learner_idle()
                return
            if self._synchronous:
                unrolls.sort(key=lambda unroll: unroll.actor_id)
            trajectories = [unroll.trajectory for unroll in unrolls]
            metrics, parameters = self._learner.update.options(num_returns=2).remote(*trajectories)
            self._pending.append(_Pending(metrics, parameters, unrolls))
            if not self._synchronous:
                for unroll in unrolls:
                    self._pool.feed(unroll)

    def _finished_update(self) -> Update | None:
        if not self._pending or not ray.wait([self._pending[0].metrics], timeout=0)[0]:
            return None
        try:
            metrics = self._ask_learner(self._pending[0].metrics)
        except NonFiniteLossError as error:
            arrays = self._ask_learner(self._learner.rejected_batch.remote())
            path = snapshot.save_batch(self._folder, arrays)
            raise NonFiniteLossError(f"{error}; the batch lies in {path}") from None
        except ObjectLostError:
            # A trajectory went with the node that held it, before the learner read it: the update was not made.
            lost = self._pending.popleft()
            for unroll in lost.unrolls if self._synchronous else []:
                self._pool.feed(unroll)
            return None
        done = self._pending.popleft()
        self._updates += 1
        if self._updates % self._config.algo.broadcast_every == 0:
            # Passed on as a reference: small vectors travel inline, large ones are read once a node.
            self._published.append((self._updates, done.parameters))
            self._pool.broadcast(*self._published[0])
        self._answered = done.unrolls
        return Update(metrics, [unroll.report for unroll in done.unrolls])

    def _ask_learner(self, ref: ray.ObjectRef) -> Any:
        try:
            return ray.get(ref)
        except RayTaskError as error:
            raise error.cause if isinstance(error.cause, Exception) else error from None
        except RayActorError as error:
            raise LearnerFailedError(f"the learner's process ended: {error}") from error

    def _worker_states(self) -> list[WorkerState]:
        """Of all actors, or of none: only a synchronous run stands still, so only there are they of the same moment."""
        handles = self._pool.handles()
        if not self._synchronous or None in handles:
            return []
        try:
            return list(ray.get([handle.state.remote() for handle in handles]))
        except RayActorError:
            return []  # one died just now; after a resume all start fresh episodes

    def _restore_workers(self, checkpoint: Checkpoint) -> None:
        if not self._synchronous:
            return
        states = unpack_workers(checkpoint, self._config.actors.num)
        ray.get([h.restore.remote(*state) for h, state in zip(self._pool.handles(), states, strict=False)])


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
